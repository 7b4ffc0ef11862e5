"""Cases whose deciding checks were others when the baseline was scored: they may have flipped with them."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

from harness.golden.schema import CHECK_TYPES, base_type
from harness.types import JUDGE, CaseResult, GoldenCase

# How the reason begins.
DECIDED_BY = "decided by"
# By metric how it has changed, in words, each with the judge or encoder that is another one, if it is one.
Changes: TypeAlias = Mapping[str, Sequence[tuple[str, str | None]]]


def decided_anew(candidate: CaseResult, changed: Changes) -> str:
    """Why a case's verdict may be another one with the same answer; empty if it can't.

    Args:
        candidate: The case's result in the candidate's run.
        changed: Metrics that were different when the baseline was scored.
    """
    for name in (score.metric for score in candidate.scores if score.passed is not None):
        for how, scorer in changed.get(name, ()):
            if _has_scorer(candidate.case, name, scorer):
                return f"{DECIDED_BY} {name}, {how}"
    return ""


def _has_scorer(case: GoldenCase, metric: str, scorer: str | None) -> bool:
    """Whether a judge or encoder that scores a metric in a run may have scored it in this case too.

    A group of checks has one name in all sets, and a judge only where a member asks one.
    """
    groups = [check for check in case.checks if check.type == metric and check.checks]
    kinds = [CHECK_TYPES.get(base_type(single.type)) for group in groups for single in group.single_checks]
    if scorer is None or not kinds or None in kinds:
        return True
    return any(each is not None and (each.judged or (scorer != JUDGE and each.libraries)) for each in kinds)
