"""Everything that is printed goes through one escape: no text can control a terminal or a CI service.

Answers, prompts, file names and YAML keys come from others. Hidden characters are made visible (``⟨ESC⟩``),
and a line never begins with a command of a CI service (``::error::``).
"""

import re
import sys
from collections.abc import Callable
from typing import TextIO

# Control characters except tab and line feed, bidirectional overrides, invisible characters, and lone
# surrogates, which can't be written to a file. Joiners (U+200C, U+200D) stay: words and emoji need them.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
_LONGEST_VALUE = 60
_HALF = re.compile("[\ud800-\udfff]")
_NAMES = {"\0": "NUL", "\a": "BEL", "\b": "BS", "\n": "LF", "\r": "CR", "\x1b": "ESC", "\x7f": "DEL"}
# GitHub reads ``::name::`` after the spaces at a line's start, and ``##[name]`` anywhere, Azure ``##vso[``.
_COMMAND = re.compile(r"^(?P<before>[^\S\n]*):(?=:)|#(?=#[a-z]*\[)", re.MULTILINE)


def visible(text: str) -> str:
    """The text with visible hidden characters: ``⟨ESC⟩`` for escape, ``⟨U+202E⟩`` for an override."""
    return _HIDDEN.sub(_spelled, text)


def printable(text: str) -> str:
    """The text as it may be printed, with its lines: no hidden characters, no commands of CI services."""
    shown = visible(text)
    return _COMMAND.sub(_defused, shown) if "::" in shown or "##" in shown else shown


def printable_line(text: str) -> str:
    """As printable, on one line: line breaks are made visible too."""
    return printable(text.replace("\n", "⟨LF⟩"))


def shown_value(value: object) -> str:
    """A value for a message: as Python writes it, on one line, cut if it is long."""
    shown = " ".join(repr(value).split())
    return shown if len(shown) <= _LONGEST_VALUE else f"{shown[: _LONGEST_VALUE - 1]}…"


def encodable(text: str) -> str:
    """The text for a library that takes UTF-8 only: half of a character (a lone surrogate) becomes U+FFFD."""
    return _HALF.sub("\ufffd", text)


def say(text: object, *, err: bool = False, end: str = "\n", to: TextIO | None = None) -> None:
    """Print a text through the escape, at once.

    Args:
        text: The text, or a value with one.
        err: Print to standard error.
        end: What follows it.
        to: Another stream, such as the process's own where pytest captures both.
    """
    print(printable(str(text)), file=to or (sys.stderr if err else sys.stdout), end=end, flush=True)


def say_command(line: str, write: Callable[[str], object] = print) -> None:
    """Print a command to a CI service, the one thing that goes past the escape.

    Args:
        line: The command; whoever made it has escaped each part that comes from others.
        write: Where it is printed, such as a terminal's ``write_line``.
    """
    write(line)


def _spelled(match: re.Match[str]) -> str:
    return f"⟨{_NAMES.get(match[0], f'U+{ord(match[0]):04X}')}⟩"


def _defused(match: re.Match[str]) -> str:
    return f"{match['before'] or ''}⟨{match[0][-1]}⟩"
