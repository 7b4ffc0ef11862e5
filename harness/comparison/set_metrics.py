"""Metrics of a whole set that are no mean over its cases: the macro-F1 of classifications."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from harness.comparison.pairing import Pair, Pairing
from harness.comparison.repeats import answers_of
from harness.statistics.classification import macro_f1
from harness.statistics.clusters import unseen_share
from harness.statistics.jackknife import jackknife_error
from harness.types import CaseResult, Interval, MetricComparison, MetricSummary

MACRO_F1 = "macro-f1"
_Labels = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Case:
    """Expected and predicted labels of one case's answers, on both sides."""

    cluster: str | int
    candidate: _Labels
    baseline: _Labels


def set_metric_rows(pairing: Pairing, confidence: float) -> list[MetricComparison]:
    """A row for each golden set whose cases are classifications. It informs: nothing is decided by it.

    Args:
        pairing: The paired cases.
        confidence: Two-sided, of the intervals.
    """
    by_set: dict[str, list[_Case]] = {}
    for place, pair in enumerate(pairing.pairs):
        case = _case(place, pair)
        if case.candidate and case.baseline:
            by_set.setdefault(pair[0].case.set_name, []).append(case)
    return [_row(name, cases, confidence) for name, cases in by_set.items()]


def _case(place: int, pair: Pair) -> _Case:
    cluster = pair[0].case.cluster
    return _Case(place if cluster is None else cluster, _labels(pair[0]), _labels(pair[1]))


def _labels(result: CaseResult) -> _Labels:
    scores = (score for answer in answers_of(result) for score in answer.scores)
    return [score.labels for score in scores if score.labels is not None]


def _row(name: str, cases: Sequence[_Case], confidence: float) -> MetricComparison:
    def candidate(places: Sequence[int]) -> float | None:
        return macro_f1([pair for place in places for pair in cases[place].candidate])

    def baseline(places: Sequence[int]) -> float | None:
        return macro_f1([pair for place in places for pair in cases[place].baseline])

    def drop(places: Sequence[int]) -> float | None:
        before, now = baseline(places), candidate(places)
        return None if before is None or now is None else before - now

    clusters = [case.cluster for case in cases]
    of_drop, p_value = _interval(drop, clusters, confidence, least=-1.0)
    summaries = [
        MetricSummary(metric=MACRO_F1, n=len(cases), mean=_interval(side, clusters, confidence, least=0.0)[0])
        for side in (candidate, baseline)
    ]
    return MetricComparison(
        set_name=name,
        metric=MACRO_F1,
        kind="graded",
        n=len(cases),
        candidate=summaries[0],
        baseline=summaries[1],
        drop=of_drop,
        p_value=p_value,
    )


def _interval(
    figure: Callable[[Sequence[int]], float | None],
    clusters: Sequence[str | int],
    confidence: float,
    *,
    least: float,
) -> tuple[Interval, float]:
    """A figure over all cases with its interval, and the one-sided p-value of "not above 0".

    The jackknife leaves out one cluster at a time. Where nothing varies its error is 0, so the interval is
    never narrower than the share of cases that this many draws can miss.
    """
    from scipy.stats import t

    value = figure(range(len(clusters)))
    assert value is not None  # there is a pair
    error, count = jackknife_error(clusters, figure)
    if count < 2:
        return Interval(estimate=value, low=least, high=1.0, confidence=confidence, method="one cluster"), 1.0
    tail = (1 - confidence) / 2
    reach = max(float(t.ppf(1 - tail, count - 1)) * error, unseen_share(count, tail))
    interval = Interval(
        estimate=value,
        low=max(value - reach, least),
        high=min(value + reach, 1.0),
        confidence=confidence,
        method="jackknife",
    )
    return interval, float(t.sf(value / error, count - 1)) if error else 1.0
