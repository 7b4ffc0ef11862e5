"""What a gated check of passes and fails with several answers a case detects."""

from dataclasses import replace

import numpy as np
import pytest

from harness.comparison.metric_drop import (
    compare_metric,
    smallest_detectable,
    smallest_detectable_of_clusters,
    units_of,
)
from harness.comparison.pairing import PairedMetric
from harness.statistics.detectable_repeated_drops import detectable_repeated_cluster_drop
from harness.statistics.paired_binary import Trials


def parted(passed_before, passed_now, parts):
    """A check of passes and fails, of so many answers a case."""
    count = len(passed_now)
    return PairedMetric(
        set_name="s",
        metric="json-equals",
        kind="binary",
        keys=tuple(f"s/{place:02}" for place in range(count)),
        candidate=tuple(each / parts for each in passed_now),
        baseline=tuple(each / parts for each in passed_before),
        clusters=tuple(range(count)),
        parts=((parts, parts),) * count,
    )


def test_a_check_with_several_answers_detects_a_fall_of_every_chance():
    """Of 20 cases with three answers four vary: the drop that the rule finds where all chances fall alike."""
    row = parted([3] * 16 + [2, 1, 2, 1], [3] * 16 + [1, 2, 1, 2], 3)
    drop, random = smallest_detectable(row, 0.05, 0.05), np.random.default_rng(1)
    chances = np.array([1.0] * 16 + [0.5] * 4)
    # 3 passed of 6 would vary by 9 / 30, more than any chance does: a half is nearest.
    fall = drop if drop <= 0.5 else (drop - 0.1) / 0.8

    def regresses():
        before, now = random.binomial(3, chances), random.binomial(3, np.maximum(chances - fall, 0))
        found = compare_metric(parted(before.tolist(), now.tolist(), 3), detectable=False)
        return found.p_value <= 0.05 and found.drop.high > 0.05

    assert np.mean([regresses() for _ in range(200)]) == pytest.approx(0.8, abs=0.1)


def test_what_never_passes_cannot_fall():
    """Ten cases that always pass beside ten that never do: half of each chance's fall is the drop."""
    seen = parted([3] * 9 + [2] + [0] * 10, [3] * 10 + [0] * 10, 3)
    drop = smallest_detectable(seen, 0.05, 0.05)
    random, chances = np.random.default_rng(2), np.array([1.0 - 2 * drop] * 10 + [0.0] * 10)
    judged = [
        compare_metric(parted([3] * 10 + [0] * 10, random.binomial(3, chances).tolist(), 3), detectable=False)
        for _ in range(200)
    ]
    found = np.mean([each.p_value <= 0.05 and each.drop.high > 0.05 for each in judged])
    assert found == pytest.approx(0.8, abs=0.1)


def test_many_cases_with_several_answers_detect_by_student():
    row = parted([3] * 180 + [2, 1] * 30, [3] * 180 + [1, 2] * 30, 3)
    trials = [Trials(3, 3, 3, 3)] * 180 + [Trials(2, 3, 1, 3)] * 60
    by_t = detectable_repeated_cluster_drop(trials, row.clusters, units_of(row), 0.05, margin=0.02)
    assert smallest_detectable(row, 0.05, 0.02) == by_t
    whole = replace(row, clusters=tuple(place // 4 for place in range(240)))
    alone, of_clusters = (
        smallest_detectable(whole, 0.05, 0.02),
        smallest_detectable_of_clusters(whole, 0.05, 0.02),
    )
    assert alone < of_clusters
    single = replace(row, parts=((1, 1),) * 240)
    assert smallest_detectable(single, 0.05, 0.02) != pytest.approx(by_t, abs=0.002)
