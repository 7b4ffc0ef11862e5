"""Foreign text made safe to look at: nothing hidden, nothing endless."""

import re
from collections.abc import Iterable

# Control characters but for tab and line feed, bidirectional overrides, characters that show as nothing, and
# lone surrogates, which no file can hold. Joiners (U+200C, U+200D) stay: words and emoji need them.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
_NAMES = {"\0": "NUL", "\a": "BEL", "\b": "BS", "\r": "CR", "\x1b": "ESC", "\x7f": "DEL"}


def visible(text: str) -> str:
    """The text with its hidden characters spelled out: ``⟨ESC⟩`` for escape, ``⟨U+202E⟩`` for an override."""
    return _HIDDEN.sub(_spelled, text)


def _spelled(match: re.Match[str]) -> str:
    return f"⟨{_NAMES.get(match[0], f'U+{ord(match[0]):04X}')}⟩"


def one_line(text: str, limit: int = 120) -> str:
    """The text on one line, its end cut off when it is longer than the limit.

    Args:
        text: The text.
        limit: Most characters, the sign of omission included.
    """
    # Cut first: a megabyte need not be split into words for the sake of one line.
    line = " ".join(text[: limit * 4].split())
    return line if len(line) <= limit and len(text) <= limit * 4 else line[: limit - 1] + "…"


def fitting_limit(lengths: Iterable[int], *, total: int, largest: int = 20_000, least: int = 200) -> int:
    """How many characters of each text can be shown so that all of them together fit.

    Args:
        lengths: Of all texts.
        total: Characters that there is room for.
        largest: Where to start: no text gets more.
        least: Where to stop, even if it doesn't fit: a shorter piece would tell nothing.
    """
    known = list(lengths)
    limit = largest
    while limit > least and sum(min(length, limit) for length in known) > total:
        limit //= 2
    return max(limit, least)
