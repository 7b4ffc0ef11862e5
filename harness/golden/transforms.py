"""``transform`` of a check: the steps from the answer to the text that is checked."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.golden.hints import did_you_mean, shown
from harness.golden.json_paths import JsonPathError, compiled_path
from harness.golden.patterns import PatternError, check_pattern
from harness.golden.python_files import PythonFileError, find_python_file
from harness.types import JsonValue


class StepError(ValueError):
    """A step is not valid: what was found, and what is allowed."""

    def __init__(self, problem: str, allowed: str) -> None:
        """Store both."""
        super().__init__(problem)
        self.allowed = allowed


def _check_path(text: str) -> None:
    compiled_path(text)


def _any_text(text: str) -> None:
    """Every text is right."""


# Steps without an argument, with their meaning for editors.
PLAIN_STEPS: Mapping[str, str] = {
    "strip": "Without white space at both ends.",
    "lower": "In lower case.",
    "first-line": "The first line with text.",
    "last-line": "The last line with text.",
    "code-block": "The content of the first ``` code block; the whole text if there is none.",
}
STEPS_WITH_TEXT: Mapping[str, tuple[str, Callable[[str], None]]] = {
    "regex": ("The pattern's first match: its first group that matches, if it has groups.", check_pattern),
    "after": ("What follows the last occurrence of the text.", _any_text),
    "before": ("What comes before the first occurrence of the text.", _any_text),
    "json-path": (
        "The value that the path selects in the JSON: a text as it is, all else as JSON.",
        _check_path,
    ),
    "python": (
        "What a function of the project, such as clean.py:body, gives; None if the part is missing.",
        _any_text,
    ),
}
PYTHON_STEP = "python"
_ALL = ", ".join([*PLAIN_STEPS, *(f"{{{name}: TEXT}}" for name in STEPS_WITH_TEXT)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The steps of a check.

    Attributes:
        steps: As written; a function's has the hash of its file beside it.
        files: The functions' files, in the order of their steps.
    """

    steps: tuple[JsonValue, ...] = ()
    files: tuple[str, ...] = ()


def read_steps(written: JsonValue, directory: Path | None = None) -> Steps:
    """The steps of a ``transform``: one, or a list of them.

    Args:
        written: The steps.
        directory: The golden set's; None where no file may be named.

    Raises:
        StepError: One is not valid.
    """
    given = written if isinstance(written, list) else [written]
    if not given:
        raise StepError("found an empty list", _ALL)
    steps: list[JsonValue] = []
    files: list[str] = []
    for step in given:
        _check_step(step)
        if (path := python_path(step)) is None:
            steps.append(step)
            continue
        file, sha256 = _function_file(path, directory)
        steps.append({PYTHON_STEP: path, "sha256": sha256})
        files.append(str(file))
    return Steps(steps=tuple(steps), files=tuple(files))


def python_path(step: JsonValue) -> str | None:
    """The file and function of a step; None for another step."""
    return str(step[PYTHON_STEP]) if isinstance(step, dict) and PYTHON_STEP in step else None


def python_steps(steps: Sequence[JsonValue]) -> list[str]:
    """The files and functions of all steps that are functions, as written."""
    return [path for step in steps if (path := python_path(step)) is not None]


def _function_file(path: str, directory: Path | None) -> tuple[Path, str]:
    if directory is None:
        raise StepError("only a golden set's file can name a function", "another step")
    try:
        return find_python_file(path, directory)
    except PythonFileError as error:
        raise StepError(f"python: {error}", error.allowed) from error


def _check_step(step: JsonValue) -> None:
    if isinstance(step, str):
        if step in STEPS_WITH_TEXT:
            raise StepError(f"{step} needs a text", f"{{{step}: TEXT}}")
        if step not in PLAIN_STEPS:
            hint = did_you_mean(step, [*PLAIN_STEPS, *STEPS_WITH_TEXT])
            raise StepError(f"unknown step {step!r}{hint}", _ALL)
        return
    if not isinstance(step, dict) or len(step) != 1:
        raise StepError(f"found {shown(step)}", _ALL)
    ((name, argument),) = step.items()
    if name not in STEPS_WITH_TEXT:
        hint = did_you_mean(name, [*PLAIN_STEPS, *STEPS_WITH_TEXT])
        raise StepError(f"unknown step {name!r}{hint}", _ALL)
    if not isinstance(argument, str) or not argument:
        raise StepError(f"{name}: found {shown(argument)}", "a text; quote it if it looks like a number")
    try:
        STEPS_WITH_TEXT[name][1](argument)
    except (PatternError, JsonPathError) as error:
        raise StepError(f"{name}: {shown(argument)}: {error}", "a valid one") from error
