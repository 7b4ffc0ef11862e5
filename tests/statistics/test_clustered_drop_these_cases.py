"""The drop of the very cases that were asked: known where answers reproduce, noisy where they vary."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from harness.statistics.clustered_drop import (
    counted_drop,
    detectable_drop_of_cases,
    detectable_of_width,
    noisy_drop,
)
from harness.statistics.paired_binary import Trials
from harness.types import Stability


def test_what_reproduces_is_known_without_error():
    found = counted_drop([1.0, 1.0, -1.0] + [0.0] * 17, 0.9)
    assert (found.estimate, found.low, found.high_unseen) == (0.05, 0.05, 0.05)
    assert found.high == 0.05
    assert (found.confidence, found.method) == (0.9, "counted, answers reproduce")
    assert found.p_value == 0.0
    assert counted_drop([0.0] * 20, 0.9).p_value == 1.0


def test_a_worked_example_of_varying_answers():
    """Two cases, four answers a side: 4 and 2 of 4 before, 4 and 0 after.

    Chances with half an answer added: 0.9, 0.5; 0.9, 0.1. Variances of the means: 0.09/4, 0.25/4, 0.09/4, 0.09/4;
    their sum is 0.13, the error of the mean drop sqrt(0.13)/2 = 0.1803. A quarter of an answer's step, 1/8, is added.
    """
    found = noisy_drop([Trials(4, 4, 4, 4), Trials(2, 4, 0, 4)], 0.9)
    assert found.estimate == 0.25
    assert found.high == pytest.approx(0.25 + 1.6449 * 0.18028 + 0.03125, abs=1e-4)
    assert found.p_value == pytest.approx(0.1125, abs=1e-3)
    assert found.low == pytest.approx(0.25 - 1.6449 * 0.18028 - 0.03125, abs=1e-4)
    assert found.high_unseen == found.high
    assert (found.confidence, found.method) == (0.9, "normal, noise of the answers")


def test_a_case_that_never_passed_is_no_surer_than_one_that_always_did():
    """Half an answer either way: 0.5 of 5 and 4.5 of 5 have one variance."""
    always, never = (noisy_drop([Trials(passed, 4, passed, 4)], 0.9) for passed in (4, 0))
    assert always.high == pytest.approx(never.high)
    assert always.high == pytest.approx(1.6449 * (2 * 0.09 / 4) ** 0.5 + 0.0625, abs=1e-4)


def test_cases_that_vary_are_not_estimated_as_steadier_than_they_are():
    """1 of 4: with half an answer added 0.3 x 0.7 = 0.21, without bias 1 x 3 / (4 x 3) = 0.25."""
    found = noisy_drop([Trials(1, 4, 1, 4)], 0.9)
    assert found.high == pytest.approx(1.6449 * (2 * 0.25 / 4) ** 0.5 + 0.0625, abs=1e-4)


@pytest.mark.parametrize("n", [1, 3, 6, 20])
def test_neither_error_is_above_its_level_where_every_case_is_a_coin_toss(n):
    """Single answers, by enumeration of how many pass on both sides; the candidate as good, or 0.05 worse."""

    def verdicts(chance):
        before, now = binom.pmf(range(n + 1), n, 0.5), binom.pmf(range(n + 1), n, chance)
        for then, passed in np.ndindex(n + 1, n + 1):
            cases = [Trials(int(i < then), 1, int(i < passed), 1) for i in range(n)]
            yield before[then] * now[passed], noisy_drop(cases, 0.9)

    regress = sum(weight for weight, found in verdicts(0.5) if found.p_value <= 0.05)
    passes = sum(weight for weight, found in verdicts(0.45) if found.high_unseen <= 0.05)
    assert regress <= 0.055
    assert passes <= 0.07


def test_single_answers_seldom_decide():
    """54 cases that passed once on either side: the drop may be 0.16, since each may be a coin toss."""
    expected = 1.6449 * (2 * 0.25 / 54) ** 0.5 + 0.25 / 54
    assert noisy_drop([Trials(1, 1, 1, 1)] * 54, 0.9).high == pytest.approx(expected, abs=1e-4)


def test_a_worked_example_with_a_noise_record():
    """54 cases that passed once on either side, and in five reruns: the drop may be 0.08 instead of 0.16.

    The baseline's chance is 6.5 of 7, its variance 0.0663/6; the candidate's counts the record as two answers:
    3.5 of 4, variance 0.1094. The error is sqrt(0.1204 / 54).
    """
    found = noisy_drop([Trials(1, 1, 1, 1)] * 54, 0.9, [Stability(passed=5, answers=5)] * 54)
    assert found.high == pytest.approx(1.6449 * (0.12043 / 54) ** 0.5 + 0.25 / 54, abs=1e-4)
    assert found.estimate == 0.0


def test_a_record_is_an_average_of_the_baseline():
    """It failed once in six answers and the candidate passes: a gain of a sixth, not of nothing."""
    found = noisy_drop([Trials(1, 1, 1, 1)], 0.9, [Stability(passed=4, answers=5)])
    assert found.estimate == pytest.approx(-1 / 6)


@pytest.mark.simulation
@pytest.mark.parametrize("spread", ["some cases", "all cases"])
def test_neither_error_is_above_five_percent_with_a_record(spread):
    """150 fixed cases with 20 reruns; the candidate is a margin worse in a tenth of the cases, or a little in all."""
    random, runs, margin = np.random.default_rng(8), 600, 0.05
    chance = np.array([1.0] * 120 + [0.6] * 30)
    lower = chance - margin
    if spread == "some cases":
        lower = chance.copy()
        lower[:15] -= margin * 10
    regress = wrongly_passed = 0
    for _ in range(runs):
        records = [Stability(passed=int(p), answers=20) for p in random.binomial(20, chance)]
        then, same, less = (random.binomial(1, p) for p in (chance, chance, lower))
        equal, worse = (
            noisy_drop([Trials(int(b), 1, int(c), 1) for b, c in zip(then, now, strict=True)], 0.9, records)
            for now in (same, less)
        )
        regress += equal.p_value <= 0.05 and equal.high > margin
        wrongly_passed += worse.high_unseen <= margin
    allowed = 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
    assert regress / runs <= allowed
    assert wrongly_passed / runs <= allowed


@pytest.mark.simulation
@pytest.mark.parametrize("answers", [1, 5])
def test_neither_error_is_above_five_percent(answers):
    """54 fixed cases of which a third are unsure; nothing changed, and a true drop of exactly the margin."""
    random, runs, margin = np.random.default_rng(answers), 600, 0.05
    chance = np.array([1.0] * 30 + [0.7] * 12 + [0.3] * 6 + [0.0] * 6)
    lower = chance - margin * len(chance) / 42 * np.array([1] * 42 + [0] * 12)
    regress = wrongly_passed = 0
    for _ in range(runs):
        then, same, less = (random.binomial(answers, p) for p in (chance, chance, lower))
        equal = noisy_drop(
            [Trials(int(b), answers, int(c), answers) for b, c in zip(then, same, strict=True)], 0.9
        )
        worse = noisy_drop(
            [Trials(int(b), answers, int(c), answers) for b, c in zip(then, less, strict=True)], 0.9
        )
        regress += equal.p_value <= 0.05 and equal.high > margin
        wrongly_passed += worse.high_unseen <= margin
    allowed = 0.05 + 3 * (0.05 * 0.95 / runs) ** 0.5
    assert regress / runs <= allowed
    assert wrongly_passed / runs <= allowed


def test_what_exactly_these_cases_detect():
    """Answers that reproduce: the first drop beyond the margin, 6 of 100 for 0.05. Others need their noise besides.

    A 90 % interval of +-0.0329 is an error of 0.02; at 5 % a drop of (1.6449 + 0.8416) x 0.02 is found.
    """
    known = counted_drop([0.0] * 100, 0.9).interval
    assert detectable_drop_of_cases(known, 100, 0.05, 0.05, whole=True) == pytest.approx(0.06)
    assert detectable_drop_of_cases(known, 100, 0.05, 0.05, whole=False) == pytest.approx(0.05)
    noisy = replace(known, low=-0.032897, high=0.032897)
    assert detectable_drop_of_cases(noisy, 100, 0.05, 0.01, whole=True) == pytest.approx(0.04973, abs=1e-5)
    # With a margin of 0.1 the bound has to be beyond it: 0.1 - (1.6449 - 0.8416) x 0.02.
    assert detectable_drop_of_cases(noisy, 100, 0.05, 0.1, whole=True) == pytest.approx(0.08394, abs=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_no_rate_falls_or_rises_by_more_than_all(sign):
    """Three single answers that were lost: the normal interval would end at 1.75."""
    lost = noisy_drop([Trials(1, 1, 0, 1) if sign > 0 else Trials(0, 1, 1, 1)] * 3, 0.9)
    assert (lost.high if sign > 0 else -lost.low) == 1
    assert (lost.low if sign > 0 else -lost.high) == pytest.approx(0.2452, abs=1e-4)
    # What is detected depends on the interval's width, not on where it is cut.
    falls = [
        noisy_drop(cases, 0.9).interval for cases in ([Trials(1, 1, 0, 1)] * 3, [Trials(1, 1, 1, 1)] * 3)
    ]
    found = {round(detectable_drop_of_cases(each, 3, 0.05, 0.05, whole=False), 6) for each in falls}
    assert len(found) == 1


def test_a_width_detects_what_lost_cases_leave_of_it():
    """A half width of 1.644854 x 0.03 at 5 %: 2.486475 errors of 0.03 are 0.0745943 where a drop adds nothing.

    Of 90 cases that are lost whole: d^2 = 6.182557 (0.0009 + d (1 - d) / 90), so d = 0.1111. A margin of 0.2 is reached
    from 0.2 - (1.644854 - 0.841621) sqrt(0.0009 + 0.16 / 90) on. Of the width of a drop of 0.05, 0.0475 / 90 is its own.
    """
    half = 1.644854 * 0.03
    assert detectable_of_width(half, 0.9, 0.05, 0.0) == pytest.approx(0.0745943, abs=1e-6)
    lost = detectable_of_width(half, 0.9, 0.05, 0.0, lost_of=90)
    assert lost**2 == pytest.approx(6.182557 * (0.0009 + lost * (1 - lost) / 90), rel=1e-5)
    beyond = detectable_of_width(half, 0.9, 0.05, 0.2, lost_of=90)
    assert beyond == pytest.approx(0.2 - 0.803233 * (0.0009 + 0.16 / 90) ** 0.5, abs=1e-6)
    fallen = 1.644854 * (0.0009 + 0.0475 / 90) ** 0.5
    assert detectable_of_width(fallen, 0.9, 0.05, 0.0, lost_of=90, seen=0.05) == pytest.approx(lost, abs=1e-6)


def resampled_where_flipped(random, chance, drop, times):
    """One answer a case and side, and further ones to the cases whose first answers differ."""
    answers = [random.random((chance.size, times)) < rates[:, None] for rates in (chance, chance - drop)]
    asked = np.where(answers[0][:, 0] != answers[1][:, 0], times, 1)
    then, now = ([int(each[:n].sum()) for each, n in zip(side, asked, strict=True)] for side in answers)
    return [Trials(b, n, c, n) for b, c, n in zip(then, now, asked.tolist(), strict=True)]


def test_further_answers_to_flipped_cases_hide_a_drop_worked_example():
    """Stable cases fall to 90 %, six answers where the first differ: 0.1 (1/6 + 5/6 x 0.1) = 0.025 of 0.1 is seen.

    A case is resampled if its first answer failed; of its six, that one and half of the five others are lost.
    """
    first_lost = 0.1 * (1 + 5 * 0.1) / 6
    assert first_lost == pytest.approx(0.1 * (1 / 6 + 5 / 6 * 0.1)) == pytest.approx(0.025)
    drops = [
        noisy_drop(resampled_where_flipped(np.random.default_rng(seed), np.ones(400), 0.1, 6), 0.9).estimate
        for seed in range(40)
    ]
    assert np.mean(drops) == pytest.approx(first_lost, abs=0.002)


@pytest.mark.simulation
def test_further_answers_to_flipped_cases_find_less_than_the_first_ones():
    """100 cases that pass in 90 % and fall to 80 %, 150 runs: single answers find the drop in 38 %, these in none."""
    random, runs, margin = np.random.default_rng(1), 150, 0.05
    found = [0, 0]
    for _ in range(runs):
        cases = resampled_where_flipped(random, np.full(100, 0.9), 0.1, 6)
        random_first = [random.random(100) < rate for rate in (0.9, 0.8)]
        single = [Trials(int(b), 1, int(c), 1) for b, c in zip(*random_first, strict=True)]
        for place, each in enumerate((noisy_drop(cases, 0.9), noisy_drop(single, 0.9))):
            found[place] += each.p_value <= 0.05 and each.high > margin
    assert found[0] / runs <= 0.05 < found[1] / runs
