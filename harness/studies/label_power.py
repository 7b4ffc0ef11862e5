"""How often an equal model passes a gated macro-F1, and what it detects: rare labels count like others."""

from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median
from typing import TYPE_CHECKING

from harness.golden.schema import checks_of
from harness.metrics.labelled_answer import expected_label
from harness.registry.content_metrics import MACRO_F1
from harness.statistics.classification import SetDrop, macro_f1_drop
from harness.statistics.clustered_drop import detectable_set_drop, half_width
from harness.statistics.clusters import CONFIDENCE
from harness.statistics.detectable_drops import USUAL_ALIKE
from harness.studies.repeated_power import noisy_share, share_of
from harness.types import GoldenCase
from harness.types.golden import is_within

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_RUNS = 400
# Of the width of an interval fewer are enough.
_WIDTHS = 41


def macro_f1_pass(cases: Sequence[GoldenCase], margin: float, churn: float) -> float:
    """Probability that an equal model passes; a wrong answer names any other label, each as often.

    Args:
        cases: The cases with a check of labels.
        margin: Largest tolerated drop of the macro-F1.
        churn: Share of single answers that flip by chance, each way; in clusters half of them as a whole.
    """
    if not any(map(_label, cases)):
        return 0.0
    return share_of(is_within(drop.high_unseen, margin) for drop in _equal_drops(cases, churn, _RUNS))


def macro_f1_detectable(
    cases: Sequence[GoldenCase], margin: float, churn: float, level: float
) -> float | None:
    """The smallest drop of a macro-F1 that is found in 80 % of runs, by equal models' middle interval.

    Args:
        cases: The cases with a check of labels.
        margin: Largest tolerated drop of the macro-F1.
        churn: As above.
        level: One-sided level of a regression.

    Returns:
        The drop, or None if none is found.
    """
    drops = list(_equal_drops(cases, churn, _WIDTHS))
    if not drops:
        return None
    sizes = Counter(case.cluster or (place,) for place, case in enumerate(cases) if _label(case) is not None)
    others = [half_width(drop.of_others) for drop in drops if drop.of_others is not None]
    halves = median(half_width(drop.interval) for drop in drops), median(others) if others else None
    able = detectable_set_drop(halves, list(sizes.values()), CONFIDENCE, level, margin)
    return able if able < 1 else None


def _equal_drops(cases: Sequence[GoldenCase], churn: float, runs: int) -> Iterator[SetDrop]:
    """Drops between two equal models; none without labels."""
    import numpy as np

    labelled = [(case, label) for case in cases if (label := _label(case)) is not None]
    if not labelled:
        return
    known = {label: place for place, label in enumerate(sorted({label for _, label in labelled}))}
    answers = [
        (case, known[label], place)
        for place, (case, label) in enumerate(labelled)
        for _ in range(case.repeat)
    ]
    places: dict[object, int] = {}
    units = np.array([places.setdefault(case.cluster or (place,), len(places)) for case, _, place in answers])
    expected, of_case = (
        np.array([label for _, label, _ in answers]),
        np.array([place for *_, place in answers]),
    )
    parts = np.array([1 / case.repeat for case, *_ in answers])
    random, draw = np.random.default_rng(0), _repeated if len(answers) > len(labelled) else _single
    for _ in range(runs):
        wrong = draw(random, units, of_case, churn)
        other = (expected + random.integers(1, max(len(known), 2), expected.size)) % len(known)
        before, now = (
            _counts(units, expected, np.where(side, other, expected), parts, right=~side, labels=len(known))
            for side in wrong
        )
        yield macro_f1_drop(now, before, CONFIDENCE)


def _label(case: GoldenCase) -> str | None:
    return next(filter(None, (expected_label(case, check) for check in checks_of(case, MACRO_F1))), None)


def _single(
    random: "np.random.Generator", units: "NDArray[np.int_]", of_case: "NDArray[np.int_]", churn: float
) -> "tuple[NDArray[np.bool_], NDArray[np.bool_]]":
    """Which answers of the baseline are wrong, and which of the candidate: cases flip alone or by cluster."""
    import numpy as np

    together = random.random(int(units.max()) + 1)
    alike = random.random(together.size) < USUAL_ALIKE
    luck = np.where(alike[units], together[units], random.random(of_case.size))
    return luck < churn, luck > 1 - churn


def _repeated(
    random: "np.random.Generator", units: "NDArray[np.int_]", of_case: "NDArray[np.int_]", churn: float
) -> "tuple[NDArray[np.bool_], NDArray[np.bool_]]":
    """The same where cases have several answers, of which some pass every other time."""
    noisy = random.random(int(of_case.max()) + 1) < noisy_share(churn)
    return tuple(noisy[of_case] & (random.random(of_case.size) < 0.5) for _ in range(2))  # type: ignore[return-value]


def _counts(
    units: "NDArray[np.int_]",
    expected: "NDArray[np.int_]",
    predicted: "NDArray[np.int_]",
    parts: "NDArray[np.float64]",
    *,
    right: "NDArray[np.bool_]",
    labels: int,
) -> "NDArray[np.float64]":
    """Label counts by cluster, (clusters, 3, labels), as in :mod:`harness.statistics.classification`.

    An answer counts as its part of a case.
    """
    import numpy as np

    counts = np.zeros((int(units.max()) + 1, 3, labels))
    np.add.at(counts[:, 0], (units, expected), parts)
    # Ten tenths are less than one, and sizes would be uneven.
    counts[:, 0] = np.rint(counts[:, 0])
    # With a single label a wrong answer names none.
    named = right | (predicted != expected)
    np.add.at(counts[:, 1], (units[named], predicted[named]), parts[named])
    np.add.at(counts[:, 2], (units[right], expected[right]), parts[right])
    return counts
