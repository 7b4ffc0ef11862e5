"""What servers say of themselves with their replies, and whether one model answered all along."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from operator import itemgetter
from typing import Any

from harness.engines.served.address import without_keys
from harness.engines.served.client import ServerClient
from harness.engines.served.identity import names_weights
from harness.engines.served.pool import ServerPool
from harness.engines.served.replies import tokens_used, unknown_ending
from harness.errors import ModelError
from harness.types import ExecutionPlan, ServerUse

# Of what a server calls itself.
_LONGEST_NAME = 300


@dataclass(slots=True)
class Reports:
    """What servers said of one model and used for it, over all requests.

    Attributes:
        name: The model's, for messages.
        fingerprint: What they have to say if its weights are known; None if they are not.
        is_one_server: Whether another fingerprint can only be another model, and not another host of many.
        is_pool: Whether the user vouches for several servers, of which some may say nothing of weights.
        models: Names of models in replies.
        fingerprints: Their ``system_fingerprint``, in order.
        endings: Why answers ended, where it is not known whether they are whole.
    """

    name: str = ""
    fingerprint: str | None = None
    is_one_server: bool = False
    is_pool: bool = False
    models: set[str] = field(default_factory=set)
    fingerprints: dict[str, None] = field(default_factory=dict)
    endings: dict[str, None] = field(default_factory=dict)
    prompt_tokens: int = 0
    completion_tokens: int = 0

    def take(self, reply: Any) -> None:
        """Add what a reply says.

        Raises:
            ModelError: Other weights answered than before, or than were listed.
        """
        said = _said(reply, "system_fingerprint")
        self._check(said)
        asked, written = tokens_used(reply)
        self.prompt_tokens += asked
        self.completion_tokens += written
        if said:
            self.fingerprints[said] = None
        if name := _said(reply, "model"):
            self.models.add(name)

    def note_end(self, choice: Any) -> None:
        """Note why an answer ended, if that says nothing of whether it is whole."""
        if reason := unknown_ending(choice):
            self.endings[reason[:_LONGEST_NAME]] = None

    @property
    def notes(self) -> list[str]:
        """What a reader has to know of the replies, a sentence each."""
        several = (
            f"{self.name} had several fingerprints: {', '.join(self.fingerprints)}: other hosts answered, or "
            f"its server changed during the run"
        )
        ended = (
            f"{self.name} ended answers for a reason that is not known here ({', '.join(self.endings)}): "
            f"they are scored as whole ones"
        )
        return [*([several] if len(self.fingerprints) > 1 else []), *([ended] if self.endings else [])]

    def _check(self, said: str) -> None:
        if self.fingerprint is not None:
            before = self.fingerprint
        elif self.is_pool:
            before = next(filter(names_weights, self.fingerprints), said)
            if not names_weights(said):
                return
        else:
            before = next(iter(self.fingerprints), said)
            # A host of many may have another configuration; one that says nothing says nothing else.
            if not (names_weights(before) or names_weights(said) or (self.is_one_server and said)):
                return
        if said != before:
            raise ModelError(
                f"{self.name}: other weights answered than before (fingerprint {said or 'none'}, and "
                f"{before} before): the server was started anew, or its model exchanged; gate it once more"
            )


def _said(reply: Any, name: str) -> str:
    said = getattr(reply, name, None)
    return without_keys(str(said))[:_LONGEST_NAME] if said else ""


def used(
    use: ServerUse, pools: Iterable[ServerPool], reports: Iterable[Reports], unmeasured: str
) -> ServerUse:
    """How servers were used, and what they reported.

    Args:
        use: How they are asked.
        pools: Their clients.
        reports: What they said, of each model.
        unmeasured: Why texts were not measured; empty if they were.
    """
    all_pools, all_reports = set(pools), list(reports)
    clients = {client for pool in all_pools for client in pool.clients}
    asked = sum(each.prompt_tokens for each in all_reports)
    written = sum(each.completion_tokens for each in all_reports)
    prices, uncounted = use.prices, not asked and any(client.answered for client in clients)
    return replace(
        use,
        requests=sum(client.requests for client in clients),
        retried=sum(client.retried for client in clients),
        prompt_tokens=asked,
        completion_tokens=written,
        cost=None if prices is None or uncounted else (asked * prices[0] + written * prices[1]) / 1_000_000,
        reported=tuple(sorted({name for each in all_reports for name in each.models})),
        fingerprints=tuple(sorted({found for each in all_reports for found in each.fingerprints})),
        unmeasured=unmeasured,
        notes=(
            *use.notes,
            *(note for each in all_reports for note in each.notes),
            *(
                f"{url} refused requests, and other servers were asked: {reason}"
                for pool in all_pools
                for url, reason in sorted(pool.refusals.items())
            ),
            *_left_out(clients),
            *(
                ["replies have no counts of tokens (usage), so the cost is unknown"]
                if prices and uncounted
                else []
            ),
        ),
    )


def _left_out(clients: Iterable[ServerClient]) -> Iterator[str]:
    """What servers don't take of what says how answers are drawn, a sentence each."""
    for url, taken in sorted(((each.url, each.parameters) for each in clients), key=itemgetter(0)):
        if taken.lacks_seed:
            yield f"{url} takes no seed: what is drawn (a temperature above 0) is something else in each run"
        if undrawn := " and no ".join(sorted(taken.undrawn)):
            yield f"{url} takes no {undrawn}: answers are drawn as it does without, and differ in each run"


def with_uses(plan: ExecutionPlan, uses: Iterable[ServerUse]) -> ExecutionPlan:
    """The plan, with what all servers together were asked and reported.

    Args:
        plan: As one node or engine follows it.
        uses: How each server was used, or how by each engine.
    """
    all_uses = list(uses)
    if plan.server is None or not all_uses:
        return plan
    is_unknown = any(use.requests and use.cost is None for use in all_uses)
    total = replace(
        plan.server,
        requests=sum(use.requests for use in all_uses),
        retried=sum(use.retried for use in all_uses),
        prompt_tokens=sum(use.prompt_tokens for use in all_uses),
        completion_tokens=sum(use.completion_tokens for use in all_uses),
        cost=None if plan.server.prices is None or is_unknown else sum(use.cost or 0.0 for use in all_uses),
        reported=tuple(sorted({name for use in all_uses for name in use.reported})),
        fingerprints=tuple(sorted({found for use in all_uses for found in use.fingerprints})),
        unmeasured=next((use.unmeasured for use in all_uses if use.unmeasured), ""),
        notes=tuple(dict.fromkeys(note for use in all_uses for note in use.notes)),
    )
    return replace(plan, server=total)
