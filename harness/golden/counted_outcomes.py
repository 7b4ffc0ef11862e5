"""What a scored case counts as wherever cases are counted: its outcome, or *graded*.

A case whose checks only grade has no verdict, and lacks none where its set gates one of its scores.
"""

from collections.abc import Collection, Mapping

from harness.golden.schema import CHECK_TYPES, base_type, decides
from harness.types import CaseResult, Check, MetricFacts, Outcome, Run

GRADED = "graded"


def counted_outcomes(run: Run) -> list[str]:
    """What each of a run's results counts as, in their order."""
    gated = {each.name: each.gate.metric_margins for each in run.golden_sets}
    return [counted_as(each, gated.get(each.case.set_name, ()), run.metrics) for each in run.results]


def counted_as(result: CaseResult, gated: Collection[str], facts: Mapping[str, MetricFacts]) -> str:
    """A result's outcome, or that it is graded.

    Args:
        result: The result.
        gated: The metrics that its set gates besides the pass rate.
        facts: How to read the run's metrics.
    """
    if result.outcome is Outcome.UNSCORED and not can_pass_or_fail(result, facts):
        answers = [{score.metric for score in answer.scores} for answer in result.repeats or (result,)]
        if any(all(metric in scored for scored in answers) for metric in gated):
            return GRADED
    return str(result.outcome)


def can_pass_or_fail(result: CaseResult, facts: Mapping[str, MetricFacts]) -> bool:
    """Whether any check decides a case, also where it gave no verdict.

    Args:
        result: The case's result.
        facts: How to read the run's metrics.
    """
    decided = result.outcome in {Outcome.PASSED, Outcome.FAILED}
    if decided or any(score.passed is not None for score in result.scores):
        return True
    scored = {score.metric for score in result.scores}
    return any(_may_decide(check, facts) for check in result.case.checks if check.type not in scored)


def _may_decide(check: Check, facts: Mapping[str, MetricFacts]) -> bool:
    """As the check says; the facts, which are one for all sets of a run, only of one unknown here."""
    if base_type(check.type) in CHECK_TYPES:
        return decides(check)
    return check.threshold is not None or (check.type in facts and facts[check.type].kind == "binary")
