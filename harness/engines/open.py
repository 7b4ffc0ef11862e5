"""From the names that a user gives to checked references of models, and from references to a loaded engine.

A directory of adapters is expanded, and ``NAME:REFERENCE`` chooses an engine, one of ours or of a plug-in.
"""

import os
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.engines.adapter import (
    check_base,
    is_adapter,
    is_multitask,
    mixes,
    read_adapter,
    read_training,
    refuse_ignored_revision,
)
from harness.engines.base import (
    BATCH_TOKENS,
    BUILTIN_ENGINES,
    OPEN_OWN,
    SERVED,
    Engine,
    StreamingEngine,
)
from harness.engines.multitask.directory import read_multitask
from harness.engines.plugin_engine import describe_plugin_model, open_plugin_engine
from harness.engines.precision import gpu_dtype, refuse_missing_gpus, split_device
from harness.errors import AdapterError, EngineError, ModelError, SettingsError, TunegateError, first_line
from harness.models.resolve import (
    adapter_sha256,
    model_config,
    model_sha256,
    own_settings,
    prompting_sha256,
    resolve_model,
    token_bytes,
    unreadable_file,
)
from harness.prompts.tokenizers import has_tokenizer
from harness.provenance import available_bytes
from harness.registry import EngineKind, active
from harness.types import EXACT_DTYPES, ExecutionPlan, ModelRef, ServerUse
from tunegate.project import user_path


def engine_kinds() -> Mapping[str, EngineKind]:
    """All engines by name."""
    return active().merged(EngineKind, BUILTIN_ENGINES)


def is_own(engine: str) -> bool:
    """Whether an execution plan's engine is tunegate's own, so that its libraries are needed."""
    return engine in BUILTIN_ENGINES and BUILTIN_ENGINES[engine].open == OPEN_OWN


def split_reference(reference: str) -> tuple[EngineKind, str] | None:
    """The engine and the reference after the colon; None if no engine is named."""
    # A path with a colon is a path; what is too long for one, such as a URL, is not.
    name, colon, rest = reference.partition(":")
    if not colon or not rest or os.path.exists(reference):  # noqa: PTH110 # Path.exists raises for those
        return None
    kind = engine_kinds().get(name)
    return None if kind is None else (kind, rest)


def named_models(references: Sequence[str]) -> list[str]:
    """The named models, each once; a directory of adapters means all of them."""
    found: dict[str, str] = {}
    for reference in references:
        if not reference.strip() or split_reference(reference) is not None:
            # An engine reads its own reference, which may be no path.
            found.setdefault(reference, reference)
            continue
        for each in _adapters_in(user_path(reference)) or [reference]:
            directory = user_path(each)
            found.setdefault(str(directory.resolve()) if directory.is_dir() else each, each)
    return list(found.values())


def _adapters_in(directory: Path) -> list[str]:
    """The adapters in a directory that is not a model itself (a model may contain checkpoints)."""
    is_model = is_adapter(directory) or is_multitask(directory) or (directory / "config.json").is_file()
    if is_model or not directory.is_dir():
        return []
    return sorted(str(path) for path in directory.iterdir() if path.is_dir() and is_adapter(path))


def short_names(references: Sequence[str]) -> list[str]:
    """For each model the last part of its path, with as many parts before it as make it unique."""
    paths = [_parts(reference) for reference in references]
    names = []
    for parts in paths:
        depth = 1
        while depth < len(parts) and sum(other[-depth:] == parts[-depth:] for other in paths) > 1:
            depth += 1
        names.append("/".join(parts[-depth:]))
    return names


def _parts(reference: str) -> tuple[str, ...]:
    directory, named = user_path(reference), split_reference(reference)
    if named is None and directory.is_dir():
        return directory.resolve().parts[1:] or directory.resolve().parts
    if named is not None and named[0].name in SERVED:
        # Addresses end alike: models are distinguished by their names on the servers.
        model, *urls = re.split(r"@(?=https?://)", named[1], maxsplit=1)
        return (named[0].name, *urls, *model.split("/"))
    return tuple(reference.split("/"))


_LIBRARIES = ("torch", "transformers", "peft")


def describe_model(reference: str, base: str | None = None, *, model_id: str | None = None) -> ModelRef:
    """Check a model by its files and identify it by content; nothing is loaded.

    Args:
        reference: An adapter directory, a model directory (multi-task or not), a catalogue name or a hub id;
            or a plug-in's engine, a colon and its reference.
        base: The base of an adapter, in place of the one in its configuration, which may be a directory of
            another machine.
        model_id: The user's word for what the weights behind a server are; others ignore it.

    Raises:
        AdapterError: A directory is not an adapter, or one that can't be evaluated.
        ModelError: A base model is unavailable.
    """
    named = split_reference(reference)
    if named is None:
        return describe_own(reference, base)
    kind, rest = named
    if is_own(kind.name):
        return describe_own(rest, base)
    return describe_plugin_model(kind, rest, model_id if kind.name in SERVED else None)


def describe_own(reference: str, base: str | None = None) -> ModelRef:
    """As describe_model, for a model of tunegate's own engines.

    Args:
        reference: As for describe_model.
        base: As for describe_model.
    """
    if not reference.strip():
        raise ModelError("no model is named; give a directory, a name of the catalogue or a hub id")
    directory = user_path(reference)
    if is_multitask(directory):
        multitask = read_multitask(directory)
        return ModelRef(
            label=reference, base_model=reference, base_sha256=multitask.sha256, training=multitask.training
        )
    if directory.is_dir() and is_adapter(directory):
        adapter = read_adapter(directory)
        if not base:
            refuse_ignored_revision(adapter)
        named = base or adapter.base_reference
        try:
            base_dir = resolve_model(named, recorded=not base)
        except ModelError as error:
            remedy = "" if base else "; if it is elsewhere on this machine, name it with --gate-base"
            raise ModelError(f"{directory}: its base model {named!r}: {error}{remedy}") from error
        base_sha256 = model_sha256(base_dir)
        check_base(adapter, base_dir, base_sha256)
        lends = not has_tokenizer(base_dir)
        return ModelRef(
            label=reference,
            base_model=named,
            base_sha256=base_sha256,
            adapter_dir=str(directory.resolve()),
            adapter_sha256=adapter_sha256(directory),
            training=adapter.training,
            tokenizer_dir=str(directory.resolve()) if lends else None,
            tokenizer_sha256=prompting_sha256(directory) if lends else None,
            own_settings=own_settings(base_dir),
        )
    if directory.is_dir() and not (directory / "config.json").is_file():
        if problem := unreadable_file(directory):
            raise ModelError(f"{problem}; fetch or copy it again")
        raise AdapterError(
            f"{reference}: neither an adapter (no adapter_config.json) nor a model (no config.json); "
            f"give the directory that training wrote"
        )
    model_dir = resolve_model(reference)
    return ModelRef(
        label=reference,
        base_model=reference,
        base_sha256=model_sha256(model_dir),
        training=read_training(model_dir),
        own_settings=own_settings(model_dir),
    )


def base_of(model: ModelRef) -> ModelRef | None:
    """The model that training started from: an adapter's base, or the one in a manifest; None without either.

    Raises:
        ModelError: The model that the manifest names is unavailable.
    """
    if _is_multitask(model):
        # Its base is a bare encoder, which can't answer without heads.
        return None
    if model.adapter_dir is not None:
        return replace(model, label=model.base_model, adapter_dir=None, adapter_sha256=None, training=None)
    base = None if model.training is None else model.training.base
    if base is None:
        return None
    try:
        return describe_model(base)
    except ModelError as error:
        raise ModelError(f"{model.label}: it was trained on {base!r}: {error}") from error


def _is_multitask(model: ModelRef) -> bool:
    return model.engine is None and model.adapter_dir is None and is_multitask(user_path(model.base_model))


def missing_libraries() -> list[str]:
    """Libraries that the engine needs and that aren't installed; this imports none of them."""
    return [library for library in _LIBRARIES if find_spec(library) is None]


def choose_plan(
    dtype: str, device: str, batch_tokens: int | None, sides: Sequence[ModelRef]
) -> ExecutionPlan:
    """Decide how to compute, without importing torch: the plan is needed to look answers up in the cache.

    Sides on one base share batches in float32 only: there the text is the same as in separate runs, and the
    weights are read once for both; in lower precision the other rows of a batch change greedy text. Whether
    they can share is tested when they are loaded.

    Args:
        dtype: A dtype's name, or ``auto``.
        device: ``cpu``, ``cuda``, ``auto``, or ``split`` with the memory of each device.
        batch_tokens: Token budget of a batch; None for what suits the device and the models.
        sides: The models that will answer.

    Raises:
        InputError: One side is a multi-task model and another one isn't; or the models can't be split so.
    """
    if device == "auto":
        device = "cuda" if _has_cuda() else "cpu"
    elif device.partition(":")[0] == "split":
        device = split_device(device, cuda=_has_cuda())
    engines = {side.engine: side.label for side in sides}
    if len(engines) > 1:
        raise ModelError(
            f"{' and '.join(engines.values())} are run by different engines: they can't be run side by side; "
            f"gate one of them alone, and compare with its stored run"
        )
    tokens = batch_tokens or BATCH_TOKENS
    if plugin := next(iter(engines), None):
        if plugin in SERVED:
            # What a server computes with is its own affair.
            return ExecutionPlan(
                engine=plugin, dtype="unknown", device="server", batch_tokens=tokens, server=ServerUse()
            )
        dtype = "float32" if dtype == "auto" else dtype
        return ExecutionPlan(engine=plugin, dtype=dtype, device=device, batch_tokens=tokens)
    if dtype == "auto":
        dtype = gpu_dtype(device) if device.startswith("cuda") else "float32"
    heads = [_is_multitask(side) for side in sides]
    if any(heads) and not all(heads):
        other = sides[heads.index(False)].label
        raise ModelError(
            f"{sides[heads.index(True)].label} is a multi-task model and {other} is not: they can't be run "
            f"side by side; gate {other} alone, and compare with its stored run"
        )
    if any(heads):
        return ExecutionPlan(engine="multitask", dtype=dtype, device=device, batch_tokens=tokens, mixed=False)
    return ExecutionPlan(
        engine="transformers",
        dtype=dtype,
        device=device,
        batch_tokens=batch_tokens or batch_budget(dtype, sides, device),
        mixed=dtype == "float32" and sum(mixes(side.adapter_dir) for side in sides) > 1,
    )


# The most tokens of a batch that the models' size decides; the least are BATCH_TOKENS.
_MOST_BATCH_TOKENS = 65_536
# Keys and values of a batch take so many bytes at most, on a GPU and on a processor.
_GPU_CACHE, _CPU_CACHE = 2 * 1024**3, 1024**3
# Of a processor's free memory, before the weights are in it: several workers may have a batch each.
_FREE_PART = 1 / 8


def batch_budget(dtype: str, sides: Sequence[ModelRef], device: str) -> int:
    """Tokens of a batch, where nobody says how many: a step of few rows takes nearly as long as one of many.

    Where answers depend on their batch, in low precision, free memory has no say: it is another one each day.

    Args:
        dtype: The weights' type.
        sides: Models that transformers runs.
        device: A plan's.

    Returns:
        A power of two: the keys and values of so many tokens fit into 2 GiB on a GPU, in a CPU's float32 into
        1 GiB and an eighth of the free memory; 4096 at least, elsewhere, and for models of unknown size.
    """
    room: float = _GPU_CACHE
    if not device.startswith("cuda"):
        if device != "cpu" or dtype not in EXACT_DTYPES:
            return BATCH_TOKENS
        free = available_bytes()
        room = _CPU_CACHE if free is None else min(_CPU_CACHE, _FREE_PART * free)
    return budget_of([model_config(side.base_model) for side in sides], dtype, room)


def budget_of(configs: Sequence[Mapping[str, Any]], dtype: str, room: float = _GPU_CACHE) -> int:
    """As ``batch_budget``, of models that are loaded.

    Args:
        configs: The models' configurations.
        dtype: The type of keys and values.
        room: Bytes for them, of which 2 GiB are used at most.
    """
    largest = max((token_bytes(config, dtype) or _GPU_CACHE for config in configs), default=_GPU_CACHE)
    fitting = min(max(int(min(room, _GPU_CACHE)) // largest, BATCH_TOKENS), _MOST_BATCH_TOKENS)
    return 1 << (fitting.bit_length() - 1)


def _has_cuda() -> bool:
    """Whether this machine has an NVIDIA device node and a CUDA build of torch."""
    with suppress(metadata.PackageNotFoundError):
        return not metadata.version("torch").endswith("+cpu") and any(Path("/dev").glob("nvidia[0-9]*"))
    return False


def open_sides(sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> StreamingEngine:
    """Load the models of all sides.

    Args:
        sides: The models by side.
        plan: How to compute.

    Raises:
        EngineError: A library is missing, or the plan's device is unavailable.
    """
    if is_own(plan.engine):
        return open_own(sides, plan)
    return open_plugin_engine(engine_kinds()[plan.engine], sides, plan)


def open_own(sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> StreamingEngine:
    """As open_sides, by tunegate's own engines.

    Args:
        sides: The models by side.
        plan: How to compute.

    Raises:
        InputError: A model can't be run, a library is missing, or the plan's device is unavailable.
        EngineError: Loading failed for another reason.
    """
    if missing := missing_libraries():
        raise SettingsError(f"{', '.join(missing)} not installed: pip install 'tunegate[local]'")
    if plan.device.startswith("cuda"):
        refuse_missing_gpus(plan.device)
    try:
        if plan.engine == "multitask":
            from harness.engines.multitask.engine import open_multitask

            return open_multitask(sides, plan)
        from harness.engines.transformers_engine import load_engine

        return load_engine(sides, plan)
    except TunegateError:
        raise
    except Exception as error:  # the boundary: an exception during loading is not a failed test
        labels = ", ".join(dict.fromkeys(model.label for model in sides.values()))
        raise EngineError(f"{labels}: can't be run: {first_line(error)}") from error


def check_alive(engine: Engine, side: str, model: ModelRef) -> None:
    """Check that an adapter changes its base's logits.

    Args:
        engine: The engine, with the side loaded.
        side: The adapter's side.
        model: The adapter.

    Raises:
        AdapterError: It changes no logit: scoring it would score the base model.
    """
    if model.adapter_dir is not None and engine.largest_logit_change(side) == 0.0:
        raise AdapterError(
            f"{model.adapter_dir}: the adapter loads but changes no logit: it is dead, or names other layers"
        )
