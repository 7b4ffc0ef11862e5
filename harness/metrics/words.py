"""Words of any script, and numbers, for metrics that compare them.

After Unicode Standard Annex 29: a word is letters and digits with their marks, in any composition. Where a
script is written without spaces (Chinese, Japanese, Thai, Khmer and others), each character with its marks
counts as one, and so does each emoji.
"""

import unicodedata
from decimal import Decimal
from functools import cache
from typing import Any

# Letters of scripts without spaces; the ranges add the prolonged sound marks and half-width katakana.
_UNSPACED = r"[[\p{Han}\p{Hiragana}\p{Katakana}\p{Line_Break=SA}\u3040-\u30ff\uff66-\uff9f]&&[\p{L}\p{Nl}]]"
_LETTER = rf"[[\p{{L}}\p{{N}}]--{_UNSPACED}]"
# Joiners and soft hyphens inside a word belong to it.
_WORD = (
    rf"(?={_UNSPACED}|\p{{Extended_Pictographic}}|\p{{Regional_Indicator}})\X"
    rf"|{_LETTER}(?:{_LETTER}|[\p{{M}}\u200c\u200d\u00ad\u2060])*"
)
_PIECE = rf"(?={_UNSPACED})\X|(?:(?!{_UNSPACED})\S)+"
_IGNORABLE = r"\p{Default_Ignorable_Code_Point}"
# Soft hyphen, zero-width space, word joiner, byte-order mark and the marks of direction.
_NEVER_DRAWN = dict.fromkeys([0xAD, 0x200B, 0x2060, 0xFEFF, 0x200E, 0x200F, 0x061C])
# JSON's numbers, with a plus, a typographic minus, or commas between groups of three digits.
_NUMBER = r"[-+\u2212]?(?:0|[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?"
# A number in a text: not a part of a word, a date, an address or a version.
_NUMBER_INSIDE = rf"(?<![\p{{L}}\p{{N}}\p{{M}}.,:/_-]){_NUMBER}(?![.,:/_-]?[\p{{L}}\p{{N}}\p{{M}}_])"
_SIGN = r"\p{S}|[%&#@*\u2030\u066a]"


@cache
def _pattern(text: str) -> Any:
    # Takes 20 ms to import; most sets need none of this.
    import regex

    return regex.compile(text, regex.V1)


def folded(text: str) -> str:
    """A text in one composition (NFC) and case."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def one_spelling(text: str) -> str:
    """A text in one composition (NFC), stripped, with single spaces, without what is never drawn."""
    return " ".join(unicodedata.normalize("NFC", text.translate(_NEVER_DRAWN)).split())


def words(text: str) -> list[str]:
    """The words of a text, in order and in one case; on ASCII text those of rouge-score."""
    ignorable = _pattern(_IGNORABLE)
    return [ignorable.sub("", word) for word in _pattern(_WORD).findall(folded(text))]


def pieces(text: str) -> list[str]:
    """What white space separates, in one case; characters of scripts without spaces singly."""
    return [str(piece) for piece in _pattern(_PIECE).findall(folded(text))]


def number(text: str) -> Decimal | None:
    """The value of a text that is a number, such as ``-5``, ``5.0`` or ``1,000``, or None.

    An integer with a leading zero is none: it is a code.
    """
    plain = text.strip()
    if not _pattern(_NUMBER).fullmatch(plain):
        return None
    return Decimal(plain.replace("\u2212", "-").replace(",", ""))


def terms(text: str) -> list[str]:
    """Words, numbers by their value, and signs such as ``%`` or ``$``, in order; no other punctuation."""
    pattern = _pattern(rf"(?P<number>{_NUMBER_INSIDE})|{_WORD}|{_SIGN}")
    ignorable = _pattern(_IGNORABLE)
    found = []
    for match in pattern.finditer(folded(text)):
        value = number(match.group()) if match["number"] else None
        found.append(ignorable.sub("", match.group()) if value is None else _plain(value))
    return found


def _plain(value: Decimal) -> str:
    """A number in the one spelling that all of its spellings share."""
    text = f"{value.copy_abs():f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"-{text}" if value < 0 else text
