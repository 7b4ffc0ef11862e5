"""Decides which sides answer together, and with which decoder, by test prompts before the first case."""

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
    """The ways in which the sides of one copy of a base answer.

    Attributes:
        sides: Each with its decoder and its group.
        homeless: Sides with other answers here than alone: they need their own copy.
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
    """Choose the fastest way on which every side gives the same answers as alone.

    Args:
        sides: The sides of one copy of a base.
        mixing: Those that may share batches.
        batching: Those that our loop may run.
        expected: Each side's own logits for ``rows``.
        rows: Token ids; the last ones of each are forced as the model's answer.
        plan: Gives the precision, and whether batches may be mixed.
    """

    def right(name: str, found: Any) -> bool:
        # In low precision a batch changes more than a small adapter does.
        others = [expected[other] for other in sides if other != name] if plan.dtype in EXACT_DTYPES else []
        return same_logits(found, expected[name], plan.dtype, others)

    def agrees(names: Sequence[str]) -> bool:
        try:
            found = _batch_logits([sides[name] for name in names], rows)
        except Exception:  # if an architecture can't do this, it is run in another way
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
    """A row that is forced to continue with given tokens, and records the model's logits."""

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
    """Each side's logits for the rows when our loop runs all of them in one batch."""
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
