"""Groups of checks: their members are scored like all checks, then combined."""

import math
from collections.abc import Iterator, Sequence
from typing import TypeAlias

from harness.golden.checks import base_type, is_binary
from harness.types import Check, MetricError, Score

Result: TypeAlias = Score | MetricError
# Indices that lead from the case's checks to a check: one, or one more for each group around it.
Path: TypeAlias = tuple[int, ...]
_REASONS = 3


def single_checks(checks: Sequence[Check], above: Path = ()) -> Iterator[tuple[Path, Check]]:
    """All checks that score by themselves, with their places.

    Args:
        checks: Checks, and groups of checks.
        above: The place of their group.
    """
    for number, check in enumerate(checks):
        place = (*above, number)
        if check.checks:
            yield from single_checks(check.checks, place)
        else:
            yield place, check


def combined(check: Check, members: Sequence[Result | None]) -> Result | None:
    """The result of a group, before it is negated and its threshold applied.

    A group is never decided around a member that broke or has no result: it is then an error, or has none.

    Args:
        check: The group.
        members: The decided result of each member, in order.
    """
    broken = [result for result in members if isinstance(result, MetricError)]
    if broken:
        error = f"{broken[0].metric}: {broken[0].error}"
        return MetricError(metric=check.type, error=error, traceback=broken[0].traceback)
    scores = [result for result in members if isinstance(result, Score)]
    if len(scores) < len(members):
        return None
    passed = [member.weight for member, score in zip(check.checks, scores, strict=True) if score.passed]
    share = math.fsum(passed) / math.fsum(member.weight for member in check.checks)
    if base_type(check.type) == "any-of":
        share = float(bool(passed))
    elif is_binary(check):
        share = float(len(passed) == len(scores))
    return Score(metric=check.type, value=share, explanation=_explained(scores))


def _explained(scores: Sequence[Score]) -> str:
    """How many members pass, and why the first ones fail; if none fails, why they pass."""
    failed = [score for score in scores if not score.passed]
    reasons = "; ".join(f"{score.metric}: {score.explanation}" for score in (failed or scores)[:_REASONS])
    return f"{len(scores) - len(failed)} of {len(scores)} pass; {'failed' if failed else 'passed'}: {reasons}"
