"""``transform`` of a check: the steps from the answer to the text that is checked."""

from collections.abc import Callable, Mapping

from harness.golden.hints import did_you_mean, shown
from harness.golden.json_paths import JsonPathError, compiled_path
from harness.golden.patterns import PatternError, check_pattern
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
    "regex": ("The pattern's first match: its first group if it has one.", check_pattern),
    "after": ("What follows the last occurrence of the text.", _any_text),
    "before": ("What comes before the first occurrence of the text.", _any_text),
    "json-path": (
        "The value that the path selects in the JSON: a text as it is, all else as JSON.",
        _check_path,
    ),
}
_ALL = ", ".join([*PLAIN_STEPS, *(f"{{{name}: TEXT}}" for name in STEPS_WITH_TEXT)])


def read_steps(written: JsonValue) -> tuple[JsonValue, ...]:
    """The steps of a ``transform``: one, or a list of them.

    Raises:
        StepError: One is not valid.
    """
    steps = written if isinstance(written, list) else [written]
    if not steps:
        raise StepError("found an empty list", _ALL)
    for step in steps:
        _check_step(step)
    return tuple(steps)


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
