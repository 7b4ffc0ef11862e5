"""Reads a safetensors file's header without torch: names, shapes, and whether the file is complete.

Format: https://huggingface.co/docs/safetensors, an 8-byte little-endian length, a JSON header, the data.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.types.json_reading import parse_json

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
