"""Both errors of the rule over thousands of synthetic runs a figure, for sets of 20 to 500 cases.

Of independent pass-or-fail cases only the numbers of lost and gained ones count, so that each pair of numbers is
judged once and thousands of runs are counted.
"""

import math
from functools import cache

import numpy as np
import pytest

from harness.comparison.metric_verdicts import judge_metrics
from harness.comparison.pairing import PASS_RATE, PairedMetric
from harness.statistics.clustered_drop import clustered_drop
from harness.statistics.clusters import Units
from harness.statistics.paired_binary import holm
from harness.statistics.power import detectable_drop
from harness.types import GateVerdict
from tests.statistics.chance import MARGIN, highest, p_of, regresses

RUNS = 4000


def counted(random, n, lose, gain, runs=RUNS):
    """Lost and gained cases of each run."""
    return random.multinomial(n, [lose, gain, 1 - lose - gain], runs)[:, :2].tolist()


def error(rate, runs):
    """Three standard deviations."""
    return 3 * (rate * (1 - rate) / runs) ** 0.5


def test_a_worked_example():
    """9 lost and 2 gained of 80: (67 + 12) / 2 of 2048 patterns are a mid-p of 0.0193. 2 lost, none gained: 1/8."""
    assert p_of(9, 2) == pytest.approx((55 + 11 + 1 + 11 + 1) / 2 / 2048)
    assert regresses(9, 2, 80)
    assert not regresses(9, 2, 80, level=0.019)
    assert p_of(2, 0) == pytest.approx(1 / 8)
    assert not regresses(2, 0, 80)


@pytest.mark.simulation
def test_the_counted_rule_is_the_gate_s():
    """What is counted here is what judge_metrics says, for 200 random pairs of runs."""
    random = np.random.default_rng(0)
    for n in (20, 100):
        for lost, gained in counted(random, n, 0.12, 0.05, 100):
            metric = PairedMetric(
                set_name="s",
                metric=PASS_RATE,
                kind="binary",
                keys=tuple(map(str, range(n))),
                candidate=(0.0,) * lost + (1.0,) * (n - lost),
                baseline=tuple(0.0 if lost <= place < lost + gained else 1.0 for place in range(n)),
                clusters=tuple(range(n)),
            )
            (row,) = judge_metrics([metric], {("s", PASS_RATE): MARGIN})
            assert (row.verdict is GateVerdict.REGRESS) == regresses(lost, gained, n)
            assert (row.verdict is GateVerdict.PASS) == (highest(lost, gained, n) <= MARGIN)


@pytest.mark.simulation
@pytest.mark.parametrize("n", [20, 50, 100, 200, 500])
@pytest.mark.parametrize("churn", [0.0, 0.01, 0.02, 0.05, 0.10])
def test_no_change_fails_at_most_five_percent(n, churn):
    found = [
        regresses(lost, gained, n) for lost, gained in counted(np.random.default_rng(n), n, churn, churn)
    ]
    assert np.mean(found) <= 0.05 + error(0.05, RUNS)


@pytest.mark.simulation
@pytest.mark.parametrize("n", [20, 100, 500])
@pytest.mark.parametrize("shared", [0.0, 0.5, 1.0])
def test_five_metrics_fail_at_most_five_percent(n, shared):
    """Five gated metrics at 5 % churn, of whose cases a part flips in all of them at once."""
    random, runs = np.random.default_rng(n), RUNS // 2
    common = random.multinomial(n, [0.05 * shared, 0.05 * shared, 1 - 0.1 * shared], runs)[:, None, :2]
    own = 0.05 * (1 - shared)
    flips = common + random.multinomial(n, [own, own, 1 - 2 * own], (runs, 5))[:, :, :2]
    wrong = 0
    for run in flips.tolist():
        adjusted = holm([p_of(lost, gained) for lost, gained in run])
        wrong += any(
            p_value <= 0.05 and highest(lost, gained, n) > MARGIN
            for (lost, gained), p_value in zip(run, adjusted, strict=True)
        )
    assert wrong / runs <= 0.05 + error(0.05, runs)


@cache
def cluster_regresses(sums):
    """Clusters of three; what counts is how many of their cases were lost."""
    units = Units(sums=sums, sizes=(3.0,) * len(sums))
    found = clustered_drop(units, 0.9)
    return found.p_value <= 0.05 and found.high > MARGIN


@pytest.mark.simulation
@pytest.mark.parametrize("clusters", [10, 40, 160])
@pytest.mark.parametrize("alike", [0.0, 0.5, 1.0])
def test_clusters_fail_at_most_five_percent(clusters, alike):
    random, runs = np.random.default_rng(clusters), 1000
    law = [0.03, 0.03, 0.94]
    whole = 3.0 * random.choice([1, -1, 0], (runs, clusters), p=law)
    single = random.choice([1.0, -1.0, 0.0], (runs, clusters, 3), p=law).sum(axis=2)
    sums = np.where(random.random((runs, clusters)) < alike, whole, single)
    found = [cluster_regresses(tuple(sorted(run))) for run in sums.tolist()]
    assert np.mean(found) <= 0.05 + error(0.05, runs)


@pytest.mark.simulation
@pytest.mark.parametrize("n", [20, 50, 100, 200, 500])
@pytest.mark.parametrize("churn", [0.02, 0.05])
@pytest.mark.parametrize("metrics", [1, 5])
def test_the_printed_drop_is_found_in_eighty_percent(n, churn, metrics):
    level = 0.05 / metrics
    drop = detectable_drop(n, churn, level, margin=MARGIN)
    if drop is None:
        pytest.skip("so few cases can detect none, and the table says so")
    runs = counted(np.random.default_rng(n), n, churn + drop, churn)
    assert np.mean([regresses(lost, gained, n, level) for lost, gained in runs]) >= 0.8 - error(0.8, RUNS)


@pytest.mark.simulation
@pytest.mark.parametrize("n", [70, 100, 200, 500])
@pytest.mark.parametrize("churn", [0.0, 0.02, 0.05])
def test_a_drop_at_the_margin_passes_in_about_five_percent(n, churn):
    runs = counted(np.random.default_rng(n), n, churn + MARGIN, churn)
    assert np.mean([highest(lost, gained, n) <= MARGIN for lost, gained in runs]) <= 0.053 + error(0.05, RUNS)


@pytest.mark.usefixtures("verdicts_alone")
@pytest.mark.simulation
@pytest.mark.parametrize("n", [20, 40, 54, 80])
def test_a_sure_but_tiny_change_is_no_regression(n):
    """Cross-entropy of the references rose by a tenth of the margin: 20 log-probabilities show that it is tiny."""
    random = np.random.default_rng(n)
    outcomes = []
    for _ in range(60):
        before = random.normal(1.5, 0.4, n)
        metric = PairedMetric(
            set_name="s",
            metric="perplexity",
            kind="graded",
            keys=tuple(f"s/{place}" for place in range(n)),
            candidate=tuple((before + random.normal(0.005, 0.01, n)).tolist()),
            baseline=tuple(before.tolist()),
            clusters=tuple(range(n)),
            higher_is_better=False,
            light_tails=True,
            least=0.0,
            most=math.inf,
        )
        (row,) = judge_metrics([metric], {("s", "perplexity"): MARGIN})
        outcomes.append(row.verdict)
    assert GateVerdict.REGRESS not in outcomes
    assert outcomes.count(GateVerdict.PASS) >= 57


def test_a_worked_example_of_a_tiny_change():
    """20 scores that all fell by about 0.01: no drop beyond 0.05 is to be seen, and none is certain.

    A case can gain (20 x 0.2 + 1) / 21 = 5/21 on average, so a share of cases that gain may be unseen with
    (5/21 / (5/21 + 0.01))^20 = 0.439. The allowance for unseen losses, 1 - 0.05^(1/20) = 0.139 of the scale,
    forbids a pass.
    """
    metric = PairedMetric(
        set_name="s",
        metric="rouge-l",
        kind="graded",
        keys=tuple(f"s/{place}" for place in range(20)),
        candidate=tuple(0.8 - 0.008 - 0.004 * (place % 2) for place in range(20)),
        baseline=(0.8,) * 20,
        clusters=tuple(range(20)),
    )
    (row,) = judge_metrics([metric], {("s", "rouge-l"): MARGIN})
    assert row.p_value == pytest.approx((5 / 21 / (5 / 21 + 0.01)) ** 20)
    assert row.drop.high < MARGIN < row.high_unseen
    assert row.verdict is GateVerdict.INCONCLUSIVE
