"""Metrics of a whole set that are no mean over its cases: the macro-F1 of classifications."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.comparison.pairing import Pair, Pairing, answers_of
from harness.registry.content_metrics import MACRO_F1
from harness.statistics.classification import label_counts, macro_f1_of
from harness.statistics.clusters import unseen_share
from harness.statistics.jackknife import error_of_left_out
from harness.types import CaseResult, Interval, MetricComparison, MetricSummary

if TYPE_CHECKING:
    import numpy

_BY_CHANCE = 1e-9  # smaller differences are rounding


_Labels = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Case:
    """Expected and predicted labels of one case's answers, on both sides."""

    key: str
    cluster: str | int
    candidate: _Labels
    baseline: _Labels

    @property
    def fell(self) -> int:
        """1 if fewer of its answers are right than before, -1 if more are, else 0."""
        before, now = _share_right(self.baseline), _share_right(self.candidate)
        return (before > now) - (before < now)


def set_metric_rows(pairing: Pairing, confidence: Mapping[str, float]) -> list[MetricComparison]:
    """A row for each golden set whose cases are classifications, without a verdict.

    Args:
        pairing: The paired cases.
        confidence: Two-sided, of the intervals of each set.
    """
    by_set: dict[str, list[_Case]] = {}
    for place, pair in enumerate(pairing.pairs):
        case = _case(place, pair)
        if case.candidate and case.baseline:
            by_set.setdefault(pair[0].case.set_name, []).append(case)
    return [_row(name, cases, confidence[name]) for name, cases in by_set.items()]


def _case(place: int, pair: Pair) -> _Case:
    cluster = pair[0].case.cluster
    return _Case(pair[0].key, place if cluster is None else cluster, _labels(pair[0]), _labels(pair[1]))


def _labels(result: CaseResult) -> _Labels:
    scores = (score for answer in answers_of(result) for score in answer.scores)
    return [score.labels for score in scores if score.labels is not None]


def _share_right(pairs: _Labels) -> float:
    return sum(expected == predicted for expected, predicted in pairs) / len(pairs)


def _row(name: str, cases: Sequence[_Case], confidence: float) -> MetricComparison:
    members: dict[str | int, list[_Case]] = {}
    for case in cases:
        members.setdefault(case.cluster, []).append(case)
    labels = sorted({expected for case in cases for expected, _ in (*case.candidate, *case.baseline)})
    groups = list(members.values())
    candidate = label_counts([[pair for case in each for pair in case.candidate] for each in groups], labels)
    baseline = label_counts([[pair for case in each for pair in case.baseline] for each in groups], labels)
    now, before = _left_out(candidate), _left_out(baseline)
    drop, high_unseen, p_value = _drop_of_set(
        _Left(before.whole - now.whole, [b - n for b, n in zip(before.without, now.without, strict=True)]),
        confidence,
        unseen=_unseen_loss(candidate, (1 - confidence) / 2),
    )
    means = [_reach(side, confidence, least=0.0) for side in (now, before)]
    summaries = [MetricSummary(metric=MACRO_F1, n=len(cases), mean=mean) for mean in means]
    return MetricComparison(
        set_name=name,
        metric=MACRO_F1,
        kind="graded",
        n=len(cases),
        candidate=summaries[0],
        baseline=summaries[1],
        drop=drop,
        high_unseen=high_unseen,
        p_value=p_value,
        lost=tuple([case.key for case in cases if case.fell > 0]),
        gained=tuple([case.key for case in cases if case.fell < 0]),
    )


@dataclass(frozen=True, slots=True)
class _Left:
    """A figure over all clusters, and without one of them each."""

    whole: float
    without: list[float]


def _left_out(counts: "numpy.ndarray") -> _Left:
    total = counts.sum(axis=0)
    without = [float(value) for value in macro_f1_of(total - counts)] if len(counts) > 1 else []
    return _Left(float(macro_f1_of(total)), without)


def _unseen_loss(counts: "numpy.ndarray", error: float) -> float:
    """The loss of macro-F1 that the clusters of one label can miss: a rare label may be lost unseen."""
    clusters = (counts[:, 0, :] > 0).sum(axis=0)
    return max(unseen_share(int(number), error) for number in clusters) / len(clusters)


def _drop_of_set(left: _Left, confidence: float, *, unseen: float) -> tuple[Interval, float, float]:
    """The drop's interval, its upper end with unseen losses, and the one-sided p-value of "not above 0"."""
    from scipy.stats import t

    drop, clusters, error = (
        _reach(left, confidence, least=-1.0),
        len(left.without),
        error_of_left_out(left.without),
    )
    if clusters < 2:
        return drop, 1.0, 1.0
    high_unseen = min(max(drop.high, left.whole + unseen), 1.0)
    if error > _BY_CHANCE:
        return drop, high_unseen, float(t.sf(left.whole / error, clusters - 1))
    # Every cluster lost as much: by chance, each would have lost or gained.
    return drop, high_unseen, 0.5**clusters if left.whole > _BY_CHANCE else 1.0


def _reach(left: _Left, confidence: float, *, least: float) -> Interval:
    """A figure with its interval by the jackknife, which leaves out one cluster at a time.

    Where nothing varies its error is 0, so the interval is never narrower than the share of cases that this
    many draws can miss.
    """
    from scipy.stats import t

    clusters, value = len(left.without), left.whole
    if clusters < 2:
        return Interval(estimate=value, low=least, high=1.0, confidence=confidence, method="one cluster")
    tail = (1 - confidence) / 2
    reach = max(
        float(t.ppf(1 - tail, clusters - 1)) * error_of_left_out(left.without), unseen_share(clusters, tail)
    )
    return Interval(
        estimate=value,
        low=max(value - reach, least),
        high=min(value + reach, 1.0),
        confidence=confidence,
        method="jackknife",
    )
