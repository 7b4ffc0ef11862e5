"""Which sides answer together, and by which decoder: found out by asking, before any case is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from harness.engines.decode import Row, decode_batch
from harness.engines.fingerprints import PROBE_STEPS, row_logits, same_logits
from harness.engines.padding import pad_rows
from harness.engines.prompt_learning import empty_cache
from harness.engines.side import Side, adapted, whole_model
from harness.types import EXACT_DTYPES, ExecutionPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Roads:
    """How the sides of one copy of a base answer.

    Attributes:
        sides: Each with its decoder and its group.
        homeless: Sides that don't say here what they say alone: they need a copy of their own.
    """

    sides: Mapping[str, Side]
    homeless: frozenset[str]


def find_roads(
    sides: Mapping[str, Side],
    mixing: frozenset[str],
    batching: frozenset[str],
    expected: Mapping[str, Any],
    rows: Sequence[Sequence[int]],
    plan: ExecutionPlan,
) -> Roads:
    """Take the fastest way to answer on which every side says what it says alone.

    Args:
        sides: The sides of one copy of a base.
        mixing: Those that may share batches.
        batching: Those that our loop may run.
        expected: What each side says alone to ``rows``.
        rows: Token ids, the last of each forced on the model as its own answer.
        plan: Whether batches are mixed at all, and the type of numbers.
    """

    def right(name: str, found: Any) -> bool:
        # In low precision a batch changes more than a small adapter does.
        others = [expected[other] for other in sides if other != name] if plan.dtype in EXACT_DTYPES else []
        return same_logits(found, expected[name], plan.dtype, others)

    def agrees(names: Sequence[str]) -> bool:
        try:
            found = _batch_logits([sides[name] for name in names], rows)
        except Exception:  # whatever an architecture can't do, it is run in another way
            return False
        return all(right(name, logits) for name, logits in zip(names, found, strict=True))

    together = [name for name in sides if name in mixing & batching]
    mixed = plan.mixed and len(together) > 1 and agrees(together)
    found, homeless = {}, set()
    for name, side in sides.items():
        if mixed and name in together:
            found[name] = replace(side, group=f"all on {together[0]}")
        elif name in batching and agrees([name]):
            found[name] = replace(side, group=name)
        else:
            found[name] = replace(side, group=name, decoder="library")
            if not right(name, _alone(side, rows)):
                homeless.add(name)
    return Roads(sides=found, homeless=frozenset(homeless))


class _Forced:
    """A row that is made to go on with given tokens, and notes what the model would have said."""

    def __init__(self, row: Sequence[int]) -> None:
        self.tokens: list[int] = []
        self.said: list[Any] = []
        self._steps = row[len(row) - PROBE_STEPS :]

    def choose(self, logits: Any, tokens: list[int]) -> int:
        self.said.append(logits.float().cpu())
        return int(self._steps[len(tokens)]) if len(tokens) < PROBE_STEPS else 0

    def take(self, token: int) -> Literal["", "stop", "length"]:
        self.tokens.append(token)
        return "length" if len(self.tokens) > PROBE_STEPS else ""


def _alone(side: Side, rows: Sequence[Sequence[int]]) -> Any:
    with whole_model(side) as model:
        return row_logits(model, rows, side.model.device)


def _batch_logits(sides: Sequence[Side], rows: Sequence[Sequence[int]]) -> list[Any]:
    """What each side says to the rows when our loop runs all of them in one batch."""
    import torch

    first = sides[0]
    asked = [(side, row) for side in sides for row in rows]
    adapters = [side.adapter for side, _ in asked]
    forced = [_Forced(row) for _, row in asked]

    def select_rows(places: list[int]) -> None:
        adapters[:] = [adapters[place] for place in places]

    ids, mask = pad_rows(
        [list(row[: len(row) - PROBE_STEPS]) for _, row in asked], first.pad_id, first.model.device
    )
    with torch.inference_mode(), adapted(first.model, adapters) as forward:
        cache, cached = empty_cache(first, len(asked))
        decode_batch(
            forward,
            cache,
            ids,
            mask,
            [Row(watch=each, choose=each.choose) for each in forced],
            select_rows=select_rows,
            cached=cached,
        )
    stacked = [torch.stack(each.said) for each in forced]
    return [torch.stack(stacked[place : place + len(rows)]) for place in range(0, len(asked), len(rows))]
