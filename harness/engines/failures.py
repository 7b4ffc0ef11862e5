"""The boundary to the libraries: their exceptions become one line that names the model and the remedy."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import metadata
from typing import TypeVar

from harness.errors import CasesFailedError, EngineError, InputError, ModelError, TunegateError
from harness.prompts.own_code import own_code_problem

_Found = TypeVar("_Found")

# Long enough for the names of a few layers, short enough for a line.
_LONGEST = 300


def first_line(error: BaseException) -> str:
    """An error's message as one line: libraries write a heading and then, indented, the problem."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = " ".join(lines[:2] if lines and lines[0].endswith(":") else lines[:1])
    said = said if len(said) <= _LONGEST else said[: _LONGEST - 1] + "…"
    return f"{type(error).__name__}: {said}" if said else type(error).__name__


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error means that memory ran out."""
    return isinstance(error, MemoryError) or "out of memory" in str(error).lower()


@contextmanager
def loading_failures(doing: str, kind: type[InputError], *, verb: str = "loaded") -> Iterator[None]:
    """Turn every exception inside into one line.

    Args:
        doing: The model or adapter and the action, such as ``adapters/mine: its base``.
        kind: The error that is raised instead.
        verb: The action that failed, such as ``loaded``.

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
        versions = ", ".join(f"{name} {metadata.version(name)}" for name in ("transformers", "peft"))
        raise kind(
            f"{doing} can't be {verb}: {first_line(error)}; is it whole, and made for {versions}?"
        ) from error


def answer_or_split(
    batches: Iterable[Sequence[int]],
    answer: Callable[[Sequence[int]], Mapping[int, _Found]],
    on_batch: Callable[[Mapping[int, _Found]], None],
    keys: Sequence[str],
) -> None:
    """Answer batch by batch; a batch that fails is halved until the failing rows are found.

    Args:
        batches: Indices of the rows in each.
        answer: Answers the rows of a batch.
        on_batch: Called with each batch's answers.
        keys: Names of the rows, for messages.

    Raises:
        CasesFailedError: Some rows failed on their own; all others were answered.
        ModelError: Memory ran out for each of them.
        EngineError: All rows failed.
    """
    failures: dict[int, EngineError] = {}
    answered = 0
    for batch in batches:
        waiting = [list(batch)]
        while waiting:
            rows = waiting.pop()
            try:
                found = answer(rows)
            except Exception as error:  # an architecture may raise any exception
                if len(rows) > 1:
                    middle = len(rows) // 2
                    waiting += [rows[middle:], rows[:middle]]
                else:
                    failures[rows[0]] = _failure(keys[rows[0]], error)
                continue
            answered += len(rows)
            on_batch(found)
    if failures and not answered:
        first = next(iter(failures.values()))
        if is_out_of_memory(first):
            raise ModelError(str(first)) from first
        raise first
    if failures:
        raise CasesFailedError({place: str(error) for place, error in failures.items()})


def _failure(key: str, error: Exception) -> EngineError:
    if isinstance(error, EngineError):
        return error
    remedy = "; a smaller --gate-batch-tokens or --gate-dtype needs less" if is_out_of_memory(error) else ""
    failure = EngineError(f"{key}: the model failed on it: {first_line(error)}{remedy}")
    failure.__cause__ = error
    return failure
