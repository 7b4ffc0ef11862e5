"""A biased judge, a few labels, an honest mean."""

import math
import random

import numpy as np
import pytest
from scipy.optimize import brentq

from harness.statistics.prediction_powered import (
    PartlyLabelledItems,
    prediction_powered_difference,
    prediction_powered_mean,
)
from tests.statistics.chance import at_most


def cubic(reach, skewness):
    """Hall's transformation, which an interval's end solves: of a skewed t, it has no skewness."""
    return reach + skewness / 3 * reach**2 + skewness**2 / 27 * reach**3 + skewness / 6


def ends(estimate, error, skewness, t):
    """Of an interval that is longer on one side by all of the skewness, and shorter on the other by half."""
    below, above = (
        side * brentq(lambda reach: cubic(reach, skewness) - side * t, -9e3, 9e3, xtol=1e-13)  # noqa: B023
        for side in (1, -1)
    )
    low, high = (each if each > t else (each + t) / 2 for each in (below, above))
    return estimate - low * error, estimate + high * error


def draw_items(draw, n, more, rate, flatter):
    """Truth of both parts, and a judge that passes some of what fails."""
    labels = [float(draw.random() < rate) for _ in range(n)]
    others = [float(draw.random() < rate) for _ in range(more)]

    def judged(values):
        return [1.0 if value or draw.random() < flatter else 0.0 for value in values]

    return partly(labels, judged(labels), judged(others))


def partly(labels, judged, judged_only=(), clusters=()):
    return PartlyLabelledItems(
        labels=tuple(labels), judged=tuple(judged), judged_only=tuple(judged_only), clusters=tuple(clusters)
    )


@pytest.mark.simulation
@pytest.mark.parametrize(("n", "more", "flatter"), [(60, 500, 0.3), (30, 300, 0.1), (60, 60, 0.9)])
def test_intervals_cover_however_the_judge_flatters(n, more, flatter):
    """The judge alone would be wrong by up to a third; 400 intervals hold the truth in about 90 %.

    In more where the judge errs so rarely that some draws of the labels catch no error.
    """
    draw = random.Random(17)
    held = 0
    for _ in range(400):
        found = prediction_powered_mean(draw_items(draw, n, more, 0.6, flatter), least=0, most=1)
        held += found.low <= 0.6 <= found.high
    assert 0.85 <= held / 400 <= (0.98 if flatter == 0.1 else 0.96)


def test_a_good_judge_narrows_the_interval():
    draw = random.Random(2)
    items = draw_items(draw, 60, 2000, 0.6, 0.05)
    with_judge = prediction_powered_mean(items)
    alone = prediction_powered_mean(partly(items.labels, items.judged))
    assert (with_judge.high - with_judge.low) < 0.6 * (alone.high - alone.low)


def test_a_judge_of_no_worth_is_left_out():
    draw = random.Random(4)
    labels = [float(draw.random() < 0.5) for _ in range(80)]
    noise = [draw.random() for _ in range(480)]
    found = prediction_powered_mean(partly(labels, noise[:80], noise[80:]))
    alone = prediction_powered_mean(partly(labels, noise[:80]))
    assert found.high - found.low == pytest.approx(alone.high - alone.low, rel=0.05)


def test_without_further_items_it_is_the_mean_of_the_labels():
    found = prediction_powered_mean(partly([1, 0, 1, 1], [0, 0, 1, 1]))
    assert found.estimate == pytest.approx(0.75)


def test_the_estimate_is_the_judge_s_mean_and_its_mean_error():
    """By hand: labels' mean 0.75, the judge's 0.5 on the same and 0.25 on the rest.

    Covariance 1/6 on the labelled, variance of all eight values (8 x 3/8 x 5/8) / 7 = 15/56: the weight is
    (1/6) / ((1 + 4/4) x 15/56) = 14/45, and the mean 0.75 + 14/45 x (0.25 - 0.5).
    """
    found = prediction_powered_mean(partly([1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]))
    assert found.estimate == pytest.approx(0.75 - 14 / 45 * 0.25)
    assert "weight 0.31" in found.method


def test_the_interval_of_the_worked_example():
    """Of the same items: what the mean would be without each label, and 14/45 of the judge's values on the rest.

    Without the first or second, labels 1 1 0 and the judge's 1 0 0 have the covariance 1/6 and all seven values the
    variance 5/21: the weight is (1/6) / (7/4 x 5/21) = 2/5, the mean 2/3 + 2/5 (1/4 - 1/3) = 19/30. Without the third it
    is (1/3) / (7/4 x 2/7) = 2/3, and 2/3 + 2/3 (1/4 - 2/3) = 7/18; without the fourth the labels are all 1: 0, and 1.
    The others deviate by (3, -1, -1, -1) / 4. Student's quantile of three degrees is 2.353363.
    """
    found = prediction_powered_mean(partly([1, 1, 1, 0], [1, 1, 0, 0], [1, 0, 0, 0]))
    weight, without = 14 / 45, [19 / 30, 19 / 30, 7 / 18, 1]
    shares = [(sum(without) / 4 - each) * math.sqrt(3 / 4) for each in without]
    shares += [weight * each / 16 * math.sqrt(4 / 3) for each in (3, -1, -1, -1)]
    error = math.sqrt(sum(each**2 for each in shares))
    skewness = sum(each**3 for each in shares) / error**3
    expected = ends(0.75 - weight / 4, error, skewness, 2.3533634348)
    assert (found.low, found.high) == pytest.approx(expected)
    assert found.method == "prediction-powered, 4 labelled, 4 judged only, weight 0.31"
    assert found.confidence == 0.9


def rare_fives(random, n):
    """Grades that are all as frequent; the judge says 5 in a tenth, and one more in another."""
    grades, luck = random.integers(1, 6, n).astype(float), random.random(n)
    return grades, np.where(luck < 0.1, 5.0, np.where(luck < 0.2, np.minimum(grades + 1, 5.0), grades))


def one_off(random, n):
    """Good grades, 4.5 on average; the judge's are one higher or lower in 30 %, where the scale goes on."""
    grades = random.choice([3.0, 4.0, 5.0], n, p=[0.1, 0.3, 0.6])
    return grades, np.clip(grades + random.choice([-1.0, 0.0, 1.0], n, p=[0.15, 0.7, 0.15]), 1, 5)


@pytest.mark.simulation
@pytest.mark.parametrize(("draw", "truth"), [(rare_fives, 3.0), (one_off, 4.5)])
def test_grades_count_that_the_weight_is_learned_from_the_same_labels(draw, truth):
    """Of twenty labels. Neither side of 90 % misses more than 6 %; with a weight taken for known it is 8 to 9 %."""
    random, runs, missed = np.random.default_rng(21), 2000, np.zeros(2)
    for _ in range(runs):
        grades, judged = draw(random, 220)
        found = prediction_powered_mean(partly(grades[:20], judged[:20], judged[20:]), least=1, most=5)
        missed += [found.low > truth, found.high < truth]
    assert missed.max() / runs <= at_most(0.06, runs)


def test_a_judge_that_was_never_caught_may_still_err():
    """Twenty labels without a difference exclude a share of errors above 1 - 0.05^(1/20) = 0.139, no less."""
    found = prediction_powered_mean(partly([1] * 20, [1] * 20, [1] * 400), least=0, most=1)
    assert (found.estimate, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(1 - 0.139, abs=0.001)


def test_what_few_labels_miss_is_a_share_of_the_scales_length():
    """Twenty labels of 3 as the judge's, from 1 to 5: a share of 1 - 0.05^(1/20) may be four away."""
    found = prediction_powered_mean(partly([3] * 20, [3] * 20), least=1, most=5)
    unseen = 4 * (1 - 0.05 ** (1 / 20))
    assert (found.low, found.estimate, found.high) == pytest.approx((3 - unseen, 3.0, 3 + unseen))


def test_bounds_stay_on_the_scale():
    found = prediction_powered_mean(partly([5, 5, 4, 5], [5, 4, 4, 5], [5, 5, 5]), least=1, most=5)
    assert found.high == 5


@pytest.mark.simulation
@pytest.mark.parametrize("size", [4, 10])
def test_intervals_cover_where_clusters_agree_and_are_labelled_in_part(size):
    """Cases of a cluster share their truth nine times in ten; labels are drawn from cases, not clusters."""
    draw = random.Random(23)
    held = 0
    for _ in range(300):
        items = clustered(draw, 300 // size, size)
        held += _holds(prediction_powered_mean(split(draw, items, 60)), 0.6)
    assert 0.84 <= held / 300 <= 0.96


def clustered(draw, clusters, size):
    """Truth, the judge's value (it passes one in four of what fails) and cluster of each case."""
    items = []
    for cluster in range(clusters):
        shared = draw.random() < 0.6
        for _ in range(size):
            truth = shared if draw.random() < 0.9 else draw.random() < 0.6
            items.append((float(truth), float(truth or draw.random() < 0.25), cluster))
    return items


def split(draw, items, labelled):
    order = draw.sample(items, len(items))
    return partly(
        [truth for truth, _, _ in order[:labelled]],
        [judged for _, judged, _ in order[:labelled]],
        [judged for _, judged, _ in order[labelled:]],
        [cluster for _, _, cluster in order],
    )


def _holds(interval, truth):
    return interval.low <= truth <= interval.high


@pytest.mark.simulation
def test_differences_cover_whichever_answers_are_labelled():
    """The second model fails one in five of what the first one passes; each side has labels of its own."""
    draw = random.Random(29)
    held = 0
    for _ in range(300):
        first = clustered(draw, 75, 4)
        second = []
        for truth, judged, cluster in first:
            lost = truth and draw.random() < 0.2
            second.append((0.0, float(draw.random() < 0.25), cluster) if lost else (truth, judged, cluster))
        held += _holds(
            prediction_powered_difference(split(draw, first, 60), split(draw, second, 60), span=1), 0.12
        )
    assert 0.85 <= held / 300 <= 0.97


def test_fully_labelled_sides_differ_as_their_pairs_do():
    """By hand: differences 1, 0, 0, 0 have the mean 0.25 and the error 0.5 / sqrt(4); t of 3 is 2.353.

    The cubes of 3, -1, -1, -1 over 16, times (4/3)^(3/2), add up to (27 - 3) / 16^3 x (4/3)^(3/2).
    """
    first = partly([1, 1, 0, 1], [1, 1, 1, 1], clusters="abcd")
    second = partly([0, 1, 0, 1], [1, 1, 1, 1], clusters="abcd")
    found = prediction_powered_difference(first, second, span=1)
    assert found.estimate == pytest.approx(0.25)
    error = math.sqrt(1 / 16)
    skewness = 24 / 16**3 * (4 / 3) ** 1.5 / error**3
    low, high = ends(0.25, error, skewness, 2.3533634348)
    assert (found.low, found.high) == pytest.approx((low, min(high, 1.0)))


LABELLED_ALONE = "prediction-powered, {} labelled, 0 judged only, weight 0.00"


def test_what_both_sides_leave_unseen_is_added_as_squares():
    """Four labels and two, all alike: 1 - 0.05^(1/4) and 1 - 0.05^(1/2) of a span of 9."""
    first = partly([1, 1, 1, 1], [1, 1, 1, 1], clusters="abcd")
    second = partly([1, 1], [1, 1], clusters="ab")
    found = prediction_powered_difference(first, second, span=9)
    unseen = math.hypot(*(9 * (1 - 0.05 ** (1 / n)) for n in (4, 2)))
    assert (found.low, found.estimate, found.high) == pytest.approx((-unseen, 0.0, unseen))
    assert found.method == f"{LABELLED_ALONE.format(4)}; less {LABELLED_ALONE.format(2)}"
    more = partly([1] * 8, [1] * 8, clusters="abcdefgh")
    surer = prediction_powered_difference(first, more, 0.98, span=9)
    assert surer.high == pytest.approx(math.hypot(*(9 * (1 - 0.01 ** (1 / n)) for n in (4, 8))))
    assert surer.confidence == 0.98
    assert prediction_powered_difference(second, second, 0.98, span=9).high == 9  # all there is


def test_clusters_of_one_side_alone_count_too():
    """By hand: 1 0 1 1 in a b c d and 1 0 0 in e f g; nothing is paired, so both variances add up.

    The means' squared errors are 3/4 / (3 x 4) = 1/16 and 2/3 / (2 x 3) = 1/9; t of two degrees is 2.919986.
    """
    first = partly([1, 0, 1, 1], [1, 0, 1, 1], clusters="abcd")
    second = partly([1, 0, 0], [1, 0, 0], clusters="efg")
    found = prediction_powered_difference(first, second)
    error = math.sqrt(1 / 16 + 1 / 9)
    # 1 -3 1 1 over 16, and less 2 -1 -1 over 9: their cubes add up to -24 and -6.
    skewness = (-24 / 16**3 * (4 / 3) ** 1.5 - 6 / 9**3 * (3 / 2) ** 1.5) / error**3
    assert found.estimate == pytest.approx(3 / 4 - 1 / 3)
    assert (found.low, found.high) == pytest.approx(ends(5 / 12, error, skewness, 2.9199855804))


def test_cases_of_one_cluster_add_up_before_they_are_squared():
    """By hand: 1 1, 0 0, 1 0 in three clusters deviate by 1, -1 and 0 in all, over 6, times sqrt(3/2)."""
    found = prediction_powered_mean(partly([1, 1, 0, 0, 1, 0], [1] * 6, clusters="aabbcc"))
    half = 2.9199855804 * math.sqrt(2 / 36 * 3 / 2)
    assert (found.low, found.high) == pytest.approx((0.5 - half, 0.5 + half))
    assert found.method == "prediction-powered, 6 labelled, 0 judged only, weight 0.00, 3 clusters"


@pytest.mark.parametrize(
    ("judged", "others", "clusters", "weight"),
    [
        ((1.0, 0.0, 0.0, 0.0), (0.0, 0.5), (), 0.0),  # it falls where labels rise
        ((1.0, 2.0, 1.1, 2.1), (1.0, 2.0, 1.0, 2.0), (), 1.0),  # it rises less than they do: no more than 1
        ((3.0, 3.0, 3.0, 3.0), (3.0, 3.0), (), 0.0),  # it always says the same
        ((1.0, 2.0, 1.0, 2.0), (1.0, 2.0), "abcdee", 0.0),  # its other values are of one cluster
    ],
)
def test_the_judges_weight_is_from_none_to_whole(judged, others, clusters, weight):
    found = prediction_powered_mean(partly((0.0, 9.0, 0.5, 9.5), judged, others, clusters))
    assert f"weight {weight:.2f}" in found.method


def test_two_labels_in_two_clusters_are_enough():
    found = prediction_powered_mean(partly([1.0, 0.0], [1.0, 0.0]))
    assert found.estimate == 0.5


TOO_FEW = "at least two labelled items are needed, in different clusters"
MISSING = "each labelled item needs the judge's value, and each item its cluster"


@pytest.mark.parametrize(
    ("items", "message"),
    [
        (partly([1.0], [1.0], [1.0, 0.0]), TOO_FEW),
        (partly([1.0, 0.0], [1.0, 0.0], [1.0], clusters=("a", "a", "b")), TOO_FEW),
        (partly([1.0, 0.0], [1.0], [1.0]), MISSING),
        (partly([1.0, 0.0], [1.0, 0.0], [1.0], clusters=("a", "b")), MISSING),
    ],
    ids=["one label", "one cluster", "a value is missing", "a cluster is missing"],
)
def test_what_cannot_be_corrected_is_refused(items, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        prediction_powered_mean(items)


def test_sides_without_names_have_no_difference():
    side = partly([1, 0], [1, 0])
    named = partly([1, 0], [1, 0], clusters="ab")
    for sides in ((side, side), (side, named), (named, side)):
        with pytest.raises(ValueError, match=r"^both sides need the names of their cases or clusters$"):
            prediction_powered_difference(*sides)


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("n", "more", "accuracy", "rate"),
    [
        (30, 70, 0.6, 0.9),
        (30, 70, 0.8, 0.9),
        (30, 70, 0.9, 0.9),
        (30, 70, 0.9, 0.95),
        (50, 150, 0.8, 0.95),
        (100, 300, 0.8, 0.95),
        (30, 300, 0.9, 0.1),
        (15, 85, 0.8, 0.8),
        (50, 50, 0.7, 0.9),
    ],
)
def test_rates_near_either_end_are_covered(n, more, accuracy, rate):
    """Yes or no, with a judge that errs either way: 90 % on both sides together, 6.1 % on the worse side at most.

    That is the worst of docs/decisions/0011; three standard deviations of 1500 runs are 1.9 points.
    """
    random, runs = np.random.default_rng(n + more), 1500
    missed = np.zeros(2)
    for _ in range(runs):
        truth = random.random(n + more) < rate
        judged = np.where(random.random(n + more) < accuracy, truth, ~truth).astype(float)
        items = PartlyLabelledItems(
            labels=tuple(truth[:n].astype(float)), judged=tuple(judged[:n]), judged_only=tuple(judged[n:])
        )
        found = prediction_powered_mean(items, least=0.0, most=1.0)
        missed += [rate < found.low - 1e-12, rate > found.high + 1e-12]
    assert missed.sum() / runs <= at_most(0.10, runs)
    assert missed.max() / runs <= at_most(0.061, runs)


def test_a_worked_example_of_a_rate():
    """Ten labels, nine of them yes, and no judge: the mean is 0.9, and half an error is added to its variance.

    0.9 x 0.1 / 9 + 0.5 / 100 = 0.015, as much as 0.8636 x 0.1364 / 0.015 = 7.85 cases tell.
    """
    items = PartlyLabelledItems(labels=(1.0,) * 9 + (0.0,), judged=(1.0,) * 10)
    found = prediction_powered_mean(items, least=0.0, most=1.0)
    variance, inside = 0.015, 9.5 / 11
    cases = inside * (1 - inside) / variance
    # Nine deviations of 0.1 and one of -0.9, over 10, times (10/9)^(3/2); what a rate has itself is left out.
    skewness = (9 * 0.1**3 - 0.9**3) / 10**3 * (10 / 9) ** 1.5 / variance**1.5
    skewness -= (1 - 2 * inside) / math.sqrt(inside * (1 - inside) * cases)
    reaches = ends(0.0, 1.0, skewness, 1.8331129327)
    centres = [(0.9 + t * t / (2 * cases)) / (1 + t * t / cases) for t in reaches]
    halves = [t * (0.09 / cases + t * t / (4 * cases * cases)) ** 0.5 / (1 + t * t / cases) for t in reaches]
    assert (found.low, found.high) == pytest.approx([a + b for a, b in zip(centres, halves, strict=True)])
    assert found.estimate == 0.9


@pytest.mark.simulation
@pytest.mark.parametrize(("right", "wrong"), [((1.0, 0.8), (0.8, 1.0)), ((1.0, 0.9), (0.9, 1.0))])
def test_a_judge_that_errs_one_way_is_covered_on_both_sides(right, wrong):
    """At a rate of a half, 50 labels of 550: the symmetric interval missed up to a tenth on one side."""
    random, runs, n = np.random.default_rng(5), 600, 50
    for passes, fails in (right, wrong):
        missed = np.zeros(2)
        for _ in range(runs):
            truth = random.random(n + 500) < 0.5
            says = np.where(truth, random.random(n + 500) < passes, random.random(n + 500) >= fails)
            labels, judged = truth.astype(float), says.astype(float)
            items = PartlyLabelledItems(
                labels=tuple(labels[:n]), judged=tuple(judged[:n]), judged_only=tuple(judged[n:])
            )
            found = prediction_powered_mean(items, least=0.0, most=1.0)
            missed += [found.low > 0.5, found.high < 0.5]
        assert missed.max() / runs <= 0.06 + 2 * (0.06 * 0.94 / runs) ** 0.5
