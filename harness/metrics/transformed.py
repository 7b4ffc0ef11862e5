"""The text that a check sees: the answer, after the check's ``transform``."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import cast

from harness.errors import TunegateError, faults_of
from harness.golden.json_paths import compiled_path
from harness.golden.transforms import python_path, python_steps
from harness.metrics.definition import quote
from harness.metrics.json_checks import NotJsonError, parse_json
from harness.metrics.python_function import NOT_ALLOWED
from harness.metrics.python_source import load_steps_of
from harness.metrics.text import PatternTime, composed
from harness.types import Check, Permissions
from tunegate.streams import own_streams

_FENCE = r"^ {0,3}(```+|~~~+)[^\n]*\n((?s:.*?)\n)?? {0,3}\1[ \t]*$"


class StepFailedError(TunegateError):
    """A function of the project broke on an answer."""


class MissingPartError(ValueError):
    """An answer has not what a step takes out of it; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckedText:
    """What a check sees of an answer.

    Attributes:
        missing: What the transform did not find in the answer; empty if it found everything.
    """

    text: str
    missing: str = ""


def checked_text(check: Check, answer: str, allowed: Permissions) -> CheckedText:
    """Apply a check's transform.

    Args:
        check: The check.
        answer: The whole answer.
        allowed: What may run.

    Raises:
        TooSlowError: A step's pattern takes too long.
        StepFailedError: A step's function is not allowed, broke, or gave no text.
        SettingsError: Its file was changed since the golden set was read.
    """
    text, functions = answer, iter(_functions(check, allowed))
    for step in check.transform:
        try:
            if (path := python_path(step)) is not None:
                text = _python(text, path, next(functions))
            elif isinstance(step, dict):
                ((name, argument),) = step.items()
                text = _WITH_TEXT[name](text, cast("str", argument))
            else:
                text = _PLAIN[str(step)](text)
        except MissingPartError as problem:
            return CheckedText(text="", missing=str(problem))
    return CheckedText(text=text)


def _first_line(text: str) -> str:
    return _lines(text)[0]


def _last_line(text: str) -> str:
    return _lines(text)[-1]


def _lines(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if line.strip()]
    if not lines:
        raise MissingPartError("the answer has no line with text")
    return lines


def _code_block(text: str) -> str:
    """A block that is cut by the end of the answer is none: its content is not complete."""
    time = PatternTime(what="the search for a code block")
    blocks = time.matches(f"(?m){_FENCE}", text)
    if blocks:
        return (blocks[0][2] or "").removesuffix("\n")
    if time.search(r"(?m)^ {0,3}(```|~~~)", text) is not None:
        raise MissingPartError("the answer's code block has no end")
    return text


def _regex(text: str, pattern: str) -> str:
    match = PatternTime(what=f"the pattern {quote(pattern)} of transform").search(pattern, text)
    if match is None:
        raise MissingPartError(f"{quote(pattern)} matches nowhere in the answer")
    # Of alternatives with a group each, the one that matches.
    group = next((each for each in match.groups() if each is not None), None) if match.re.groups else match[0]
    if group is None:
        raise MissingPartError(f"{quote(pattern)} matches without any of its groups")
    return str(group)


def _after(text: str, mark: str) -> str:
    text, mark = _with_mark(text, mark)
    return text.rpartition(mark)[2]


def _before(text: str, mark: str) -> str:
    text, mark = _with_mark(text, mark)
    return text.partition(mark)[0]


def _with_mark(text: str, mark: str) -> tuple[str, str]:
    """A text and a mark that is in it, in Unicode's composed form if it is only there."""
    if mark in text:
        return text, mark
    if composed(mark) not in composed(text):
        raise MissingPartError(f"{quote(mark)} is missing from the answer")
    return composed(text), composed(mark)


def _json_path(text: str, path: str) -> str:
    try:
        found = [node.obj for node in compiled_path(path).finditer(parse_json(text))]
    except NotJsonError as error:
        raise MissingPartError(str(error)) from error
    if len(found) != 1:
        raise MissingPartError(f"{path} selects {len(found) or 'no'} values of the answer's JSON, not one")
    return found[0] if isinstance(found[0], str) else json.dumps(found[0], ensure_ascii=False)


def _functions(check: Check, allowed: Permissions) -> list[Callable[..., object]]:
    paths = python_steps(check.transform)
    if paths and not allowed.python:
        raise StepFailedError(f"transform by {paths[0]}: {NOT_ALLOWED}")
    return load_steps_of(check) if paths else []


def _python(text: str, path: str, function: Callable[..., object]) -> str:
    from harness.metrics.call_limit import limited_call

    place = f"transform by {path}"
    with faults_of(place, StepFailedError), own_streams():
        part = limited_call(partial(function, text), place)
    if part is None:
        raise MissingPartError(f"{path} finds its part nowhere in the answer")
    if not isinstance(part, str):
        raise StepFailedError(f"transform by {path} gave {part!r:.60} (allowed: a text, or None)")
    return part


_PLAIN: Mapping[str, Callable[[str], str]] = {
    "strip": str.strip,
    "lower": str.lower,
    "first-line": _first_line,
    "last-line": _last_line,
    "code-block": _code_block,
}
_WITH_TEXT: Mapping[str, Callable[[str, str], str]] = {
    "regex": _regex,
    "after": _after,
    "before": _before,
    "json-path": _json_path,
}
