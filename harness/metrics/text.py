"""Checks on the answer's wording: equality, substrings, patterns; and what words are.

Words after Unicode Standard Annex 29: letters and digits with their marks, in any composition. Where a script
is written without spaces (Chinese, Japanese, Thai, Khmer and others), each character with its marks counts as
one, and so does each emoji.

A golden set's pattern, or a pattern inside its JSON Schema, can backtrack practically forever (``(a|aa)+$``
on sixty letters). The ``regex`` library stops a match when its time is up, in any thread and on any system.
It counts what the whole process uses, so a match that is stopped while others work is repeated.
"""

import time
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any, TypeVar

from harness.errors import TunegateError
from harness.golden.patterns import compiled
from harness.metrics.definition import ScoringRequest, binary, one_by_one, quote, text_of, wanted_texts
from harness.types import Score

# Letters of scripts without spaces; the ranges add the prolonged sound marks and half-width katakana.
_UNSPACED = r"[[\p{Han}\p{Hiragana}\p{Katakana}\p{Line_Break=SA}\u3040-\u30ff\uff66-\uff9f]&&[\p{L}\p{Nl}]]"


_LETTER = rf"[[\p{{L}}\p{{N}}]--{_UNSPACED}]"


# Joiners, soft hyphens and marks of direction inside a word belong to it.
_JOINED = r"[\p{M}\u200c\u200d[\p{Word_Break=Format}&&\p{Default_Ignorable_Code_Point}]]"
_WORD = (
    rf"(?={_UNSPACED}|\p{{Extended_Pictographic}}|\p{{Regional_Indicator}})\X"
    rf"|{_LETTER}(?:{_LETTER}|{_JOINED})*"
)


_PIECE = rf"(?={_UNSPACED})\X|(?:(?!{_UNSPACED})\S)+"


_IGNORABLE = r"\p{Default_Ignorable_Code_Point}"


# Soft hyphen, zero-width space, word joiner, byte-order mark and the marks of direction.
_NEVER_DRAWN = dict.fromkeys([0xAD, 0x200B, 0x2060, 0xFEFF, 0x200E, 0x200F, 0x061C])


# JSON's numbers, with a plus, a typographic minus, or commas between groups of three digits.
_NUMBER = r"[-+\u2212]?(?:0|[1-9][0-9]{0,2}(?:,[0-9]{3})+|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,3})?"


# What a word is made of where spaces separate words; elsewhere a number comes right after a letter.
_INSIDE = rf"[[\p{{L}}\p{{N}}\p{{M}}_]--[{_UNSPACED}[\p{{Line_Break=SA}}&&\p{{M}}]]]"


# A number in a text: not a part of a word, a date, an address or a version.
_ALONE = rf"(?<![.,:/-]|{_INSIDE})"
_NUMBER_INSIDE = rf"{_ALONE}{_NUMBER}(?![.,:/-]?{_INSIDE})"
# The minus of a number that its unit follows without a space: -5kg.
_MINUS = rf"{_ALONE}[-\u2212](?=[0-9])"


_ANY_LETTERS = r"[\p{L}\p{N}\p{M}]*"


_GAP = r"[\s\p{Pd}]+"


_SIGN = r"\p{S}|[%&#@*\u2030\u066a]"


@cache
def _pattern(text: str) -> Any:
    # Takes 20 ms to import; most sets need none of this.
    import regex

    return regex.compile(text, regex.V1)


def composed(text: str) -> str:
    """A text in Unicode's composed form (NFC), in which é is one character however it was written."""
    return unicodedata.normalize("NFC", text)


def folded(text: str) -> str:
    """A text in one composition (NFC) and case."""
    return composed(composed(text).casefold())


def one_spelling(text: str) -> str:
    """A text in one composition (NFC), stripped, with single spaces, without what is never drawn."""
    return " ".join(composed(text.translate(_NEVER_DRAWN)).split())


def without_ignorable(text: str) -> str:
    """A text without characters that are drawn as nothing: zero-width spaces, variation selectors."""
    return text if text.isascii() else str(_pattern(_IGNORABLE).sub("", text))


@lru_cache(maxsize=1024)
def as_words(text: str, *, before: str = "", after: str = "") -> Any:
    """A pattern of a text that occurs as whole words; in scripts without spaces, anywhere.

    A word's marks belong to it: the Hindi letter ka is not the word ki.

    Args:
        text: The text.
        before: A pattern of what has to be before it, too.
        after: A pattern of what has to be behind it, too.
    """
    return _pattern(f"{before}{_word_start(text)}{_escaped(text)}{_word_end(text)}{after}")


@lru_cache(maxsize=8192)
def as_entry(text: str) -> Any:
    """A pattern of an entry of a word list: whole words, spaces or hyphens between them, * for letters."""
    tokens = [token for token in _pattern(r"(\*|[\s\p{Pd}]+)").split(text.strip()) if token]
    last = len(tokens) - 1
    gaps = {place for place in range(1, last) if _pattern(r"[\s\p{Pd}]+").fullmatch(tokens[place])}
    meant = [
        _GAP if place in gaps else _ANY_LETTERS if token == "*" else _escaped(token)
        for place, token in enumerate(tokens)
    ]
    # A sign is no part of a word: one at an entry's edge is found right behind or before a letter, too.
    first, final = (_pattern(r"[\p{L}\p{N}\p{M}_*]").match(edge) for edge in (text[:1], text[-1:]))
    start = _word_start(text) if first else ""
    end = _word_end(text) if final else r"(?!\p{M})"
    return _pattern(f"{start}{''.join(meant)}{end}")


def _escaped(text: str) -> str:
    import regex

    return str(regex.escape(text, literal_spaces=True))


def _word_start(text: str) -> str:
    """A pattern that no letter of a word is before a text; in scripts without spaces, an empty one."""
    return "" if _pattern(_UNSPACED).match(text[:1]) else r"(?<![\p{L}\p{N}\p{M}_])"


def _word_end(text: str) -> str:
    """A pattern that a text's last letter has no other marks, and that no letter of a word follows."""
    return r"(?!\p{M})" + ("" if _pattern(_UNSPACED).match(text[-1:]) else r"(?![\p{L}\p{N}_])")


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
    pattern = _pattern(rf"(?P<number>{_NUMBER_INSIDE})|(?P<minus>{_MINUS})?(?:{_WORD})|{_SIGN}")
    ignorable = _pattern(_IGNORABLE)
    found = []
    for match in pattern.finditer(folded(text)):
        value = number(match.group()) if match["number"] else None
        word = ignorable.sub("", match.group()).replace("\u2212", "-" if match["minus"] else "\u2212")
        found.append(word if value is None else _plain(value))
    return found


def _plain(value: Decimal) -> str:
    """A number in the one spelling that all of its spellings share."""
    text = f"{value.copy_abs():f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return f"-{text}" if value < 0 else text


SECONDS = 1.0


_T = TypeVar("_T")


class TooSlowError(TunegateError):
    """A pattern was stopped because it took too long."""


@dataclass(slots=True, kw_only=True)
class PatternTime:
    """The processor time that the patterns of one check may use together.

    Attributes:
        what: Name of the pattern in the message.
        seconds: The remaining time.
    """

    what: str
    seconds: float = field(default_factory=lambda: SECONDS)

    def search(self, pattern: str, text: str, *, ignore_case: bool = False, ecma: bool = False) -> Any:
        """The first match of a pattern in a text, or None.

        Args:
            pattern: A pattern of ``re``.
            text: The text.
            ignore_case: Whether letters match in either case.
            ecma: Whether it is meant as in a JSON Schema.

        Raises:
            TooSlowError: The time is over.
        """
        found = compiled(pattern, ignore_case=ignore_case, ecma=ecma)
        return self._run(lambda timeout: found.search(text, timeout=timeout))

    def fullmatch(self, pattern: str, text: str) -> Any:
        """A pattern's match of a whole text, or None.

        Args:
            pattern: A pattern of ``re``.
            text: The text.

        Raises:
            TooSlowError: The time is over.
        """
        return self._run(lambda timeout: compiled(pattern).fullmatch(text, timeout=timeout))

    def matches(self, pattern: str, text: str) -> list[Any]:
        """All matches of a pattern in a text.

        Args:
            pattern: A pattern of ``re``.
            text: The text.

        Returns:
            Match objects, in the text's order.

        Raises:
            TooSlowError: The time is over.
        """
        return self._run(lambda timeout: list(compiled(pattern).finditer(text, timeout=timeout)))

    def found(self, pattern: Any, text: str) -> Any:
        """The first match of a compiled pattern of ``regex`` in a text, or None.

        Args:
            pattern: The pattern.
            text: The text.

        Raises:
            TooSlowError: The time is over.
        """
        return self._run(lambda timeout: pattern.search(text, timeout=timeout))

    def _run(self, match: Callable[[float], _T]) -> _T:
        started, timeout = time.thread_time(), self.seconds
        while timeout > 0:
            try:
                found = match(timeout)
            except TimeoutError:
                # The library's clock is not this one, so that the last hundredth may be missing.
                if time.thread_time() - started >= 0.95 * self.seconds:
                    break
                timeout *= 2
            else:
                self.seconds -= min(time.thread_time() - started, self.seconds)
                return found
        self.seconds = 0.0
        raise TooSlowError(
            f"{self.what} took more than {SECONDS:g} s of processor time on this answer: it backtracks. "
            "Rewrite repetitions that overlap, such as (a|aa)+ or (.*,)*"
        )


def _equals(request: ScoringRequest) -> Score:
    return _equal_under(request, composed)


def _iequals(request: ScoringRequest) -> Score:
    return _equal_under(request, folded)


def _equal_under(request: ScoringRequest, fold: Callable[[str], str]) -> Score:
    answer, texts = request.text.strip(), [text.strip() for text in wanted_texts(request)]
    for text in texts:
        if fold(answer) == fold(text):
            return binary(request, True, f"the answer is {quote(text)}")
    closest = max(texts, key=lambda text: _shared_start(fold(answer), fold(text)))
    return binary(request, False, _difference(answer, closest, fold))


def _difference(answer: str, wanted: str, fold: Callable[[str], str]) -> str:
    """The first difference between the answer and the expected text."""
    if not answer:
        return f"the answer is empty; expected {quote(wanted)}"
    place = _shared_start(fold(answer), fold(wanted))
    if place == 0 or len(wanted) <= 30:
        return f"expected {quote(wanted)}, found {quote(answer)}"
    expected = quote(wanted[place : place + 30]) if place < len(wanted) else "its end"
    found = quote(answer[place : place + 30]) if place < len(answer) else "its end"
    return f"differs from {quote(wanted, 30)} at character {place + 1}: expected {expected}, found {found}"


def _shared_start(left: str, right: str) -> int:
    """Length of the common beginning."""
    for place, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return place
    return min(len(left), len(right))


def _contains(request: ScoringRequest) -> Score:
    return _first_found(request, wanted_texts(request), composed)


def _icontains(request: ScoringRequest) -> Score:
    return _first_found(request, wanted_texts(request), folded)


def _contains_any(request: ScoringRequest) -> Score:
    return _first_found(request, _values(request), composed)


def _first_found(request: ScoringRequest, texts: tuple[str, ...], fold: Callable[[str], str]) -> Score:
    answer = fold(request.text)
    for text in texts:
        if fold(text) in answer:
            return binary(request, True, f"{quote(text)} is in the answer")
    if len(texts) == 1:
        return binary(request, False, f"{quote(texts[0])} is missing from the answer")
    return binary(request, False, f"none of {_listed(texts)} is in the answer")


def _contains_all(request: ScoringRequest) -> Score:
    texts, answer = _values(request), composed(request.text)
    missing = tuple(text for text in texts if composed(text) not in answer)
    if missing:
        return binary(request, False, f"missing {len(missing)} of {len(texts)}: {_listed(missing)}")
    return binary(request, True, f"all {len(texts)} values are in the answer")


def _values(request: ScoringRequest) -> tuple[str, ...]:
    value = request.check.value
    if not isinstance(value, list) or not value:
        raise TypeError(f"{request.check.type} needs a list of texts as its value")
    return tuple(text_of(item) for item in value)


def _listed(texts: tuple[str, ...]) -> str:
    shown = ", ".join(quote(text, 30) for text in texts[:4])
    return shown if len(texts) <= 4 else f"{shown} and {len(texts) - 4} more"


def _starts_with(request: ScoringRequest) -> Score:
    answer, texts = composed(request.text.strip()), wanted_texts(request)
    for text in texts:
        if answer.startswith(composed(text.strip())):
            return binary(request, True, f"the answer starts with {quote(text.strip())}")
    found = quote(answer[: max(20, *(len(text) for text in texts))])
    return binary(request, False, f"the answer starts with {found}, not with {_listed(texts)}")


def _regex(request: ScoringRequest) -> Score:
    pattern = text_of(request.check.value)
    ignore_case = bool(request.check.options.get("ignore_case"))
    time = PatternTime(what=f"the pattern {quote(pattern)}")
    match = time.search(pattern, request.text, ignore_case=ignore_case)
    if match is None:
        return binary(request, False, f"{quote(pattern)} matches nowhere in the answer")
    return binary(request, True, f"{quote(match.group())} matches at character {match.start() + 1}")


equals = one_by_one(_equals)
iequals = one_by_one(_iequals)
contains = one_by_one(_contains)
icontains = one_by_one(_icontains)
contains_any = one_by_one(_contains_any)
contains_all = one_by_one(_contains_all)
starts_with = one_by_one(_starts_with)
regex = one_by_one(_regex)
