"""The texts in the cache: values as JSON and back."""

import json
from dataclasses import asdict, dataclass, fields
from functools import cache
from typing import Any, TypeAlias, TypeVar, cast

from harness.prompts.rendering import RenderedPrompt
from harness.types import Completion, JudgeReply, Score, TextLoss
from harness.types.storage import DamagedFactsError, LaterFactsError, decode_value, parse_json

# The field of an answer whose batch had not ended.
_UNTIMED = "untimed"
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedText:
    """In the place of a text's loss: why the server gives none."""

    refused: str


Entry: TypeAlias = Completion | TextLoss | RefusedText | Score | JudgeReply | RenderedPrompt
# One encoder for all: with an option, json.dumps makes a new one each time. What is inside of a value becomes
# a mapping; the value itself does not by asdict, which copies each text.
_ENCODE = json.JSONEncoder(default=asdict).encode


def written_entry(value: Entry, *, untimed: bool = False) -> str:
    """A value's fields as JSON; an answer's earlier turns have entries of their own.

    Args:
        value: The value.
        untimed: An answer's time isn't known yet, and what it has is a guess.
    """
    found = {name: getattr(value, name) for name in _names(cast("Any", type(value))) if name != "earlier"}
    if untimed:
        found[_UNTIMED] = True
    if isinstance(value, RenderedPrompt) and not value.ids:
        # Only a prompt that came as tokens has them.
        found.pop("ids")
    return _ENCODE(found)


def entry_fields(text: str | None) -> dict[str, Any] | None:
    """The fields of a stored text; None if there is none, or a damaged one."""
    try:
        value = None if text is None else parse_json(text, parse_constant=_no_number)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def read_entry(text: str | None, kind: type[_T], *, timed: bool = False) -> _T | None:
    """The value of a stored text; one that is damaged, or of another version, is as good as none.

    Args:
        text: The text; None if there is none.
        kind: The value's class.
        timed: An answer without a known time is as good as none, too.
    """
    value = entry_fields(text)
    if (
        value is None
        or (value.pop(_UNTIMED, False) and timed)
        or not value.keys() <= set(_names(cast("Any", kind)))
    ):
        return None
    try:
        return decode_value(kind, value)
    except (DamagedFactsError, LaterFactsError):
        return None


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no value")
