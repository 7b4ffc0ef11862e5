"""McNemar's test and Tango's interval: published values, scipy, and error rates by exact enumeration."""

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import bdtrc, gammaln, ndtr, ndtri, xlogy
from scipy.stats import binom, binomtest

from harness.statistics.paired_binary import (
    CONTINUITY,
    above_zero,
    bound_without_flips,
    drop_p,
    excludes_drop,
    holm,
    least_bound,
    mcnemar_p,
    tango_interval,
)

Z = float(ndtri(0.95))


def test_no_corrected_p_value_is_nothing():
    """Half to the power of 1075 is 0 to a computer; Holm's factor of 2 stays in it."""
    assert [above_zero(each) for each in (0.5**1075, 1e-300, 0.5)] == [sys.float_info.min, 1e-300, 0.5]
    found = holm([0.5**1075, 0.3])
    assert 0 < found[0] < 1e-300
    assert found[1] == 0.3


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_exact_form_equals_the_binomial_test(lost, gained):
    expected = binomtest(lost, lost + gained, alternative="greater").pvalue if lost + gained else 1.0
    assert mcnemar_p(lost, gained, mid=False) == pytest.approx(expected, rel=1e-9)


@given(st.integers(1, 60), st.integers(0, 60))
def test_the_mid_p_form_halves_what_was_seen(lost, gained):
    seen = binom.pmf(lost, lost + gained, 0.5)
    assert mcnemar_p(lost, gained) == pytest.approx(mcnemar_p(lost, gained, mid=False) - seen / 2, rel=1e-9)


def test_mcnemar_of_a_published_example():
    """Fagerland et al. (2013), airway hyper-responsiveness, 7 and 1 discordant: 0.070 exact, 0.039 mid-p, two-sided."""
    assert 2 * mcnemar_p(7, 1, mid=False) == pytest.approx(0.070, abs=5e-4)
    assert 2 * mcnemar_p(7, 1) == pytest.approx(0.039, abs=5e-4)


@pytest.mark.parametrize(
    ("lost", "gained", "n", "low", "high"),
    [
        # Tango (1998), section 5: crossover of soft lenses, 44 subjects, disinfection 43 agree and 1 differs.
        (0, 1, 44, -0.118, 0.059),
        # Fagerland et al. (2014), Statistics in Medicine 33: airway hyper-responsiveness.
        (1, 7, 21, -0.517, -0.026),
        # No flips: the score interval is plus and minus z^2 / (n + z^2).
        (0, 0, 44, -(1.96**2) / (44 + 1.96**2), 1.96**2 / (44 + 1.96**2)),
    ],
)
def test_tango_of_published_examples(lost, gained, n, low, high):
    """Without the continuity correction, which the published values don't have."""
    interval = tango_interval(lost, gained, n, 0.95, continuity=0)
    assert interval.low == pytest.approx(low, abs=6e-4)
    assert interval.high == pytest.approx(high, abs=6e-4)


@pytest.mark.parametrize(("n", "high"), [(100, 0.0310147990), (40, 0.0745708866), (10, 0.2503298190)])
def test_the_continuity_of_a_worked_example(n, high):
    """No flip among n: the bound d solves (n d - 1/4)^2 = z^2 n d (1 - d), a quadratic."""
    interval = tango_interval(0, 0, n, 0.9)
    assert (interval.low, interval.estimate, interval.high) == pytest.approx((-high, 0, high), abs=1e-9)
    assert (n * high - 0.25) ** 2 == pytest.approx(Z * Z * n * high * (1 - high))
    assert (interval.confidence, interval.method) == (0.9, "Tango score")


@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 200))
def test_tango_holds_its_estimate_and_mirrors(lost, gained, rest):
    """The interval is in [-1, 1] around the estimate; exchanging the sides turns its sign."""
    n = max(lost + gained + rest, 1)
    interval, mirrored = tango_interval(lost, gained, n, 0.9), tango_interval(gained, lost, n, 0.9)
    assert -1 <= interval.low <= interval.estimate <= interval.high <= 1
    assert interval.low < interval.high
    assert interval.low == -mirrored.high


@given(st.integers(0, 30), st.integers(0, 30), st.integers(0, 100), st.floats(0.01, 0.5))
def test_the_bound_and_the_test_agree(lost, gained, rest, drop):
    """A drop is refuted exactly if it is beyond the upper bound, so the table shows what was decided."""
    n = max(lost + gained + rest, 1)
    high = tango_interval(lost, gained, n, 0.9).high
    if abs(high - drop) > 1e-6 and n > 4:
        assert excludes_drop(lost, gained, n, drop, Z) is (high < drop)


def test_a_handful_never_excludes_a_small_drop():
    """Whatever four cases do, and whatever sixty do unless they gain."""
    for n in range(1, 5):
        for lost in range(n + 1):
            for gained in range(n + 1 - lost):
                assert tango_interval(lost, gained, n, 0.9).high > 0.05
    assert tango_interval(0, 0, 59, 0.9).high > 0.05
    assert tango_interval(0, 0, 62, 0.9).high <= 0.05


@pytest.mark.parametrize(("lost", "gained", "n"), [(5, 0, 5), (0, 5, 5), (1, 0, 1), (0, 0, 1), (3, 2, 5)])
def test_tango_of_tiny_and_extreme_tables(lost, gained, n):
    interval = tango_interval(lost, gained, n, 0.9)
    assert -1 <= interval.low <= interval.high <= 1


def test_the_score_test_of_worked_examples():
    """9 lost and 2 gained of 80: the normal tail of (2 - 9 + 1/4) / sqrt(11) = -2.035202; all of three: 1/8."""
    assert drop_p(9, 2, 80) == pytest.approx(float(ndtr(-6.75 / 11**0.5)))
    assert drop_p(9, 2, 80) == pytest.approx(0.0209153, abs=1e-7)
    assert drop_p(9, 2, 80, continuity=0) == pytest.approx(float(ndtr(-7 / 11**0.5)))
    assert drop_p(3, 0, 3) == 1 / 8  # the score test alone would say 0.0562
    assert drop_p(3, 0, 3, 0.2) == pytest.approx(0.6**3)
    assert drop_p(0, 0, 10) == 1.0


def test_no_drop_is_larger_than_all_there_is():
    assert drop_p(5, 0, 9, 1.0) == drop_p(5, 0, 9, 1.5) == 1.0
    assert drop_p(5, 0, 9, -1.0) == drop_p(5, 0, 9, -1.5) == 0.0
    for n in (1, 5, 40):
        assert tango_interval(n, 0, n, 0.9).high == 1.0
        assert tango_interval(n - 1, 0, n, 0.9).high < 1.0


@pytest.mark.parametrize("continuity", [0.0, CONTINUITY])
@pytest.mark.parametrize(("lost", "gained", "n"), [(9, 2, 80), (4, 4, 50), (1, 6, 30), (12, 0, 40)])
def test_the_score_test_is_the_interval_turned_round(lost, gained, n, continuity):
    """At the interval's lower end its p-value is the error probability; beyond, it is larger."""
    for confidence in (0.9, 0.98):
        low = tango_interval(lost, gained, n, confidence, continuity=continuity).low
        assert drop_p(lost, gained, n, low, continuity=continuity) == pytest.approx(
            (1 - confidence) / 2, abs=1e-9
        )
        assert drop_p(lost, gained, n, low + 0.01, continuity=continuity) > (1 - confidence) / 2


def test_what_lies_exactly_at_the_level_is_excluded():
    """Without a correction two gains of 16 lie (0 - 2) / sqrt(2) errors from no drop."""
    z = 2**0.5
    assert excludes_drop(0, 2, 16, 0.0, -((0 - 2) / 2**0.5), continuity=0)
    assert not excludes_drop(0, 2, 16, 0.0, z * (1 + 1e-12), continuity=0)


def chance_of(lost, gained, n, lose, gain):
    """Trinomial probabilities of arrays of counts."""
    rest = n - lost - gained
    return np.exp(
        gammaln(n + 1) - gammaln(lost + 1) - gammaln(gained + 1) - gammaln(rest + 1)
        + xlogy(lost, lose) + xlogy(gained, gain) + xlogy(rest, 1 - lose - gain)
    )  # fmt: skip


def tables(n, most=None):
    """All counts of lost and gained cases, the most unlikely left out."""
    lost, gained = np.meshgrid(np.arange(n + 1), np.arange(n + 1), indexing="ij")
    inside = lost + gained <= (n if most is None else min(n, most))
    return lost[inside], gained[inside]


@pytest.mark.simulation
@pytest.mark.parametrize("mid", [True, False])
def test_no_change_is_called_a_drop_in_at_most_five_percent(mid):
    """Exactly, for any churn up to a half, at 300 set sizes: why the mid-p form, which finds more, was chosen."""
    sizes = np.arange(301)
    rejected = np.zeros(301)
    for flips in range(1, 301):
        lost = next(
            (lost for lost in range(flips // 2, flips + 1) if mcnemar_p(lost, flips - lost, mid=mid) <= 0.05),
            None,
        )
        rejected[flips] = 0.0 if lost is None else bdtrc(lost - 1, flips, 0.5)
    worst = max(
        float((binom.pmf(sizes[: n + 1], n, churn) * rejected[: n + 1]).sum())
        for n in [*range(4, 61), 67, 80, 100, 150, 200, 300]
        for churn in np.linspace(0.01, 1.0, 50) / 2
    )
    assert worst <= (0.0502 if mid else 0.046)
    assert rejected.max() > 0.05 if mid else rejected.max() <= 0.05


@pytest.mark.simulation
@pytest.mark.parametrize("margin", [0.02, 0.05, 0.1, 0.2])
@pytest.mark.parametrize("n", [10, 20, 36, 52, 61, 80, 100, 200])
def test_a_drop_at_the_margin_passes_in_about_five_percent(n, margin):
    """Exactly, for up to a quarter of the cases gained by chance; without the correction it would be up to 7 %."""
    lost, gained = tables(n, most=160)
    passes = np.array(
        [excludes_drop(a, b, n, margin, Z) for a, b in zip(lost.tolist(), gained.tolist(), strict=True)]
    )
    gains = [0, 0.005, 0.01, 0.02, 0.05, 0.1, 0.15, 0.25]
    worst = max(chance_of(lost, gained, n, margin + gain, gain)[passes].sum() for gain in gains)
    assert worst <= 0.0525


def test_why_there_is_a_continuity_correction():
    """52 cases and a margin of 0.05: without one, no flip at all would pass, at a chance of 0.95^52 = 7 %."""
    assert excludes_drop(0, 0, 52, 0.05, Z, continuity=0)
    assert not excludes_drop(0, 0, 52, 0.05, Z, continuity=CONTINUITY)


@pytest.mark.simulation
@pytest.mark.parametrize("n", [50, 200])
@pytest.mark.parametrize(("drop", "gain"), [(0.0, 0.05), (0.0, 0.1), (0.05, 0.05), (0.1, 0.05), (0.3, 0.02)])
def test_the_interval_covers_the_truth(n, drop, gain):
    """Exactly: the 90 % interval holds the true drop in 89 to 96 % of all samples."""
    lost, gained = tables(n, most=120)
    chance = chance_of(lost, gained, n, drop + gain, gain)
    covered = 0.0
    for a, b, probability in zip(lost.tolist(), gained.tolist(), chance.tolist(), strict=True):
        if probability > 1e-7:
            interval = tango_interval(a, b, n, 0.9)
            covered += probability * (interval.low <= drop <= interval.high)
    assert 0.89 <= covered <= 0.96


def test_what_is_rejected_lies_above_zero():
    """Whoever reads REGRESS in the table sees an interval above zero (the test's own level aside)."""
    for n in (20, 60, 150):
        for gained in range(15):
            lost = next(lost for lost in range(gained, n + 100) if mcnemar_p(lost, gained) <= 0.05)
            if lost + gained <= n:
                assert tango_interval(lost, gained, n, 0.9).low > -0.005


@pytest.mark.parametrize("n", [5, 20, 54, 100, 1000])
def test_the_bound_without_flips_is_the_intervals_own(n):
    assert bound_without_flips(n, 1.6448536) == pytest.approx(tango_interval(0, 0, n, 0.9).high, abs=1e-6)


@pytest.mark.parametrize(("n", "bound"), [(1, 0.9), (2, 1 - 2 * 0.05**0.5), (5, 1 - 2 * 0.05**0.2)])
def test_what_a_handful_of_pairs_can_exclude(n, bound):
    """All n gained: a drop d has that result with a probability of ((1 - d) / 2)^n, which is 5 % at the bound."""
    assert least_bound(n, Z) == pytest.approx(bound, abs=1e-9)
    assert tango_interval(0, n, n, 0.9).high == pytest.approx(max(bound, tango_interval(0, n, n, 0.9).high))
    assert tango_interval(0, n, n, 0.9).high >= bound - 1e-9


def test_counts_without_any_variance_are_decided_by_their_distance():
    """No flip and no drop in question: a correction to either side is infinitely far from it, none is no distance."""
    assert not excludes_drop(0, 0, 50, 0.0, Z, continuity=0.25)
    assert not excludes_drop(0, 0, 50, 0.0, Z, continuity=0.0)
    assert excludes_drop(0, 0, 50, 0.0, Z, continuity=-0.25)
