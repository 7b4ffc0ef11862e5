"""From model references to loaded sides, with as few copies of a base as answers allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.engines.adapter import BARE, VIRTUAL_TOKENS, adapter_traits, read_json
from harness.engines.embedding_rows import weights_in_file
from harness.engines.equal_weights import Known, share_equal_weights
from harness.engines.fingerprints import row_logits, same_logits
from harness.engines.host import Host, change_by, open_host, put_adapter
from harness.engines.roads import Roads, find_roads
from harness.engines.rotary import turns_with_length
from harness.engines.side import Side
from harness.errors import AdapterError
from harness.models.resolve import resolve_model
from harness.prompts.tokenizers import load_tokenizer
from harness.types import ExecutionPlan, ModelRef, Placement


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
    loaded = {name: side for each in roads for name, side in each.sides.items()}
    shared = {name: len(members) > 1 for _, members in hosts for name in members}
    return LoadedSides(
        sides={name: loaded[name] for name in sides},
        placements=tuple(_placement(name, loaded, shared[name]) for name in sides),
    )


def _placement(name: str, loaded: Mapping[str, Side], shared: bool) -> Placement:
    side = loaded[name]
    together = sum(other.group == side.group for other in loaded.values())
    return Placement(
        side=name,
        weights="shared" if shared else "own",
        batches="single" if side.decoder == "library" else "mixed" if together > 1 else "separate",
        decoder=side.decoder,
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
    return open_host(model.base_sha256, directory, plan, load_tokenizer(directory), model.adapter_dir)


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
            tokenizer=load_tokenizer(
                host.directory, None if model.adapter_dir is None else Path(model.adapter_dir)
            ),
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
            if host.traits.get(name, BARE).batches and not turns_with_length(host.model.config)
        ),
        {name: host.logits.get(name, host.bare_logits) for name in members},
        host.rows,
        plan,
    )
    # Sides that shared this base before an adapter changed it have lost it.
    lost = members[:-1] if host.changed else ()
    return replace(roads, homeless=roads.homeless.union(lost))
