"""Checks that no answer can pass together, found without running them.

A group can be passed in several ways, each a list of checks that all pass then. A case can't be passed if two
checks that it needs in any case exclude each other, or if each way of a group excludes one of them.
"""

import itertools
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TypeAlias

from harness.golden.schema import base_type, decides, is_binary
from harness.metrics.text import composed
from harness.types import Check, GoldenCase

# Answers without a common part, not even a letter.
_UNLIKE = ("", "\n", "Zq 7#", "no, never; it isn't so\n2")
# Beyond these, groups inside of groups are taken to be passable.
_MOST_WAYS = 256
Way: TypeAlias = tuple[Check, ...]


def contradictions(case: GoldenCase) -> Iterator[tuple[Check, str]]:
    """Checks of a case that exclude each other: the later check, and why."""
    for turn in dict.fromkeys(_turn(case, check) for check in case.checks):
        checks = [check for check in case.checks if _turn(case, check) == turn and decides(check)]
        asked = [replace(single, line=check.line) for check in checks for single in required(check)]
        pairs = _excluding(asked)
        yield from pairs
        if not pairs:
            yield from _idle_members(checks, asked)


def _turn(case: GoldenCase, check: Check) -> int:
    """The turn whose answer a check sees; those of no turn see the last one."""
    return check.turn or len(case.turns)


def are_of_one_answer(case: GoldenCase, check: Check, other: Check) -> bool:
    """Whether two checks see the same answer.

    Args:
        case: The case.
        check: One of its checks.
        other: Another one.
    """
    return _turn(case, check) == _turn(case, other)


def required(check: Check) -> Way:
    """The single checks without which a check can't pass: itself, or the members that a group needs."""
    ways = _ways(check, True)
    return tuple(single for single in ways[0] if all(single in way for way in ways[1:])) if ways else ()


def _ways(check: Check, wanted: bool) -> list[Way]:
    """Ways in which a check passes, or fails: each the single checks that pass then; [] for too many."""
    if not check.checks:
        return [(check if wanted else _negated(check),)]
    passes = wanted != check.type.startswith("not-")
    if base_type(check.type) == "all-of" and not is_binary(check):
        needed = [member for member in check.checks if _is_needed(check, member)] if passes else []
        return _all_of([_ways(member, True) for member in needed])
    members = [_ways(member, passes) for member in check.checks]
    together = passes == (base_type(check.type) == "all-of")
    ways = _all_of(members) if together else [way for each in members for way in each]
    known = together or all(members)
    return ways if known and len(ways) <= _MOST_WAYS else []


def _all_of(parts: Sequence[list[Way]]) -> list[Way]:
    """One way of each part together; a part with too many ways asks for nothing."""
    known = [part for part in parts if part]
    if math.prod(map(len, known)) > _MOST_WAYS:
        known = [part for part in known if len(part) == 1]
    return [tuple(itertools.chain(*ways)) for ways in itertools.product(*known)]


def _is_needed(group: Check, member: Check) -> bool:
    """Whether the share of a group's members stays below its threshold without one of them."""
    total = math.fsum(each.weight for each in group.checks)
    return (total - member.weight) / total < (group.threshold or 0) - 1e-9


def _negated(check: Check) -> Check:
    bare = check.type.removeprefix("not-")
    return replace(check, type=bare if bare != check.type else f"not-{bare}")


def _excluding(checks: Sequence[Check]) -> list[tuple[Check, str]]:
    """Pairs that exclude each other: the later one, and why."""
    # A transform lets two checks see different texts.
    pairs = itertools.combinations([check for check in checks if not check.transform], 2)
    return [
        (second, reason)
        for first, second in pairs
        if (reason := _excludes(first, second) or _excludes(second, first))
    ]


def _idle_members(checks: Sequence[Check], asked: Sequence[Check]) -> Iterator[tuple[Check, str]]:
    """Groups without a way to pass beside what the case asks for anyway, and members that never help to."""
    for check in checks:
        ways = _ways(check, True) if check.checks else []
        dead = [found[0] for way in ways if (found := _excluding([*asked, *way]))]
        if dead and len(dead) == len(ways):
            yield check, dead[0][1]
        elif dead and check.type == "any-of":
            yield check, f"a member of {check.type} never passes: {dead[0][1]}"


def _excludes(check: Check, other: Check) -> str | None:
    """Why no answer passes both; ``check`` is the one that requires a text."""
    if other.type == f"not-{check.type}" and (check.value, check.options) == (other.value, other.options):
        return f"{check.type} and {other.type} of the same value"
    if check.type == "tool-calls" and not check.value and other.type == "is-valid-openai-tools-call":
        return f"{check.type} expects no call, {other.type} one" if not check.options.get("others") else None
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
