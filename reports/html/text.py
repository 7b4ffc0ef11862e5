"""Makes text from models and cases safe to display: no hidden characters, limited length."""

import re
from collections.abc import Iterable

# Control characters except tab and line feed, bidirectional overrides, invisible characters, and lone #
# surrogates, which can't be written to a file. Joiners (U+200C, U+200D) stay: words and emoji need them.
_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff\U000e0000-\U000e007f]"
)
_NAMES = {"\0": "NUL", "\a": "BEL", "\b": "BS", "\r": "CR", "\x1b": "ESC", "\x7f": "DEL"}


def visible(text: str) -> str:
    """The text with visible hidden characters: ``⟨ESC⟩`` for escape, ``⟨U+202E⟩`` for an override."""
    return _HIDDEN.sub(_spelled, text)


def _spelled(match: re.Match[str]) -> str:
    return f"⟨{_NAMES.get(match[0], f'U+{ord(match[0]):04X}')}⟩"


def one_line(text: str, limit: int = 120) -> str:
    """The text on one line, cut at the limit.

    Args:
        text: The text.
        limit: Largest number of characters, including the sign of omission.
    """
    # Cut first, so that a megabyte is not split into words for one line.
    line = " ".join(text[: limit * 4].split())
    return line if len(line) <= limit and len(text) <= limit * 4 else line[: limit - 1] + "…"


def fitting_limit(lengths: Iterable[int], *, total: int, largest: int = 20_000, least: int = 200) -> int:
    """The number of characters of each text to show, so that all of them fit together.

    Args:
        lengths: The lengths of all texts.
        total: The available number of characters.
        largest: Upper limit for each text.
        least: Lower limit, even if the texts don't fit: a shorter piece would be useless.
    """
    known = list(lengths)
    limit = largest
    while limit > least and sum(min(length, limit) for length in known) > total:
        limit //= 2
    return max(limit, least)
