"""The values in which JSON answers differ, key by key."""

import json
from collections.abc import Iterator
from typing import Any

from reports.html.case_view import Difference
from reports.html.text import one_line

_MOST_ROWS, _LONGEST = 30, 200
# Longer answers take long to parse, and nobody reads their difference key by key.
_LONGEST_ANSWER = 100_000
_MISSING = object()


def json_differences(
    expected: str | None, baseline: str | None, candidate: str | None
) -> tuple[Difference, ...]:
    """The differing values of two or three JSON texts; empty unless the candidate and another are JSON.

    Args:
        expected: The reference.
        baseline: The baseline's answer.
        candidate: The candidate's answer.

    Returns:
        One row per value, in the order of the texts; at most 30.
    """
    now = _parsed(candidate)
    if not isinstance(now, dict | list):
        return ()
    sides = [_parsed(expected), _parsed(baseline), now]
    known = [side for side in sides if side is not _MISSING]
    if len(known) < 2 or not all(isinstance(side, dict | list) for side in known):
        return ()
    leaves = [dict(_leaves(side)) if side is not _MISSING else None for side in sides]
    paths = dict.fromkeys(path for side in leaves if side is not None for path in side)
    rows: list[Difference] = []
    for path in paths:
        values = [None if side is None else side.get(path) for side in leaves]
        compared = [value for side, value in zip(leaves, values, strict=True) if side is not None]
        if len(set(compared)) > 1:
            rows.append(
                Difference(
                    path=one_line(path, _LONGEST), expected=values[0], baseline=values[1], candidate=values[2]
                )
            )
    return tuple(rows[:_MOST_ROWS])


def _parsed(text: str | None) -> Any:
    if text is None or len(text) > _LONGEST_ANSWER:
        return _MISSING
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return _MISSING


def _leaves(value: Any) -> Iterator[tuple[str, str]]:
    """Each value with its path; an empty object or list is a value."""
    waiting: list[tuple[str, Any]] = [("", value)]
    while waiting:
        path, entry = waiting.pop()
        if isinstance(entry, dict) and entry:
            waiting += [(f"{path}.{key}".lstrip("."), each) for key, each in reversed(entry.items())]
        elif isinstance(entry, list) and entry:
            waiting += [(f"{path}[{place}]", each) for place, each in reversed(list(enumerate(entry)))]
        else:
            yield path or "(all)", one_line(_written(entry), _LONGEST)


def _written(value: Any) -> str:
    try:
        return json.dumps(value, ensure_ascii=False)
    except ValueError:
        # Python refuses to write integers of thousands of digits.
        return "a number of thousands of digits"
