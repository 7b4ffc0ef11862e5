"""Weights as files and in memory: damaged files, and changed or equal weights.

A model's files are checked before they are loaded: libraries ignore some damage, or name no file. A
safetensors file's header is read without torch: https://huggingface.co/docs/safetensors, an 8-byte
little-endian length, a JSON header, the data.

Changed weights are detected by the sum of each, by answers to fixed tokens, by content. Weights that are
equal in several copies of a base are stored once, so that many copies fit into memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.errors import AdapterError, ModelError
from harness.types.storage import parse_json

if TYPE_CHECKING:
    import torch

# Lengths of the test rows: different ones, so that a batch of them is padded.
_PROBE_LENGTHS = (12, 5)


# Number of tokens that each row is forced to continue with.
PROBE_STEPS = 2


# Logits that differ by less than this fraction of the largest are equal up to rounding.
_ROUNDING = {"float64": 1e-6, "float32": 1e-4}


_LOW_PRECISION = 0.1


# Below this fraction the answers of two sides can't be distinguished.
_INDISTINCT = 1e-6


def weight_sums(model: Any) -> dict[str, float]:
    """The sum of each floating-point parameter and buffer in memory, by its name in the bare base."""
    import torch

    tensors = [*model.named_parameters(remove_duplicate=False), *model.named_buffers()]
    held = [(bare_name(name), tensor) for name, tensor in tensors if tensor.is_floating_point()]
    held = [(name, tensor) for name, tensor in held if tensor.device.type != "meta"]
    if not held:
        return {}
    sums = torch.stack([tensor.detach().sum(dtype=torch.float64).cpu() for _, tensor in held])
    return dict(zip((name for name, _ in held), sums.tolist(), strict=True))


def bare_name(name: str) -> str:
    """A tensor's name as it was before PEFT wrapped the model and its layers."""
    name = name.removeprefix("base_model.model.").removeprefix("base_model.")
    for wrapper in (".base_layer.", ".original_module.", ".token_adapter."):
        while wrapper in name:
            name = name.replace(wrapper, ".")
    return name


def changed_weights(before: dict[str, float], model: Any) -> list[str]:
    """Names of the bare base's weights that are missing or changed in a wrapped model.

    Args:
        before: The result of weight_sums for the bare base.
        model: The wrapped model.
    """
    now = weight_sums(model)
    return [name for name, value in before.items() if now.get(name) != value]


def not_finite(model: Any, sums: dict[str, float]) -> list[str]:
    """Names of the parameters with NaN or infinity.

    Args:
        model: The model.
        sums: The result of weight_sums for it.
    """
    import math

    import torch

    return [
        name
        for name, parameter in model.named_parameters()
        if not math.isfinite(sums.get(bare_name(name), 0.0)) and not bool(torch.isfinite(parameter).all())
    ]


def probe_rows(tokenizer: Any, embedding_rows: int) -> list[list[int]]:
    """Token ids for test prompts, without special ones, the same for every model with this vocabulary.

    Args:
        tokenizer: The model's.
        embedding_rows: Number of tokens in its embeddings.

    Returns:
        Rows of token ids.
    """
    reserved = {*tokenizer.added_tokens_decoder, *tokenizer.all_special_ids}
    ordinary = [token for token in range(min(len(tokenizer), embedding_rows)) if token not in reserved]
    ordinary = ordinary or list(range(embedding_rows))
    # Steps of a prime apart, so that neighbours in the vocabulary are not neighbours in a row.
    drawn = iter(ordinary[(7919 * place + 13) % len(ordinary)] for place in range(10_000))
    return [[next(drawn) for _ in range(length + PROBE_STEPS)] for length in _PROBE_LENGTHS]


def same_logits(found: Any, expected: Any, dtype: str, others: Sequence[Any] = ()) -> bool:
    """Whether logits are equal up to the rounding of a dtype.

    In low precision half of the positions are enough: rounding alone sometimes sends a token to other
    experts, and an architecture that can't be batched is wrong nearly everywhere.

    Args:
        found: The logits, (rows, positions, vocabulary).
        expected: The expected logits.
        dtype: The dtype.
        others: The logits of other sides: if one differs only a little, ``found`` must be clearly nearer to
            ``expected`` than to it.
    """
    import torch

    if found.shape != expected.shape or not bool(torch.isfinite(found).all()):
        return False
    scale = max(float(expected.abs().max()), 1e-6)
    apart = [_distance(expected, other) for other in others if other.shape == expected.shape]
    told_apart = [each / 4 for each in apart if each > _INDISTINCT * scale]
    if dtype not in _ROUNDING:
        errors = (found - expected).abs().amax(-1)
        return float((errors <= _LOW_PRECISION * scale).float().mean()) >= 0.5
    return _distance(found, expected) <= min([_ROUNDING[dtype] * scale, *told_apart])


def _distance(one: Any, other: Any) -> float:
    return float((one - other).abs().max())


def row_logits(forward: Any, rows: Sequence[Sequence[int]], device: Any) -> Any:
    """Logits of each row's last prompt token and of the steps after it, computed one row at a time.

    Args:
        forward: Calls a model.
        rows: Token ids of each prompt.
        device: The model's device.

    Returns:
        (rows, 1 + PROBE_STEPS, vocabulary), as float32 on the CPU.
    """
    import torch

    found = []
    with torch.inference_mode():
        for row in rows:
            ids = torch.tensor([list(row)], device=device)
            logits = forward(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
            found.append(logits[0, -1 - PROBE_STEPS :].float().cpu())
    return torch.stack(found)


def refuse_not_a_number(owner: str, logits: Any, kind: type[ModelError] | type[AdapterError]) -> None:
    """Refuse a model whose logits for test prompts are NaN: its answers would be the token 0, or any other.

    Args:
        owner: The model or adapter, for messages.
        logits: The result of row_logits.
        kind: The error to raise.

    Raises:
        InputError: One of them is NaN.
    """
    if bool(logits.isnan().any()):
        raise kind(
            f"{owner}: computes NaN in place of logits, though its weights are finite: is its configuration "
            f"right? in float16 numbers may leave the range: --gate-dtype float32 has room"
        )


# The different values of each weight, by the base's hash and the weight's name in the bare base.
Known = dict[tuple[str, str], "list[torch.Tensor]"]


def share_equal_weights(base_sha256: str, model: Any, known: Known) -> None:
    """Let a model use the memory of weights that are equal in other copies of its base.

    An adapter changes few weights of its copy. Nothing may be attached to the model or merged into it
    afterwards: that could write into the other copies.

    Args:
        base_sha256: The base's content hash.
        model: The copy, or PEFT's model around it; it is changed.
        known: The weights of the other copies; those of this one are added.
    """
    import torch

    for name, parameter in model.named_parameters():
        # Packing of 4 bits replaces the data, and doesn't write into it; each weight's state stays its own.
        if type(parameter) is not torch.nn.Parameter and type(parameter).__name__ != "Params4bit":
            continue
        if parameter.device.type == "meta":  # it is on the disk
            continue
        others = known.setdefault((base_sha256, bare_name(name)), [])
        for other in others:
            if (
                other.shape == parameter.shape
                and other.dtype == parameter.dtype
                and other.device == parameter.device
                and torch.equal(other, parameter.data)
            ):
                parameter.data = other
                break
        else:
            others.append(parameter.data)


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
