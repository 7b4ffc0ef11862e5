"""Figures of a classification over many cases."""

from collections import Counter
from collections.abc import Sequence


def macro_f1(pairs: Sequence[tuple[str, str]]) -> float | None:
    """The mean of each label's F1, over the labels that are expected at least once.

    A prediction that is no label lowers the recall of the expected one and no precision.

    Args:
        pairs: Expected and predicted label of each answer.

    Returns:
        In [0, 1]; None without pairs.
    """
    expected, predicted = Counter(one for one, _ in pairs), Counter(other for _, other in pairs)
    right = Counter(one for one, other in pairs if one == other)
    scores = [2 * right[label] / (count + predicted[label]) for label, count in expected.items()]
    return sum(scores) / len(scores) if scores else None
