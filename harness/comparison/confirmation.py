"""Confirming on fail: what regressed has to show again, on fresh answers to the cases that flipped.

The first look is at one answer a case (or a few), so chance may have made its flips. The second asks the
flipped cases again, on both sides, and looks at those fresh answers alone. Choosing cases by their first
answers doesn't bias it: where nothing changed, the fresh answers of both sides are interchangeable, whichever
cases were chosen. A finding has to stand both looks, so the second spends no further alpha: false alarms get
rarer and never more frequent, for what is lost to real drops that show again in fewer than all looks.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from harness.comparison.pairing import PASS_RATE
from harness.errors import TunegateError
from harness.statistics.multiple_testing import holm
from harness.statistics.per_case import Trials, stratified_p
from harness.types import Confirmation, GateVerdict, MetricComparison, RegressedCase, Stability

# Level of the second look. The first holds the run's own level already; a stricter second one would lose
# more real drops than it saves false alarms.
LEVEL = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class ResampledAnswers:
    """What asking again gave.

    Attributes:
        trials: The fresh answers with a verdict, by case key.
        times: Answers that were asked for, a case and side.
        judge_requests: How often a judge was asked for it.
        duration_s: How long it took, in seconds.
    """

    trials: Mapping[str, Trials]
    times: int
    judge_requests: int
    duration_s: float


Finding: TypeAlias = Literal["flipped", "broken"]
# Asks cases again by their keys.
Resample: TypeAlias = Callable[[Collection[str]], ResampledAnswers]


def confirm(
    rows: Sequence[MetricComparison],
    broken: Sequence[RegressedCase],
    limits: Mapping[str, float],
    ask_again: Resample,
) -> tuple[list[MetricComparison], list[RegressedCase], list[Confirmation]]:
    """Ask the flipped cases of each regressed pass rate again, and the broken cases of sets with too many.

    Args:
        rows: The judged metrics.
        broken: Cases that were shown to be broken.
        limits: Largest tolerated share of broken cases by golden set.
        ask_again: Gets fresh answers.

    Returns:
        The rows and broken cases, without the regressions that fresh answers don't show; and what those
        showed. A regression that could not be looked at again stands.
    """
    sizes = {row.set_name: row.n for row in rows if row.metric == PASS_RATE}
    flipped = {
        row.set_name: (*row.lost, *row.gained)
        for row in rows
        if row.metric == PASS_RATE and row.verdict is GateVerdict.REGRESS
    }
    by_set: dict[str, list[str]] = {}
    for case in broken:
        by_set.setdefault(case.key.partition("/")[0], []).append(case.key)
    too_many = {
        name: tuple(keys) for name, keys in by_set.items() if len(keys) > limits.get(name, 0.0) * sizes[name]
    }
    findings: list[tuple[Finding, str, tuple[str, ...]]] = [
        ("flipped", name, keys) for name, keys in flipped.items()
    ]
    findings += [("broken", name, keys) for name, keys in too_many.items()]
    if not findings:
        return list(rows), list(broken), []
    try:
        fresh = ask_again({key for _, _, keys in findings for key in keys})
    except TunegateError as error:
        return (
            list(rows),
            list(broken),
            [
                Confirmation(set_name=name, finding=finding, cases=keys, stands=True, problem=str(error))
                for finding, name, keys in findings
            ],
        )
    tested = [[fresh.trials[key] for key in keys if key in fresh.trials] for _, _, keys in findings]
    adjusted = holm([stratified_p(trials) for trials in tested])
    found = [
        _confirmation(finding, name, keys, trials, p_value, fresh)
        for (finding, name, keys), trials, p_value in zip(findings, tested, adjusted, strict=True)
    ]
    refuted = {(each.finding, each.set_name) for each in found if not each.stands}
    kept_rows = [
        replace(row, verdict=GateVerdict.INCONCLUSIVE)
        if row.set_name in flipped and row.metric == PASS_RATE and ("flipped", row.set_name) in refuted
        else row
        for row in rows
    ]
    kept_broken = [case for case in broken if ("broken", case.key.partition("/")[0]) not in refuted]
    return kept_rows, kept_broken, found


def _confirmation(
    finding: Finding,
    set_name: str,
    keys: tuple[str, ...],
    trials: Sequence[Trials],
    p_value: float,
    fresh: ResampledAnswers,
) -> Confirmation:
    was = Stability(
        passed=sum(each.baseline_passed for each in trials), answers=sum(each.baseline for each in trials)
    )
    now = Stability(
        passed=sum(each.candidate_passed for each in trials), answers=sum(each.candidate for each in trials)
    )
    wanted = fresh.times * len(keys)
    # A judge that went down must not clear a model.
    problem = (
        f"only {was.answers} and {now.answers} of {wanted} fresh answers a side have a verdict"
        if min(was.answers, now.answers) * 2 < wanted
        else ""
    )
    return Confirmation(
        set_name=set_name,
        finding=finding,
        cases=keys,
        was=was,
        now=now,
        p_value=p_value,
        stands=bool(problem) or p_value <= LEVEL,
        problem=problem,
        times=fresh.times,
        judge_requests=fresh.judge_requests,
        duration_s=fresh.duration_s,
    )
