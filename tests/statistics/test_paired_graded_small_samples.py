"""Graded drops of few units: what they leave open, and what the unseen may hide."""

import numpy as np
import pytest
from scipy.stats import binom
from scipy.stats import t as student

from harness.statistics.clusters import Units, degrees_of_freedom, group, squared_error
from harness.statistics.paired_binary import tango_interval
from harness.statistics.paired_graded import (
    mean_drop,
    paired_interval,
)
from tests.statistics.chance import at_most
from tests.statistics.conftest import alone


def test_the_largest_move_seen_is_not_taken_for_the_largest_there_is():
    """One loss of 0.4 beside three of 0.1: the jump that is counted in is above sum y^2 / sum |y| of the four."""
    interval = paired_interval(alone([0.4, 0.1, 0.1, 0.1] + [0.0] * 96), 0.9, reach=0.1)
    jump = (0.19 + 0.16) / (0.7 + 0.4)
    counted = tango_interval(0.7 / jump, 0, 100, 0.9)
    assert interval.high == pytest.approx(counted.high * jump)


def test_nothing_seen_is_not_nothing_there():
    """Without one difference the bound is what the rule of three leaves, times what could be lost."""
    assert paired_interval(alone([0.0] * 20), 0.9).high >= 1 - 0.05 ** (1 / 20)
    assert paired_interval(alone([0.0] * 100), 0.9, reach=0.5).high == pytest.approx(0.5 * 0.0310, abs=1e-3)
    assert paired_interval(group([0.0] * 100, [0, 1] * 50), 0.9).high > 0.6


def test_many_tiny_moves_do_not_exclude_a_rare_great_loss():
    """Twenty scores that hardly move: a loss that strikes one case in ten would be unseen in 12 % of samples."""
    found = mean_drop(alone([0.001, -0.001] * 10), 0.9, reach=0.8)
    assert found.high < 0.001
    assert found.high_unseen > 0.1


def test_few_units_claim_no_more_than_their_number_allows():
    """Three of three lost: a chance of 1/8 where each is as likely lost as gained."""
    assert mean_drop(alone([1.0] * 3), 0.9).p_value == pytest.approx(1 / 8)


@pytest.mark.parametrize("light_tails", [False, True])
@pytest.mark.parametrize("moves", [[0.4], [0.4, 0.40001], [0.4, 0.1], [0.2, 0.9, 0.3]])
@pytest.mark.parametrize("times", [1, 2, 3, 6])
def test_an_interval_is_above_nothing_only_where_no_drop_is_rejected(moves, times, light_tails):
    """Of up to four perplexities that rose alike it was that rise alone, beside a p of 0.0625 and more."""
    for rise in (None, 1.0):
        found = mean_drop(alone(moves * times), 0.9, light_tails=light_tails, rise=rise)
        assert (found.p_value <= (1 - 0.9) / 2) == (found.low > 0)
        assert found.low <= found.estimate


def test_most_cases_lose_a_little_and_few_gain_much():
    """95 % lose 0.02 and 5 % gain 0.38: the mean didn't move, and signs alone would say that it did."""
    random = np.random.default_rng(21)
    for n in (20, 60):
        found = [
            mean_drop(alone(random.choice([0.02, -0.38], n, p=[0.95, 0.05]).tolist()), 0.9, resamples=499)
            for _ in range(400)
        ]
        assert np.mean([each.p_value <= 0.05 for each in found]) <= 0.05 + 3 * (0.05 * 0.95 / 400) ** 0.5


def test_unseen_losses_widen_the_bound_that_a_pass_needs_and_no_other():
    found = mean_drop(alone([0.01, 0.012] * 10), 0.9, reach=1.0)
    assert found.high < 0.05 < found.high_unseen
    assert mean_drop(alone([0.01, 0.012] * 10), 0.9, reach=1.0, light_tails=True).high_unseen == found.high


def test_units_that_gained_may_hide_others_that_lost_all_of_it():
    """Twenty rose by 0.1: where 1 - 0.05^(1/20) of all lose 0.4 instead, the mean is that end, and 5 % show none of them."""
    found = mean_drop(alone([-0.05, -0.15] * 10), 0.9, reach=0.4)
    assert found.method == "studentised bootstrap"
    assert found.high < -0.07
    unseen = 1 - 0.05 ** (1 / 20)
    assert found.high_unseen == pytest.approx(0.4 * unseen - 0.1 * (1 - unseen))


def test_few_units_that_fell_a_little_leave_open_that_others_gain():
    """Ten units fell by 0.02 each and a unit can gain 0.3: a share of 0.02 / 0.32 that gains it would balance them.

    None of ten gains with probability 0.9375^10 = 0.524460. The lower end at 5 %: 0.32 x 0.05^(1/10) - 0.3 =
    -0.062837. Where all fell by 0.3, a half would have to gain: 0.5^10, and 0.6 x 0.741134 - 0.3 = 0.144681.
    """
    little = mean_drop(group([0.02] * 10, range(10)), 0.9, reach=0.7, span=1.0, rise=0.3)
    assert little.p_value == pytest.approx(0.524460, abs=1e-6)
    assert little.low == pytest.approx(-0.062837, abs=1e-6)
    much = mean_drop(group([0.3] * 10, range(10)), 0.9, reach=0.7, span=1.0, rise=0.3)
    assert much.p_value < 0.05
    assert 0 < much.low <= 0.144681 + 1e-6
    for unlimited in ({"rise": None}, {"rise": 0.3, "light_tails": True}):
        assert mean_drop(group([0.02] * 10, range(10)), 0.9, reach=0.7, span=1.0, **unlimited).p_value < 0.05


def test_few_rises_among_falls_are_a_binomial_s_chance():
    """Nine of twelve fell by 0.3, three rose by it, all they can: (1 + 12 + 66 + 220) / 4096 for three or fewer.

    Falls of 0.15 that rises of 0.35 balance where 30 % rise: two of sixteen are (0.7^16 + ...) = 0.099.
    """
    moves = [0.3] * 9 + [-0.3] * 3
    found = mean_drop(alone(moves), 0.9, reach=0.3, span=1.0, rise=0.3)
    assert found.p_value == pytest.approx(299 / 4096)
    # Clopper and Pearson's share of rises, 3 of 12, is at most 0.527327: 0.3 x (1 - 2 x 0.527327).
    assert found.low == pytest.approx(0.3 * (1 - 2 * 0.527327), abs=1e-6)
    uneven = mean_drop(alone([0.15] * 14 + [-0.35] * 2), 0.9, reach=0.5, span=1.0, rise=0.35)
    assert uneven.p_value == pytest.approx(binom.cdf(2, 16, 0.3))
    # A pass needs the mirror image: three falls among twelve moves.
    better = mean_drop(alone([-each for each in moves]), 0.9, reach=0.3, span=1.0)
    assert better.high_unseen == pytest.approx(0.3 * (2 * 0.527327 - 1), abs=1e-6)
    assert better.high < 0


@pytest.mark.parametrize(("size", "share"), [(0.3, 0.5), (0.35, 0.3), (0.4, 0.2), (0.4, 0.1)])
@pytest.mark.parametrize("n", [6, 9, 12, 14])
def test_two_sizes_of_moves_are_rarely_a_drop_or_a_pass(size, share, n):
    """Exactly, over all numbers of cases that gain: nothing changed, and a drop as large as the margin of 0.05."""
    wrong = [0.0, 0.0]
    for kind, drop in enumerate((0.0, 0.05)):
        fall = (size * share + drop) / (1 - share)
        for gained in range(n + 1):
            found = mean_drop(
                alone([fall] * (n - gained) + [-size] * gained), 0.9, reach=0.6, span=1.0, rise=0.42
            )
            called = found.high_unseen <= 0.05 if kind else found.p_value <= 0.05 < found.high
            wrong[kind] += called * float(binom.pmf(gained, n, share))
    assert max(wrong) <= 0.05


def test_falls_that_differ_leave_open_that_others_gain():
    """Twenty fell by 0.01 to 0.03, enough to resample, and a unit can gain 0.42: (0.42 / 0.44)^20 = 0.394."""
    moves = [0.01 + 0.02 * place / 19 for place in range(20)]
    found = mean_drop(alone(moves), 0.9, reach=0.6, span=1.0, rise=0.42)
    assert found.method == "studentised bootstrap"
    assert found.p_value == pytest.approx((0.42 / 0.44) ** 20)
    assert found.low == pytest.approx(0.44 * 0.05 ** (1 / 20) - 0.42)
    assert mean_drop(alone(moves), 0.9, reach=0.6, span=1.0, rise=0.42, light_tails=True).p_value < 0.001


def test_units_that_rose_have_no_further_limit():
    plain = mean_drop(group([-0.1] * 8, range(8)), 0.9, reach=0.7, span=1.0)
    assert mean_drop(group([-0.1] * 8, range(8)), 0.9, reach=0.7, span=1.0, rise=0.3) == plain


@pytest.mark.parametrize("n", [1, 2, 4])
def test_fewer_than_five_log_probabilities_show_nothing(n):
    """All can fall by chance with more than 5 %: equal ones leave a nat open in 1 - 0.05^(1/n), and none is a drop."""
    equal, fallen = (mean_drop(alone([drop] * n), 0.9, light_tails=True) for drop in (0.0, 0.3))
    assert equal.high_unseen == pytest.approx(1 - 0.05 ** (1 / n))
    assert fallen.p_value > 0.05


def test_few_log_probabilities_of_a_worked_example():
    """Student's t of 0.1, 0.2, ... 0.5: 0.3 and an error of sqrt(0.025 / 5), with 4 degrees of freedom 2.1318."""
    found = mean_drop(alone([0.1, 0.2, 0.3, 0.4, 0.5]), 0.9, light_tails=True)
    assert found.high_unseen == found.high >= 0.3 + 2.1318 * 0.005**0.5 - 1e-5
    assert found.low <= 0.3 - 2.1318 * 0.005**0.5 + 1e-5
    assert found.p_value >= 0.0066


def test_skewed_log_probabilities_of_a_worked_example():
    """Eleven stayed and one fell by 1.2: the mean is 0.1 and the skewness 10 / sqrt(11) = 3.02, above sqrt(6 / 12).

    With one more such fall, to 1.2: thirteen with a mean of 2.4 / 13, squares of 2.88 - 13 x (2.4 / 13)^2, and t with 12
    degrees of freedom 1.782288. One that gained 1.2 widens the lower end by as much, and p.
    """
    moves = [0.0] * 11 + [1.2]
    mean = 2.4 / 13
    error = ((2.88 - 13 * mean**2) / 12 / 13) ** 0.5
    found = mean_drop(alone(moves), 0.9, light_tails=True)
    assert found.high_unseen == pytest.approx(mean + 1.782288 * error, abs=1e-6)
    assert found.high < found.high_unseen
    better = mean_drop(alone([0.3 - each for each in moves]), 0.9, light_tails=True)
    assert better.low == pytest.approx(0.3 - mean - 1.782288 * error, abs=1e-6)
    assert better.p_value == pytest.approx(student.sf((0.3 - mean) / error, 12))
    uneven = Units(sums=tuple(moves), sizes=(1.0,) * 11 + (2.0,))
    assert (plain := mean_drop(uneven, 0.9, light_tails=True)).high_unseen == plain.high


# Standardised moves of log-probabilities: normal, wide or skewed ones, and a reference of 5 to 30 tokens of which one
# in ten has a wild one. Real moves of an adapter's references have a kurtosis of 2.7 to 7 and a skewness of -1.5 to 0.
TAILS = {
    "normal": lambda random, n: random.normal(0, 1, n),
    "t with 5 degrees": lambda random, n: random.standard_t(5, n) / (5 / 3) ** 0.5,
    "Laplace": lambda random, n: random.laplace(0, 0.5**0.5, n),
    "5 % five times as large": lambda random, n: (
        random.normal(0, 1, n) * np.where(random.random(n) < 0.05, 5, 1) / 2.2**0.5
    ),
    "a tail of falls": lambda random, n: random.exponential(1, n) - 1,
    "a tail of gains": lambda random, n: 1 - random.exponential(1, n),
}


@pytest.mark.simulation
@pytest.mark.parametrize("tails", TAILS)
def test_log_probabilities_of_other_tails_keep_both_levels(tails):
    """20 cases, 2000 runs, 1.5 points of chance; a long tail is seen too seldom in 20, at most 7 % (8 before)."""
    random, runs = np.random.default_rng(5), 2000
    passed = refused = 0
    for _ in range(runs):
        moves = 0.2 * TAILS[tails](random, 20)
        passed += mean_drop(alone((moves + 0.1).tolist()), 0.9, light_tails=True).high_unseen <= 0.1
        refused += mean_drop(alone(moves.tolist()), 0.9, light_tails=True).p_value <= 0.05
    assert max(passed, refused) / runs <= at_most(0.07 if "tail of" in tails else 0.05, runs)


@pytest.mark.simulation
@pytest.mark.parametrize("n", [5, 8, 14])
def test_few_log_probabilities_keep_both_levels(n):
    """Normal changes: one as large as the margin passes in at most 5 % (before in up to 19), none is a drop in more."""
    random, runs = np.random.default_rng(n), 1500
    passed = refused = 0
    for moves in random.normal(0.0, 0.2, (runs, n)):
        passed += mean_drop(alone((moves + 0.1).tolist()), 0.9, light_tails=True).high_unseen <= 0.1
        refused += mean_drop(alone(moves.tolist()), 0.9, light_tails=True).p_value <= 0.05
    assert max(passed, refused) / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5


def test_log_probabilities_in_uneven_clusters_of_a_worked_example():
    """A cluster of four that fell by 0.1 a case and four cases by 0.3: t has the 2.58 degrees of freedom of such sizes."""
    units = Units(sums=(0.4, 0.3, 0.25, 0.35, 0.3), sizes=(4.0, 1.0, 1.0, 1.0, 1.0))
    found, error = mean_drop(units, 0.9, light_tails=True), squared_error(units) ** 0.5
    assert found.high >= 0.2 + student.ppf(0.95, degrees_of_freedom(units)) * error - 1e-9
    assert found.p_value >= student.sf(0.2 / error, degrees_of_freedom(units)) - 1e-9


@pytest.mark.simulation
@pytest.mark.parametrize("sizes", [[30] + [1] * 20, [6] * 5, [2] * 20 + [20], [1, 2, 4, 8, 16, 32]], ids=str)
def test_log_probabilities_in_clusters_keep_both_levels(sizes):
    """A change as large as the margin passes in at most 5 %: beside one cluster of 30 cases it was 11."""
    random, runs = np.random.default_rng(len(sizes)), 1000
    clusters = np.repeat(np.arange(len(sizes)), sizes)
    passed = refused = 0
    for _ in range(runs):
        moves = random.normal(0, 0.1, len(sizes))[clusters] + random.normal(0, 0.1, clusters.size)
        passed += (
            mean_drop(group((moves + 0.05).tolist(), clusters), 0.9, light_tails=True).high_unseen <= 0.05
        )
        refused += mean_drop(group(moves.tolist(), clusters), 0.9, light_tails=True).p_value <= 0.05
    assert max(passed, refused) / runs <= at_most(0.05, runs)
