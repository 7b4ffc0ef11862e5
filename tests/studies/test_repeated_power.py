"""What several answers a case show, by itself; in sets with other ways it is in ``test_set_power.py``."""

import itertools

import numpy as np
import pytest

from harness.comparison.metric_drop import compare_metric
from harness.comparison.pairing import PASS_RATE, PairedMetric
from harness.statistics.clustered_drop import noisy_drop
from harness.statistics.paired_binary import Trials
from harness.studies.repeated_power import (
    detectable_own,
    detectable_repeated,
    repeated_clusters,
    repeated_own_pass,
    repeated_pass,
    share_of,
    shows_single_cases,
)


def test_a_single_case_is_found_but_a_cluster_of_a_tenth_is_not():
    clusters = [[5] * 6] * 10
    assert detectable_repeated(clusters, 0.05, 0.02, 0.05, singly=True) == pytest.approx(1 / 60)
    everywhere = detectable_repeated(clusters, 0.05, 0.02, 0.05, singly=False)
    assert 1 / 60 < everywhere < 0.1 < repeated_clusters(clusters, 0.05, 0.02, 0.05) < 0.6
    assert repeated_clusters([[5]] * 60, 0.05, 0.02, 0.05) is None
    assert repeated_clusters([[5] * 20] * 3, 0.05, 0.02, 0.05) is None


def test_more_clusters_pass_more_often():
    assert repeated_pass([[5] * 4] * 10, 0.05, 0.02) < repeated_pass([[5] * 4] * 100, 0.05, 0.02)


def test_a_lost_case_is_found_by_itself_where_few_noisy_ones_can_show_as_much():
    """Of 5 answers 6 cases may show 1/252 at 2.5 %: of 100 of which 8 % are noisy, two others do on average.

    Where 20 % are noisy, five do, and more than five too often.
    """
    singles = [[5]] * 100
    assert detectable_repeated(singles, 0.05, 0.02, 0.025, singly=True) == pytest.approx(1 / 100)
    assert detectable_repeated(singles, 0.05, 0.05, 0.025, singly=True) > 2 / 100
    # A set in which one case has a single answer can't show that this case is lost.
    assert detectable_repeated([*singles[1:], [1]], 0.05, 0.02, 0.025, singly=True) > 2 / 100


def test_three_answers_show_no_single_case():
    """1/20 by itself is above 2.5 %, 1/70 of four answers is not; one case with four is enough to be tested."""
    assert not shows_single_cases([[3]] * 50, 0.025)
    assert shows_single_cases([[3], [4, 1]], 0.025)


@pytest.mark.simulation
@pytest.mark.parametrize(("cases", "answers", "churn"), [(100, 5, 0.02), (60, 2, 0.02), (60, 10, 0.05)])
def test_what_exactly_these_cases_pass_and_detect(cases, answers, churn):
    """600 runs by the gate's own rule: equal models pass as often as said, and the said drop is found in 80 %."""
    random, asked = np.random.default_rng(cases), [answers] * cases
    drop = detectable_own(asked, 0.05, churn, 0.05)

    def judged(fall):
        for _ in range(600):
            was = np.where(random.random(cases) < 4 * churn, 0.5, 1.0)
            then, now = random.binomial(answers, was), random.binomial(answers, np.maximum(was - fall, 0))
            trials = [Trials(int(b), answers, int(c), answers) for b, c in zip(then, now, strict=True)]
            yield noisy_drop(trials, 0.9)

    passed = np.mean([each.high_unseen <= 0.05 for each in judged(0.0)])
    assert passed == pytest.approx(repeated_own_pass(asked, 0.05, churn), abs=0.06)
    found = np.mean([each.p_value <= 0.05 and each.high > 0.05 for each in judged(drop)])
    assert found == pytest.approx(0.8, abs=0.05)


@pytest.mark.simulation
@pytest.mark.parametrize(
    ("cases", "answers", "churn"), [(100, 5, 0.05), (60, 2, 0.05), (150, 3, 0.1), (40, 5, 0.05)]
)
def test_an_equal_model_passes_repeated_answers_as_often_as_said(cases, answers, churn):
    """By the gate's own row: a baseline that passes nine tenths can't fall by more, which helps few cases."""
    random, passed = np.random.default_rng(cases), []
    keys = tuple(map(str, range(cases)))
    for _ in range(400):
        was = np.where(random.random(cases) < 4 * churn, 0.5, 1.0)
        then, now = random.binomial(answers, was, (2, cases)).tolist()
        paired = PairedMetric(
            set_name="s",
            metric=PASS_RATE,
            kind="binary",
            keys=keys,
            candidate=tuple(each / answers for each in now),
            baseline=tuple(each / answers for each in then),
            clusters=tuple(range(cases)),
            trials=tuple(Trials(b, answers, c, answers) for b, c in zip(then, now, strict=True)),
        )
        passed.append(compare_metric(paired, detectable=False).high_unseen <= 0.05)
    assert repeated_pass([[answers]] * cases, 0.05, churn) == pytest.approx(np.mean(passed), abs=0.07)


def test_runs_that_agree_need_no_further_ones():
    assert share_of(itertools.repeat(True)) == 1.0
    assert share_of(itertools.repeat(False)) == 0.0
    assert share_of([*[True] * 99, False, *[True] * 100]) == 199 / 200
    assert share_of([True, False]) == 0.5
