"""Rewards that read only an answer's text and, for one of them, the right answer."""

import json
import re
from decimal import Decimal, InvalidOperation
from typing import Any

from harness.metrics.json_checks import NotJsonError, parse_json
from harness.metrics.text import PatternTime
from trainers.rewards.definition import RewardFunction, one_each
from trainers.rewards.settings import ExactAnswer, Length, RegexFormat, ValidJson

_CANDIDATES = 50  # opening brackets that are tried in one answer: limits the work on "[[[[[["


def json_valid(settings: ValidJson) -> RewardFunction:
    """1 if the whole answer is JSON; with ``partial``, up to 0.5 for JSON inside other text."""

    def score(text: str) -> float:
        try:
            parse_json(text)
        except NotJsonError:
            return 0.5 * json_share(text) if settings.partial else 0.0
        return 1.0

    return one_each(score)


def json_share(text: str) -> float:
    """Share of the answer's characters in its longest JSON object or list; 0 without one."""
    longest, decoder = 0, json.JSONDecoder()
    starts = [match.start() for match in re.finditer(r"[{\[]", text)][:_CANDIDATES]
    for start in starts:
        try:
            _, end = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):
            continue
        longest = max(longest, end - start)
    return longest / len(text.strip()) if longest else 0.0


def exact_answer(settings: ExactAnswer) -> RewardFunction:
    """1 if the answer, or the part that the pattern finds, equals the column; numbers by value."""

    def score(text: str, wanted: Any) -> float:
        found = text if settings.pattern is None else last_match(settings.pattern, text)
        return float(found is not None and _equal(found, plain(wanted), ignore_case=settings.ignore_case))

    return one_each(score, settings.column)


def last_match(pattern: str, text: str) -> str | None:
    """The text of the pattern's last match, or of that match's group; None without a match.

    Args:
        pattern: A regular expression with at most one group.
        text: The text.
    """
    matches = PatternTime(what=f"the pattern {pattern!r}").matches(pattern, text)
    return matches[-1].group(matches[-1].re.groups) if matches else None


def plain(value: Any) -> str:
    """A column's value as text: a text unchanged, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _equal(found: str, wanted: str, *, ignore_case: bool) -> bool:
    found, wanted = found.strip(), wanted.strip()
    if ignore_case:
        found, wanted = found.casefold(), wanted.casefold()
    if found == wanted:
        return True
    number = _number(wanted)
    return number is not None and number == _number(found)


def _number(text: str) -> Decimal | None:
    """A text as a number, with or without commas between thousands: 1,200.0 is 1200."""
    if not re.fullmatch(r"[-+]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?", text):
        return None
    try:
        return Decimal(text.replace(",", ""))
    except InvalidOperation:
        return None


def regex_format(settings: RegexFormat) -> RewardFunction:
    """1 if the pattern matches, else 0."""

    def score(text: str) -> float:
        time = PatternTime(what=f"the pattern {settings.pattern!r}")
        match = time.fullmatch if settings.full else time.search
        return float(match(settings.pattern, text.strip()) is not None)

    return one_each(score)


def length(settings: Length) -> RewardFunction:
    """1 within the limits; below, the length as a share of ``min``; above, falling to 0 at twice ``max``."""

    def score(text: str) -> float:
        count = len(text.split()) if settings.unit == "words" else len(text.strip())
        if settings.min is not None and count < settings.min:
            return count / settings.min
        if settings.max is not None and count > settings.max:
            return max(0.0, 2.0 - count / settings.max)
        return 1.0

    return one_each(score)
