"""Checks of a model's files before its weights are loaded: libraries ignore some damage, or name no file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from harness.engines.safetensors_file import SafetensorsError, read_header
from harness.errors import ModelError
from harness.types.json_reading import parse_json

_INDEX = "model.safetensors.index.json"
_SETTINGS = "generation_config.json"


def refuse_damaged_files(directory: Path) -> None:
    """Check a model's weight files and its generation config.

    transformers replaces a generation config that it can't read by an empty one: the model then has other end
    tokens.

    Args:
        directory: The model's directory.

    Raises:
        ModelError: A weight file is incomplete or none, or the generation config is damaged.
    """
    for file in _weight_files(directory):
        try:
            read_header(file)
        except SafetensorsError as error:
            raise ModelError(f"{file}: {error}; copy or fetch the model again") from error
    path = directory / _SETTINGS
    if not path.is_file():
        return
    try:
        settings: Any = parse_json(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{path}: not JSON: {error}; copy or save the model again") from error
    if not isinstance(settings, dict):
        raise ModelError(
            f"{path}: expected a JSON object, found {type(settings).__name__}; copy or save the model again"
        )
    ends = settings.get("eos_token_id")
    if not _are_tokens(ends):
        raise ModelError(
            f"{path}: eos_token_id: found {ends!r} (allowed: a token's number, or a list of them); save the "
            f"model again"
        )


def _are_tokens(ends: Any) -> bool:
    named = ends if isinstance(ends, list) else [ends]
    return ends is None or all(type(token) is int for token in named)


def _weight_files(directory: Path) -> Iterator[Path]:
    """The files that are loaded: not others that may be in the directory too."""
    single, index = directory / "model.safetensors", directory / _INDEX
    if single.is_file():
        yield single
    elif index.is_file():
        shards = parse_json(index.read_text(encoding="utf-8"))["weight_map"]
        yield from (directory / shard for shard in sorted(set(shards.values())))
