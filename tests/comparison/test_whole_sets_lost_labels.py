"""A macro-F1 of which few cases changed, all of a rare label: no surer than what so few can show."""

import numpy as np
import pytest

from harness.statistics.classification import label_counts, macro_f1_drop
from tests.statistics.chance import at_most

LABELS = ["red", "green", "blue", "rare"]


def counts_of(expected, answered):
    """Label counts of each case, (cases, 3, labels)."""
    return label_counts([[pair] for pair in zip(expected, answered, strict=True)], LABELS)


def expected_of(rare):
    return ["red", "green", "blue"] * 33 + ["rare"] * rare


@pytest.mark.parametrize(("lost", "p_value"), [(2, 1 / 8), (4, 1 / 32), (8, 1 / 512), (12, 1 / 8192)])
def test_a_lost_label_is_no_surer_than_its_cases(lost, p_value):
    """Without one of them it is as lost, so that the jackknife sees no spread: p was 1e-31 of any number."""
    expected = expected_of(lost)
    right = counts_of(expected, expected)
    wrong = counts_of(expected, [label.replace("rare", "red") for label in expected])
    found, gained = macro_f1_drop(wrong, right, 0.9), macro_f1_drop(right, wrong, 0.9)
    assert found.p_value == pytest.approx(p_value)
    assert found.interval.estimate > 0.2
    assert (found.interval.low == 0) is (p_value > 0.05)
    assert (gained.interval.high == 0) is (p_value > 0.05)


def test_few_changes_are_exchanged_in_all_ways():
    """Of five lost and one gained case of one label a drop as large has 1 + 6 of 64 exchanges: by mid-p 4 / 64."""
    expected = expected_of(6)
    before = counts_of(expected, [*expected[:-1], "red"])
    now = counts_of(expected, [*expected[:-6], *["red"] * 5, "rare"])
    assert macro_f1_drop(now, before, 0.9).p_value == pytest.approx(4 / 64)


@pytest.mark.simulation
@pytest.mark.parametrize("rare", [2, 4, 8])
def test_equal_models_with_a_label_that_flips_regress_as_often_as_the_level_says(rare):
    """A drop was called in 7 % of them at any level."""
    random, expected, runs = np.random.default_rng(rare), expected_of(rare), 800
    share = np.where([label == "rare" for label in expected], 0.5, 0.02)

    def side():
        flips = random.random(len(expected)) < share
        found = [
            LABELS[random.integers(4)] if flip else label for label, flip in zip(expected, flips, strict=True)
        ]
        return counts_of(expected, found)

    p_values = np.array([macro_f1_drop(side(), side(), 0.9).p_value for _ in range(runs)])
    for level in (0.05, 0.01):
        assert (p_values <= level).mean() <= at_most(level, runs)
