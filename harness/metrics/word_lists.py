"""``word-list``: whether words or phrases of a list occur in the answer, in whatever disguise of Unicode."""

import re
import unicodedata
from collections.abc import Sequence
from functools import lru_cache

from harness.metrics.definition import ScoringRequest, binary, one_by_one, quote, text_of
from harness.types import Score

_SHOWN = 3
# Characters that are never drawn: they would split a word invisibly.
_INVISIBLE = dict.fromkeys([0xAD, 0x200B, 0x200C, 0x200D, 0x2060, 0xFEFF, 0x200E, 0x200F])


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
    """The entries whose words occur in a text, ignoring case, width and invisible characters.

    Args:
        text: Any text.
        entries: Words or phrases; * stands for letters and digits.
    """
    plain = _plain(text)
    return [entry for entry in entries if _pattern(entry).search(plain)]


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text.translate(_INVISIBLE)).casefold().split())


@lru_cache(maxsize=8192)
def _pattern(entry: str) -> re.Pattern[str]:
    words = r"\w*".join(re.escape(part) for part in _plain(entry).split("*"))
    return re.compile(rf"(?<!\w){words}(?!\w)")


word_list = one_by_one(_word_list)
