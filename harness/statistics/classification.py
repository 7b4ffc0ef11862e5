"""Figures of a classification over many cases."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from harness.statistics.clustered_drop import drop_beyond_majority
from harness.statistics.clusters import unseen_share
from harness.statistics.jackknife import LeftOutRate, added_by_cluster, mean_of
from harness.types import Interval

if TYPE_CHECKING:
    import numpy


Side = Literal["candidate", "baseline"]
SIDES: tuple[Side, Side] = ("candidate", "baseline")
_ROUNDING = 1e-9
# Of so many clusters that changed all exchanges are computed.
_EXCHANGED = 10
# Expected and predicted ones.
Labels = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class LabelledCase:
    """Expected and predicted labels of one case's answers, on both sides.

    Attributes:
        checks: So many labels are of one answer.
    """

    key: str
    cluster: str | int
    candidate: Labels
    baseline: Labels
    checks: int = 1

    def labels(self, side: Side) -> Labels:
        """Those of a side."""
        return self.candidate if side == "candidate" else self.baseline

    def answers(self, side: Side) -> float:
        """Of how many answers those are."""
        return len(self.labels(side)) / self.checks

    def answering(self, side: Side, labels: Labels) -> LabelledCase:
        """The case with other labels of a side.

        Args:
            side: The side.
            labels: Its labels.
        """
        return replace(self, candidate=labels) if side == "candidate" else replace(self, baseline=labels)

    @property
    def expected(self) -> list[str]:
        """What one answer should have named: all answers to a case should name the same."""
        return [label for label, _ in (self.candidate or self.baseline)[: self.checks]]

    @property
    def fell(self) -> int:
        """1 if fewer of its answers are right than before, -1 if more are, else 0."""
        before, now = _share_right(self.baseline), _share_right(self.candidate)
        return (before > now) - (before < now)


def _share_right(pairs: Labels) -> float:
    return sum(expected == predicted for expected, predicted in pairs) / len(pairs)


def label_counts(groups: Sequence[Sequence[tuple[str, str]]], labels: Sequence[str]) -> numpy.ndarray:
    """How often each label is expected, predicted, and both, in each group of answers.

    Args:
        groups: Expected and predicted labels of the answers of each group.
        labels: All expected labels; other predictions are counted nowhere.

    Returns:
        (groups, 3, labels).
    """
    import numpy

    places = {label: place for place, label in enumerate(labels)}
    counts = numpy.zeros((len(groups), 3, len(labels)))
    for row, pairs in enumerate(groups):
        for expected, predicted in pairs:
            counts[row, 0, places[expected]] += 1
            if predicted in places:
                counts[row, 1, places[predicted]] += 1
            counts[row, 2, places[expected]] += expected == predicted
    return counts


def counts_of_cases(
    groups: Sequence[Sequence[LabelledCase]], side: Side, labels: Sequence[str]
) -> numpy.ndarray:
    """As :func:`label_counts`, of a side of groups of cases, each of which counts once, whatever its answers.

    Args:
        groups: The cases of each group.
        side: The side.
        labels: As there.

    Returns:
        (groups, 3, labels).
    """
    import numpy

    cases = [case for each in groups for case in each]
    counts = label_counts([case.labels(side) for case in cases], labels)
    # Divided once they are counted: ten tenths added up are less than one, and sizes would be uneven.
    counts /= numpy.array([case.answers(side) for case in cases])[:, None, None]
    ends = numpy.cumsum([len(each) for each in groups])
    return numpy.add.reduceat(counts, [0, *ends[:-1]], axis=0)


def costliest_labels(
    known: Sequence[tuple[str, str]], missing: Sequence[str], parts: Sequence[float] | None = None
) -> list[str]:
    """Wrong labels for answers that are missing, which leave the lowest macro-F1, or nearly so.

    A wrong label costs the expected one a right answer, and the named one precision: the rarer that is, the
    more. Each further one costs a label less, so the costliest next one is taken each time. Since an answer
    can't be wrong by its own label, another order may leave a thousandth less.

    Args:
        known: Expected and predicted labels of the other answers.
        missing: The expected label of each missing one.
        parts: What each of the others counts; by default as much as a missing one.

    Returns:
        A label for each, or an empty text where no other label is expected.
    """
    expected, predicted, right = (defaultdict[str, float](float) for _ in range(3))
    for label in missing:
        expected[label] += 1
    for (label, found), part in zip(known, parts or [1.0] * len(known), strict=True):
        expected[label] += part
        predicted[found] += part
        right[label] += part * (label == found)

    def cost(label: str) -> float:
        before = expected[label] + predicted[label]
        return right[label] / before - right[label] / (before + 1)

    costliest = []
    for own in missing:
        worst = max((label for label in sorted(expected) if label != own), key=cost, default="")
        predicted[worst] += 1
        costliest.append(worst)
    return costliest


def guessed(
    cases: Sequence[LabelledCase], lacking: Sequence[LabelledCase], *, lost: bool
) -> list[LabelledCase]:
    """Cases whose missing side, if any, answered all right or as badly as it could: lost by it, or gained.

    Args:
        cases: Cases with labels on both sides.
        lacking: The cases that lack them on one.
        lost: Whether they are lost or gained.
    """
    side, other = SIDES if lost else SIDES[::-1]
    known = [(pair, 1 / case.answers(side)) for case in (*cases, *lacking) for pair in case.labels(side)]
    absent = [label for case in lacking if not case.labels(side) for label in case.expected]
    wrong = iter(costliest_labels([pair for pair, _ in known], absent, [part for _, part in known]))
    found = []
    for case in lacking:
        if case.candidate and case.baseline:
            # Another metric broke on it, so that it is not compared; but these labels are known.
            found.append(case)
        elif case.labels(side):
            found.append(case.answering(other, [(label, label) for label in case.expected]))
        else:
            found.append(case.answering(side, [(label, next(wrong)) for label in case.expected]))
    return found


def macro_f1_of(counts: numpy.ndarray) -> numpy.ndarray:
    """The macro-F1 of sums of label counts, (..., 3, labels); NaN where no label is expected.

    Returns:
        (...).
    """
    import numpy

    expected, predicted, right = counts[..., 0, :], counts[..., 1, :], counts[..., 2, :]
    with numpy.errstate(invalid="ignore", divide="ignore"):
        scores = numpy.where(expected > 0, 2 * right / (expected + predicted), 0.0)
        return scores.sum(-1) / (expected > 0).sum(-1)  # type: ignore[no-any-return] # of numpy's stubs


@dataclass(frozen=True, slots=True)
class SetDrop:
    """The drop of a whole set's figure.

    Attributes:
        interval: Of the drop.
        high_unseen: The upper end with unseen losses.
        p_value: One-sided, of "not above 0".
        of_others: Where one cluster has most cases, the drop without it: it has to be above 0, too.
    """

    interval: Interval
    high_unseen: float
    p_value: float
    of_others: Interval | None = None


def left_out_rate(counts: numpy.ndarray) -> LeftOutRate:
    """The macro-F1 over all clusters, and without one of them each.

    Args:
        counts: Label counts of each cluster, (clusters, 3, labels).
    """
    total = counts.sum(axis=0)
    without = [float(value) for value in macro_f1_of(total - counts)] if len(counts) > 1 else []
    return LeftOutRate(float(macro_f1_of(total)), without)


def macro_f1_drop(candidate: numpy.ndarray, baseline: numpy.ndarray, confidence: float) -> SetDrop:
    """The drop of a macro-F1 between two sides of the same cases.

    Args:
        candidate: Label counts of each cluster, (clusters, 3, labels).
        baseline: The same of the other side.
        confidence: Two-sided.
    """
    chances = chance_of_swaps(candidate, baseline)
    return drop_between(left_out_rate(candidate), left_out_rate(baseline), candidate, confidence, chances)


def chance_of_swaps(candidate: numpy.ndarray, baseline: numpy.ndarray) -> tuple[float, float]:
    """How often a drop is as large, or a gain, if the sides of clusters that changed are exchanged by lot.

    Fisher, R. A. (1935). The Design of Experiments, section 21. Of many of them only what they can show at
    most: that all changed one way.

    Args:
        candidate: Label counts of each cluster, (clusters, 3, labels).
        baseline: The same of the other side.

    Returns:
        The one-sided mid-p of "no drop", and that of "no gain".
    """
    import numpy

    changes = candidate - baseline
    changes = changes[numpy.abs(changes).max(axis=(1, 2), initial=0.0) > _ROUNDING]
    if (count := len(changes)) > _EXCHANGED:
        return 0.5 ** (count + 1), 0.5 ** (count + 1)
    exchanged = numpy.arange(2**count)[:, None] >> numpy.arange(count) & 1  # (exchanges, clusters)
    moved = numpy.tensordot(exchanged.astype(float), changes, axes=1)  # (exchanges, 3, labels)
    drops = macro_f1_of(baseline.sum(axis=0) + moved) - macro_f1_of(candidate.sum(axis=0) - moved)
    larger, smaller = drops > drops[0] + _ROUNDING, drops < drops[0] - _ROUNDING
    chance = float(1 + larger.mean() - smaller.mean()) / 2
    return chance, 1 - chance


def drop_between(
    now: LeftOutRate,
    before: LeftOutRate,
    counts: numpy.ndarray,
    confidence: float,
    chances: tuple[float, float],
) -> SetDrop:
    """As :func:`macro_f1_drop`, given both figures.

    What each cluster adds to the drop is compared as a pass rate's clusters are, by one rule for the interval
    and p that takes their sizes into account. A label of which all cases are lost can fall no further, so
    that nothing varies without one of them: what so few can show by chance is a limit.

    Args:
        now: The candidate's figure.
        before: The baseline's.
        counts: The candidate's label counts.
        confidence: Two-sided.
        chances: As :func:`chance_of_swaps` has them.
    """
    left = LeftOutRate(
        before.whole - now.whole, [b - n for b, n in zip(before.without, now.without, strict=True)]
    )
    if len(left.without) < 2:
        return SetDrop(mean_of(left, confidence, least=-1.0), 1.0, 1.0)
    sizes = [float(size) for size in counts[:, 0, :].sum(axis=1)]
    unseen = _unseen_loss(counts, (1 - confidence) / 2)
    added = added_by_cluster(left.whole, left.without, sizes)
    found, others = drop_beyond_majority(added, confidence)
    interval, level = replace(found.interval, method="jackknife"), (1 - confidence) / 2
    if chances[0] > level:
        interval = replace(interval, low=min(interval.low, 0.0))
    if chances[1] > level:
        interval = replace(interval, high=max(interval.high, 0.0))
    return SetDrop(
        interval,
        min(max(found.high_unseen, interval.high, left.whole + unseen), 1.0),
        max(found.p_value, chances[0]),
        None if others is None else others.interval,
    )


def _unseen_loss(counts: numpy.ndarray, error: float) -> float:
    """The loss of macro-F1 that the clusters of one label can miss: a rare label may be lost unseen."""
    clusters = (counts[:, 0, :] > 0).sum(axis=0)
    return max(loss_without(counts), *(unseen_share(int(n), error) / len(clusters) for n in clusters if n))


def loss_without(counts: numpy.ndarray) -> float:
    """What the labels that no case has cost the macro-F1 of all of them, if they are never named rightly.

    Args:
        counts: Label counts of each cluster, (clusters, 3, labels).
    """
    return float((counts[:, 0, :].sum(axis=0) == 0).mean())
