"""Cases without a verdict, or changed: how many a set tolerates, and what missing ones could have been.

A model that breaks exactly where it would have lost must gain nothing by it. So a pass also has to hold if
every such case is counted as a loss, and a regression also if none is. A case without a value on both sides
favours neither.
"""

import math
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.comparison.metric_drop import end_of_pass, unit_of_scale
from harness.comparison.pairing import (
    ADDED,
    PASS_RATE,
    TAKEN_OUT,
    Pair,
    PairedMetric,
    Pairing,
    answers_of,
    is_decided,
    mean_score,
    pair_runs,
    stability_of,
)
from harness.golden.counted_outcomes import counted_as
from harness.golden.schema import decides
from harness.statistics.paired_binary import Trials
from harness.types import (
    CaseResult,
    ChangedCasesFinding,
    Finding,
    GateVerdict,
    GoldenCase,
    GoldenSet,
    MetricComparison,
    Outcome,
    Run,
    Score,
    Stability,
    set_of,
)
from harness.types.golden import is_within


@dataclass(frozen=True, slots=True, kw_only=True)
class Extremes:
    """A metric with the cases added that have a value on one side only.

    Attributes:
        missing: Number of those cases.
        worst: Every missing value is the worst for the candidate.
        best: Every missing value is the best for it.
        bounded: Whether there is a worst value: a scale without an end has none.
    """

    missing: int
    worst: PairedMetric
    best: PairedMetric
    bounded: bool


@dataclass(frozen=True, slots=True)
class _Ends:
    """A case's values on both sides, candidate first, at worst and at best for the candidate."""

    pair: Pair
    worst: tuple[float, float]
    best: tuple[float, float]
    trials: tuple[Trials, Trials] | None = None


def extremes_of(
    metric: PairedMetric, pairing: Pairing, stability: Mapping[str, Stability] | None = None
) -> Extremes | None:
    """The metric with what is missing on one side added; None if nothing is.

    Args:
        metric: The values of the cases that have one on both sides.
        pairing: The runs' cases.
        stability: The noise record of the baseline's model, by case key.
    """
    compared = set(metric.keys)
    others = [
        pair
        for pair in (*pairing.undecided, *pairing.pairs)
        if pair[0].case.set_name == metric.set_name and pair[0].key not in compared
    ]
    if metric.metric == PASS_RATE:
        ends = [_rates(pair) for pair in others if _has_verdict(pair[0]) != _has_verdict(pair[1])]
    else:
        ends = [found for pair in others if (found := _scores(pair, metric, pairing)) is not None]
    if not ends:
        return None
    # Of a case on which another metric broke both values are known.
    missing = sum(each.worst != each.best for each in ends)
    return Extremes(
        missing=missing,
        worst=_added(metric, ends, stability or {}, worst=True),
        best=_added(metric, ends, stability or {}, worst=False),
        bounded=metric.metric == PASS_RATE
        or not missing
        or math.isfinite(metric.least if metric.higher_is_better else metric.most),
    )


def _has_verdict(result: CaseResult) -> bool:
    return is_decided((result, result))


def _rates(pair: Pair) -> _Ends:
    """Passed shares of all answers: those without a verdict have all failed or all passed."""
    # The candidate's best is the worst of the other way round.
    worst, other = worst_trials(pair), worst_trials((pair[1], pair[0]))
    best = Trials(other.candidate_passed, other.candidate, other.baseline_passed, other.baseline)
    return _Ends(pair, _shares(worst), _shares(best), (worst, best))


def worst_trials(pair: Pair) -> Trials:
    """A pair's answers, where the candidate's without a verdict failed, and the baseline's passed."""
    (now, before), totals = (stability_of(each) for each in pair), [len(answers_of(each)) for each in pair]
    return Trials(before.passed + totals[1] - before.answers, totals[1], now.passed, totals[0])


def _shares(trials: Trials) -> tuple[float, float]:
    return trials.candidate_passed / trials.candidate, trials.baseline_passed / trials.baseline


def _scores(pair: Pair, metric: PairedMetric, pairing: Pairing) -> _Ends | None:
    """A score that one side has, and the ends of what the other could have had; None if neither has one."""
    facts = pairing.metrics[metric.metric]
    now, before = (mean_score(each, metric.metric, facts) for each in pair)
    if now is None and before is None:
        return None
    if now is not None and before is not None:
        # Another metric broke on this case, so it is not compared; but this value is known.
        return _Ends(pair, (now, before), (now, before))
    known = before if now is None else now
    assert known is not None
    # One unit beyond what is known where the scale has no end, as for losses that no case shows.
    unit = unit_of_scale(metric)
    least = metric.least if math.isfinite(metric.least) else known - unit
    most = metric.most if math.isfinite(metric.most) else known + unit
    bad, good = (least, most) if metric.higher_is_better else (most, least)
    if now is None:
        return _Ends(pair, (bad, known), (good, known))
    return _Ends(pair, (known, good), (known, bad))


def _added(
    metric: PairedMetric, ends: Sequence[_Ends], stability: Mapping[str, Stability], *, worst: bool
) -> PairedMetric:
    values = [each.worst if worst else each.best for each in ends]
    trials = tuple(each.trials[0 if worst else 1] for each in ends if each.trials is not None)
    unknown = Stability(passed=0, answers=0)
    cases = [each.pair[0].case for each in ends]
    return replace(
        metric,
        keys=(*metric.keys, *(each.pair[0].key for each in ends)),
        candidate=(*metric.candidate, *(now for now, _ in values)),
        baseline=(*metric.baseline, *(before for _, before in values)),
        clusters=(
            *metric.clusters,
            # Cases without a cluster count by themselves.
            *(
                place if case.cluster is None else case.cluster
                for place, case in enumerate(cases, start=_AFTER)
            ),
        ),
        trials=(*metric.trials, *trials),
        reruns=(*metric.reruns, *(stability.get(case.key, unknown) for case in cases))
        if metric.reruns
        else (),
    )


# Numbers of cases without a cluster that no compared case has.
_AFTER = 10**9


def with_missing(
    row: MetricComparison, extreme: Extremes, compared: Callable[..., MetricComparison]
) -> MetricComparison:
    """A row that allows for what is missing: a pass at its worst, a regression at its best.

    Args:
        row: The comparison of the cases with a value on both sides.
        extreme: What is missing.
        compared: Compares a metric's values as the row does.
    """
    worst, best = (compared(each, detectable=False) for each in (extreme.worst, extreme.best))
    return replace(
        row,
        missing=extreme.missing,
        missing_unlimited=not extreme.bounded,
        high_unseen=max(end_of_pass(row), end_of_pass(worst)),
        p_value=max(row.p_value, best.p_value),
        drop=replace(row.drop, low=min(row.drop.low, best.drop.low)),
        high_at_best=best.drop.high,
        high_of_compared=end_of_pass(row),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingVerdicts:
    """Cases of a set without a verdict, more than it tolerates.

    Attributes:
        outcome: Errored or unscored.
        cases: Number of those cases.
        n: Cases that were answered.
        tolerated: Largest tolerated share of them.
    """

    outcome: Outcome
    cases: int
    n: int
    tolerated: float


def asked_cases(run: Run, golden_set: GoldenSet) -> list[CaseResult]:
    """The results of a set's cases that were answered.

    Args:
        run: The run.
        golden_set: The set.
    """
    of_set = (result for result in run.results if result.case.set_name == golden_set.name)
    return [result for result in of_set if result.outcome is not Outcome.SKIPPED]


def why_refused(metric: str, refused: Mapping[str, str], results: Sequence[CaseResult]) -> str:
    """Why a set's metric can't be compared; of its pass rate the reason of what decides its cases, if any.

    Args:
        metric: The metric.
        refused: Metrics that can't be compared, each with the reason.
        results: The set's results.
    """
    if metric != PASS_RATE:
        return refused.get(metric, "")
    scores = (score for result in results for answer in answers_of(result) for score in answer.scores)
    deciding = dict.fromkeys(score.metric for score in scores if score.passed is not None)
    return "; ".join(f"{name}: {refused[name]}" for name in deciding if name in refused)


def beyond_limits(
    run: Run, golden_set: GoldenSet, absent: Collection[CaseResult] = ()
) -> list[MissingVerdicts]:
    """The outcomes without a verdict that more of a set's cases have than it tolerates.

    A case that only grades an answer is not missing if one of its scores is gated.

    Args:
        run: The run.
        golden_set: The set, with its limits.
        absent: Unscored results of cases that the run lacks, of all sets.
    """
    results, limits = asked_cases(run, golden_set), golden_set.gate
    results += [result for result in absent if result.case.set_name == golden_set.name]
    counts = Counter(counted_as(result, limits.metric_margins, run.metrics) for result in results)
    errored, unscored = counts[Outcome.ERRORED], counts[Outcome.UNSCORED]
    return [
        MissingVerdicts(outcome=outcome, cases=cases, n=len(results), tolerated=tolerated)
        for outcome, cases, tolerated in (
            (Outcome.ERRORED, errored, limits.max_errored),
            (Outcome.UNSCORED, unscored, limits.max_unscored),
        )
        if results and not is_within(cases / len(results), tolerated)
    ]


REPLACED = "replaced by another one"
# Why a case is not compared that is the same as before. Any other cause is a change.
_SAME_CASE = {"errored", "unscored", "skipped", "answered before its turn"}


def changed_findings(
    run: Run, baseline: Run, pairing: Pairing, further: Sequence[GoldenCase] = ()
) -> list[Finding]:
    """The sets of which more cases were changed since the baseline than are tolerated as unscored.

    Without them a pass would hold for a remainder that nobody chose. A case counts as changed if its prompt
    or checks are other ones, if a metric that decides it is, or if it was replaced by one of another name.
    New cases beside all earlier ones change nothing: those still say whether the model got worse. Before all
    are answered, all count: whether a look has those that were changed is chance.

    Args:
        run: The candidate's run, with its sets and their limits.
        baseline: The run that it is compared with.
        pairing: The cases of both runs.
        further: Cases that are yet to be answered.
    """
    # What may have been lost is counted at its worst already.
    counted = {pair[0].key for pair in pairing.undecided}
    causes = {key: cause for key, cause in pairing.unpaired.items() if key not in counted}
    sizes, left = dict[str, int](), list[GoldenCase]()
    # A baseline that answers beside the candidate has answered no more than that has.
    if run.looks and not baseline.lacks_cases:
        # Of a stored run that looks stopped nobody knows which of the others were changed.
        if further or pairing.sets_known:
            sizes = {each.set_name: each.cases for each in run.looks}
        early = {key for each in run.looks for key in each.out_of_turn}
        left = [*further, *(result.case for result in run.results if result.key in early)]
        causes |= _foreseen(left, run, baseline)
    found = []
    for each in run.golden_sets if causes else ():
        of_set = {result.key for result in asked_cases(run, each)}
        of_set |= {case.key for case in left if case.set_name == each.name}
        found.append(_changed_finding(each, of_set, causes, sizes.get(each.name, len(of_set))))
    return [finding for finding in found if finding is not None]


def _foreseen(cases: Sequence[GoldenCase], run: Run, baseline: Run) -> dict[str, str]:
    """Why cases that are yet to be answered won't be compared, as far as that is known before.

    Args:
        cases: The cases.
        run: The candidate's run.
        baseline: The run that it is compared with, of all cases.
    """
    if not cases:
        return {}
    # Of what texts they will be made is not known yet: of the same, as far as that is known.
    texts = {
        (result.key, score.metric): score.texts
        for result in baseline.results
        for answer in answers_of(result)
        for score in answer.scores
    }
    results = [
        CaseResult(
            case=case,
            completion=None,
            scores=tuple(
                Score(metric=check.type, value=0.0, passed=False, texts=texts.get((case.key, check.type)))
                for check in case.checks
                if decides(check)
            ),
            outcome=Outcome.FAILED,
        )
        for case in cases
    ]
    unpaired = pair_runs(replace(run, results=tuple(results), looks=()), baseline, known=()).unpaired
    return {case.key: unpaired[case.key] for case in cases if case.key in unpaired}


def _changed_finding(
    golden_set: GoldenSet, asked: Collection[str], causes: Mapping[str, str], size: int
) -> Finding | None:
    found = Counter(causes[key] for key in asked if key in causes)
    added = found.pop(ADDED, 0)
    gone = sum(cause == TAKEN_OUT and set_of(key) == golden_set.name for key, cause in causes.items())
    replaced = min(added, gone)
    reasons = {cause: count for cause, count in found.items() if cause not in _SAME_CASE}
    reasons |= {REPLACED: replaced} if replaced else {}
    changed = sum(reasons.values())
    n, tolerated = size - added + replaced, golden_set.gate.max_unscored
    if not changed or is_within(changed / n, tolerated):
        return None
    data = ChangedCasesFinding(cases=changed, n=n, tolerated=tolerated, causes=reasons)
    return Finding(verdict=GateVerdict.INCONCLUSIVE, set_name=golden_set.name, data=data)
