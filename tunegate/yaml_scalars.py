"""Scalars of YAML that are read as they look.

YAML 1.1 reads ``12:30`` as 750, ``010`` as 8 and ``yes`` as true, and 1e3 as a text; YAML 1.2 reads each
otherwise; ``0o17``, ``08`` and ``y`` too. Outside of quotes only the numbers, booleans and null of JSON are
accepted, which all of them share.
"""

import json
import math
import re

import yaml

_NUMBER_PREFIX = "tag:yaml.org,2002:"
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?")
_WORDS: dict[str, dict[str, bool | None]] = {
    "bool": {"true": True, "false": False},
    "null": {"null": None, "": None},
}
# A number or a boolean to readers of another version of YAML, or to most people.
LIKE_NUMBER = re.compile(
    r"[-+]?(?:0[oObBxX][0-9a-fA-F_]+|(?:\.[0-9][0-9_]*|[0-9][0-9_]*(?:\.[0-9_]*)?)(?:[eE][-+]?[0-9_]+)?)"
)
_LIKE_BOOLEAN = frozenset("yYnN")
_SPELT = {"bool": "true or false", "null": "null", "int": "a number as JSON writes it"}
_HEADER = re.compile(r"(?:[&!]\S*\s+)*[|>](?P<indicators>[-+0-9]*)")


class SpellingError(ValueError):
    """A scalar that is read otherwise than it looks; ``allowed`` says how to write it."""

    def __init__(self, problem: str, allowed: str) -> None:
        """Store both parts of the message."""
        super().__init__(problem)
        self.allowed = allowed


def unquoted_value(text: str, tag: str, by_yaml: object, *, exact: bool) -> str | float | bool | None:
    """The value of a scalar without quotes.

    Args:
        text: The scalar.
        tag: Its type by YAML 1.1.
        by_yaml: Its value by YAML 1.1.
        exact: Whether it may also be meant as a text: a number's spelling must then be the only one of its
            value, so that ``1.10`` is refused.

    Raises:
        SpellingError: YAML's versions read it differently, or not as it looks.
    """
    name = tag.removeprefix(_NUMBER_PREFIX)
    if name in _WORDS:
        if text not in _WORDS[name]:
            raise SpellingError(
                f"YAML reads {text} as {_shown(by_yaml)}", f"{_SPELT[name]}, or {_quoted(text)}"
            )
        return _WORDS[name][text]
    if not _NUMBER.fullmatch(text):
        if name == "str" and text in _LIKE_BOOLEAN:
            raise SpellingError(
                f"{text} is a boolean to some readers of YAML", f"true or false, or {_quoted(text)}"
            )
        if name == "str" and LIKE_NUMBER.fullmatch(text):
            problem = f"{text} is a number to some readers of YAML"
            raise SpellingError(problem, f"{_SPELT['int']}, or {_quoted(text)}")
        if name == "str":
            return text
        problem = f"YAML reads {text} as {_shown(by_yaml)}"
        raise SpellingError(problem, f"{_SPELT['int']}, or {_quoted(text)}")
    value: int | float = int(text) if name == "int" else float(text)
    if math.isinf(value):
        raise SpellingError(f"{text} is beyond a float's range", "a smaller number")
    # Tools that write YAML 1.1 put a point before the exponent.
    if exact and text not in {json.dumps(value), re.sub(r"^(-?[0-9]+)e", r"\1.0e", json.dumps(value))}:
        raise SpellingError(
            f"YAML reads {text} as {_shown(by_yaml)}", f"{json.dumps(value)}, or {_quoted(text)}"
        )
    return value


def is_bare_text(text: str) -> bool:
    """Whether a word without quotes is a text to all readers of YAML."""
    return yaml.safe_load(text) == text and text not in _LIKE_BOOLEAN and not LIKE_NUMBER.fullmatch(text)


def block_value(value: str, document: str, start: int) -> str:
    """A block text without the last line break that YAML adds, unless ``|+`` or ``>+`` asks for it.

    Args:
        value: The text as YAML reads it.
        document: The document.
        start: Where the text begins in it.
    """
    header = _HEADER.match(document, start)
    keeps = header is not None and "+" in header["indicators"]
    return value if keeps else value.removesuffix("\n")


def _shown(by_yaml: object) -> str:
    return f"the text '{by_yaml}'" if isinstance(by_yaml, str) else json.dumps(by_yaml)


def _quoted(text: str) -> str:
    return f"'{text}' in quotes for a text"
