"""A rate that is watched for long: a worked example, false alarms over the whole watch, and what is found."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.rising_rates import largest_rate, watch_rate


def test_the_bound_of_clopper_and_pearson():
    # None of 59: 0.95 ** 59 = 0.0485; the bound solves (1 - x) ** 59 = 0.05.
    assert largest_rate(0, 59, 0.05) == pytest.approx(1 - 0.05 ** (1 / 59))
    # Their table: 3 of 20, one side of 97.5 %.
    assert largest_rate(3, 20, 0.025) == pytest.approx(0.3789, abs=1e-4)
    assert largest_rate(20, 20, 0.05) == 1


def test_one_window_is_half_a_likelihood_ratio_and_half_what_is_kept():
    limit = 0.2
    odds = math.log(0.25)
    rates = [1 / (1 + math.exp(-(odds + (7 - odds) * step / 32))) for step in range(1, 33)]
    ratio = np.mean([(rate / limit) ** 3 * ((1 - rate) / (1 - limit)) ** 2 for rate in rates])
    assert watch_rate([(3, 5)], limit, 0.05).evidence == pytest.approx([ratio / 2 + 1 / 2])


@given(st.floats(0.01, 0.95), st.integers(1, 6))
def test_the_expected_evidence_of_a_rate_at_the_limit_is_one(limit, n):
    # Two windows of n answers each, all outcomes weighted by their probability.
    chance = [math.comb(n, k) * limit**k * (1 - limit) ** (n - k) for k in range(n + 1)]
    expected = sum(
        chance[a] * chance[b] * watch_rate([(a, n), (b, n)], limit, 0.05).evidence[-1]
        for a in range(n + 1)
        for b in range(n + 1)
    )
    assert expected == pytest.approx(1)


@given(st.floats(0.05, 0.95), st.floats(0, 1), st.integers(1, 5))
def test_below_the_limit_it_is_at_most_one(limit, share, n):
    rate = limit * share
    chance = [math.comb(n, k) * rate**k * (1 - rate) ** (n - k) for k in range(n + 1)]
    assert sum(p * watch_rate([(k, n)], limit, 0.05).evidence[0] for k, p in enumerate(chance)) <= 1 + 1e-9


def alarms(rate, limit, *, runs=400, windows=20, n=40, later=None):
    random = np.random.default_rng(5)
    rates = np.full(windows, rate)
    if later is not None:
        rates[windows // 2 :] = later
    drawn = random.binomial(n, rates, (runs, windows))
    return [watch_rate([(int(k), n) for k in each], limit, 0.05) for each in drawn]


def test_looking_twenty_times_raises_few_false_alarms():
    found = alarms(0.1, 0.1)
    # 5 % and three standard errors of 400 runs.
    assert np.mean([each.alarm is not None for each in found]) <= 0.05 + 3 * math.sqrt(0.05 * 0.95 / 400)


def test_a_rise_in_the_middle_is_found_with_its_place():
    found = alarms(0.05, 0.1, later=0.3, runs=100)
    assert all(each.alarm is not None and each.alarm >= 10 for each in found)
    assert np.mean([each.alarm - 10 for each in found]) < 3
    assert np.mean([abs(each.since - 10) <= 1 for each in found]) > 0.9


def test_a_limit_of_one_or_none_at_all():
    assert watch_rate([(9, 9)], 1.0, 0.05).alarm is None
    assert watch_rate([(1, 9)], 0.0, 0.05).alarm == 0
    assert watch_rate([(0, 0), (0, 0)], 0.1, 0.05).evidence == pytest.approx([1, 1])
