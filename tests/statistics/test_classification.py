"""The macro-F1 of classifications, by hand."""

import math
from itertools import product

import numpy as np
import pytest

from harness.statistics.classification import costliest_labels, label_counts, macro_f1_of

# Label a: 2 of 3 are found, by 3 predictions: 2 x 2 / 6. Label b: 1 of 2, by 1 prediction: 2 x 1 / 3. Label c: none of 1.
PAIRS = [("a", "a"), ("a", "a"), ("a", "b?"), ("b", "b"), ("b", "a"), ("c", "none")]


def test_a_worked_example():
    assert macro_f1(PAIRS, "abc") == pytest.approx((4 / 6 + 2 / 3 + 0) / 3)
    assert macro_f1([("a", "a")], "a") == 1.0
    # A label that is only predicted has no F1 of its own.
    assert macro_f1([("a", "b"), ("a", "a")], "a") == pytest.approx(2 / 3)


def macro_f1(pairs, labels):
    return macro_f1_of(label_counts([pairs], list(labels)))[0]


def test_counts_of_groups_add_up_to_the_same_figure():
    groups = [PAIRS[:2], PAIRS[2:5], PAIRS[5:], []]
    counts = label_counts(groups, ["a", "b", "c"])
    assert counts.tolist() == [
        [[2, 0, 0], [2, 0, 0], [2, 0, 0]],
        [[1, 2, 0], [1, 1, 0], [0, 1, 0]],
        [[0, 0, 1], [0, 0, 0], [0, 0, 0]],
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
    ]
    assert macro_f1_of(counts.sum(axis=0)) == pytest.approx((4 / 6 + 2 / 3 + 0) / 3)
    by_group = macro_f1_of(counts)
    assert by_group.shape == (4,)
    assert by_group[0] == 1.0
    assert by_group[1] == pytest.approx((0 + 2 / 3) / 2)
    assert by_group[2] == 0.0
    assert math.isnan(by_group[3])


def test_a_label_without_answers_counts_nowhere():
    """Neither as a label with an F1 of 0, nor as a warning."""
    with np.errstate(all="raise"):
        assert macro_f1_of(label_counts([[("a", "a")]], ["a", "z"]))[0] == 1.0


def test_the_costliest_wrong_label_is_a_rare_one():
    """Five of 90 a are missing. As b, of which there are 10, they cost b's precision: its F1 is 20 / 25."""
    known = [("a", "a")] * 85 + [("b", "b")] * 10
    assert costliest_labels(known, ["a"] * 5) == ["b"] * 5
    found = macro_f1(known + [("a", "b")] * 5, "ab")
    assert found == pytest.approx((2 * 85 / 175 + 20 / 25) / 2)
    # A text that is no label costs 0.1 less.
    assert macro_f1(known + [("a", "")] * 5, "ab") == pytest.approx((2 * 85 / 175 + 1) / 2)
    assert costliest_labels([("a", "a")], ["a"]) == [""]


@pytest.mark.parametrize("seed", range(12))
def test_no_other_labels_leave_a_macro_f1_that_is_lower_by_much(seed):
    draws = np.random.default_rng(seed)
    labels = "abc"
    known = [(str(draws.choice([*labels])), str(draws.choice([*labels, "?"]))) for _ in range(12)]
    known += [(label, label) for label in labels]
    missing = [str(draws.choice([*labels])) for _ in range(4)]

    def left(names):
        return macro_f1([*known, *zip(missing, names, strict=True)], labels)

    ways = [names for names in product("abc?", repeat=4) if all(map(str.__ne__, names, missing))]
    assert left(costliest_labels(known, missing)) == pytest.approx(min(map(left, ways)), abs=2e-3)
