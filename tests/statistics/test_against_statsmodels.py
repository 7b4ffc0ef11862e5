"""Where statsmodels has the same method, its figures are ours."""

import gc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm

from harness.statistics.clusters import wilson
from harness.statistics.paired_binary import Trials, holm, mcnemar_p, stratified_p

multitest = pytest.importorskip("statsmodels.stats.multitest", reason="statsmodels is in the dev group")
proportion = pytest.importorskip("statsmodels.stats.proportion")
tables = pytest.importorskip("statsmodels.stats.contingency_tables")


@pytest.fixture(autouse=True, scope="module")
def spare_the_collector():
    """Statsmodels collects garbage at every call: half a second each, late in a session that holds much."""
    gc.freeze()
    yield
    gc.unfreeze()


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm(p_values):
    expected = multitest.multipletests(p_values, method="holm")[1]
    assert holm(p_values) == pytest.approx(expected)


@given(
    st.integers(1, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    st.sampled_from([0.9, 0.95, 0.99]),
)
def test_wilson(counts, confidence):
    passed, n = counts
    low, high = proportion.proportion_confint(passed, n, alpha=1 - confidence, method="wilson")
    interval = wilson(passed, n, confidence)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-12)


@given(st.integers(0, 60), st.integers(0, 60))
def test_the_exact_mcnemar_test(lost, gained):
    """Theirs is two-sided: twice the smaller tail."""
    if lost == gained:
        return
    theirs = tables.mcnemar(np.array([[5, lost], [gained, 5]]), exact=True).pvalue
    tail = mcnemar_p(max(lost, gained), min(lost, gained), mid=False)
    assert min(1.0, 2 * tail) == pytest.approx(theirs)


def test_all_cases_together_come_near_the_normal_approximation():
    """Mantel and Haenszel's test over 60 cases of five answers: the exact mid-p is near its normal value."""
    random = np.random.default_rng(3)
    rates = random.uniform(0.3, 0.9, 60)
    before, now = random.binomial(5, rates), random.binomial(5, rates - 0.08)
    cases = [Trials(int(b), 5, int(c), 5) for b, c in zip(before, now, strict=True)]
    strata = [np.array([[b, 5 - b], [c, 5 - c]]) for b, c in zip(before, now, strict=True) if 0 < b + c < 10]
    statistic = tables.StratifiedTable(strata).test_null_odds(correction=False).statistic
    one_sided = norm.sf(np.sqrt(statistic)) if now.sum() < before.sum() else norm.cdf(np.sqrt(statistic))
    assert stratified_p(cases) == pytest.approx(one_sided, abs=0.004)
