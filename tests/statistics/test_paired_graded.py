"""The permutation test and the bootstrap interval, against enumeration and by simulation."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.paired_graded import detectable_drop, paired_interval, sign_flip_p


@given(st.lists(st.floats(-1, 1).map(lambda x: round(x, 3)), min_size=1, max_size=8))
def test_the_exact_test_equals_enumeration(drops):
    expected = np.mean(
        [
            sum(s * d for s, d in zip(signs, drops, strict=True)) >= sum(drops) - 1e-9
            for signs in product((-1, 1), repeat=len(drops))
        ]
    )
    assert sign_flip_p(drops, range(len(drops))) == pytest.approx(expected)


def test_no_difference_is_no_evidence():
    assert sign_flip_p([0.0] * 30, range(30)) == 1.0


def test_clusters_flip_whole():
    """Twelve equal drops in two clusters are two coins: p = 1/4, not 1/4096."""
    assert sign_flip_p([0.5] * 12, [0] * 6 + [1] * 6) == pytest.approx(0.25)


def test_the_interval_is_the_same_every_time():
    drops = np.random.default_rng(1).normal(0.1, 0.3, 60).tolist()
    assert paired_interval(drops, range(60), 0.9, 1.0) == paired_interval(drops, range(60), 0.9, 1.0)


@pytest.mark.parametrize("n", [12, 40])
def test_the_interval_covers_the_truth(n):
    """Skewed drops, 300 draws: the 90 % interval holds the mean in 85 to 96 % of them."""
    random = np.random.default_rng(n)
    covered = 0
    for _ in range(300):
        drops = (random.beta(1, 4, n) - 0.2).tolist()
        interval = paired_interval(drops, range(n), 0.9, 1.0)
        covered += interval.low <= 0 <= interval.high
    assert 0.85 <= covered / 300 <= 0.96


@pytest.mark.parametrize("n", [20, 60])
def test_no_change_is_rarely_called_a_drop(n):
    random = np.random.default_rng(n)
    rejected = np.mean([sign_flip_p(random.normal(0, 0.2, n).tolist(), range(n)) <= 0.05 for _ in range(800)])
    assert rejected <= 0.05 + 3 * (0.05 * 0.95 / 800) ** 0.5


def test_the_detectable_drop_is_detected():
    random = np.random.default_rng(3)
    drop = detectable_drop(random.normal(0, 0.2, 4000)[:60].tolist(), 0.05)
    found = np.mean(
        [sign_flip_p(random.normal(drop, 0.2, 60).tolist(), range(60)) <= 0.05 for _ in range(600)]
    )
    assert found >= 0.72


def test_few_pairs_detect_nothing():
    assert detectable_drop([0.1, 0.2], 0.05) is None
    assert detectable_drop([0.0] * 50, 0.05) is None
