"""Samples on which the gate's rule is run: how units and chances vary, and the rule itself, of many at once."""

import numpy as np
import pytest
from scipy.stats import t

from harness.statistics.clusters import Units, group
from harness.statistics.detectable_falls import Rule, by_rule, chances, least_of_runs, resamples_at
from harness.statistics.paired_binary import Trials
from harness.statistics.paired_graded import RESAMPLES, mean_drop
from harness.statistics.power import detectable_mean_drop


def test_a_chance_varies_as_its_parts_do():
    """3 of 6 vary by 9 / 30, more than a half does; 5 / 30 of 1 and 5 of 6 are increased by the 0.05 that are missing.

    5 / 30 + 0.025 = p (1 - p) of 0.7415. Alone they are 5 / 30, of 0.7887.
    """
    trials = [
        Trials(3, 3, 2, 3),
        Trials(0, 3, 1, 3),
        Trials(3, 3, 3, 3),
        Trials(0, 3, 0, 3),
        Trials(1, 3, 2, 3),
    ]
    assert chances(trials) == pytest.approx([0.741523, 0.258477, 1.0, 0.0, 0.5], abs=1e-6)
    assert chances(trials[:4]) == pytest.approx([0.788675, 0.211325, 1.0, 0.0], abs=1e-6)


def test_the_rule_is_asked_of_few_units_and_of_uneven_ones():
    def units(*sizes):
        return Units(sums=(0.0,) * len(sizes), sizes=tuple(map(float, sizes)))

    assert [by_rule(units(*[1] * count)) for count in (1, 2, 61, 62)] == [False, True, True, False]
    assert by_rule(units(*[2] * 100, 30, 20))
    assert not by_rule(units(*[2] * 200, 300))


def test_runs_are_asked_only_where_they_are_not_known():
    """Ten runs that regress from 0.1, 0.2, ... 1.0 on: eight of them do from 0.8 on."""
    asked = []

    def regresses(runs, fall):
        asked.extend((run, fall) for run in runs.tolist())
        return fall >= (runs + 1) / 10

    found = least_of_runs(regresses, 10, 0.8, 0.3, 2.0)
    assert 0.8 <= found <= 0.805
    assert len(asked) == len(set(asked)) < 40
    for run in range(10):
        falls = [fall for each, fall in asked if each == run]
        lost, kept = ([fall for fall in falls if (fall >= (run + 1) / 10) is gone] for gone in (True, False))
        # Never below a fall that was kept, nor above one that was lost.
        assert (lost, kept) == (sorted(lost, reverse=True), sorted(kept))
    assert least_of_runs(regresses, 10, 0.8, 0.3, 0.75) is None
    assert least_of_runs(lambda runs, _: runs >= 0, 10, 0.8, 0.3, 2.0) <= 1e-4


def test_a_fall_is_as_precise_on_any_scale():
    """A cost of a thousandth: the same runs, a thousand times smaller."""
    found = least_of_runs(lambda runs, fall: fall >= (runs + 1) / 10_000, 10, 0.8, 0.0003, 0.002)
    assert 0.0008 <= found <= 0.000805


@pytest.mark.parametrize("unit", [1e-5, 1e-3, 100.0])
def test_what_is_detected_is_told_in_the_scales_own_unit(unit):
    """A cost in another currency: the same figure, in that currency."""
    moves = np.random.default_rng(2).normal(0, 0.1, 40)

    def detected(unit):
        units = Units(sums=tuple((moves * unit).tolist()), sizes=(1.0,) * 40)
        return detectable_mean_drop(units, 0.05, margin=0.05 * unit, reach=unit, rise=0.5 * unit)

    assert detected(unit) == pytest.approx(unit * detected(1.0), rel=0.02)


@pytest.mark.parametrize("light_tails", [True, False])
@pytest.mark.parametrize("sizes", [[1] * 16, [1] * 40, [3] * 24, [1, 2, 4, 8] * 6, [1, 16] * 4])
def test_many_samples_are_judged_as_each_is(sizes, light_tails):
    """Normal moves, few of them, and thirds, near the drop that is just found: the verdicts are those of the rule."""
    random, size = np.random.default_rng(3), np.array(sizes, dtype=float)
    shape = (5, len(sizes))
    kinds = (
        random.normal(0, 0.2, shape),
        np.where(random.random(shape) < 0.3, random.normal(0, 0.3, shape), 0.0),
        np.round(random.normal(0, 1, shape)) / 3,
    )
    seen = set()
    for level, rise in ((0.05, 0.4), (0.01, None)):
        rule = Rule(level, 0.05, 0.9, None if light_tails else rise, light_tails=light_tails)
        for kind in kinds:
            moves = kind * np.sqrt(size)
            extremes = rule.extremes(moves, size)
            for fall in (0.06, 0.15, 0.7):
                found = rule.regresses(moves + fall * size, size, extremes)
                for each, run in zip(found.tolist(), (moves + fall * size).tolist(), strict=True):
                    units = Units(sums=tuple(run), sizes=tuple(size.tolist()))
                    own = mean_drop(units, 0.9, rise=rule.rise, light_tails=light_tails)
                    assert each is (own.p_value <= level and own.high > 0.05)
                    seen.add(each)
    assert seen == {True, False}


def test_many_metrics_leave_a_small_level_that_scores_can_reach():
    """Forty scores of ±0.2 at a fiftieth of 5 %: Student's t of 39 degrees of freedom, 3.31 + 0.85 errors of 0.032."""
    moves = group([0.2, -0.2] * 20, range(40))
    error = 0.2 * (40 / 39) ** 0.5 / 40**0.5
    found = detectable_mean_drop(moves, 0.001, margin=0.05, light_tails=True)
    assert found == pytest.approx((t.ppf(0.999, 39) + t.ppf(0.8, 39)) * error, rel=0.07)


def test_many_samples_are_judged_as_each_is_at_a_level_that_needs_more_resamples():
    """At 1e-4 the gate draws 20 000: normal moves near the fall that is just found."""
    random, size, level = np.random.default_rng(3), np.ones(40), 1e-4
    moves, rule = random.normal(0, 0.2, (12, 40)), Rule(level, 0.05, 0.9, 0.4)
    assert resamples_at(level, RESAMPLES) == 20_000
    assert resamples_at(1 / 5000, RESAMPLES) == resamples_at(0.05, RESAMPLES) == RESAMPLES
    assert np.isinf(rule.extremes(moves, size)[0]).all()
    extremes = rule.extremes(moves, size, resamples_at(level, RESAMPLES))
    seen = set()
    for fall in (0.08, 0.12, 0.14, 0.16, 0.2, 0.3):
        found = rule.regresses(moves + fall, size, extremes)
        for each, run in zip(found.tolist(), (moves + fall).tolist(), strict=True):
            own = mean_drop(Units(sums=tuple(run), sizes=(1.0,) * 40), 0.9, rise=0.4, finest=level)
            assert each is (own.p_value <= level and own.high > 0.05)
            seen.add((each, fall))
    assert len(seen) > 6


def test_hundreds_of_metrics_leave_a_level_that_scores_can_reach():
    """Forty scores of ±0.2 at a thousandth of 5 %, where 4999 resamples can't reject."""
    moves = group([0.2, -0.2] * 20, range(40))
    error = 0.2 * (40 / 39) ** 0.5 / 40**0.5
    found = detectable_mean_drop(moves, 5e-5, margin=0.05, rise=0.5)
    assert found == pytest.approx((t.ppf(1 - 5e-5, 39) + t.ppf(0.8, 39)) * error, rel=0.15)
