"""The macro-F1 of cases in clusters of very different sizes."""

import numpy as np
import pytest

from harness.statistics.classification import label_counts, macro_f1_drop
from harness.types import GateSettings
from tests.comparison.test_whole_sets_set_metrics import row_of, run_of
from tests.statistics.chance import at_most

LABELS = ["red", "green", "blue"]


def counts_of(expected, answered, clusters):
    """Label counts of each cluster, (clusters, 3, labels)."""
    groups = [[] for _ in range(max(clusters) + 1)]
    for cluster, label, answer in zip(clusters, expected, answered, strict=True):
        groups[cluster].append((LABELS[label], LABELS[answer]))
    return label_counts(groups, LABELS)


def test_a_drop_of_one_cluster_with_most_cases_is_not_shown():
    """Sixty cases of one cluster lose a third; forty single ones stay, or lose as much."""
    clusters = [0] * 60 + list(range(1, 41))
    expected = [place % 3 for place in range(100)]
    worse = [(label + 1) % 3 if place % 9 < 3 else label for place, label in enumerate(expected)]
    alone = [
        now if place < 60 else label for place, (now, label) in enumerate(zip(worse, expected, strict=True))
    ]
    before = counts_of(expected, expected, clusters)
    found = macro_f1_drop(counts_of(expected, alone, clusters), before, 0.9)
    interval, p_value = found.interval, found.p_value
    assert interval.estimate == pytest.approx(0.2, abs=0.02)
    assert p_value > 0.3
    assert interval.low <= 0
    found = macro_f1_drop(counts_of(expected, worse, clusters), before, 0.9)
    interval, p_value = found.interval, found.p_value
    assert p_value < 0.05
    assert interval.low > 0


@pytest.mark.simulation
@pytest.mark.parametrize(
    "sizes", [[1, 2, 4, 8, 16, 32], [2] * 20 + [20], [60] + [1] * 40, [60] + [4] * 10], ids=str
)
def test_a_macro_f1_in_clusters_of_uneven_sizes_is_seldom_a_drop_by_chance(sizes):
    """Each cluster is 0.15 better or worse than before, as often.

    Counted as alike, 8 % of such runs were a drop, and 9 % where one cluster with 60 % of the cases decided.
    """
    draws, runs, called = np.random.default_rng(1), 800, 0
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    for _ in range(runs):
        expected = draws.integers(0, 3, clusters.size)
        better = draws.choice([-0.15, 0.15], len(sizes))[clusters]
        sides = []
        for right in (0.85 + better, np.full(clusters.size, 0.85)):
            wrong = (expected + draws.integers(1, 3, clusters.size)) % 3
            sides.append(np.where(draws.random(clusters.size) < right, expected, wrong))
        counts = [counts_of(expected, side, clusters) for side in sides]
        called += macro_f1_drop(*counts, 0.9).p_value <= 0.05
    assert called / runs <= at_most(0.05, runs)


@pytest.mark.parametrize(("sizes", "chance"), [([20, 4, 4, 4, 4, 3], 1 / 32), ([19, 5, 4, 4, 4, 3], None)])
def test_so_few_beside_a_majority_that_they_can_not_regress_first_are_told(sizes, chance):
    """Three tests: 1/64 is within a third of 5 %, and 1/32, that of the five others, is not."""
    gate = GateSettings(metric_margins={"macro-f1": 0.05, "classification": 0.05}, max_regressed=1.0)
    clusters = [str(place) for place, size in enumerate(sizes) for _ in range(size)]
    expected = ["red", "green", "blue"] * 13
    before = run_of(expected, expected, clusters=clusters, gate=gate)
    row, _, _ = row_of(run_of(["none"] * 39, expected, clusters=clusters, gate=gate), before)
    assert row.p_value == pytest.approx(chance or 1 / 64)
    few = row.too_few
    told = few and (few.units, few.chance, few.counts, few.tests, few.enough, few.never)
    assert told == (chance and (6, chance, pytest.approx(3), 3, 7, False))
    assert chance is None or row.minimum_detectable_drop is None
