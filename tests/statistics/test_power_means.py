"""The smallest mean drop that is found: worked examples, and the rule itself on other samples, by simulation."""

import math
from dataclasses import replace
from functools import cache
from statistics import NormalDist, stdev

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import chi2, multinomial, nct, t

from harness.statistics.clusters import Units, group, variance_inside
from harness.statistics.paired_graded import alike_jumps, jumps_p, mean_drop
from harness.statistics.power import churn_of, detectable_drop, detectable_mean_drop, drop_by_t

Z = NormalDist()
# Of one-sided levels of 5 % for the test, the interval of 90 %, and a power of 80 %.
Z_LEVEL, Z_POWER = Z.inv_cdf(0.95), Z.inv_cdf(0.8)


def alone(drops):
    return group(list(drops), range(len(drops)))


def test_too_few_scores_detect_nothing():
    assert detectable_mean_drop(group([0.1, 0.2], [0, 1]), 0.05) is None
    assert detectable_mean_drop(group([0.0] * 4, range(4)), 0.05) is None


@pytest.mark.parametrize("confidence", [0.9, 0.98])
def test_a_surer_interval_of_means_reaches_beyond_the_margin_sooner(confidence):
    """Of 1000 still units, as in a pass rate, times what a unit can lose."""
    still = group([0.0] * 1000, range(1000))
    churn = churn_of(0, 0, 1000)
    counted = detectable_drop(1000, churn, 0.05, margin=0.1, confidence=confidence, mid=False)
    assert detectable_mean_drop(still, 0.05, margin=0.05, confidence=confidence, reach=0.5) == pytest.approx(
        0.5 * counted
    )


def found_by_t(drop, error, freedom, *, margin=None, level=0.05, confidence=0.9, least=-math.inf):
    """Power of a t test whose interval also has to reach beyond a margin: the integral over the estimated error."""

    def at(square):
        estimate = error * (square / freedom) ** 0.5
        wanted = max(t.ppf(1 - level, freedom) * estimate, least)
        if margin is not None:
            wanted = max(wanted, margin - t.ppf((1 + confidence) / 2, freedom) * estimate)
        return Z.cdf((drop - wanted) / error) * chi2.pdf(square, freedom)

    return quad(at, *chi2.ppf([1e-9, 1 - 1e-9], freedom), points=[freedom], limit=400)[0]


SETTINGS = [
    {},
    {"margin": 0.03},
    {"margin": 0.2},
    {"margin": 0.2, "confidence": 0.8},
    {"level": 0.01, "margin": 0.01},
    {"level": 0.01, "margin": 0.05, "confidence": 0.98},
]


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("power", [0.5, 0.8])
@pytest.mark.parametrize("freedom", [4, 20, 99])
def test_what_student_finds_is_the_integral_over_the_estimated_error(freedom, power, settings):
    full = {"level": 0.05, "margin": None, "confidence": 0.9} | settings
    drop = drop_by_t(0.02, freedom, power=power, **full)
    assert found_by_t(drop, 0.02, freedom, **settings) == pytest.approx(power, abs=0.004)


def test_without_a_margin_it_is_the_power_of_a_t_test():
    """Noncentral t of 20 degrees of freedom: 1.7247 is exceeded in 80 % from 2.5745 errors on."""
    found = drop_by_t(0.01, 20, 0.05, None, 0.9, 0.8)
    assert nct.sf(t.ppf(0.95, 20), 20, found / 0.01) == pytest.approx(0.8, abs=1e-3)
    assert found == pytest.approx(0.025745, abs=1e-6)


def test_what_is_seen_without_error_is_found_from_its_limits_on():
    assert drop_by_t(0.0, 9, 0.05, 0.05, 0.9, 0.8) == pytest.approx(0.05)
    assert drop_by_t(0.0, 9, 0.05, 0.05, 0.9, 0.8, least=0.07) == pytest.approx(0.07)


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("power", [0.5, 0.8])
def test_the_mean_drop_of_many_units_is_that_of_student(settings, power):
    """50 scores of +0.1 and 50 of -0.1: an error of sqrt(100 x 0.01 x 100/98.334) / 100, of 98.334 as chi-squared's median."""
    units = group([0.1, -0.1] * 50, range(100))
    found = detectable_mean_drop(units, settings.get("level", 0.05), power=power, **{
        name: value for name, value in settings.items() if name != "level"
    })  # fmt: skip
    assert found_by_t(found, 0.0100844, 99, **settings) == pytest.approx(power, abs=0.003)


def test_five_log_probabilities_can_show_a_fall():
    """Scores that could gain 1 show it only from 0.05^(-1/5) - 1 = 0.82 on: so rare gains may be unseen."""
    moves = alone([0.1, -0.1, 0.05, -0.05, 0.02])
    assert 0.1 < detectable_mean_drop(moves, 0.05, margin=0.1, light_tails=True) < 0.3
    assert detectable_mean_drop(moves, 0.05, margin=0.1, rise=1.0) > 0.82


@pytest.mark.parametrize("count", [5, 6, 7])
def test_what_few_scores_detect_they_find_in_four_of_five_runs(count):
    """Scores that vary by 0.02 and may gain 0.26; before, six were said to detect nothing that seven did."""
    random, rise, margin = np.random.default_rng(count), 0.26, 0.05
    moves = alone(random.normal(0.0, 0.02, count).tolist())
    drop = detectable_mean_drop(moves, 0.05, margin=margin, rise=rise)
    # That the largest gains are unseen leaves less than the drop open.
    assert rise * (0.05 ** (-1 / count) - 1) < drop < 0.3
    runs, spread = 150, float(np.std([*moves.sums], ddof=1))
    found = [
        mean_drop(alone(random.normal(drop, spread, count).tolist()), 0.9, rise=rise) for _ in range(runs)
    ]
    share = np.mean([each.p_value <= 0.05 and each.high > margin for each in found])
    assert share == pytest.approx(0.8, abs=3 * (0.8 * 0.2 / runs) ** 0.5 + 0.03)


# A cluster of half of all cases beside twenty of two; clusters of 1 to 32; thirty single cases.
PAIRS_AND_ONE, DOUBLING, ALONE = [2.0] * 20 + [20.0], [1.0, 2.0, 4.0, 8.0, 16.0, 32.0] * 2, [1.0] * 30


@pytest.mark.parametrize(
    ("sizes", "between", "inside", "expected"),
    [
        (PAIRS_AND_ONE, 0.02, 0.02, 0.243),
        (PAIRS_AND_ONE, 0.0, 0.04, 0.119),
        (DOUBLING, 0.02, 0.02, 0.222),
        (ALONE, 0.04, 0.0, 0.098),
    ],
)
def test_a_set_keeps_the_sizes_of_its_clusters(sizes, between, inside, expected):
    """Normal moves of clusters, and of cases inside them: the printed drop is found in four of five runs."""
    random, size = np.random.default_rng(4), np.array(sizes)
    spread = np.sqrt(size * inside + size * size * between)
    scores = np.array([Z.inv_cdf((place + 0.5) / len(sizes)) for place in range(len(sizes))])
    means = random.permutation(scores / scores.std(ddof=1)) * math.sqrt(between + inside * (1 / size).mean())
    units = Units(sums=tuple(means * size), sizes=tuple(sizes), inside=inside)
    drop = detectable_mean_drop(units, 0.05, margin=0.1, light_tails=True)
    assert drop == pytest.approx(expected, abs=0.012)

    def regresses():
        moved = random.normal(0, spread) + drop * size
        found = mean_drop(Units(sums=tuple(moved), sizes=tuple(sizes)), 0.9, light_tails=True, resamples=499)
        return found.p_value <= 0.05 and found.high > 0.1

    assert np.mean([regresses() for _ in range(300)]) == pytest.approx(0.8, abs=0.1)


def test_where_hardly_any_score_moved_whole_units_are_counted():
    """Of 1000 units none moved: the drop of a pass rate in so many cases, times what a unit can lose."""
    still = group([0.0] * 1000, range(1000))
    counted = detectable_drop(1000, churn_of(0, 0, 1000), 0.05, margin=0.1, mid=False)
    assert detectable_mean_drop(still, 0.05, margin=0.05, reach=0.5) == pytest.approx(counted * 0.5)
    assert detectable_mean_drop(still, 0.05, margin=0.5, reach=0.5) is None


@pytest.mark.parametrize("moved", [5, 8])
def test_counted_jumps_need_more(moved):
    """Five or more of a hundred moved by 0.5: the drop's own part makes it 1 / sqrt(1 - z^2 / n) times as large."""
    drops = [0.5] * moved + [0.0] * (100 - moved)
    z = Z_LEVEL + Z_POWER
    counted = z * stdev(drops) / 10 / (1 - z * z / 100) ** 0.5
    assert detectable_mean_drop(alone(drops), 0.05) == pytest.approx(counted, rel=1e-9)


def by_the_rule(n, churn, drop, reach, rise, margin=None, level=0.05):
    """Power of the rule itself, summed over numbers of lost and gained units; more than 14 are regressions."""
    gained_by = reach if rise is None else min(reach, rise)

    @cache
    def regresses(lost, gained):
        moves = [reach] * lost + [-gained_by] * gained + [0.0] * (n - lost - gained)
        found = mean_drop(group(moves, range(n)), 0.9, reach=reach, rise=rise)
        return found.p_value <= level and (margin is None or found.high > margin)

    share = (drop - churn * (reach - gained_by)) / reach
    return math.fsum(
        float(
            multinomial.pmf(
                [lost, gained, n - lost - gained], n, [churn + share, churn, 1 - 2 * churn - share]
            )
        )
        for lost in range(n + 1)
        for gained in range(min(n - lost, 3) + 1)
        if (regresses(lost, gained) if lost + gained < 15 else lost > 2 * gained)
    )


@pytest.mark.parametrize(
    ("n", "reach", "rise", "margin"),
    [
        (20, 0.7, 0.3, 0.05),
        (20, 0.7, 0.3, None),
        (12, 0.5, 0.5, 0.05),
        (40, 1.0, None, 0.1),
        (8, 0.9, 0.2, 0.05),
    ],
)
def test_where_hardly_any_moved_units_are_lost_whole(n, reach, rise, margin):
    """The drop of a set in which nothing moved is found in 80 % by the rule, and a little less is not."""
    still = alone([0.0] * n)
    drop = detectable_mean_drop(still, 0.05, margin=margin, reach=reach, rise=rise)
    churn = churn_of(0, 0, n)
    assert by_the_rule(n, churn, drop, reach, rise, margin) >= 0.799
    assert by_the_rule(n, churn, drop - 0.01, reach, rise, margin) < 0.8
    assert detectable_mean_drop(still, 0.05, margin=reach, reach=reach, rise=rise) is None


def test_moves_are_counted_in_units_lost_whole():
    """Three lost a half and one gained a quarter of a hundred: churn as of 1.5 lost and 0.25 gained pass rates."""
    drops = [0.5] * 3 + [-0.25] + [0.0] * 96
    drop = detectable_mean_drop(alone(drops), 0.05, margin=0.05)
    assert by_the_rule(100, churn_of(1.5, 0.25, 100), drop, 1.0, None, 0.05) == pytest.approx(0.8, abs=0.02)


def test_equal_jumps_have_the_p_value_of_the_rule():
    """Four of twenty lost 0.7 and one gained 0.3, all it can: counted jumps, or what so few gains leave open."""
    for lost, gained in ((4, 0), (4, 1), (7, 2), (1, 3)):
        moves = [0.7] * lost + [-0.3] * gained + [0.0] * (20 - lost - gained)
        rule = mean_drop(alone(moves), 0.9, reach=0.7, rise=0.3)
        assert jumps_p(lost, gained, 20, 0.7, 0.3) == pytest.approx(rule.p_value)
    # 4 x 0.7 and 1 x 0.3 with one more 0.7: (4 x 0.49 + 0.09 + 0.49) / (2.8 + 0.3 + 0.7).
    assert alike_jumps(4, 1, 0.7, 0.3)[2] == pytest.approx(2.54 / 3.8)


@pytest.mark.parametrize(
    ("moves", "expected"),
    [
        ([0.1, -0.1] * 5, 0.178),
        # One of twenty gained 0.38, the others lost 0.02. As cases lost completely it would be 0.19.
        ([0.02] * 19 + [-0.38], 0.120),
        ([0.15, 0.05, -0.1, -0.1, 0.0] * 4, 0.086),
    ],
)
def test_a_worked_example_of_what_the_rule_finds_in_samples_of_few_units(moves, expected):
    """Of other samples of the same moves four in five are a regression, at a drop within 0.02 of the printed one."""
    drop = detectable_mean_drop(alone(moves), 0.05, margin=0.05, rise=0.42)
    assert drop == pytest.approx(expected, abs=0.004)

    def found(fall):
        random, centred = np.random.default_rng(5), np.array(moves) - np.mean(moves)
        samples = [alone((random.choice(centred, len(moves)) + fall).tolist()) for _ in range(200)]
        results = [mean_drop(sample, 0.9, rise=0.42) for sample in samples]
        return np.mean([each.p_value <= 0.05 and each.high > 0.05 for each in results])

    assert found(drop - 0.02) < 0.8 < found(drop + 0.02)


def test_many_units_need_what_unseen_gains_leave_open():
    """A hundred moves of ±0.01 that can gain 0.5: 0.5 (0.05^(-1/100) - 1) = 0.015206, and 0.84 errors."""
    drop = detectable_mean_drop(alone([0.01, -0.01] * 50), 0.05, rise=0.5)
    assert drop == pytest.approx(0.5 * (0.05**-0.01 - 1) + Z_POWER * 0.00100844, rel=1e-5)


@pytest.mark.simulation
@pytest.mark.parametrize("n", [20, 54, 150])
@pytest.mark.parametrize("spread", [0.05, 0.2])
def test_the_printed_mean_drop_is_the_detectable_one(n, spread):
    """The same of a graded metric with normal drops: at 3 points more it is found, at 3 points less it isn't."""
    random = np.random.default_rng(3)
    printed = np.median(
        [
            detectable_mean_drop(group(random.normal(0, spread, n).tolist(), range(n)), 0.05, margin=0.05)
            for _ in range(15)
        ]
    )

    def found(drop):
        results = [
            mean_drop(group(random.normal(drop, spread, n).tolist(), range(n)), 0.9, reach=0.8, resamples=499)
            for _ in range(200)
        ]
        return np.mean([each.p_value <= 0.05 and each.high > 0.05 for each in results])

    error = 3 * (0.8 * 0.2 / 200) ** 0.5
    assert found(printed + 0.03) >= 0.8 - error
    assert found(printed - 0.03) <= 0.8 + error


def drawn(random, sizes, alike):
    """Drops of cases that share a part of their variance of 0.04 inside a cluster."""
    of_clusters = np.repeat(random.normal(0, 1, len(sizes)), sizes)
    return 0.2 * (alike**0.5 * of_clusters + (1 - alike) ** 0.5 * random.normal(0, 1, sum(sizes)))


@pytest.mark.simulation
@pytest.mark.parametrize("light_tails", [True, False])
@pytest.mark.parametrize("alike", [0.0, 0.5])
@pytest.mark.parametrize("sizes", [[2] * 20 + [20], [1, 2, 4, 8, 16, 32] * 2, [5] * 12, [1] * 60])
def test_the_printed_drop_of_clusters_is_found(sizes, alike, light_tails):
    """The middle printed drop is found in 80 % of further runs, whatever cases of a cluster have in common."""
    random, runs = np.random.default_rng(8), 400
    clusters = np.repeat(np.arange(len(sizes)), sizes).tolist()
    limits = {"light_tails": light_tails, "rise": None if light_tails else 0.5}

    def printed():
        drops = drawn(random, sizes, alike).tolist()
        units = replace(group(drops, clusters), inside=variance_inside(drops, clusters))
        return detectable_mean_drop(units, 0.05, margin=0.1, **limits)

    middle = np.median([printed() for _ in range(30)])
    judged = [
        mean_drop(
            group((drawn(random, sizes, alike) + middle).tolist(), clusters), 0.9, resamples=499, **limits
        )
        for _ in range(runs)
    ]
    found = np.mean([each.p_value <= 0.05 and each.high > 0.1 for each in judged])
    assert found == pytest.approx(0.8, abs=0.09)
