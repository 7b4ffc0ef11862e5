"""Who is strongest, and how sure that is."""

import math
import random

import numpy as np
import pytest
from scipy.stats import t

from harness.statistics.strengths import PairwiseComparison, bradley_terry

DIFFERENT = "each comparison is of two different models, with a value from 0 to 1"


def logistic(x):
    return 1 / (1 + math.exp(-x))


def met(first, second, *values, cluster=None):
    return [
        PairwiseComparison(
            first=first, second=second, value=value, cluster=place if cluster is None else cluster
        )
        for place, value in enumerate(values)
    ]


def drawn(draw, truth, cases, *, per_cluster=1, ties=0.0, apart=0.0):
    """Every pair on each case; within a cluster each model is stronger or weaker by the same amount."""
    names, rows = list(truth), []
    for cluster in range(cases // per_cluster):
        moved = {name: truth[name] + draw.gauss(0, apart) for name in names}
        for _ in range(per_cluster):
            for place, first in enumerate(names):
                for second in names[place + 1 :]:
                    won = float(draw.random() < logistic(moved[first] - moved[second]))
                    rows += met(first, second, 0.5 if draw.random() < ties else won, cluster=cluster)
    return rows


def test_two_models_have_the_log_odds_of_their_wins():
    """With half a win and half a loss each against an average model: 31.5 of 42 wins, at odds of 3."""
    strong, weak = bradley_terry(met("a", "b", *[1.0] * 750, *[0.0] * 250))
    assert (strong.model, weak.model) == ("a", "b")
    assert strong.strength.estimate - weak.strength.estimate == pytest.approx(math.log(3), abs=0.01)
    assert strong.win_rate.estimate == pytest.approx(0.75, abs=0.002)
    assert strong.win_rate.estimate + weak.win_rate.estimate == pytest.approx(1)
    assert strong.comparisons == weak.comparisons == 1000


def test_the_interval_of_one_win_rate_is_the_usual_one():
    """A rate of 0.75 of 1000 has an error of sqrt(0.75 x 0.25 / 1000) = 0.0137."""
    found = bradley_terry(met("a", "b", *[1.0] * 750, *[0.0] * 250))[0].win_rate
    assert (found.high - found.low) / 2 == pytest.approx(1.645 * 0.0137, rel=0.02)


def test_a_worked_example():
    """Three wins of four. By symmetry the strengths are b and -b, of 3 - 4 F(2b) + 1/2 - F(b) = 0, F the logistic.

    Bisection gives b = 0.474443 and a win rate F(2b) = 0.720891. The information along (1, -1) is 8 F(2b)
    (1 - F(2b)) + F(b) (1 - F(b)); the scores' spread over four clusters is larger than the model's, and gives
    an error of 0.573964, times 2.353363, Student's quantile of three degrees.
    """
    strong, weak = bradley_terry(met("a", "b", 1.0, 1.0, 1.0, 0.0))
    assert strong.strength.estimate == pytest.approx(0.4744434506, abs=1e-9)
    assert strong.strength.low == pytest.approx(0.4744434506 - 2.3533634348 * 0.5739639788, abs=1e-8)
    assert strong.strength.high == pytest.approx(0.4744434506 + 2.3533634348 * 0.5739639788, abs=1e-8)
    rate = strong.win_rate
    assert (rate.low, rate.estimate, rate.high) == pytest.approx((0.1477189602, 0.7208912698, 0.9746766427))
    assert (weak.strength.estimate, weak.win_rate.estimate) == pytest.approx((-0.4744434506, 0.2791087302))
    assert strong.strength.method == rate.method == "Bradley-Terry, t over 4 clusters"
    assert strong.strength.confidence == rate.confidence == 0.9


@pytest.mark.parametrize(
    ("values", "clusters", "strength", "half"),
    [
        # Two of four ties count 2 / (4 + 4): a variance of 1/4 - 1/16 each, and the model's error is the larger.
        ((1.0, 0.5, 0.5, 0.0), (0, 1, 2, 3), 0.0, 2.3533634348 * 0.4157397096),
        # All alike: two clusters count as two comparisons, so each variance twice; t of one degree.
        ((1.0, 1.0, 1.0, 1.0), (0, 0, 1, 1), 1.2865453211, 6.3137515147 * 1.1229127144),
        # One cluster is one comparison, whether or not its comparisons are alike.
        ((1.0, 1.0, 1.0, 1.0), (0, 0, 0, 0), 1.2865453211, 6.3137515147 * 1.5320166394),
        ((1.0, 1.0, 1.0, 0.0), (0, 0, 0, 0), 0.4744434506, 6.3137515147 * 0.9895957208),
    ],
    ids=["ties", "alike in two clusters", "alike in one", "not alike in one"],
)
def test_ties_and_clusters_of_worked_examples(values, clusters, strength, half):
    """Reference figures: the equation by bisection, the error along (1, -1) by hand as in the example above."""
    rows = [
        PairwiseComparison(first="a", second="b", value=value, cluster=cluster)
        for value, cluster in zip(values, clusters, strict=True)
    ]
    found = {one.model: one.strength for one in bradley_terry(rows)}
    assert found["a"].estimate == pytest.approx(strength, abs=1e-9)
    assert found["a"].high - found["a"].estimate == pytest.approx(half, abs=1e-8)
    assert found["b"].low == pytest.approx(-strength - half, abs=1e-8)
    surer = {one.model: one.strength for one in bradley_terry(rows, 0.98)}["a"]
    assert (surer.confidence, surer.high > found["a"].high) == (0.98, True)


def test_who_is_named_first_makes_no_difference():
    """A loss of b against a is a win of a against b."""
    rows = [*met("a", "b", 1.0, 0.5), *met("b", "a", 0.0, 1.0)]
    turned = [*met("a", "b", 1.0, 0.5), *met("a", "b", 1.0, 0.0)]
    assert bradley_terry(rows) == bradley_terry(turned)


def test_each_pair_of_models_has_its_own_rate_of_ties():
    """Two pairs that always tie, one that never does: only the variance of the ties' own pairs is smaller."""
    tied = [*met("a", "b", *[0.5] * 6), *met("a", "c", *[0.5] * 6)]
    decided = [*tied, *met("b", "c", *[1.0, 0.0] * 3)]
    found = {one.model: one.strength for one in bradley_terry(decided)}
    half = {model: interval.high - interval.estimate for model, interval in found.items()}
    assert half["a"] < half["b"] == pytest.approx(half["c"])
    # By hand: p = 1/2 everywhere, so weights of 6/4 a pair and a prior of 1/4; ties at 6 / (6 + 4).
    information = 1.5 * np.array([[2, -1, -1], [-1, 2, -1], [-1, -1, 2]]) + 0.25 * np.eye(3)
    weights = {(0, 1): 6 * (0.25 - 0.15), (0, 2): 6 * (0.25 - 0.15), (1, 2): 6 * 0.25}
    expected = 0.25 * np.eye(3)
    for (i, j), weight in weights.items():
        row = np.eye(3)[i] - np.eye(3)[j]
        expected += weight * np.outer(row, row)
    inverse = np.linalg.inv(information)
    centred = np.eye(3)[0] - 1 / 3
    error = math.sqrt(centred @ inverse @ expected @ inverse @ centred)
    assert half["a"] == pytest.approx(error * t.ppf(0.95, found_clusters(decided) - 1))


def found_clusters(rows):
    return len({one.cluster for one in rows})


def test_the_win_rate_of_one_among_three_is_over_both_others():
    """By hand from the strengths: the mean of two rates, and its logit's gradient."""
    rows = [*met("a", "b", 1.0, 1.0, 0.0, 1.0), *met("b", "c", 1.0, 0.0, 1.0), *met("a", "c", 1.0, 1.0, 0.5)]
    found = {one.model: one for one in bradley_terry(rows)}
    a, b, c = (found[name].strength.estimate for name in "abc")
    rate = (logistic(a - b) + logistic(a - c)) / 2
    assert found["a"].win_rate.estimate == pytest.approx(rate)
    around = found["a"].win_rate
    logit = math.log(rate / (1 - rate))
    lower, upper = (math.log(end / (1 - end)) for end in (around.low, around.high))
    assert (lower + upper) / 2 == pytest.approx(logit)
    # Against the strength's own error: the gradient is no larger than the mean of 1 - rate and rate.
    assert 0.2 < (upper - lower) / (found["a"].strength.high - found["a"].strength.low) < 2


def test_strengths_are_recovered_from_indirect_comparisons():
    """Models a and c never meet; both met b."""
    truth = {"a": 1.0, "b": 0.0, "c": -1.0}
    wins = round(400 * logistic(1.0))
    rows = [*met("a", "b", *[1.0] * wins, *[0.0] * (400 - wins))]
    rows += met("c", "b", *[0.0] * wins, *[1.0] * (400 - wins))
    found = {one.model: one for one in bradley_terry(rows)}
    for model, strength in truth.items():
        assert found[model].strength.estimate == pytest.approx(strength, abs=0.02)
        assert found[model].strength.low < strength < found[model].strength.high
    assert found["b"].comparisons == 800


def test_a_model_that_never_lost_is_finite_and_uncertain():
    best = bradley_terry(met("a", "b", *[1.0] * 5))[0]
    assert best.model == "a"
    assert math.isfinite(best.strength.estimate)
    assert best.strength.low < 0.5 < best.strength.high


def test_ties_make_equals_and_many_of_them_make_sure_of_it():
    few, many = (bradley_terry(met("a", "b", *[0.5] * n))[0] for n in (10, 200))
    assert few.strength.estimate == many.strength.estimate == pytest.approx(0)
    assert many.win_rate.high < 0.51 < few.win_rate.high


@pytest.mark.parametrize("values", [(1.0, 1.0, 1.0, 1.0, 0.0), (1.0,) * 5])
def test_copies_within_clusters_are_no_further_evidence(values):
    """Each comparison four times over, once as clusters and once as if drawn anew: also where all agree."""
    once = met("a", "b", *values * 4)
    copied = [one for one in once for _ in range(4)]
    anew = met("a", "b", *[one.value for one in copied])
    width, as_clusters, as_new = (
        bradley_terry(rows)[0].win_rate.high - bradley_terry(rows)[0].win_rate.low
        for rows in (once, copied, anew)
    )
    assert as_clusters > 0.8 * width
    assert as_new < 0.65 * width


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "strengths need at least two models"),
        (met("a", "a", 1.0) + met("a", "b", 1.0), DIFFERENT),
        (met("a", "b", 1.5), DIFFERENT),
        (met("a", "b", -0.5), DIFFERENT),
    ],
)
def test_what_makes_no_sense_is_refused(rows, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        bradley_terry(rows)


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("truth", "settings", "target"),
    [
        ({"a": 0.5, "b": 0.0, "c": -0.5}, {"cases": 60}, 0.5),
        ({"a": 0.5, "b": 0.0, "c": -0.5}, {"cases": 60, "ties": 0.6}, None),
        ({"a": 0.5, "b": 0.0, "c": -0.5}, {"cases": 60, "per_cluster": 4, "apart": 2.0}, None),
        ({"a": 1.5, "b": -1.5}, {"cases": 20}, 1.5),
    ],
    ids=["plain", "ties", "clusters", "nearly always"],
)
def test_intervals_cover(truth, settings, target):
    """Of 200 draws the strongest model's interval holds the truth in about 90 %, never in far fewer."""
    draw = random.Random(7)
    if target is None:
        target = bradley_terry(drawn(draw, truth, **{**settings, "cases": 20_000}))[0].strength.estimate
    held = 0
    for _ in range(200):
        found = {one.model: one for one in bradley_terry(drawn(draw, truth, **settings))}
        held += found["a"].strength.low <= target <= found["a"].strength.high
    assert held / 200 >= 0.85
    if len(truth) > 2:
        assert held / 200 <= 0.96
