"""The fit behind strengths and length-controlled win rates, on equations that can be solved by hand."""

import math

import numpy as np
import pytest

from harness.statistics.tied_logistic import fit_tied


def fit(y, clusters=None, strata=None, x=None):
    places = range(len(y))
    columns = np.ones((len(y), 1)) if x is None else np.array(x, dtype=float)
    return fit_tied(
        columns,
        np.array(y, dtype=float),
        places if clusters is None else clusters,
        [0] * len(y) if strata is None else strata,
    )


def test_an_intercept_is_the_log_odds_with_half_a_win_and_half_a_loss_more():
    """Six of eight: 6.5 of 9, so log(6.5 / 2.5); the information is 9 p (1 - p)."""
    found = fit([1] * 6 + [0] * 2)
    p = 6.5 / 9
    assert found.coefficients.tolist() == pytest.approx([math.log(6.5 / 2.5)])
    # The model's: eight variances and the half win and loss. The spread: (6 (1-p)^2 + 2 p^2) x 8/7 and those.
    inverse = 1 / (9 * p * (1 - p))
    assert found.binomial.tolist() == [[pytest.approx(inverse)]]
    spread = (6 * (1 - p) ** 2 + 2 * p * p) * 8 / 7 + p * (1 - p)
    assert found.robust.tolist() == [[pytest.approx(inverse * inverse * spread)]]
    assert found.clusters == 8
    assert found.error(np.array([1.0])) == pytest.approx(math.sqrt(inverse * inverse * spread))
    assert found.error(np.array([2.0])) == pytest.approx(2 * found.error(np.array([1.0])))


def test_the_quantile_is_student_s_over_the_clusters():
    """Of 7, 3 and (of one or two clusters) 1 degree of freedom; tabled values."""
    assert fit([1, 0] * 4).quantile(0.9) == pytest.approx(1.8945786)
    assert fit([1, 0] * 4).quantile(0.98) == pytest.approx(2.9979516)
    assert fit([1, 0] * 4, clusters=[0, 0, 1, 1, 2, 2, 3, 3]).quantile(0.9) == pytest.approx(2.3533634)
    assert fit([1, 0] * 4, clusters=[0] * 4 + [1] * 4).quantile(0.9) == pytest.approx(6.3137515)
    assert fit([1, 0] * 4, clusters=[0] * 8).quantile(0.9) == pytest.approx(6.3137515)


def test_clusters_add_their_scores_before_they_are_squared():
    """Four wins and four losses in clusters that agree: two scores of 2 and two of -2 in place of halves."""
    found = fit([1] * 4 + [0] * 4, clusters=["a", "a", "a", "a", "b", "b", "b", "b"])
    inverse = 1 / (9 * 0.25)
    assert found.robust.tolist() == [[pytest.approx(inverse * inverse * ((4 + 4) * 2 + 0.25))]]
    assert found.binomial.tolist() == [[pytest.approx(inverse)]]


def test_ties_take_their_part_of_the_variance():
    """Four of eight tied, with four untied ones counted in: a rate of 1/3, and p (1 - p) - 1/12 each."""
    found = fit([1, 0.5, 0.5, 0, 1, 0.5, 0.5, 0])
    inverse = 1 / (9 * 0.25)
    assert found.coefficients.tolist() == pytest.approx([0.0], abs=1e-9)
    assert found.binomial.tolist() == [[pytest.approx(inverse * inverse * (8 * (0.25 - 1 / 12) + 0.25))]]


def test_each_stratum_has_its_own_rate_of_ties():
    """Ties in the second kind alone: 4 / (4 + 4) of them, so 1/4 - 1/8 there and 1/4 in the first."""
    found = fit([1, 0, 1, 0, 0.5, 0.5, 0.5, 0.5], strata=[0, 0, 0, 0, 1, 1, 1, 1])
    inverse = 1 / (9 * 0.25)
    # Four ties that are all alike, each a cluster of its own: they count as four.
    assert found.binomial.tolist() == [[pytest.approx(inverse * inverse * (4 * 0.25 + 4 * 0.125 + 0.25))]]


def test_where_all_of_a_kind_ended_alike_a_cluster_counts_once():
    """Eight wins: 8.5 of 9. In clusters of 4, 2 and 2, Kish's number is 64 / 24, so each variance counts three times."""
    p = 8.5 / 9
    inverse = 1 / (9 * p * (1 - p))
    found = fit([1] * 8, clusters=[0, 0, 0, 0, 1, 1, 2, 2])
    expected = inverse * inverse * (8 * 3 * p * (1 - p) + p * (1 - p))
    assert found.binomial.tolist() == [[pytest.approx(expected)]]
    not_alike = fit([1] * 7 + [0], clusters=[0, 0, 0, 0, 1, 1, 2, 2])
    p = 7.5 / 9
    assert not_alike.binomial.tolist() == [[pytest.approx(1 / (9 * p * (1 - p)))]]


def test_one_cluster_is_one_observation():
    """Whether or not its comparisons ended alike: eight of them, each variance eight times."""
    p = 7.5 / 9
    inverse = 1 / (9 * p * (1 - p))
    found = fit([1] * 7 + [0], clusters=["a"] * 8)
    assert found.binomial.tolist() == [[pytest.approx(inverse * inverse * (64 + 1) * p * (1 - p))]]
    assert found.clusters == 1


def test_a_slope_is_estimated_beside_the_intercept():
    """Two groups apart by a column of 1 and -1: the two equations are solved by Newton's steps to the last digit."""
    x = [[1, 1]] * 6 + [[1, -1]] * 6
    found = fit([1] * 5 + [0] + [1] * 2 + [0] * 4, x=x)
    a, b = found.coefficients.tolist()

    def logistic(value):
        return 1 / (1 + math.exp(-value))

    high, low = logistic(a + b), logistic(a - b)
    assert 5 - 6 * high + 2 - 6 * low + 0.5 - logistic(a) == pytest.approx(0, abs=1e-9)
    assert 5 - 6 * high - (2 - 6 * low) + 0.5 - logistic(b) == pytest.approx(0, abs=1e-9)
    assert found.robust.shape == found.binomial.shape == (2, 2)
    assert found.robust[0, 1] == pytest.approx(found.robust[1, 0])
