"""Checks that no answer can pass together, found without running them."""

import re
from collections.abc import Iterator
from itertools import combinations

from harness.golden.schema import base_type
from harness.metrics.text import composed
from harness.types import Check, GoldenCase

# Answers without a common part, not even a letter.
_UNLIKE = ("", "\n", "Zq 7#", "no, never; it isn't so\n2")


def contradictions(case: GoldenCase) -> Iterator[tuple[Check, str]]:
    """Pairs of a case's checks that exclude each other: the later check, and why."""
    # A transform lets two checks see different texts.
    for first, second in combinations([check for check in case.checks if not check.transform], 2):
        if not are_of_one_answer(case, first, second):
            continue
        if reason := _excludes(first, second) or _excludes(second, first):
            yield second, reason


def are_of_one_answer(case: GoldenCase, check: Check, other: Check) -> bool:
    """Whether two checks see the same answer: those of no turn see the last one.

    Args:
        case: The case.
        check: One of its checks.
        other: Another one.
    """
    last = len(case.turns)
    return (check.turn or last) == (other.turn or last)


def _excludes(check: Check, other: Check) -> str | None:
    """Why no answer passes both; ``check`` is the one that requires a text."""
    if other.type == f"not-{check.type}" and (check.value, check.options) == (other.value, other.options):
        return f"{check.type} and {other.type} of the same value"
    for wanted in map(composed, _wanted(check)):
        for refused in map(composed, _refused(other)):
            # icontains also accepts other letters than those in its value.
            exact = not check.type.startswith("i") and refused in wanted
            folded = other.type == "not-icontains" and refused.casefold() in wanted.casefold()
            if exact or folded:
                return f"{check.type} requires {wanted!r}, {other.type} refuses {refused!r}"
        if (longest := _longest(other)) is not None and len(wanted.strip()) > longest:
            return f"{check.type} requires {wanted!r}, length allows {longest} characters"
    if check.type == other.type == "length" and check.options.get("unit") == other.options.get("unit"):
        least, most = check.options.get("min"), other.options.get("max")
        if isinstance(least, int) and isinstance(most, int) and least > most:
            return f"length of at least {least} and of at most {most}"
    return None


def _wanted(check: Check) -> list[str]:
    """Texts that an answer must contain to pass, ignoring case."""
    if isinstance(check.value, str) and check.type in {"equals", "iequals", "starts-with"}:
        return [check.value.strip()]
    if isinstance(check.value, str) and check.type in {"contains", "icontains"}:
        return [check.value]
    if check.type == "contains-all" and isinstance(check.value, list):
        return [value for value in check.value if isinstance(value, str)]
    return []


def _refused(check: Check) -> list[str]:
    """Texts that an answer must not contain to pass."""
    if check.type in {"not-contains", "not-icontains"}:
        return [check.value] if isinstance(check.value, str) else []
    if check.type == "not-contains-any" and isinstance(check.value, list):
        return [value for value in check.value if isinstance(value, str)]
    return []


def _longest(check: Check) -> int | None:
    """Largest number of characters that a length check allows."""
    longest = check.options.get("max")
    if check.type == "length" and check.options.get("unit", "characters") == "characters":
        return longest if isinstance(longest, int) else None
    return None


def matches_everything(check: Check) -> bool:
    """Whether a regex check's pattern matches whatever it is matched with.

    A pattern with lookaround may match an empty text and still refuse some answers: it is not reported.
    """
    pattern = str(check.value)
    if base_type(check.type) != "regex" or "(?!" in pattern or "(?<!" in pattern:
        return False
    return all(re.search(pattern, text) for text in _UNLIKE)
