"""The boundary to the libraries: what they report on a load and what they raise, as one line with a remedy.

Every tensor must have its place, and every key must be known.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Generic, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from harness.engines.adapter import read_json
from harness.engines.decode import NOT_A_NUMBER
from harness.engines.weights import read_header
from harness.errors import (
    AdapterError,
    AllFailedError,
    CasesFailedError,
    EngineError,
    InputError,
    ModelError,
    NoneAnsweredError,
    TunegateError,
    first_line,
)
from harness.prompts.tokenizers import own_code_problem

_Found = TypeVar("_Found")


# As CUDA says it, and as torch does on a CPU.
_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out."""
    said = str(error).lower()
    return isinstance(error, MemoryError) or any(part in said for part in _OUT_OF_MEMORY)


@contextmanager
def loading_failures(
    doing: str, kind: type[InputError], *, verb: str = "loaded", hint: Callable[[], str] = str
) -> Iterator[None]:
    """Turn every exception inside into one line.

    Args:
        doing: The model or adapter and the action, such as ``adapters/mine: its base``.
        kind: The error that is raised instead.
        verb: The action that failed, such as ``loaded``.
        hint: Says what is probably wrong, and the remedy; empty if it doesn't know.

    Raises:
        InputError: An exception was raised that isn't one of ours.
    """
    try:
        yield
    except TunegateError:
        raise
    except Exception as error:  # the libraries raise exceptions of every kind, from KeyError to OSError
        if is_out_of_memory(error):
            raise ModelError(
                f"{doing}: memory ran out: {first_line(error)}; --gate-dtype bfloat16 takes half of it"
            ) from error
        if problem := own_code_problem(error):
            raise kind(f"{doing} can't be {verb}: {problem}") from error
        remedy = hint() or _remedy_of(error)
        raise kind(f"{doing} can't be {verb}: {first_line(error)}; {remedy}") from error


def _remedy_of(error: Exception) -> str:
    """What to do about a library's exception of which no more is known."""
    if isinstance(error, ImportError):
        return "install it, or give the model that this one was made from"
    versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("transformers", "peft"))
    return f"is it whole, and made for {versions}?"


@dataclass(frozen=True, slots=True, kw_only=True)
class Batches(Generic[_Found]):
    """Requests in batches that can be computed one by one and in any order.

    Attributes:
        rows: The indices of each batch's requests.
        keys: The requests' names, for messages.
        compute: Answers the requests of a batch, or a part of it.
    """

    rows: Sequence[Sequence[int]]
    keys: Sequence[str]
    compute: Callable[[Sequence[int]], Mapping[int, _Found]]


def answer_or_split(batches: Batches[_Found], on_batch: Callable[[Mapping[int, _Found]], None]) -> None:
    """Answer batch by batch; a batch that fails is halved until the failing rows are found.

    Args:
        batches: The batches.
        on_batch: Called with each batch's answers.

    Raises:
        CasesFailedError: Some rows failed on their own; all others were answered.
        NoneAnsweredError: Memory ran out for each of them, or each computed NaN.
        AllFailedError: All rows failed.
    """
    failures: dict[int, EngineError] = {}
    for batch in batches.rows:
        failures.update(answer_batch(batches, batch, on_batch))
    raise_failures(failures, sum(len(batch) for batch in batches.rows))


def answer_batch(
    batches: Batches[_Found], batch: Sequence[int], on_batch: Callable[[Mapping[int, _Found]], None]
) -> dict[int, EngineError]:
    """Answer one batch; if it fails, it is halved until the failing rows are found.

    Args:
        batches: It is one of these.
        batch: The indices of its requests.
        on_batch: Called with the answers, in parts if it is halved.

    Returns:
        Why rows have no answer, by index.
    """
    failures: dict[int, EngineError] = {}
    waiting = [list(batch)]
    while waiting:
        rows = waiting.pop()
        try:
            found = batches.compute(rows)
        except Exception as error:  # an architecture may raise any exception
            if len(rows) > 1:
                middle = len(rows) // 2
                waiting += [rows[middle:], rows[:middle]]
            else:
                failures[rows[0]] = _failure(batches.keys[rows[0]], error)
            continue
        on_batch(found)
    return failures


def raise_failures(failures: Mapping[int, EngineError], asked: int) -> None:
    """Raise what stands for failures after all batches; nothing if there is none.

    Args:
        failures: Why rows have no answer, by index.
        asked: Number of all rows.

    Raises:
        CasesFailedError: Some rows failed on their own; all others were answered.
        NoneAnsweredError: Memory ran out for each of them, or each computed NaN.
        AllFailedError: All rows failed.
    """
    reasons = {place: str(error) for place, error in failures.items()}
    if failures and len(failures) == asked:
        said = str(first := next(iter(failures.values())))
        to_fix = is_out_of_memory(first) or NOT_A_NUMBER in said
        raise (NoneAnsweredError if to_fix else AllFailedError)(said, reasons) from first
    if failures:
        raise CasesFailedError(reasons)


def _failure(key: str, error: Exception) -> EngineError:
    if isinstance(error, EngineError):
        return error
    remedy = "; a smaller --gate-batch-tokens or --gate-dtype needs less" if is_out_of_memory(error) else ""
    failure = EngineError(f"{key}: the model failed on it: {first_line(error)}{remedy}")
    failure.__cause__ = error
    return failure


# The prefixes of torch.compile and DataParallel in names of weights.
_WRAPPED = ("_orig_mod.", "module.")
# PEFT shares these between layers, or computes them from saved values.
_DERIVED = ("vblora_vector_bank", "prompt_encoder", ".tinylora_v.", ".unilora_theta_d.")
# PEFT's wrappers of whole layers and of single tokens, in names of weights.
_SAVED, _TOKENS = ".modules_to_save.", ".token_adapter."


# The names of virtual tokens; PEFT's report does not include them.
_VIRTUAL_TOKENS = ("prompt_embeddings", "prefix_task_", "input_type_mask", "trainable_")
# Masks that older files hold beside their weights; nothing in them was learnt.
_MASKS = re.compile(r"(?:^|\.)attn(?:\.attention)?\.(?:bias|masked_bias)$")


def refuse_incomplete_model(directory: Path, report: Mapping[str, Any]) -> None:
    """Check transformers' report on a loaded model.

    Args:
        directory: The model's directory, for messages.
        report: The loading info of from_pretrained.

    Raises:
        ModelError: A weight is missing (transformers fills it with random numbers), has another shape, or is
            unknown.
    """
    mismatched = [str(name) for name, *_ in report["mismatched_keys"]]
    found = {
        "are missing and would be random": sorted(report["missing_keys"]),
        "have another shape than its config says": sorted(mismatched),
        "belong nowhere in it": sorted(name for name in report["unexpected_keys"] if not _MASKS.search(name)),
    }
    for problem, names in found.items():
        if names:
            raise ModelError(
                f"{directory}: {len(names)} of its weights {problem}: {_some(names)}; "
                f"{_remedy([*report['missing_keys'], *report['unexpected_keys']])}"
            )


def refuse_incomplete_adapter(directory: Path, report: Any, *, virtual: bool) -> None:
    """Check PEFT's report on a loaded adapter.

    Args:
        directory: The adapter's.
        report: The result of ``load_adapter``.
        virtual: Whether the adapter is made of virtual tokens.

    Raises:
        AdapterError: A weight is missing (it would be random) or is unknown in the base.
    """
    missing = [name for name in report.missing_keys if not any(part in name for part in _DERIVED)]
    twice = _held_twice(directory, report.unexpected_keys)
    unexpected = [
        name
        for name in report.unexpected_keys
        if name not in twice and not (virtual and any(part in name for part in _VIRTUAL_TOKENS))
    ]
    if unexpected and (lost := _lost_by_renaming(directory, missing)):
        versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("transformers", "peft"))
        raise AdapterError(
            f"{directory}: {len(lost)} of its weights fit the base, but the installed libraries ({versions}) "
            f"rename them while PEFT loads the adapter, and leave random ones: {_some(lost)}; merge it "
            f"where it was trained and gate the model, or install another version"
        )
    if unexpected:
        raise AdapterError(
            f"{directory}: adapter of another base: {len(unexpected)} of its weights belong nowhere in it: "
            f"{_some(unexpected)}; {_remedy(unexpected)}"
        )
    if missing:
        raise AdapterError(
            f"{directory}: {len(missing)} of its weights are missing and would be random: {_some(missing)}; "
            f"save the adapter again"
        )


def _lost_by_renaming(directory: Path, missing: Iterable[str]) -> list[str]:
    """Weights that PEFT misses although the file holds them under the very name, without the adapter's."""
    held = read_header(directory / "adapter_model.safetensors")
    plain = (re.sub(r"(\.lora_\w+)\.[^.]+", r"\1", name) for name in missing)
    return [name for name in plain if name in held]


def refuse_unknown_keys(directory: Path, config: Mapping[str, Any], known: Iterable[str]) -> None:
    """Check that PEFT knows every key of adapter_config.json; it drops those that it doesn't.

    Args:
        directory: The adapter's directory, for messages.
        config: Content of adapter_config.json.
        known: The keys that PEFT knows.

    Raises:
        AdapterError: A key with a value is unknown.
    """
    unknown = sorted(
        key
        for key in set(config) - {*known, "runtime_config"}
        if config[key] not in (None, False, "", [], {})
    )
    if unknown:
        raise AdapterError(
            f"{directory}/adapter_config.json: the installed PEFT doesn't know {', '.join(unknown)} and "
            f"would ignore it; install the version that saved it (peft_version: "
            f"{config.get('peft_version', 'unknown')}), or remove what does not matter"
        )


def refuse_wrong_types(directory: Path, config: Mapping[str, Any], known: Mapping[str, Any]) -> None:
    """Check that no key of adapter_config.json for which PEFT expects a number has a text or a list.

    Args:
        directory: The adapter's directory, for messages.
        config: Content of adapter_config.json.
        known: PEFT's dataclass fields by name.

    Raises:
        AdapterError: A key has something else; PEFT fails on it without naming the key.
    """
    for name, field in known.items():
        value = config.get(name)
        if type(field.default) in {int, float} and isinstance(value, str | list | dict):
            raise AdapterError(
                f"{directory}/adapter_config.json: {name}: found {value!r} (allowed: a number); "
                f"write the value of the training"
            )


def unexpected_values(directory: Path) -> str:
    """The keys of an adapter_config.json whose values PEFT doesn't expect, as a hint with its remedy.

    PEFT itself checks few of them, and answers by some that its own annotations exclude: these are named once
    it has failed, and are no reason to refuse an adapter.

    Args:
        directory: The adapter's directory.
    """
    from peft import PEFT_TYPE_TO_CONFIG_MAPPING

    config = read_json(directory / "adapter_config.json")
    expected = get_type_hints(PEFT_TYPE_TO_CONFIG_MAPPING[config["peft_type"]])
    named = {key: value for key, value in config.items() if key in expected.keys() - {"peft_type"}}
    odd = [f"{key}: {json.dumps(value)}" for key, value in named.items() if not _fits(value, expected[key])]
    if not odd:
        return ""
    return (
        f"PEFT expects another value of {', '.join(sorted(odd))} in {directory.name}/adapter_config.json: "
        f"write the one of the training"
    )


def _fits(value: object, kind: Any) -> bool:
    """Whether a value of JSON is of an annotation's type."""
    if isinstance(value, dict):
        return True  # for one of PEFT's classes, which check themselves
    try:
        TypeAdapter(kind).validate_json(json.dumps(value), strict=True)
    except ValidationError:
        return False
    return True


def refuse_not_finite(owner: str, names: Iterable[str], kind: type[AdapterError] | type[ModelError]) -> None:
    """Refuse weights with NaN or infinity.

    Args:
        owner: The model or adapter, for messages.
        names: Names of the weights that are not finite.
        kind: The error to raise.

    Raises:
        InputError: ``names`` is not empty.
    """
    broken = sorted(names)
    if broken:
        raise kind(
            f"{owner}: {len(broken)} of its weights hold NaN or infinity: {_some(broken)}; "
            f"did training diverge? take an earlier checkpoint"
        )


def _held_twice(directory: Path, names: Iterable[str]) -> set[str]:
    """Weights that are in the file under another name too, as PEFT saves them for a resized vocabulary."""
    import torch
    from safetensors import safe_open

    names = set(names)
    if not any(part in name for part in (_SAVED, _TOKENS) for name in names):
        return set()
    with safe_open(directory / "adapter_model.safetensors", framework="pt") as file:
        held = set(file.keys())
        return {
            name
            for name in names & held
            if any(
                torch.equal(file.get_tensor(name), file.get_tensor(twin))
                for twin in _twins(name, held - names)
            )
        }


def _twins(name: str, known: Iterable[str]) -> list[str]:
    """Known names of the same weight: without PEFT's wrapper, or of the layer that the output is tied to."""
    _, tied, tail = name.partition(_TOKENS)
    plain = name.replace(_SAVED, ".")
    return [
        other
        for other in known
        if (other == plain and plain != name) or (tied and other.partition(_TOKENS)[1:] == (tied, tail))
    ]


def _remedy(names: Iterable[str]) -> str:
    prefix = next((prefix for prefix in _WRAPPED for name in names if prefix in name), None)
    if prefix is None:
        return "is it of this architecture, and whole?"
    return f"the names hold {prefix!r}, left by a wrapper of torch: save the unwrapped model"


def _some(names: Iterable[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:3]) + (" …" if len(shown) > 3 else "")
