"""From model references to loaded sides, with as few copies of a base as answers allow.

Which sides answer together, and with which decoder, is decided by test prompts before the first case.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from harness.engines.adapter import BARE, VIRTUAL_TOKENS, adapter_traits, read_json
from harness.engines.batch_decoder import decode_batch
from harness.engines.decode import Row, StreamRow, has_windows, pad_rows, varies_with_length
from harness.engines.host import Host, change_by, open_host, put_adapter, weights_in_file
from harness.engines.loading import model_tokenizer
from harness.engines.side import Side, adapted, empty_cache, open_stream, whole_model
from harness.engines.weights import PROBE_STEPS, Known, row_logits, same_logits, share_equal_weights
from harness.errors import AdapterError
from harness.models.resolve import refuse_changed, resolve_model
from harness.prompts.tokenizers import has_tokenizer, load_tokenizer
from harness.types import EXACT_DTYPES, ExecutionPlan, ModelRef, Placement


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
        batching: Those that our loops may run.
        expected: Each side's own logits for ``rows``.
        rows: Token ids; the last ones of each are forced as the model's answer.
        plan: Gives the precision, and whether batches may be mixed.
    """

    def right(name: str, found: Any) -> bool:
        # In low precision a batch changes more than a small adapter does.
        others = [expected[other] for other in sides if other != name] if plan.dtype in EXACT_DTYPES else []
        return same_logits(found, expected[name], plan.dtype, others)

    def agrees(names: Sequence[str], *, refills: bool) -> bool:
        asked = [replace(sides[name], refills=refills) for name in names]
        try:
            found = _refilled_logits(asked, rows) if refills else [_batch_logits(asked, rows)]
        except Exception:  # if an architecture can't do this, it is run in another way
            return False
        return all(right(name, logits) for each in found for name, logits in zip(names, each, strict=True))

    def may_refill(names: Sequence[str]) -> bool | None:
        """Whether batches may be refilled; None if there may be none. In low precision they stay the same."""
        ways = (True, False) if plan.dtype in EXACT_DTYPES else (False,)
        return next((refills for refills in ways if agrees(names, refills=refills)), None)

    together = [name for name in sides if name in mixing & batching]
    mixed = may_refill(together) if plan.mixed and len(together) > 1 else None
    found, homeless = {}, set()
    for name, side in sides.items():
        if mixed is not None and name in together:
            found[name] = replace(side, group=f"all on {together[0]}", refills=mixed)
        elif name in batching and (refills := may_refill([name])) is not None:
            found[name] = replace(side, group=name, refills=refills)
        else:
            found[name] = replace(side, group=name, decoder="library")
            if not right(name, _alone(side, rows)):
                homeless.add(name)
    return Roads(sides=found, homeless=frozenset(homeless))


class _ForcedRow:
    """A row that is forced to continue with given tokens, and records the model's logits."""

    def __init__(self, row: Sequence[int]) -> None:
        self.tokens: list[int] = []
        self.end: int | None = None
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
    forced = [_ForcedRow(row) for _, row in asked]

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


def _refilled_logits(sides: Sequence[Side], rows: Sequence[Sequence[int]]) -> list[list[Any]]:
    """The same when rows enter while another one is under way, their first tokens read apart.

    Returns:
        Logits twice: the shortest row of all begins alone, and is also read again beside longer ones.
    """
    import torch

    def begin(each: _ForcedRow) -> Callable[[object], Row]:
        return lambda _clock: Row(watch=each, choose=each.choose)

    forced = [_ForcedRow(row) for _ in sides for row in rows]
    owners = [(side, row) for side in sides for row in rows]
    asked = [
        StreamRow(
            index=place,
            prompt=row[: len(row) - PROBE_STEPS],
            limit=PROBE_STEPS + 1,
            adapter=side.adapter,
            shared=(len(row) - PROBE_STEPS) // 2,
            begin=begin(each),
        )
        for place, ((side, row), each) in enumerate(zip(owners, forced, strict=True))
    ]
    # The shortest one begins, so that its columns have to move for the others.
    first = min(asked, key=lambda row: len(row.prompt))
    again = _ForcedRow(owners[first.index][1])
    others = [row for row in asked if row is not first]
    others.append(replace(first, index=len(asked), begin=begin(again)))
    adapters = [row.adapter for row in [first, *others]]
    with torch.inference_mode(), open_stream(sides[0], adapters, budget=math.inf, kept={}) as stream:

        def on_tokens(index: int, tokens: list[int]) -> None:
            if index == first.index and len(tokens) == 1:
                stream.add(others)

        stream.add([first])
        stream.write(lambda _row, _reason: None, on_tokens)
    found = []
    for begun in (forced[first.index], again):
        stacked = [
            torch.stack((begun if place == first.index else each).said) for place, each in enumerate(forced)
        ]
        found.append(
            [torch.stack(stacked[place : place + len(rows)]) for place in range(0, len(asked), len(rows))]
        )
    return found


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedSides:
    """The sides, and how each is run."""

    sides: Mapping[str, Side]
    placements: tuple[Placement, ...]


def load_sides(sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> LoadedSides:
    """Load the models of all sides.

    Sides on one base share its weights if this doesn't change their answers, which test prompts show;
    otherwise a side gets its own copy, of which only the changed weights take memory.

    Args:
        sides: The model behind each side.
        plan: The precision, the device, and how adapters are applied to their base.

    Raises:
        InputError: A model can't be run.
        EngineError: A library for the plan's weights is missing.
    """
    apart: frozenset[str] = frozenset()
    while True:
        hosts = _fill_hosts(sides, plan, apart)
        roads = [_roads_of(host, members, sides, plan) for host, members in hosts]
        homeless = frozenset(name for each in roads for name in each.homeless) - apart
        if not homeless:
            break
        # Rare: the adapter's effect on its base was not visible in its files.
        apart |= homeless
        del hosts, roads  # or both loads would be in memory
    refuse_changed(sides.values())
    loaded = {name: side for each in roads for name, side in each.sides.items()}
    hosted = {name: (host, len(members) > 1) for host, members in hosts for name in members}
    return LoadedSides(
        sides={name: loaded[name] for name in sides},
        placements=tuple(_placement(name, loaded, *hosted[name]) for name in sides),
    )


def _placement(name: str, loaded: Mapping[str, Side], host: Host, shared: bool) -> Placement:
    side = loaded[name]
    together = sum(other.group == side.group for other in loaded.values())
    return Placement(
        side=name,
        weights="shared" if shared else "own",
        batches="single" if side.decoder == "library" else "mixed" if together > 1 else "separate",
        decoder=side.decoder,
        unpacked=host.unpacked,
    )


def _fill_hosts(
    sides: Mapping[str, ModelRef], plan: ExecutionPlan, apart: frozenset[str]
) -> list[tuple[Host, list[str]]]:
    """Copies of the bases with the sides on each; sides without an adapter come last, where they fit."""
    hosts: list[tuple[Host, list[str]]] = []
    known: Known = {}
    for side, model in sorted(sides.items(), key=lambda item: item[1].adapter_dir is None):
        traits = BARE if model.adapter_dir is None else adapter_traits(model.adapter_dir)
        alone = side in apart or (plan.weights == "merged" and model.adapter_dir is not None)
        fitting = (
            (host, members)
            for host, members in hosts
            if host.base_sha256 == model.base_sha256
            and not apart.intersection(members)
            and host.takes(traits)
        )
        host, members = (None if alone else next(fitting, None)) or (_open(model, plan), [])
        if not members:
            hosts.append((host, members))
        if model.adapter_dir is not None:
            put_adapter(host, side, model.adapter_dir, traits)
            _refuse_random(host, side, model, plan)
            if plan.weights == "merged" and traits.kind != VIRTUAL_TOKENS:
                _merge(host, side)
            if not host.is_bare_base:  # no other side joins it
                share_equal_weights(host.base_sha256, host.model, known)
        members.append(side)
    for host, _ in hosts if len(hosts) > 1 else ():
        share_equal_weights(host.base_sha256, host.model, known)
    return hosts


def _open(model: ModelRef, plan: ExecutionPlan) -> Host:
    directory = resolve_model(model.base_model, recorded=True)
    tokenizer = load_tokenizer(directory) if has_tokenizer(directory) else model_tokenizer(model)
    return open_host(model.base_sha256, directory, plan, tokenizer, model.adapter_dir)


def _refuse_random(host: Host, side: str, model: ModelRef, plan: ExecutionPlan) -> None:
    """Check that an adapter that computes a new base computes the same one at each load.

    Raises:
        AdapterError: It doesn't: two runs would have different answers.
    """
    adapter_dir = str(model.adapter_dir)
    if not host.resized and set(host.changed) <= weights_in_file(Path(adapter_dir)):
        return
    again = _open(model, plan)
    put_adapter(again, side, adapter_dir, host.traits[side])
    if not same_logits(again.logits[side], host.logits[side], plan.dtype):
        raise AdapterError(
            f"{adapter_dir}: random at load: two loads of it answer differently, since a part of it is drawn "
            f"anew each time ({_random_part(Path(adapter_dir))}); save it as a plain LoRA, or whole"
        )


def _random_part(adapter_dir: Path) -> str:
    initialisation = read_json(adapter_dir / "adapter_config.json").get("init_lora_weights")
    if isinstance(initialisation, str):
        return f"init_lora_weights: {initialisation}"
    return "new rows of the vocabulary that it doesn't hold"


def _merge(host: Host, side: str) -> None:
    """Merge the only adapter of a base into its weights."""
    host.model = host.model.merge_and_unload().eval()
    host.logits[side] = row_logits(host.model, host.rows, host.model.device)


def _roads_of(
    host: Host, members: Sequence[str], sides: Mapping[str, ModelRef], plan: ExecutionPlan
) -> Roads:
    merged = not hasattr(host.model, "peft_config")
    found = {}
    for name in members:
        model = sides[name]
        inside = model.adapter_dir is not None and name not in host.prompts and not merged
        found[name] = Side(
            model=host.model,
            adapter=name if inside else None,
            tokenizer=model_tokenizer(model),
            model_settings=host.model_settings,
            prompt=host.prompts.get(name),
            change=change_by(host, name),
        )
    roads = find_roads(
        found,
        frozenset(name for name in members if host.traits.get(name, BARE).mixes),
        frozenset(
            name
            for name in members
            if host.traits.get(name, BARE).batches
            and not varies_with_length(host.model.config)
            and not (name in host.prompts and has_windows(host.model.config))
        ),
        {name: host.logits.get(name, host.bare_logits) for name in members},
        host.rows,
        plan,
    )
    # Sides that shared this base before an adapter changed it have lost it.
    lost = members[:-1] if host.changed else ()
    return replace(roads, homeless=roads.homeless.union(lost))
