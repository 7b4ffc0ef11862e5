"""Confirms a regression: it has to show again in new answers to the flipped cases.

The first test uses one answer per case (or a few), so its flips may be chance. The second resamples the
flipped cases on both sides, and uses only the new answers. Selecting cases by their first answers doesn't
bias it: if nothing changed, the new answers of both sides are interchangeable, whichever cases were selected.
A regression has to pass both tests, so the second spends no further alpha: false alarms become rarer, never
more frequent. The price is that a real drop may not show a second time.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from harness.comparison.pairing import PASS_RATE
from harness.statistics.multiple_testing import holm
from harness.statistics.per_case import Trials, stratified_p
from harness.types import Confirmation, GateVerdict, MetricComparison, RegressedCase, Stability, set_of

# Level of the second test. The first already keeps the run's level; a stricter second one would lose more #
# real drops than it avoids false alarms.
LEVEL = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ResampledAnswers:
    """The result of resampling.

    Attributes:
        trials: The new answers with a verdict, by case key.
        times: Number of requested answers per case and side.
        judge_requests: Number of requests to judges for it.
        duration_s: Its duration in seconds.
    """

    trials: Mapping[str, Trials]
    times: int
    judge_requests: int
    duration_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Regression:
    """A regression of the first test: a fallen pass rate's flipped cases, or too many regressed ones."""

    kind: Literal["flipped", "regressed"]
    set_name: str
    cases: tuple[str, ...]


def regressions_of(
    rows: Sequence[MetricComparison], regressed: Sequence[RegressedCase], limits: Mapping[str, float]
) -> list[Regression]:
    """The regressions that have to be confirmed.

    Args:
        rows: The judged metrics.
        regressed: The regressed cases.
        limits: Largest tolerated share of those by golden set.
    """
    sizes = {row.set_name: row.n for row in rows if row.metric == PASS_RATE}
    found = [
        Regression(kind="flipped", set_name=row.set_name, cases=(*row.lost, *row.gained))
        for row in rows
        if row.metric == PASS_RATE and row.verdict is GateVerdict.REGRESS
    ]
    by_set: dict[str, list[str]] = {}
    for case in regressed:
        by_set.setdefault(set_of(case.key), []).append(case.key)
    return found + [
        Regression(kind="regressed", set_name=name, cases=tuple(keys))
        for name, keys in by_set.items()
        if len(keys) > limits.get(name, 0.0) * sizes[name]
    ]


def unconfirmed(
    rows: Sequence[MetricComparison],
    regressed: Sequence[RegressedCase],
    limits: Mapping[str, float],
    problem: str,
) -> list[Confirmation]:
    """Each regression, unchanged because no new answer could be generated.

    Args:
        rows: As in :func:`regressions_of`.
        regressed: As in :func:`regressions_of`.
        limits: As in :func:`regressions_of`.
        problem: Why not.
    """
    return [
        Confirmation(
            set_name=each.set_name, finding=each.kind, cases=each.cases, stands=True, problem=problem
        )
        for each in regressions_of(rows, regressed, limits)
    ]


def confirm(
    rows: Sequence[MetricComparison],
    regressed: Sequence[RegressedCase],
    limits: Mapping[str, float],
    answers: ResampledAnswers,
) -> tuple[list[MetricComparison], list[RegressedCase], list[Confirmation]]:
    """Test the new answers to the flipped cases of each fallen pass rate, and to too many regressed cases.

    Args:
        rows: The judged metrics.
        regressed: The regressed cases.
        limits: Largest tolerated share of those by golden set.
        answers: The new answers.

    Returns:
        The rows and regressed cases, without the regressions that the new answers don't confirm; and the
        results.
    """
    found = regressions_of(rows, regressed, limits)
    tested = [[answers.trials[key] for key in each.cases if key in answers.trials] for each in found]
    adjusted = holm([stratified_p(trials) for trials in tested])
    confirmations = [
        _confirmation(each, trials, p_value, answers)
        for each, trials, p_value in zip(found, tested, adjusted, strict=True)
    ]
    refuted = {(each.finding, each.set_name) for each in confirmations if not each.stands}
    kept_rows = [
        replace(row, verdict=GateVerdict.INCONCLUSIVE)
        if row.metric == PASS_RATE and ("flipped", row.set_name) in refuted
        else row
        for row in rows
    ]
    kept = [case for case in regressed if ("regressed", set_of(case.key)) not in refuted]
    return kept_rows, kept, confirmations


def _confirmation(
    regression: Regression, trials: Sequence[Trials], p_value: float, answers: ResampledAnswers
) -> Confirmation:
    was = Stability(
        passed=sum(each.baseline_passed for each in trials), answers=sum(each.baseline for each in trials)
    )
    now = Stability(
        passed=sum(each.candidate_passed for each in trials), answers=sum(each.candidate for each in trials)
    )
    wanted = answers.times * len(regression.cases)
    # A judge that stopped working must not turn a regression into a pass.
    problem = (
        f"only {was.answers} and {now.answers} of {wanted} fresh answers a side have a verdict"
        if min(was.answers, now.answers) * 2 < wanted
        else ""
    )
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
