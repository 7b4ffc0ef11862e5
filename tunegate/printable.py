"""Everything that is printed goes through one escape: no text can control a terminal or a CI service.

Answers, prompts, file names and YAML keys come from others. Hidden characters are made visible (``⟨ESC⟩``),
and a line never begins with a command of a CI service (``::error::``).
"""

import math
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TextIO

# Control characters except tab and line feed, bidirectional overrides, invisible characters, and lone
# surrogates, which can't be written to a file. Joiners (U+200C, U+200D) stay: words and emoji need them.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
# Below, two or three decimals show too little: an answer that costs 0.000002 would cost 0.00. Above, decimals
# are noise, and then so are most digits.
_SMALL, _LARGE, _HUGE = 0.01, 1e6, 1e15
# What is smaller comes from rounding.
_ROUNDING = 1e-15
# What is such a part of the figures that it was computed from is rounding.
_ALIKE, _MOST_DIGITS = 1e-12, 17
_SMALLEST_P = 1e-15
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


def encodable(text: str) -> str:
    """The text for a library that takes UTF-8 only: half of a character (a lone surrogate) becomes U+FFFD."""
    return _HALF.sub("\ufffd", text)


def form_of(figures: Iterable[float], decimals: int, rounding: float = _ROUNDING) -> str:
    """The format of figures that stand together: so many decimals, or three digits where all are small.

    Args:
        figures: The figures.
        decimals: Digits after the point.
        rounding: What is smaller is nothing.
    """
    largest = max(map(abs, figures))
    if largest >= _LARGE:
        return ".0f" if largest < _HUGE else ".4g"
    return ".3g" if rounding < largest < _SMALL else f".{decimals}f"


def figures_of(
    figures: Sequence[float], decimals: int, *, sign: str = "", size: float | None = None
) -> list[str]:
    """Figures that stand together, in the form of :func:`form_of`; only 0 and rounding are told as 0.

    Args:
        figures: The figures.
        decimals: Digits after the point.
        sign: "+" to tell the sign of each.
        size: That of what they were computed from, which tells rounding.
    """
    rounding = _ROUNDING if size is None else _ALIKE * max(size, *map(abs, figures))
    form = form_of(figures, decimals, rounding)
    return [
        f"{each:{sign}{'.2g' if not float(f'{each:{form}}') and abs(each) > rounding else form}}"
        for each in figures
    ]


def both_of(before: float, now: float, decimals: int) -> tuple[str, str]:
    """Two figures, in as many more digits as it takes to see which one is larger.

    Args:
        before: The first one.
        now: The second one.
        decimals: Digits after the point, at least.
    """
    form = form_of((before, now), decimals)
    digits, kind = int(form[1:-1]), form[-1]
    differ = not math.isclose(before, now, rel_tol=_ALIKE)
    while differ and f"{before:.{digits}{kind}}" == f"{now:.{digits}{kind}}" and digits < _MOST_DIGITS:
        digits += 1
    return f"{before:.{digits}{kind}}", f"{now:.{digits}{kind}}"


def figure_of(value: float, decimals: int) -> str:
    """One figure, in the form of :func:`form_of`.

    Args:
        value: The figure.
        decimals: Digits after the point.
    """
    return f"{value:{form_of((value,), decimals)}}"


def p_of(value: float) -> str:
    """A p-value with its sign: ``p=0.019``, and ``p<1e-15`` where nothing is that sure.

    Args:
        value: The p-value.
    """
    return f"p={value:.2g}" if value >= _SMALLEST_P else f"p<{_SMALLEST_P:.0e}"


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
