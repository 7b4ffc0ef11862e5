"""The engine of models behind OpenAI-compatible servers."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from harness.engines.base import GenerationRequest, LossRequest
from harness.engines.served.chat import chat_job, plain_job, refuse_unsupported
from harness.engines.served.client import ATTEMPTS, RefusedError, ServerError
from harness.engines.served.describe import CHAT, UnreachableError, open_client, read_model
from harness.engines.served.identity import fingerprint_of
from harness.engines.served.losses import loss_job
from harness.engines.served.next_token import NextToken, first_token_of_chat, first_token_of_text
from harness.engines.served.pool import ADDRESSED, UNABLE, UNPAID, Job, ServerPool
from harness.engines.served.reports import Reports, used
from harness.engines.served.splitting import ServedTokens
from harness.errors import (
    AllFailedError,
    CasesFailedError,
    EngineError,
    ModelError,
    NoneAnsweredError,
    TextsUnmeasuredError,
)
from harness.types import UNKNOWN_WEIGHTS, Completion, ExecutionPlan, ModelRef, ServerUse, TextLoss

# A pool's other servers are asked before one is waited for long.
_ATTEMPTS_OF_POOL = 3
# What to look at where no request of this session changes a status.
_ADVICE = {
    ADDRESSED: "are the address (up to /v1), the model's name and the key right?",
    UNPAID: "has the key's account credit?",
    UNABLE: "was the server started for this?",
}
# What says something of each request: one that refuses all of them doesn't take a setting.
_UNFIT = frozenset({400, 413, 422})
NO_DIVERGENCE = "a divergence needs all of a model's probabilities, which a server doesn't give"


class RefusedTogetherError(AllFailedError, ModelError):
    """A server refused all requests that were asked together, each for what it holds."""


class ServedEngine:
    """Asks the servers of each side, many requests at a time."""

    def __init__(self, sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> None:
        """Store the addresses; nothing is sent.

        Args:
            sides: The models by side.
            plan: Its ``server`` says how they are asked.

        Raises:
            SettingsError: A library or a key is missing.
        """
        self._plan, self._use = plan, plan.server or ServerUse()
        self._chat = plan.engine == CHAT
        self._reports: dict[str, Reports] = {}
        self._unmeasured = ""
        pools: dict[tuple[str, ...], ServerPool] = {}
        self._models: dict[str, str] = {}
        self._pools: dict[str, ServerPool] = {}
        for side, model in sides.items():
            name, urls = read_model(plan.engine, model.base_model)
            is_pool = len(urls) > 1
            self._reports[side] = Reports(
                model.label, self._expected(model), is_pool=is_pool and bool(self._use.identity)
            )
            attempts = _ATTEMPTS_OF_POOL if is_pool else ATTEMPTS
            if urls not in pools:
                clients = [open_client(url, timeout_s=self._use.timeout_s, attempts=attempts) for url in urls]
                pools[urls] = ServerPool(clients, self._use.concurrency)
            self._models[side], self._pools[side] = name, pools[urls]

    def _expected(self, model: ModelRef) -> str | None:
        """The fingerprint of weights that their server listed; None where it listed none."""
        is_listed = not self._use.identity and not model.base_sha256.startswith(UNKNOWN_WEIGHTS)
        return fingerprint_of(model.base_sha256) if is_listed else None

    @property
    def plan(self) -> ExecutionPlan:
        """The plan, with what was used and reported so far."""
        return replace(
            self._plan, server=used(self._use, self._pools.values(), self._reports.values(), self._unmeasured)
        )

    def generate(
        self, requests: Sequence[GenerationRequest], on_batch: Callable[[Mapping[int, Completion]], None]
    ) -> None:
        """Answer all requests.

        Args:
            requests: The requests, of any side.
            on_batch: Called with each answer, by index into ``requests``.

        Raises:
            SettingsError: A request can't be sent to a server.
            CasesFailedError: Some got no answer; all others were answered.
            EngineError: None got an answer.
        """
        refuse_unsupported(requests, chat=self._chat)
        write = chat_job if self._chat else plain_job
        jobs = [
            write(self._models[request.side], request, self._reports[request.side]) for request in requests
        ]
        failures: dict[int, ServerError] = {}
        take = delivery(range(len(requests)), on_batch, failures)
        self._ask([request.side for request in requests], jobs, take)
        if failures:
            raise_failures(failures, [request.key for request in requests])

    def losses(
        self, requests: Sequence[LossRequest], on_batch: Callable[[Mapping[int, TextLoss]], None]
    ) -> None:
        """Cross-entropy of each text, where the servers give log-probabilities.

        Args:
            requests: Texts, each after its conversation.
            on_batch: Called with each loss, by index into ``requests``.

        Raises:
            TextsUnmeasuredError: They give none for some texts; all others were measured, or failed.
            CasesFailedError: Some failed; all others were measured.
            UnreachableError: All that were asked failed, since no server is there.
            AllFailedError: All that were asked failed.
        """
        unasked = {place: NO_DIVERGENCE for place, one in enumerate(requests) if one.against is not None}
        tokens = ServedTokens(self._models, self._ask, chat=self._chat)
        asked = [place for place in range(len(requests)) if place not in unasked]
        scored, problems = tokens.scored(asked, requests)
        places = list(scored)
        jobs = [
            loss_job(
                self._models[requests[place].side],
                requests[place].key,
                scored[place],
                self._reports[requests[place].side],
            )
            for place in places
        ]
        take = delivery(places, on_batch, problems)
        self._ask([requests[place].side for place in places], jobs, take)
        self._unmeasured = next(iter(refusals(problems).values()), self._unmeasured)
        raise_problems(problems, unasked, [request.key for request in requests])

    def next_tokens(self, requests: Sequence[GenerationRequest]) -> list[NextToken]:
        """The likeliest first tokens of each answer.

        Args:
            requests: The requests.

        Raises:
            ServerError: The servers give no log-probabilities.
        """
        first, write = (first_token_of_chat, chat_job) if self._chat else (first_token_of_text, plain_job)
        found = []
        for request in requests:
            job = write(self._models[request.side], request, self._reports[request.side])
            found.append(self._pools[request.side].ask(first(job.body)))
        return found

    def _ask(self, sides: Sequence[str], jobs: Sequence[Job], take: Callable[[int, Any], None]) -> None:
        """Ask each pool its own requests; one after the other, for they may share a machine."""
        for pool in dict.fromkeys(self._pools[side] for side in sides):
            rows = [row for row, side in enumerate(sides) if self._pools[side] is pool]

            def settle(at: int, found: Any, rows: Sequence[int] = rows) -> None:
                take(rows[at], found)

            pool.ask_all([jobs[row] for row in rows], settle)

    def largest_logit_change(self, side: str) -> float:
        """Never asked for: a served model is no adapter on a base of this session."""
        raise EngineError(f"{side}: a server gives no logits")


def delivery(
    places: Sequence[int], on_batch: Callable[[Mapping[int, Any]], None], failures: dict[int, ServerError]
) -> Callable[[int, Any], None]:
    """Where results of jobs go, as they come: an answer to its request's place, an error to the failures.

    Args:
        places: Each job's request, by index.
        on_batch: Called with each answer.
        failures: Filled by place.
    """

    def take(row: int, found: Any) -> None:
        if isinstance(found, ServerError):
            failures[places[row]] = found
        else:
            on_batch({places[row]: found})

    return take


def refusals(problems: Mapping[int, ServerError]) -> dict[int, str]:
    """Why servers give no losses on texts, in their order; what else went wrong is a failure of one text."""
    return {
        place: str(problems[place]) for place in sorted(problems) if isinstance(problems[place], RefusedError)
    }


def raise_problems(
    problems: Mapping[int, ServerError], unasked: Mapping[int, str], keys: Sequence[str]
) -> None:
    """Raise what stands for texts without losses: each with its own reason.

    Args:
        problems: What went wrong, by index.
        unasked: Why no server was asked for some texts, by index.
        keys: The texts' names.

    Raises:
        TextsUnmeasuredError: Some are not measured; others may have failed.
        EngineError: As for ``raise_failures``, of the texts that were asked.
    """
    unmeasured = {**unasked, **refusals(problems)}
    failures = {place: error for place, error in problems.items() if place not in unmeasured}
    asked = len(keys) - len(unasked)
    # Of a server that is gone, nothing is known: what nobody asked it for is no reply.
    if unmeasured and not 0 < asked == len(failures):
        raise TextsUnmeasuredError(unmeasured, _named(failures, keys))
    if failures:
        raise_failures(failures, keys, asked)


def raise_failures(
    failures: Mapping[int, ServerError], keys: Sequence[str], asked: int | None = None
) -> None:
    """Raise the failures of requests.

    Args:
        failures: By index.
        keys: The requests' names.
        asked: How many of the requests were sent; all by default.

    Raises:
        CasesFailedError: Some of the requests failed.
        UnreachableError: All failed, since no server is there.
        NoneAnsweredError: All failed, since it knows neither key nor model nor path, or will never answer.
        RefusedTogetherError: All were refused for what they hold.
        AllFailedError: All failed.
    """
    reasons = _named(failures, keys)
    if len(reasons) < (len(keys) if asked is None else asked):
        raise CasesFailedError(reasons)
    # Requests fail in any order; the first of them is named.
    first, errors = reasons[min(reasons)], failures.values()
    if all(error.is_unreachable for error in errors):
        raise UnreachableError(first, reasons)
    statuses = {error.status if isinstance(error, RefusedError) else None for error in errors}
    if statuses <= frozenset[int]().union(*_ADVICE):
        advice = next(said for group, said in _ADVICE.items() if statuses & group)
        raise NoneAnsweredError(f"{first}; {advice}", reasons)
    if statuses <= _UNFIT:
        raise RefusedTogetherError(f"{first}; does the model take these settings?", reasons)
    raise AllFailedError(first, reasons)


def _named(failures: Mapping[int, ServerError], keys: Sequence[str]) -> dict[int, str]:
    return {place: f"{keys[place]}: {error}" for place, error in failures.items()}
