"""McNemar's test, Tango's interval and the power, against published values, scipy and simulation."""

from functools import cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from harness.statistics.paired_binary import detectable_drop, mcnemar_p, tango_interval


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_equals_the_binomial_test(lost, gained):
    expected = binomtest(lost, lost + gained, alternative="greater").pvalue if lost + gained else 1.0
    assert mcnemar_p(lost, gained) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("lost", "gained", "n", "low", "high"),
    [
        # Tango (1998), section 5: crossover of soft lenses, 44 subjects, disinfection 43 agree and 1 differs.
        (0, 1, 44, -0.118, 0.058),
        # No flips: the score interval is plus and minus z^2 / (n + z^2).
        (0, 0, 44, -(1.96**2) / (44 + 1.96**2), 1.96**2 / (44 + 1.96**2)),
    ],
)
def test_tango_of_published_examples(lost, gained, n, low, high):
    interval = tango_interval(lost, gained, n, 0.95)
    assert interval.low == pytest.approx(low, abs=2e-3)
    assert interval.high == pytest.approx(high, abs=2e-3)


@given(st.integers(0, 40), st.integers(0, 40), st.integers(1, 200))
def test_tango_holds_its_estimate_and_mirrors(lost, gained, rest):
    """The interval lies in [-1, 1] around the estimate; exchanging the sides turns its sign."""
    n = lost + gained + rest
    interval, mirrored = tango_interval(lost, gained, n, 0.9), tango_interval(gained, lost, n, 0.9)
    assert -1 <= interval.low <= interval.estimate <= interval.high <= 1
    assert interval.low < interval.high
    assert interval.low == pytest.approx(-mirrored.high, abs=1e-6)


@pytest.mark.parametrize(("lost", "gained", "n"), [(5, 0, 5), (0, 5, 5), (1, 0, 1), (0, 0, 1), (3, 2, 5)])
def test_tango_of_tiny_and_extreme_tables(lost, gained, n):
    interval = tango_interval(lost, gained, n, 0.9)
    assert -1 <= interval.low <= interval.high <= 1


@pytest.mark.parametrize(("n", "drop"), [(20, 0.36), (50, 0.17), (100, 0.10), (200, 0.06)])
def test_known_detectable_drops(n, drop):
    """At 5 % and 80 % power with 2 % of cases flipping each way by chance."""
    assert detectable_drop(n, 0.02, 0.05) == pytest.approx(drop, abs=0.011)


def test_too_few_cases_detect_nothing():
    """Four losses of four have a p-value of 1/16."""
    assert detectable_drop(4, 0.02, 0.05) is None
    assert detectable_drop(1, 0.02, 0.05) is None


@cache
def _p(lost: int, gained: int) -> float:
    return mcnemar_p(lost, gained)


@cache
def _upper(lost: int, gained: int, n: int) -> float:
    return tango_interval(lost, gained, n, 0.9).high


def flips(random, n, lose, gain, runs):
    draws = random.multinomial(n, [lose, gain, 1 - lose - gain], size=runs)
    return draws[:, 0].tolist(), draws[:, 1].tolist()


@pytest.mark.parametrize("n", [20, 50, 100, 200])
@pytest.mark.parametrize("churn", [0.0, 0.02, 0.05, 0.10])
def test_no_change_is_rarely_called_a_drop(n, churn):
    """False alarms stay at 5 % or below, Monte-Carlo error allowed."""
    lost, gained = flips(np.random.default_rng(n), n, churn, churn, 5000)
    rejected = np.mean([_p(a, b) <= 0.05 for a, b in zip(lost, gained, strict=True)])
    assert rejected <= 0.05 + 3 * (0.05 * 0.95 / 5000) ** 0.5


@pytest.mark.parametrize("n", [20, 50, 100, 200])
def test_the_detectable_drop_is_detected(n):
    """At the printed drop the test rejects in 80 % of runs, Monte-Carlo error allowed."""
    drop = detectable_drop(n, 0.02, 0.05)
    lost, gained = flips(np.random.default_rng(n), n, 0.02 + drop, 0.02, 5000)
    found = np.mean([_p(a, b) <= 0.05 for a, b in zip(lost, gained, strict=True)])
    assert abs(found - 0.8) <= 0.02


@pytest.mark.parametrize("n", [20, 40, 60, 100, 200, 500])
@pytest.mark.parametrize("churn", [0.0, 0.02, 0.05])
def test_a_drop_at_the_margin_rarely_passes(n, churn):
    """False passes: a true drop of 0.10 is excluded in about 5 % of runs at most (score intervals are approximate)."""
    lost, gained = flips(np.random.default_rng(n), n, churn + 0.10, churn, 4000)
    passed = np.mean([_upper(a, b, n) <= 0.10 for a, b in zip(lost, gained, strict=True)])
    assert passed <= 0.065
