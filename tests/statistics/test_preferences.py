"""Preferences: what length bought, and who is strongest."""

import math
import random

import pytest

from harness.statistics.preferences import bradley_terry, length_controlled_win_rate


def logistic(x):
    return 1 / (1 + math.exp(-x))


def drawn(draw, n, merit, length_effect):
    """Comparisons of answers that are twice as long on average, by a judge that likes length."""
    ratios = [math.exp(draw.gauss(math.log(2), 0.5)) for _ in range(n)]
    wins = [float(draw.random() < logistic(merit + length_effect * math.log(ratio))) for ratio in ratios]
    return wins, ratios


def test_wins_that_length_bought_are_taken_off():
    """The answers are no better, only longer: the plain rate says 0.8, at equal length it is a coin's throw."""
    wins, ratios = drawn(random.Random(1), 2000, 0.0, 2.0)
    assert sum(wins) / len(wins) > 0.75
    found = length_controlled_win_rate(wins, ratios)
    assert 0.35 < found.estimate < 0.6


def test_merit_is_kept():
    wins, ratios = drawn(random.Random(2), 2000, 1.0, 0.0)
    found = length_controlled_win_rate(wins, ratios)
    assert found.estimate == pytest.approx(logistic(1.0), abs=0.06)


def test_answers_of_one_length_have_their_plain_rate():
    found = length_controlled_win_rate([1, 1, 1, 0] * 50, [1.0] * 200)
    assert found.estimate == pytest.approx(0.75, abs=0.01)


def test_a_side_that_always_wins_has_a_finite_interval():
    found = length_controlled_win_rate([1.0] * 20, [1.5] * 20)
    assert 0.8 < found.low < found.estimate < found.high < 1


@pytest.mark.parametrize(("wins", "ratios"), [([1], [1.0]), ([1, 0], [1.0, 0.0])])
def test_what_cannot_be_fitted_is_refused(wins, ratios):
    with pytest.raises(ValueError, match=r"at least two|above 0"):
        length_controlled_win_rate(wins, ratios)


def test_length_controlled_intervals_cover():
    """Of 300 draws about 90 % hold the truth."""
    draw = random.Random(5)
    held = 0
    for _ in range(300):
        ratios = [math.exp(draw.gauss(0, 0.6)) for _ in range(120)]
        wins = [float(draw.random() < logistic(0.4)) for _ in ratios]
        found = length_controlled_win_rate(wins, ratios)
        held += found.low <= logistic(0.4) <= found.high
    assert 0.84 <= held / 300 <= 0.96


def test_two_models_have_the_log_odds_of_their_wins():
    strong, weak = bradley_terry({("a", "b"): 750, ("b", "a"): 250})
    assert (strong.model, weak.model) == ("a", "b")
    assert strong.strength.estimate - weak.strength.estimate == pytest.approx(math.log(3), abs=0.01)
    assert strong.win_rate == pytest.approx(0.75, abs=0.002)
    assert strong.comparisons == 1000


def test_strengths_are_recovered_from_indirect_comparisons():
    """Models a and c never meet; both met b."""
    truth = {"a": 1.0, "b": 0.0, "c": -1.0}
    wins = {}
    for first, second in (("a", "b"), ("b", "c")):
        p = logistic(truth[first] - truth[second])
        wins[first, second], wins[second, first] = 400 * p, 400 * (1 - p)
    found = {one.model: one for one in bradley_terry(wins)}
    for model, strength in truth.items():
        assert found[model].strength.estimate == pytest.approx(strength, abs=0.02)
        assert found[model].strength.low < strength < found[model].strength.high


def test_a_model_that_never_lost_is_finite_and_uncertain():
    best = bradley_terry({("a", "b"): 5})[0]
    assert best.model == "a"
    assert math.isfinite(best.strength.estimate)
    assert best.strength.low < 0.5 < best.strength.high


def test_ties_as_half_wins_make_equals():
    for one in bradley_terry({("a", "b"): 10, ("b", "a"): 10}):
        assert one.strength.estimate == pytest.approx(0)


@pytest.mark.parametrize("wins", [{}, {("a", "a"): 1, ("a", "b"): 1}, {("a", "b"): -1}])
def test_counts_that_make_no_sense_are_refused(wins):
    with pytest.raises(ValueError, match="two"):
        bradley_terry(wins)
