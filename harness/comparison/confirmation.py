"""Whether a regression shows again in new answers.

The first test uses one answer per case (or a few), so its flips may be chance. The second resamples the
flipped cases on both sides, and uses only the new answers. Selecting cases by their first answers doesn't
bias it: if nothing changed, the new answers of both sides are interchangeable, whichever cases were selected.
A regression has to pass both tests, so the second spends no further alpha: false alarms become rarer, never
more frequent. The price is that a real drop may not show a second time.
"""

from collections.abc import Sequence
from dataclasses import replace

from harness.comparison.pairing import PASS_RATE
from harness.comparison.regressed_cases import Regression, ResampledAnswers
from harness.statistics.paired_binary import Trials, holm, stratified_p
from harness.types import Confirmation, GateVerdict, MetricComparison, RegressedCase, Stability, set_of

# Level of the second test. The first already keeps the run's level; a stricter second one would lose more
# real drops than it avoids false alarms.
LEVEL = 0.2


def unconfirmed(found: Sequence[Regression], problem: str) -> list[Confirmation]:
    """Each regression, unchanged because no new answer could be generated.

    Args:
        found: The regressions.
        problem: Why not.
    """
    return [
        Confirmation(
            set_name=each.set_name, finding=each.kind, cases=each.cases, stands=True, problem=problem
        )
        for each in found
    ]


def confirm(
    rows: Sequence[MetricComparison],
    regressed: Sequence[RegressedCase],
    found: Sequence[Regression],
    answers: ResampledAnswers,
) -> tuple[list[MetricComparison], list[RegressedCase], list[Confirmation]]:
    """Test the new answers to the flipped cases of each fallen pass rate, and to too many regressed cases.

    Args:
        rows: The judged metrics.
        regressed: The regressed cases.
        found: The regressions.
        answers: The new answers.

    Returns:
        The rows and regressed cases, without the regressions that the new answers don't confirm; and the
        results.
    """
    tested = [[answers.trials[key] for key in each.cases if key in answers.trials] for each in found]
    adjusted = holm([stratified_p(trials) for trials in tested])
    confirmations = [
        _confirmation(each, trials, p_value, answers, can_tell=_least_p(trials) * len(found) <= LEVEL)
        for each, trials, p_value in zip(found, tested, adjusted, strict=True)
    ]
    refuted = {(each.finding, each.set_name) for each in confirmations if not each.stands}
    kept_rows = [
        _refuted(row) if row.metric == PASS_RATE and ("flipped", row.set_name) in refuted else row
        for row in rows
    ]
    kept = [case for case in regressed if ("regressed", set_of(case.key)) not in refuted]
    return kept_rows, kept, confirmations


def _refuted(row: MetricComparison) -> MetricComparison:
    """A row whose drop did not show again, to whichever question: both were asked about the same answers."""
    other = None if row.other_question is None else GateVerdict.INCONCLUSIVE
    return replace(row, verdict=GateVerdict.INCONCLUSIVE, other_question=other)


def _least_p(trials: Sequence[Trials]) -> float:
    """The p-value if each new answer of the candidate failed, and none of the baseline's."""
    return stratified_p([Trials(each.baseline, each.baseline, 0, each.candidate) for each in trials])


def _confirmation(
    regression: Regression,
    trials: Sequence[Trials],
    p_value: float,
    answers: ResampledAnswers,
    *,
    can_tell: bool,
) -> Confirmation:
    was = Stability(
        passed=sum(each.baseline_passed for each in trials), answers=sum(each.baseline for each in trials)
    )
    now = Stability(
        passed=sum(each.candidate_passed for each in trials), answers=sum(each.candidate for each in trials)
    )
    wanted = answers.times * len(regression.cases)
    # A judge that stopped working must not turn a regression into a pass.
    problem = ""
    if not wanted:
        problem = "no case flipped between the two runs, so none was resampled"
    elif min(was.answers, now.answers) * 2 < wanted:
        problem = f"only {was.answers} and {now.answers} of {wanted} fresh answers a side have a verdict"
    elif not can_tell:
        problem = "so few fresh answers can't show a drop (a larger --gate-confirm can)"
    return Confirmation(
        set_name=regression.set_name,
        finding=regression.kind,
        cases=regression.cases,
        was=was,
        now=now,
        p_value=p_value,
        stands=bool(problem) or p_value <= LEVEL,
        problem=problem,
        times=answers.times,
        judge_requests=answers.judge_requests,
        duration_s=answers.duration_s,
    )
