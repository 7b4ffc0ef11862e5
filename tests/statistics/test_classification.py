"""The macro-F1 of classifications, by hand."""

import math
from dataclasses import replace
from itertools import product

import numpy as np
import pytest

from harness.statistics.classification import (
    LabelledCase,
    costliest_labels,
    counts_of_cases,
    guessed,
    label_counts,
    macro_f1_of,
)

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


def test_a_case_counts_once_whatever_its_answers():
    """One of three answers is right, the others name the label of a case that has one.

    Label a: expected 2, named 4/3 and rightly: F1 is (8/3) / (10/3). Label b: expected 1, named 5/3: 2 / (8/3).
    """
    doubtful = LabelledCase("d", 0, [("a", "a"), ("a", "b"), ("a", "b")], [("a", "a")])
    others = [LabelledCase(each, each, [(each, each)], [(each, each)]) for each in "ab"]
    counts = counts_of_cases([[doubtful, others[0]], [others[1]]], "candidate", ["a", "b"])
    assert counts[0] == pytest.approx(np.array([[2, 0], [4 / 3, 2 / 3], [4 / 3, 0]]))
    assert macro_f1_of(counts.sum(axis=0)) == pytest.approx((0.8 + 0.75) / 2)
    before = counts_of_cases([[doubtful, others[0]], [others[1]]], "baseline", ["a", "b"])
    assert macro_f1_of(before.sum(axis=0)) == 1.0


def test_a_case_with_ten_answers_is_exactly_as_large_as_one_with_one():
    """Ten tenths added up are 0.9999999999999999, and the rule for sizes that are alike did not hold."""
    tenths = LabelledCase("d", 0, [("a", "a")] * 10, [("a", "a")])
    counts = counts_of_cases([[tenths], [replace(tenths, candidate=[("b", "b")])]], "candidate", ["a", "b"])
    assert counts[:, 0].sum(axis=1).tolist() == [1.0, 1.0]


def test_each_of_two_checks_gives_a_label_of_the_case():
    """A colour and a size of each of two answers: the case counts once for each."""
    both = [("red", "red"), ("big", "small"), ("red", "red"), ("big", "big")]
    counts = counts_of_cases([[LabelledCase("d", 0, both, both, checks=2)]], "candidate", ["big", "red"])
    assert counts[0].tolist() == [[1, 1], [0.5, 1], [0.5, 1]]


def test_missing_answers_of_a_case_are_one_missing_case():
    """Whatever number of answers the other side has, and however often other cases are answered."""
    whole = [LabelledCase(each, each, [(each, each)] * 5, [(each, each)]) for each in "ab"]
    lacking = LabelledCase("l", "l", [], [("a", "a")] * 5)
    (lost,) = guessed(whole, [lacking], lost=True)
    assert (lost.candidate, lost.answers("candidate")) == ([("a", "b")], 1)
    (gained,) = guessed(whole, [lacking], lost=False)
    assert gained.candidate == [("a", "a")]
    assert gained.baseline == lacking.baseline


def test_the_costliest_wrong_label_is_a_rare_one():
    """Five of 90 a are missing. As b, of which there are 10, they cost b's precision: its F1 is 20 / 25."""
    known = [("a", "a")] * 85 + [("b", "b")] * 10
    assert costliest_labels(known, ["a"] * 5) == ["b"] * 5
    found = macro_f1(known + [("a", "b")] * 5, "ab")
    assert found == pytest.approx((2 * 85 / 175 + 20 / 25) / 2)
    # A text that is no label costs 0.1 less.
    assert macro_f1(known + [("a", "")] * 5, "ab") == pytest.approx((2 * 85 / 175 + 1) / 2)
    assert costliest_labels([("a", "a")], ["a"]) == [""]
    # Of c there are thirty answers to one case, of b two of one each: c is the rarer label.
    often = [*known[:85], ("b", "b"), ("b", "b"), *[("c", "c")] * 30]
    assert costliest_labels(often, ["a"]) == ["b"]
    assert costliest_labels(often, ["a"], [1.0] * 87 + [1 / 30] * 30) == ["c"]


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
