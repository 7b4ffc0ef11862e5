"""The served models, each with its own name."""

from collections.abc import Sequence
from pathlib import Path

from harness.engines.open import base_of, describe_model
from harness.errors import ModelError
from harness.types import ModelRef


def name_models(model: str, adapters: Sequence[str], base: str | None = None) -> dict[str, ModelRef]:
    """The served models by name: a base by its given name, an adapter by its directory's name.

    Args:
        model: A base model, or an adapter directory, whose base is then served too.
        adapters: Further adapters of that base.
        base: The adapters' base, in place of the ones in their configurations.

    Returns:
        The base first.

    Raises:
        InputError: A model is invalid.
        ModelError: Two models have the same name, or an adapter belongs to another base.
    """
    first = describe_model(model, base)
    served = (base_of(first) if first.adapter_dir is not None else None) or first
    named = {_short(served.label): served}
    described = [
        *([first] if first is not served else []),
        *(describe_model(adapter, base) for adapter in adapters),
    ]
    for adapter in described:
        if adapter.adapter_dir is None:
            raise ModelError(f"{adapter.label}: not an adapter (allowed: adapter directories)")
        if adapter.base_sha256 != served.base_sha256:
            raise ModelError(
                f"{adapter.label}: an adapter of {adapter.base_model}, not of {served.base_model}"
            )
        name = _short(adapter.label)
        if name in named:
            raise ModelError(f"{adapter.label}: the name {name!r} is taken; rename the directory")
        named[name] = adapter
    return named


def _short(label: str) -> str:
    path = Path(label).expanduser()
    return path.resolve().name if path.is_dir() else label
