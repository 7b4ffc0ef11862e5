"""Checks of an adapter without loading a model: is it an adapter, complete, alive, and of this base?"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from harness.engines.weights import SafetensorsError, Tensor, is_all_zero, read_header
from harness.errors import AdapterError, ModelError
from harness.models.resolve import is_model, unreadable_file, with_revision
from harness.types.storage import numbers_in, parse_json
from harness.types.training import MANIFEST_FILE, SCHEMA_VERSION, TrainingManifest
from tunegate.printable import printable_line
from tunegate.project import user_path

_CONFIG = "adapter_config.json"
# The weights of a whole model, which a directory may hold beside an adapter's.
_OF_MODELS = ("model*.safetensors", "pytorch_model*.bin")
# The file by which a multi-task model is known.
MULTITASK_CONFIG = "multitask.json"
_WEIGHTS = "adapter_model.safetensors"
_LONGEST_VALUE = 80
_LONGEST_NAME = 255  # of a file or directory
OUTPUT_LAYERS = ("lm_head", "embed_out", "output")
NO_ADAPTER, VIRTUAL_TOKENS = "none", "virtual tokens"
# The kinds that the conformance suite compares with a bare script (docs/compatibility.md); others are
# refused.
SUPPORTED = frozenset(
    [
        *("LORA", "ADALORA", "IA3", "LOHA", "LOKR", "OFT", "BOFT", "HRA", "VERA", "RANDLORA", "FOURIERFT"),
        *("MISS", "SHIRA", "C3A", "ROAD", "WAVEFT", "DELORA", "GRALORA", "VBLORA", "LN_TUNING", "CPT"),
        *("TRAINABLE_TOKENS", "PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING", "ADAPTION_PROMPT", "ADAMSS"),
        *("BEFT", "CARTRIDGE", "DEFT", "FROD", "GLORA", "HIRA", "LILY", "OSF", "PEANUT", "PSOFT", "PVERA"),
        *("SHADOW", "SUPERTUNING", "TINYLORA", "UNILORA"),
    ]
)
_UNSUPPORTED = {
    "MULTITASK_PROMPT_TUNING": "it needs a task's number with each prompt, which a golden case doesn't give",
    "POLY": "it needs a task's number with each prompt, which a golden case doesn't give",
    "XLORA": "it mixes adapters that its directory doesn't hold",
}
_OF_VIRTUAL_TOKENS = {"PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING"}
# Keys of a LoRA or IA3 about the size and place of its matrices. An adapter with any other key may change the
# base in its own way, and doesn't share it.
_PLAIN_KEYS = {
    *("peft_type", "task_type", "auto_mapping", "peft_version", "base_model_name_or_path", "revision"),
    *("inference_mode", "r", "target_modules", "exclude_modules", "feedforward_modules", "lora_alpha"),
    *(
        "lora_dropout",
        "fan_in_fan_out",
        "use_rslora",
        "layers_to_transform",
        "layers_pattern",
        "rank_pattern",
    ),
    *("alpha_pattern", "qalora_group_size", "megatron_core", "init_ia3_weights"),
}
_PLAIN_VALUES = {"bias": ("none",), "init_lora_weights": (True, "gaussian")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A checked adapter directory.

    Attributes:
        base_reference: The base model as training named it: a catalogue name, a hub id (with ``@`` and a
            revision if training named one), or a directory.
        training: The training manifest; None if there is none.
    """

    directory: Path
    base_reference: str
    training: TrainingManifest | None
    tensors: Mapping[str, Tensor]


@dataclass(frozen=True, slots=True, kw_only=True)
class AdapterTraits:
    """How an adapter can be run together with others.

    Attributes:
        kind: PEFT's name, ``virtual tokens`` for all that are made of those, or ``none``.
        shares: Whether it may share one copy of the base with others of its kind.
        mixes: Whether PEFT can run its rows in one batch with those of other adapters and of the base.
        batches: Whether our loop can run it; otherwise the library's ``generate`` does.
    """

    kind: str
    shares: bool = True
    mixes: bool = True
    batches: bool = True


BARE = AdapterTraits(kind=NO_ADAPTER)


def adapter_traits(directory: str) -> AdapterTraits:
    """Facts from an adapter's configuration about running it together with others."""
    config = read_json(Path(directory) / _CONFIG)
    kind = str(config.get("peft_type"))
    if kind in _OF_VIRTUAL_TOKENS:
        return AdapterTraits(kind=VIRTUAL_TOKENS, mixes=False)
    plain = kind in {"LORA", "IA3"} and not unusual_keys(config)
    conditional = bool(config.get("alora_invocation_tokens"))
    return AdapterTraits(
        kind=kind,
        shares=plain,
        mixes=kind == "LORA" and not config.get("use_dora") and not conditional,
        batches=not conditional,
    )


def unusual_keys(config: Mapping[str, Any]) -> list[str]:
    """The keys of a LoRA's or IA3's configuration that don't only say the size and place of its matrices."""
    return [
        key
        for key, value in config.items()
        if value and key not in _PLAIN_KEYS and value not in _PLAIN_VALUES.get(key, ())
    ]


def mixes(directory: str | None) -> bool:
    """Whether PEFT can run an adapter's rows in one batch with those of other adapters and of the base."""
    return directory is None or adapter_traits(directory).mixes


def is_adapter(directory: Path) -> bool:
    """Whether a directory looks like a PEFT adapter."""
    return (directory / _CONFIG).is_file()


def is_multitask(directory: Path) -> bool:
    """Whether a directory looks like a multi-task model."""
    return (directory / MULTITASK_CONFIG).is_file()


def read_adapter(directory: Path) -> Adapter:
    """Check an adapter directory by its own files.

    Raises:
        AdapterError: A file is missing, damaged or pickled, or the adapter is dead.
    """
    if problem := unreadable_file(directory):
        raise AdapterError(f"{problem}; copy or save the adapter again")
    config = read_json(directory / _CONFIG)
    refuse_bad_numbers(directory, config)
    base = config.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise AdapterError(
            f"{directory / _CONFIG}: base_model_name_or_path is missing; name the base model that was trained"
        )
    if not base.isprintable() or max(len(part.encode()) for part in base.split("/")) > _LONGEST_NAME:
        raise AdapterError(
            f"{directory / _CONFIG}: base_model_name_or_path: found {base[:_LONGEST_VALUE]!r} (allowed: "
            f"a path, a hub id or a name of the catalogue); name the base model that was trained"
        )
    for key in ("peft_type", "task_type", "revision"):
        if not isinstance(config.get(key), str | None):
            raise AdapterError(
                f"{directory / _CONFIG}: {key}: found {config[key]!r} (allowed: a text); "
                f"write the value of the training"
            )
    _refuse_other_tasks(directory, config)
    weights = directory / _WEIGHTS
    _refuse_whole_model(directory)
    if not weights.is_file():
        pickled = next(iter(sorted(directory.glob("*.bin"))), None)
        if pickled is not None:
            raise AdapterError(
                f"{pickled}: pickled weights are not loaded, since unpickling runs code; "
                f"save the adapter with save_pretrained(..., safe_serialization=True)"
            )
        raise AdapterError(f"{directory}: no {_WEIGHTS} beside {_CONFIG}; did training finish?")
    try:
        tensors = read_header(weights)
    except SafetensorsError as error:
        raise AdapterError(f"{weights}: {error}; copy or save the adapter again") from error
    if not tensors:
        raise AdapterError(f"{weights}: contains no tensor; save the adapter again")
    if changes_nothing(weights, tensors):
        raise AdapterError(
            f"{directory}: dead adapter: every lora_B is zero, so it changes nothing; was it ever trained?"
        )
    return Adapter(
        directory=directory,
        base_reference=with_revision(_beside(directory, base), config.get("revision")),
        training=read_training(directory),
        tensors=tensors,
    )


def changes_nothing(weights: Path, tensors: Mapping[str, Tensor]) -> bool:
    """Whether an adapter is LoRA alone, and every matrix that it adds is still zero.

    Args:
        weights: Its safetensors file.
        tensors: That file's header.
    """
    up_projections = [tensor for name, tensor in tensors.items() if ".lora_B." in name]
    nothing_else = all(".lora_A." in name or ".lora_B." in name for name in tensors)
    return bool(up_projections) and nothing_else and all(is_all_zero(weights, one) for one in up_projections)


def refuse_bad_numbers(directory: Path, config: Mapping[str, Any]) -> None:
    """Check that an adapter's configuration holds no NaN and no infinity, with which nothing can be computed.

    Args:
        directory: The adapter's directory, for messages.
        config: Content of its adapter_config.json.

    Raises:
        AdapterError: It does.
    """
    for key, number in numbers_in(config):
        if isinstance(number, float) and not math.isfinite(number):
            raise AdapterError(
                f"{directory / _CONFIG}: {key}: found {number} (allowed: a finite number); "
                f"write the value of the training"
            )


def _refuse_whole_model(directory: Path) -> None:
    """Check that a directory with an adapter's configuration holds an adapter alone.

    Raises:
        AdapterError: It holds the weights of a whole model too, or only these: transformers would load them,
            and PEFT the adapter.
    """
    whole = sorted(file.name for pattern in _OF_MODELS for file in directory.glob(pattern))
    if not whole or not (directory / "config.json").is_file():
        return
    own = next((name for name in (_WEIGHTS, "adapter_model.bin") if (directory / name).is_file()), None)
    if own is None:
        raise AdapterError(
            f"{directory}: a whole model ({whole[0]}) with an {_CONFIG} that was left over, as after a "
            f"merge: there is no {_WEIGHTS}; remove {_CONFIG} to gate the model"
        )
    raise AdapterError(
        f"{directory}: both an adapter ({own}) and a whole model ({whole[0]}): which of them is meant is "
        f"unknown; keep one of them there, and move the other's files"
    )


def refuse_ignored_revision(adapter: Adapter) -> None:
    """Check that the revision of an adapter's base, if its configuration names one, can be looked up.

    Raises:
        AdapterError: The base isn't a hub id, and only these have revisions.
    """
    config = read_json(adapter.directory / _CONFIG)
    revision, base = config.get("revision"), adapter.base_reference
    if revision in {None, "", "main"} or base.endswith(f"@{revision}"):
        return
    kind = "is a directory here" if user_path(base).is_dir() else "isn't a hub id without one"
    raise AdapterError(
        f"{adapter.directory / _CONFIG}: revision: found {revision!r}, which can't be looked up: the base "
        f"{base!r} {kind}; remove revision, or name the base with --gate-base"
    )


def _beside(directory: Path, base: str) -> str:
    """A base's path, relative to the working directory, or to the adapter if it exists only there."""
    if Path(base).is_absolute() or user_path(base).is_dir():
        return base
    beside = directory / base
    return str(beside.resolve()) if (beside / "config.json").is_file() else base


def _refuse_other_tasks(directory: Path, config: Mapping[str, Any]) -> None:
    """Check that an adapter writes text, and that its kind is tested.

    Raises:
        AdapterError: It isn't.
    """
    task, kind = config.get("task_type"), str(config.get("peft_type"))
    if task == "SEQ_CLS":
        raise AdapterError(
            f"{directory}: a reward model: it scores answers and gives none; name an adapter that answers"
        )
    if task not in {None, "CAUSAL_LM"}:
        raise AdapterError(
            f"{directory}: an adapter for {printable_line(str(task))}: it writes no answers "
            f"(allowed for task_type: CAUSAL_LM)"
        )
    if kind not in SUPPORTED:
        reason = _UNSUPPORTED.get(kind, "no test holds it to a bare script")
        raise AdapterError(
            f"{directory}: adapters of the kind {printable_line(kind)} can't be gated: {reason}; "
            f"merge it into its base and gate the model, or see docs/compatibility.md for what can"
        )


def check_base(adapter: Adapter, base_dir: Path, base_sha256: str) -> None:
    """Check that an adapter was trained on this base: by the manifest's hash, and by its LoRA shapes.

    Args:
        adapter: The adapter.
        base_dir: The base's directory.
        base_sha256: The base's content hash.

    Raises:
        AdapterError: The base is another one.
    """
    trained_on = None if adapter.training is None else adapter.training.base_sha256
    if trained_on is not None and trained_on != base_sha256 and not is_model(base_dir, trained_on):
        raise AdapterError(
            f"{adapter.directory}: trained on another base: its manifest names {trained_on[:12]}, "
            f"{base_dir} is {base_sha256[:12]}; point base_model_name_or_path at the right one"
        )
    for name, own, base in _misfits(adapter, base_dir):
        raise AdapterError(
            f"{adapter.directory}: adapter of another base: {name} is {list(own)}, "
            f"its layer in {base_dir} is {list(base)}"
        )


def _misfits(adapter: Adapter, base_dir: Path) -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """LoRA matrices that don't fit their layer, according to the files.

    A layer with another name in the base's files (fused, renamed or tied), or a packed one, is checked by the
    libraries when they load it.
    """
    config = read_json(base_dir / "config.json")
    own_config = read_json(adapter.directory / _CONFIG)
    if "quantization_config" in config or own_config.get("use_qalora") or own_config.get("use_bdlora"):
        return
    base_shapes: dict[str, tuple[int, ...]] = {}
    for file in sorted(base_dir.glob("*.safetensors")):
        try:
            base_shapes |= {name: tensor.shape for name, tensor in read_header(file).items()}
        except SafetensorsError as error:
            raise ModelError(f"{file}: {error}; fetch the base model again") from error
    for name, tensor in adapter.tensors.items():
        for part, side in ((".lora_A.", 1), (".lora_B.", 0)):
            layer, found, _ = name.removeprefix("base_model.model.").partition(part)
            expected = base_shapes.get(f"{layer}.weight")
            if not found or expected is None or len(expected) != 2 or len(tensor.shape) != 2:
                continue
            # A reads the layer's inputs, B writes its outputs; weights are (outputs, inputs), in a Conv1D the
            # other way round. An output layer's rows change with the vocabulary.
            if tensor.shape[side] not in expected and not (side == 0 and layer.endswith(OUTPUT_LAYERS)):
                yield name, tensor.shape, expected


def read_training(directory: Path) -> TrainingManifest | None:
    """The training manifest of a directory; None if there is none.

    Raises:
        AdapterError: It is damaged.
    """
    path = directory / MANIFEST_FILE
    if not path.is_file():
        return None
    content = read_json(path)
    try:
        return TrainingManifest.model_validate(content)
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
    key = ".".join(map(str, problem["loc"]))
    found = repr(problem["input"])
    shown = found if len(found) <= _LONGEST_VALUE else f"{found[:_LONGEST_VALUE]}…"
    version = content.get("schema_version")
    newer = type(version) is int and version > SCHEMA_VERSION
    remedy = "it is of a newer tunegate: update this one" if newer else "copy or train the adapter again"
    raise AdapterError(f"{path}: {key}: found {shown} ({problem['msg']}); {remedy}")


def virtual_token_count(directory: Path) -> int:
    """Number of tokens that an adapter adds before each conversation; 0 for kinds without virtual tokens."""
    count = read_json(directory / _CONFIG).get("num_virtual_tokens")
    return count if isinstance(count, int) else 0


def read_json(path: Path) -> Mapping[str, Any]:
    """A JSON object of an adapter's directory.

    Raises:
        AdapterError: There is none, or it is damaged.
    """
    try:
        content = parse_json(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AdapterError(
            f"{path.parent}: not an adapter: no {path.name}; give the directory that training wrote"
        ) from None
    except ValueError as error:
        raise AdapterError(f"{path}: not JSON: {error}; copy or save the adapter again") from error
    if not isinstance(content, dict):
        raise AdapterError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content
