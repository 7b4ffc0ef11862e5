"""Figures of a classification over many cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy


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


def costliest_labels(known: Sequence[tuple[str, str]], missing: Sequence[str]) -> list[str]:
    """Wrong labels for answers that are missing, which leave the lowest macro-F1, or nearly so.

    A wrong label costs the expected one a right answer, and the named one precision: the rarer that is, the
    more. Each further one costs a label less, so the costliest next one is taken each time. Since an answer
    can't be wrong by its own label, another order may leave a thousandth less.

    Args:
        known: Expected and predicted labels of the other answers.
        missing: The expected label of each missing one.

    Returns:
        A label for each, or an empty text where no other label is expected.
    """
    expected = Counter(label for label, _ in known) + Counter(missing)
    predicted = Counter(label for _, label in known)
    right = Counter(label for label, found in known if label == found)

    def cost(label: str) -> float:
        before = expected[label] + predicted[label]
        return right[label] / before - right[label] / (before + 1)

    found = []
    for own in missing:
        worst = max((label for label in sorted(expected) if label != own), key=cost, default="")
        predicted[worst] += 1
        found.append(worst)
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
