"""Checks on the answer's wording: equality, substrings, patterns."""

import unicodedata
from collections.abc import Callable

from harness.metrics.definition import ScoringRequest, binary, one_by_one, quote, text_of, wanted_texts
from harness.metrics.time_limit import PatternTime
from harness.types import Score


def _equals(request: ScoringRequest) -> Score:
    return _equal_under(request, str)


def _iequals(request: ScoringRequest) -> Score:
    return _equal_under(request, str.casefold)


def _equal_under(request: ScoringRequest, fold: Callable[[str], str]) -> Score:
    answer, texts = request.text.strip(), [text.strip() for text in wanted_texts(request)]
    for text in texts:
        if fold(answer) == fold(text):
            return binary(request, True, f"the answer is {quote(text)}")
    closest = max(texts, key=lambda text: _shared_start(fold(answer), fold(text)))
    return binary(request, False, _difference(answer, closest, fold))


def _difference(answer: str, wanted: str, fold: Callable[[str], str]) -> str:
    """The first difference between the answer and the expected text."""
    if unicodedata.normalize("NFC", fold(answer)) == unicodedata.normalize("NFC", fold(wanted)):
        return f"looks like {quote(wanted)} but is spelt with other Unicode code points"
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
    return _first_found(request, wanted_texts(request), str)


def _icontains(request: ScoringRequest) -> Score:
    return _first_found(request, wanted_texts(request), str.casefold)


def _contains_any(request: ScoringRequest) -> Score:
    return _first_found(request, _values(request), str)


def _first_found(request: ScoringRequest, texts: tuple[str, ...], fold: Callable[[str], str]) -> Score:
    answer = fold(request.text)
    for text in texts:
        if fold(text) in answer:
            return binary(request, True, f"{quote(text)} is in the answer")
    told = "" if not _is_there_composed(answer, texts, fold) else ", though in other Unicode code points"
    if len(texts) == 1:
        return binary(request, False, f"{quote(texts[0])} is missing from the answer{told}")
    return binary(request, False, f"none of {_listed(texts)} is in the answer{told}")


def _is_there_composed(answer: str, texts: tuple[str, ...], fold: Callable[[str], str]) -> bool:
    """Whether a text would be there if é were one character on both sides."""
    composed = unicodedata.normalize("NFC", answer)
    return any(unicodedata.normalize("NFC", fold(text)) in composed for text in texts)


def _contains_all(request: ScoringRequest) -> Score:
    texts = _values(request)
    missing = tuple(text for text in texts if text not in request.text)
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
    answer, texts = request.text.strip(), wanted_texts(request)
    for text in texts:
        if answer.startswith(text.strip()):
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
