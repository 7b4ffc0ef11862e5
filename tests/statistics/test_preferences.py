"""Win rates: as they are, and without what length bought."""

import math
import random

import numpy as np
import pytest

from harness.statistics.clusters import group
from harness.statistics.paired_graded import paired_interval
from harness.statistics.preferences import length_controlled_win_rate, win_rate
from harness.statistics.tied_logistic import fit_tied


def logistic(x):
    return 1 / (1 + math.exp(-x))


def drawn(draw, n, merit, length_effect):
    """Comparisons of answers that are twice as long on average, by a judge that likes length."""
    ratios = [math.exp(draw.gauss(math.log(2), 0.5)) for _ in range(n)]
    wins = [float(draw.random() < logistic(merit + length_effect * math.log(ratio))) for ratio in ratios]
    return wins, ratios


def test_a_worked_example():
    """Four answers of one length, three preferred: with half a win and half a loss more, 3.5 of 5.

    The scores' spread is (3 x 0.3^2 + 0.7^2) x 4/3 + 0.21 = 1.223333, above the model's 5 x 0.21; over 5 x 0.21
    the error of the logit is sqrt(1.223333) / 1.05, times 2.353363, Student's quantile of three degrees.
    """
    found = length_controlled_win_rate([1, 1, 1, 0], [1.0] * 4)
    half = 2.3533634348 * math.sqrt(1.2233333333) / 1.05
    centre = math.log(0.7 / 0.3)
    assert found.estimate == pytest.approx(0.7)
    assert (found.low, found.high) == pytest.approx((logistic(centre - half), logistic(centre + half)))
    assert (found.low, found.high) == pytest.approx((0.1636007706, 0.9653192009))
    assert found.method == "logistic regression at equal length, t over 4 clusters"
    assert found.confidence == 0.9


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
    assert 0.7 < found.low < found.estimate < found.high < 1


@pytest.mark.parametrize(
    ("wins", "ratios", "message"),
    [
        ([1], [1.0], "a win rate needs at least two comparisons"),
        ([1, 0], [1.0, 0.0], "a length ratio has to be above 0"),
    ],
)
def test_what_cannot_be_fitted_is_refused(wins, ratios, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        length_controlled_win_rate(wins, ratios)


@pytest.mark.simulation
@pytest.mark.parametrize(("merit", "n", "per_cluster"), [(0.4, 120, 1), (2.2, 40, 1), (0.4, 120, 4)])
def test_length_controlled_intervals_cover(merit, n, per_cluster):
    """Of 300 draws about 90 % hold the truth, also near 1 (a little more), and where clusters agree."""
    draw = random.Random(5)
    held = 0
    for _ in range(300):
        wins, ratios, clusters = [], [], []
        for cluster in range(n // per_cluster):
            shared = float(draw.random() < logistic(merit))
            for _ in range(per_cluster):
                own = float(draw.random() < logistic(merit))
                wins.append(shared if per_cluster > 1 and draw.random() < 0.8 else own)
                ratios.append(math.exp(draw.gauss(0, 0.6)))
                clusters.append(cluster)
        found = length_controlled_win_rate(wins, ratios, clusters)
        held += found.low <= logistic(merit) <= found.high
    assert 0.84 <= held / 300 <= (0.99 if merit > 1 else 0.96)


def test_length_controlled_intervals_heed_clusters():
    """Four copies of each comparison are worth one."""
    wins, ratios = drawn(random.Random(3), 50, 0.5, 1.0)
    once = length_controlled_win_rate(wins, ratios)
    copied = length_controlled_win_rate(wins * 4, ratios * 4, list(range(50)) * 4)
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.1)


def test_a_win_rate_counts_ties_half():
    found = win_rate([1, 1, 1, 0.5, 0], range(5))
    assert found.estimate == pytest.approx(0.7)
    assert found.low < 0.5 < found.high <= 1


def test_who_won_all_of_twenty_may_still_lose_one_in_eight():
    """By the rule of three: 1 - 0.05^(1/20) = 0.139."""
    found = win_rate([1.0] * 20, range(20))
    assert (found.estimate, found.high) == (1.0, 1.0)
    assert found.low <= 1 - 0.139


def test_a_win_rate_is_the_drop_from_a_tie_turned_round():
    """20 wins of 20 may lose one in eight; the same at 98 %: 1 - 0.01^(1/20) of the half that can be lost."""
    found = win_rate([0.5] * 20, range(20), 0.98)
    drop = paired_interval(group([0.0] * 20, range(20)), 0.98, reach=0.5, span=0.5)
    assert (found.low, found.high) == pytest.approx((0.5 - drop.high, 0.5 - drop.low))
    assert (found.confidence, found.method) == (0.98, drop.method)


def test_length_is_measured_in_spreads_of_its_logarithm():
    """Ratios of 1/4 and 4: logarithms of one spread either way, so the column is tanh(1) and -tanh(1)."""
    wins, ratios = [1, 1, 0, 1, 0, 0], [4.0, 4.0, 4.0, 0.25, 0.25, 0.25]
    columns = np.column_stack([np.ones(6), np.tanh(1.0) * np.array([1, 1, 1, -1, -1, -1])])
    fit = fit_tied(columns, np.array(wins, dtype=float), range(6), [0] * 6)
    found = length_controlled_win_rate(wins, ratios)
    half = fit.quantile(0.9) * fit.error(np.array([1.0, 0.0]))
    assert found.estimate == pytest.approx(logistic(fit.coefficients[0]))
    assert found.high == pytest.approx(logistic(fit.coefficients[0] + half))
    uneven = length_controlled_win_rate([1, 1, 0, 0], [9.0, 3.0, 1.0, 1.0])
    logs = np.log([9.0, 3.0, 1.0, 1.0])
    columns = np.column_stack([np.ones(4), np.tanh(logs / logs.std())])
    fit = fit_tied(columns, np.array([1.0, 1.0, 0.0, 0.0]), range(4), [0] * 4)
    assert uneven.estimate == pytest.approx(logistic(fit.coefficients[0]))


def test_a_win_rate_heeds_clusters():
    alone, grouped = (win_rate([1, 1, 1, 0] * 10, c) for c in (range(40), [n // 4 for n in range(40)]))
    agreeing = win_rate([1] * 30 + [0] * 10, [n // 4 for n in range(40)])
    assert grouped.method.endswith("over 10 clusters")
    assert agreeing.high - agreeing.low > 1.5 * (alone.high - alone.low)
