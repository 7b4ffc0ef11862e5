"""Which case got worse: Fisher's test case by case, corrected over cases, and all cases together."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from harness.statistics.paired_binary import (
    Trials,
    case_p,
    case_p_values,
    counted_case_ps,
    counted_level,
    least_case_p,
    mcnemar_p,
    stratified_p,
)

some_trials = st.builds(
    lambda baseline, candidate, share_before, share_now: Trials(
        round(share_before * baseline), baseline, round(share_now * candidate), candidate
    ),
    st.integers(1, 12),
    st.integers(1, 12),
    st.floats(0, 1),
    st.floats(0, 1),
)


@given(some_trials)
def test_one_case_is_fishers_exact_test(trials):
    """The same as scipy's."""
    table = [
        [trials.candidate_passed, trials.candidate - trials.candidate_passed],
        [trials.baseline_passed, trials.baseline - trials.baseline_passed],
    ]
    assert case_p(trials) == pytest.approx(stats.fisher_exact(table, alternative="less").pvalue)
    assert least_case_p(trials) <= case_p(trials) * (1 + 1e-9)


def test_a_case_that_broke_stands_out_of_many_that_always_pass():
    """5 of 5 to 0 of 5 is one in 252; 999 cases that can't show anything don't dilute it."""
    cases = [Trials(5, 5, 0, 5)] + [Trials(5, 5, 5, 5)] * 999
    adjusted = case_p_values(cases)
    assert adjusted[0] == pytest.approx(1 / 252)
    assert set(adjusted[1:]) == {1.0}


def test_a_worked_example_of_cases_that_could_have_shown_as_much():
    """Ten cases that passed five of their ten answers each had the same chance."""
    adjusted = case_p_values([Trials(5, 5, 0, 5), *[Trials(3, 5, 2, 5)] * 9])
    assert adjusted[0] == pytest.approx(10 / 252)


def test_several_broken_cases_are_all_found():
    adjusted = case_p_values([Trials(5, 5, 0, 5)] * 3 + [Trials(5, 5, 5, 5)] * 50)
    assert [p <= 0.05 for p in adjusted] == [True] * 3 + [False] * 50


def test_a_case_that_is_found_no_longer_counts_against_the_others():
    """By hand: 5 of 5 to 0 of 5 is 1/252, 4 of 4 to 0 of 4 is 1/70.

    Neither can show the other's p-value but the first case the second's: without stepping down the second
    would be 1/70 + 1/252.
    """
    assert case_p_values([Trials(4, 4, 0, 4), Trials(5, 5, 0, 5)]) == pytest.approx([1 / 70, 1 / 252])
    assert case_p_values([Trials(5, 5, 0, 5)] * 3) == pytest.approx([3 / 252] * 3)


def test_a_weaker_case_never_counts_for_more_than_a_stronger_one():
    """By hand: 1/10 and 26/252. The second case could have shown 1/252, so the first counts 1/10 + 1/252.

    Alone, the second would count 26/252, which is less; it takes over what the first one counts.
    """
    adjusted = case_p_values([Trials(2, 2, 0, 3), Trials(4, 5, 1, 5)])
    assert adjusted == pytest.approx([131 / 1260, 131 / 1260])
    assert adjusted[1] > case_p(Trials(4, 5, 1, 5)) == pytest.approx(26 / 252)


def test_a_case_alone_counts_all_that_is_as_bad():
    """4 of 5 to 1 of 5: none passed in 1 of 252 orders, one in 25."""
    assert case_p_values([Trials(4, 5, 1, 5)]) == pytest.approx([26 / 252])
    assert case_p_values([Trials(4, 5, 1, 5), Trials(5, 5, 5, 5)]) == pytest.approx([26 / 252, 1.0])


def test_the_least_p_value_of_a_case():
    """Of eight that passed of ten the candidate has at least three: 56 of 252 orders. Without a spread it is 1."""
    assert least_case_p(Trials(5, 5, 3, 5)) == pytest.approx(56 / 252)
    assert least_case_p(Trials(2, 5, 3, 5)) == pytest.approx(1 / 252)
    assert least_case_p(Trials(5, 5, 5, 5)) == least_case_p(Trials(0, 5, 0, 5)) == 1.0


def test_one_answer_a_side_can_break_no_case():
    assert case_p(Trials(1, 1, 0, 1)) == least_case_p(Trials(1, 1, 0, 1)) == 0.5


def test_a_noise_record_adds_answers_to_the_baseline():
    """A case that passed 39 of 39 reruns and fails once: 1 in 40. After five reruns it would be 1 in 6."""
    assert case_p(Trials(39, 39, 0, 1)) == pytest.approx(1 / 40)
    assert case_p(Trials(5, 5, 0, 1)) == pytest.approx(1 / 6)


@given(st.lists(some_trials, min_size=1, max_size=5))
def test_all_cases_together_equal_enumeration(cases):
    supports = []
    for trials in cases:
        passed = trials.baseline_passed + trials.candidate_passed
        law = stats.hypergeom(trials.baseline + trials.candidate, passed, trials.candidate)
        supports.append([(each, law.pmf(each)) for each in range(trials.candidate + 1) if law.pmf(each) > 0])
    observed = sum(trials.candidate_passed for trials in cases)
    expected = 0.0
    for drawn in product(*supports):
        total, chance = sum(each for each, _ in drawn), np.prod([chance for _, chance in drawn])
        expected += chance * (1.0 if total < observed else 0.5 if total == observed else 0.0)
    if all(len(support) == 1 for support in supports):
        expected = 1.0
    assert stratified_p(cases) == pytest.approx(expected)


@given(st.integers(0, 30), st.integers(0, 30))
def test_with_one_answer_a_side_it_is_mcnemars_mid_p(lost, gained):
    cases = [Trials(1, 1, 0, 1)] * lost + [Trials(0, 1, 1, 1)] * gained + [Trials(1, 1, 1, 1)] * 3
    expected = mcnemar_p(lost, gained) if lost else stratified_p(cases)
    assert stratified_p(cases) == pytest.approx(expected)


@pytest.mark.simulation
@pytest.mark.parametrize("repeats", [1, 3, 5, 10])
@pytest.mark.parametrize("n", [20, 200])
def test_unchanged_cases_are_rarely_called_broken(repeats, n):
    """600 runs of stable, nearly stable and unstable cases: any case found in at most 5 % and its error."""
    random, wrong = np.random.default_rng(repeats), 0
    rates = np.resize([1.0, 1.0, 1.0, 0.95, 0.7], n)
    for _ in range(600):
        before, now = random.binomial(repeats, rates), random.binomial(repeats, rates)
        cases = [Trials(int(b), repeats, int(c), repeats) for b, c in zip(before, now, strict=True)]
        wrong += min(case_p_values(cases)) <= 0.05
    assert wrong / 600 <= 0.05 + 3 * (0.05 * 0.95 / 600) ** 0.5


@pytest.mark.simulation
@pytest.mark.parametrize("repeats", [1, 3, 5])
@pytest.mark.parametrize("n", [20, 100])
def test_unchanged_cases_together_are_rarely_called_worse(repeats, n):
    random = np.random.default_rng(repeats)
    rates = np.resize([1.0, 0.95, 0.8, 0.5], n)
    wrong = 0
    for _ in range(1000):
        before, now = random.binomial(repeats, rates), random.binomial(repeats, rates)
        cases = [Trials(int(b), repeats, int(c), repeats) for b, c in zip(before, now, strict=True)]
        wrong += stratified_p(cases) <= 0.05
    assert wrong / 1000 <= 0.05 + 3 * (0.05 * 0.95 / 1000) ** 0.5


def test_many_lost_cases_do_not_count_against_each_other():
    """Seven of five answers that all went: each is 1/252 with no other beside it, where Boole's sum is 7/252."""
    lost, noisy, stable = Trials(5, 5, 0, 5), Trials(3, 5, 2, 5), Trials(5, 5, 5, 5)
    assert min(case_p_values([lost] * 7)) == pytest.approx(7 / 252)
    together, own = counted_case_ps([lost] * 7 + [stable] * 50)
    assert together == pytest.approx(252**-7)
    assert own == pytest.approx([1 / 252] * 7 + [1.0] * 50)
    # Two lost among ten that could have shown it: each with the eight others.
    together, own = counted_case_ps([lost] * 2 + [noisy] * 8)
    assert together == pytest.approx(stats.binom.sf(1, 10, 1 / 252))
    assert own == pytest.approx([9 / 252] * 2 + [1.0] * 8)
    assert counted_case_ps([noisy] * 8) == (1.0, [1.0] * 8)


def test_the_level_that_counting_uses():
    """Seven cases: one of them in 2.7 %, two in 0.03 %."""
    cases = [Trials(5, 5, 0, 5)] * 7
    assert counted_level(cases, 0.05) == pytest.approx(stats.binom.sf(0, 7, 1 / 252))
    assert counted_level(cases, 0.025) == pytest.approx(stats.binom.sf(1, 7, 1 / 252))
    assert counted_level(cases, 1e-30) == 0.0


@pytest.mark.simulation
@pytest.mark.parametrize("truly_lost", [0, 3])
def test_counting_rarely_names_an_unchanged_case(truly_lost):
    """Ten coin tosses of five answers each beside some that are lost: any of them named in at most 5 %."""
    random, wrong, runs = np.random.default_rng(2), 0, 4000
    for _ in range(runs):
        answers = random.binomial(5, 0.5, (2, 10))
        cases = [Trials(int(b), 5, int(c), 5) for b, c in answers.T] + [Trials(5, 5, 0, 5)] * truly_lost
        together, own = counted_case_ps(cases)
        wrong += together <= 0.05 and min(own[:10]) <= 0.05
    assert wrong / runs <= 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
