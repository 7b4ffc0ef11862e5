"""``word-list``: whether words or phrases of a list occur in the answer, in whatever disguise of Unicode."""

import re
import unicodedata
from collections.abc import Sequence

from harness.metrics.definition import ScoringRequest, binary, one_by_one, quote, text_of
from harness.metrics.text import PatternTime, as_entry, composed, without_ignorable
from harness.types import Score

_SHOWN = 3
# Strokes through letters.
_OVERLAYS = re.compile("[\u0334-\u0338\u20d0-\u20ff]")
_APOSTROPHES = dict.fromkeys(map(ord, "‘’ʼ′"), "'")
_EMPHASIS = re.compile("[*~`]+")


def _word_list(request: ScoringRequest) -> Score:
    value = request.check.value
    entries = tuple(text_of(entry) for entry in value) if isinstance(value, list) else listed(text_of(value))
    if not entries:
        raise ValueError("the list has no entry")
    found = entries_in(request.text, entries)
    if not found:
        return binary(request, False, f"none of the list's {len(entries)} entries is in the answer")
    more = f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return binary(request, True, f"in the answer: {', '.join(map(quote, found[:_SHOWN]))}{more}")


def listed(text: str) -> tuple[str, ...]:
    """The entries of a list in a text: one a line; blank lines and those with # in front don't count."""
    lines = (line.strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def entries_in(text: str, entries: Sequence[str]) -> list[str]:
    """The entries whose words occur in a text, ignoring case, width and what is never drawn.

    Args:
        text: Any text.
        entries: Words or phrases; * stands for letters and digits. Without spaces, they occur anywhere.

    Raises:
        TooSlowError: The entries with * take too long.
    """
    plain = _plain(text)
    # An emphasis inside a word hides nothing from a reader: b*ad*.
    read = dict.fromkeys([plain, _EMPHASIS.sub("", plain)])
    time = PatternTime(what="the search for the list's entries")
    return [entry for entry in entries if any(time.found(as_entry(_plain(entry)), one) for one in read)]


def _plain(text: str) -> str:
    text = unicodedata.normalize("NFKC", _OVERLAYS.sub("", without_ignorable(text)))
    text = text.translate(_APOSTROPHES)
    return " ".join(composed(text.casefold()).replace("_", " ").split())


word_list = one_by_one(_word_list)
