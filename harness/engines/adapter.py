"""What can be known of an adapter without loading a model: is it one, is it whole, alive, of this base?"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.engines.safetensors_file import SafetensorsError, Tensor, is_all_zero, read_header
from harness.errors import AdapterError

_CONFIG = "adapter_config.json"
_WEIGHTS = "adapter_model.safetensors"
_MANIFEST = "training_manifest.json"
NO_ADAPTER, VIRTUAL_TOKENS = "none", "virtual tokens"
_OF_VIRTUAL_TOKENS = {"PREFIX_TUNING", "PROMPT_TUNING", "P_TUNING"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """A checked adapter directory.

    Attributes:
        base_reference: The base model as training named it: a catalogue name, hub id or directory.
        training: The training manifest, or empty when training left none.
    """

    directory: Path
    base_reference: str
    training: Mapping[str, Any]
    tensors: Mapping[str, Tensor]


def adapter_kind(directory: str | None) -> str:
    """PEFT's name of an adapter's kind, ``virtual tokens`` for all that are made of those, or ``none``."""
    if directory is None:
        return NO_ADAPTER
    config = read_json(Path(directory) / _CONFIG)
    kind = str(config.get("peft_type"))
    return VIRTUAL_TOKENS if kind in _OF_VIRTUAL_TOKENS else kind


def mixes(directory: str | None) -> bool:
    """Whether PEFT runs an adapter's rows in one batch with those of others and of none: plain LoRA only."""
    if directory is None:
        return True
    config = read_json(Path(directory) / _CONFIG)
    return config.get("peft_type") == "LORA" and not config.get("use_dora")


def is_adapter(directory: Path) -> bool:
    """Whether a directory looks like a PEFT adapter."""
    return (directory / _CONFIG).is_file()


def read_adapter(directory: Path) -> Adapter:
    """Check an adapter directory as far as its own files allow.

    Raises:
        AdapterError: A file is missing, damaged or pickled, or the adapter is dead.
    """
    config = read_json(directory / _CONFIG)
    base = config.get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise AdapterError(
            f"{directory / _CONFIG}: base_model_name_or_path is missing; name the base model that was trained"
        )
    if config.get("task_type") == "SEQ_CLS":
        raise AdapterError(
            f"{directory}: a reward model: it scores answers and gives none; name an adapter that answers"
        )
    weights = directory / _WEIGHTS
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
        raise AdapterError(f"{weights}: holds no tensor; save the adapter again")
    up_projections = [tensor for name, tensor in tensors.items() if ".lora_B." in name]
    if up_projections and all(is_all_zero(weights, tensor) for tensor in up_projections):
        raise AdapterError(
            f"{directory}: dead adapter: every lora_B is zero, so it changes nothing; was it ever trained?"
        )
    return Adapter(
        directory=directory,
        base_reference=base,
        training=read_training(directory),
        tensors=tensors,
    )


def check_base(adapter: Adapter, base_dir: Path, base_sha256: str) -> None:
    """Check that an adapter was trained on this base: by the manifest's hash, else by its LoRA shapes.

    Raises:
        AdapterError: The base is another one.
    """
    trained_on = adapter.training.get("base_sha256")
    if isinstance(trained_on, str) and trained_on != base_sha256:
        raise AdapterError(
            f"{adapter.directory}: trained on another base: its manifest names {trained_on[:12]}, "
            f"{base_dir} is {base_sha256[:12]}; point base_model_name_or_path at the right one"
        )
    base_shapes: dict[str, tuple[int, ...]] = {}
    for file in sorted(base_dir.glob("*.safetensors")):
        try:
            base_shapes |= {name: tensor.shape for name, tensor in read_header(file).items()}
        except SafetensorsError as error:
            raise AdapterError(f"{file}: {error}; fetch the base model again") from error
    for name, tensor in adapter.tensors.items():
        part = ".lora_A." if ".lora_A." in name else ".lora_B." if ".lora_B." in name else None
        if part is None or "embedding" in name or len(tensor.shape) != 2:
            continue
        layer = name.split(part)[0].removeprefix("base_model.model.") + ".weight"
        expected = base_shapes.get(layer)
        if expected is None:
            raise AdapterError(
                f"{adapter.directory}: adapter of another base: it changes {layer}, which {base_dir} lacks"
            )
        # A reads the layer's inputs, B writes its outputs; linear weights are (outputs, inputs).
        own, of_base = (
            (tensor.shape[1], expected[-1]) if part == ".lora_A." else (tensor.shape[0], expected[0])
        )
        if own != of_base:
            raise AdapterError(
                f"{adapter.directory}: adapter of another base: {name} is {list(tensor.shape)}, "
                f"{layer} of {base_dir} is {list(expected)}"
            )


def read_training(directory: Path) -> Mapping[str, Any]:
    """The training manifest of a directory, or empty when training left none."""
    manifest = directory / _MANIFEST
    return read_json(manifest) if manifest.is_file() else {}


def read_json(path: Path) -> Mapping[str, Any]:
    """A JSON object of an adapter's directory.

    Raises:
        AdapterError: There is none, or it is damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise AdapterError(
            f"{path.parent}: not an adapter: no {path.name}; give the directory that training wrote"
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise AdapterError(f"{path}: not JSON: {error}; copy or save the adapter again") from error
    if not isinstance(content, dict):
        raise AdapterError(f"{path}: expected a JSON object, found {type(content).__name__}")
    return content
