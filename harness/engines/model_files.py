"""Checks of a model's files before its weights are loaded: libraries ignore some damage, or name no file.

A safetensors file's header is read without torch: https://huggingface.co/docs/safetensors, an 8-byte
little-endian length, a JSON header, the data.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.errors import ModelError
from harness.types.storage import parse_json

# How the text begins that Git stores in place of a large file.
_GIT_LFS = b"version "


@dataclass(frozen=True, slots=True)
class Tensor:
    """One tensor's place in a file.

    Attributes:
        shape: Its dimensions.
        start: First byte of its data in the file.
        end: One past its last byte.
    """

    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def elements(self) -> int:
        """The number of its elements."""
        return math.prod(self.shape)


class SafetensorsError(ValueError):
    """The file is not a safetensors file, or not complete."""


def read_header(path: Path) -> Mapping[str, Tensor]:
    """Names and positions of a file's tensors.

    Raises:
        SafetensorsError: The file is truncated or not a safetensors file; the message says which.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        begins = file.read(8)
        if begins == _GIT_LFS:
            raise SafetensorsError(
                "a pointer of Git LFS instead of the file: run git lfs pull in its repository"
            )
        length = int.from_bytes(begins, "little")
        if size < 8 or length > size - 8:
            raise SafetensorsError(
                f"truncated: its header should end at byte {length + 8}, the file at {size}"
            )
        try:
            header = parse_json(file.read(length))
            tensors = {
                name: Tensor(
                    tuple(entry["shape"]),
                    8 + length + entry["data_offsets"][0],
                    8 + length + entry["data_offsets"][1],
                )
                for name, entry in header.items()
                if name != "__metadata__"
            }
        except (ValueError, KeyError, TypeError, IndexError, AttributeError) as error:
            raise SafetensorsError("not a safetensors file: its header can't be read") from error
    end = max((tensor.end for tensor in tensors.values()), default=8 + length)
    if end != size:
        raise SafetensorsError(f"truncated: its tensors should end at byte {end}, the file ends at {size}")
    return tensors


def is_all_zero(path: Path, tensor: Tensor) -> bool:
    """Whether every byte of a tensor is zero (so every number is: -0.0 is never written by training).

    Args:
        path: The file.
        tensor: The tensor's position in it.
    """
    with path.open("rb") as file:
        file.seek(tensor.start)
        return not file.read(tensor.end - tensor.start).strip(b"\0")


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
