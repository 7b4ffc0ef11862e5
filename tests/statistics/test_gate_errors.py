"""The whole rule by simulation, through judge_metrics; test_error_rates.py counts thousands of runs a figure."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from scipy.stats import multinomial

from benchmarks.simulated_sets import PASS, REGRESS, clustered, flips
from harness.comparison.decisions import standing
from harness.comparison.metric_verdicts import judge, judge_metrics
from harness.comparison.pairing import PairedMetric
from harness.statistics.paired_binary import Trials
from harness.statistics.power import power_of_counts
from harness.types import GateVerdict, Stability, Standing
from tests.statistics.chance import at_most, regresses


def paired(drops, *, name="pass-rate", kind="binary", clusters=None):
    """A metric whose baseline scores 1 but where the candidate gains."""
    baseline = 1 + np.minimum(drops, 0.0) if kind == "binary" else np.full(drops.size, 0.7)
    return PairedMetric(
        set_name="s",
        metric=name,
        kind=kind,
        keys=tuple(f"s/{place}" for place in range(drops.size)),
        candidate=tuple((baseline - drops).tolist()),
        baseline=tuple(baseline.tolist()),
        clusters=tuple(range(drops.size) if clusters is None else clusters),
    )


def worst_verdict(rows):
    verdicts = {row.verdict for row in rows}
    return next(word for word in (REGRESS, GateVerdict.INCONCLUSIVE, PASS) if word in verdicts)


def test_a_worked_example():
    """100 cases: nine lost and none gained are 1/1024 by mid-p, Holm's over two metrics twice that; the other stays."""
    lost, same = np.array([1.0] * 9 + [0.0] * 91), np.zeros(100)
    rows = judge_metrics(
        [paired(lost, name="a"), paired(same, name="b")], {("s", "a"): 0.05, ("s", "b"): 0.05}
    )
    assert [row.p_adjusted for row in rows] == pytest.approx([2 / 1024, 1.0])
    assert [row.verdict for row in rows] == [REGRESS, PASS]
    assert rows[0].drop.estimate == pytest.approx(0.09)
    assert rows[1].drop.high == pytest.approx(0.0310148, abs=1e-7)


@pytest.mark.usefixtures("verdicts_alone")
@pytest.mark.simulation
@pytest.mark.parametrize("n", [20, 50, 100, 200])
@pytest.mark.parametrize("churn", [0.0, 0.02, 0.05, 0.10])
def test_no_change_is_rarely_called_a_regression(n, churn):
    random, runs = np.random.default_rng(n), 400
    margins = {("s", "pass-rate"): 0.05}
    called = [
        judge_metrics([paired(flips(random, n, churn, churn))], margins)[0].verdict for _ in range(runs)
    ]
    assert np.mean([verdict is REGRESS for verdict in called]) <= at_most(0.05, runs)


@pytest.mark.usefixtures("verdicts_alone")
@pytest.mark.simulation
def test_five_metrics_are_no_more_often_wrong_than_one():
    """Five gated metrics of one run, three binary and two graded, that share half of what moves them."""
    random, runs, n = np.random.default_rng(5), 400, 60
    names = [
        ("pass-rate", "binary"),
        ("is-json", "binary"),
        ("contains", "binary"),
        ("f1", "graded"),
        ("bleu", "graded"),
    ]
    margins = {("s", name): 0.05 for name, _ in names}
    wrong = 0
    for _ in range(runs):
        common = flips(random, n, 0.05, 0.05)
        metrics = []
        for name, kind in names:
            own = flips(random, n, 0.05, 0.05)
            moves = np.where(random.random(n) < 0.5, common, own)
            metrics.append(paired(moves if kind == "binary" else 0.3 * moves, name=name, kind=kind))
        wrong += worst_verdict(judge_metrics(metrics, margins)) is REGRESS
    assert wrong / runs <= at_most(0.05, runs)


@pytest.mark.usefixtures("verdicts_alone")
@pytest.mark.simulation
@pytest.mark.parametrize("together", [0.0, 0.5, 1.0])
def test_clusters_do_not_raise_false_alarms(together):
    """120 cases in 40 clusters; counted one by one, whole clusters that flip would be called a drop too often."""
    random, runs = np.random.default_rng(6), 800
    clusters = np.repeat(np.arange(40), 3).tolist()
    called = [
        judge_metrics(
            [paired(clustered(random, 40, 0.05, 0.05, together), clusters=clusters)],
            {("s", "pass-rate"): 0.05},
        )[0].verdict
        for _ in range(runs)
    ]
    assert np.mean([verdict is REGRESS for verdict in called]) <= at_most(0.05, runs)


@pytest.mark.usefixtures("verdicts_alone")
@pytest.mark.simulation
@pytest.mark.parametrize(("n", "margin"), [(30, 0.1), (70, 0.05), (100, 0.05), (100, 0.1), (200, 0.05)])
@pytest.mark.parametrize("churn", [0.0, 0.02, 0.05])
def test_a_drop_as_large_as_the_margin_rarely_passes(n, margin, churn):
    random, runs = np.random.default_rng(n), 400
    margins = {("s", "pass-rate"): margin}
    called = [
        judge_metrics([paired(flips(random, n, churn + margin, churn))], margins)[0].verdict
        for _ in range(runs)
    ]
    assert np.mean([verdict is PASS for verdict in called]) <= at_most(0.05, runs)


@pytest.mark.usefixtures("verdicts_alone")
@pytest.mark.simulation
@pytest.mark.parametrize("together", [0.0, 0.5, 1.0])
@pytest.mark.parametrize(("groups", "margin"), [(40, 0.1), (60, 0.1)])
def test_clusters_do_not_raise_false_passes(groups, margin, together):
    random, runs = np.random.default_rng(7), 800
    clusters = np.repeat(np.arange(groups), 3).tolist()
    called = [
        judge_metrics(
            [paired(clustered(random, groups, 0.02 + margin, 0.02, together), clusters=clusters)],
            {("s", "pass-rate"): margin},
        )[0].verdict
        for _ in range(runs)
    ]
    assert np.mean([verdict is PASS for verdict in called]) <= at_most(0.05, runs)


@pytest.mark.usefixtures("verdicts_alone")
@pytest.mark.simulation
@pytest.mark.parametrize(("size", "stated"), [(5, 0.08), (20, 0.10)])
def test_whole_clusters_lost_beside_single_flips_pass_as_often_as_stated(size, stated):
    """The worst that is known (docs/gate-details.md): 40 clusters, each lost whole with the margin, 2 % flip alone."""
    random, runs, clusters = np.random.default_rng(8), 800, np.repeat(np.arange(40), size).tolist()
    passed = 0
    for _ in range(runs):
        whole = np.repeat(random.random(40) < 0.05, size)
        drops = np.where(whole, 1.0, flips(random, 40 * size, 0.02, 0.02))
        (row,) = judge_metrics([paired(drops, clusters=clusters)], {("s", "pass-rate"): 0.05})
        passed += row.verdict is PASS
    assert passed / runs <= at_most(stated, runs)


@pytest.mark.parametrize(("n", "churn"), [(40, 0.0), (40, 0.02), (100, 0.02)])
def test_the_printed_drop_regresses_the_run(n, churn):
    """What rows print when nothing had changed: a set that drops by it is found in 80 % of runs, by enumeration."""

    @cache
    def row(lost, gained):
        drops = np.repeat([1.0, -1.0, 0.0], [lost, gained, n - lost - gained])
        return judge_metrics([paired(drops)], {("s", "pass-rate"): 0.05})[0]

    # Whether a run regresses is counted: that the gate says the same is a test of its own.
    power = power_of_counts(n, churn, lambda lost, gained: regresses(lost, gained, n))
    found = total = 0.0
    for gained in range(n + 1):
        for lost in range(n + 1 - gained):
            chance = multinomial.pmf([lost, gained, n - lost - gained], n, [churn, churn, 1 - 2 * churn])
            if chance > 1e-3:
                drop = row(lost, gained).minimum_detectable_drop
                found, total = found + chance * power(drop), total + chance
    assert total > 0.9
    assert found / total == pytest.approx(0.8, abs=0.03)


@pytest.mark.simulation
def test_the_printed_drop_of_one_of_three_sets_regresses_the_run():
    """One of three drops by what its row printed when nothing had changed, the others stay: 80 % are found."""
    random, printed, each = np.random.default_rng(8), 40, 5
    margins = {("s", f"m{place}"): 0.05 for place in range(3)}

    def judge(drop):
        metrics = [
            paired(flips(random, 100, lost, 0.02), name=f"m{place}")
            for place, lost in enumerate([0.02 + drop, 0.02, 0.02])
        ]
        return judge_metrics(metrics, margins)

    drops = [judge(0.0)[0].minimum_detectable_drop for _ in range(printed)]
    found = [np.mean([judge(drop)[0].verdict is REGRESS for _ in range(each)]) for drop in drops]
    assert np.mean(found) == pytest.approx(0.8, abs=0.03 + 3 * np.std(found) / printed**0.5)


def test_a_hundred_equal_answers_pass():
    """What a user expects first: nothing flips, and the gate lets it through."""
    rows = judge_metrics([paired(np.zeros(100))], {("s", "pass-rate"): 0.05})
    assert rows[0].verdict is PASS


@pytest.mark.usefixtures("verdicts_alone")
@pytest.mark.simulation
def test_a_baseline_that_is_averaged_over_reruns():
    """100 cases of which a fifth pass every other time, and five reruns: both errors stay, and more equals pass."""
    random, runs, n = np.random.default_rng(9), 300, 100

    def verdicts(drop):
        chance = np.where(random.random(n) < 0.2, 0.5, 1.0)
        now = np.where(random.random(n) < drop / chance.mean(), 0.0, chance)
        then, passed, reruns = (
            random.binomial(times, p) for times, p in ((1, chance), (1, now), (5, chance))
        )
        plain = paired((then - passed).astype(float))
        averaged = replace(
            plain,
            baseline=tuple(((then + reruns) / 6).tolist()),
            candidate=tuple(passed.astype(float).tolist()),
            trials=tuple(Trials(int(b), 1, int(c), 1) for b, c in zip(then, passed, strict=True)),
            reruns=tuple(Stability(passed=int(each), answers=5) for each in reruns),
        )
        return [
            judge([each], {("s", "pass-rate"): 0.05}, limits={"s": 1.0})[0][0].verdict
            for each in (plain, averaged)
        ]

    equal, worse = ([verdicts(drop) for _ in range(runs)] for drop in (0.0, 0.05))
    assert [each for _, each in equal].count(REGRESS) / runs <= at_most(0.05, runs)
    assert [each for _, each in worse].count(PASS) / runs <= at_most(0.05, runs)
    assert [each for _, each in equal].count(PASS) > [each for each, _ in equal].count(PASS)


def scores(name, values, baseline=0.38):
    """A graded metric of these candidate's values."""
    return replace(
        paired(np.zeros(len(values)), name=name, kind="graded"),
        baseline=(baseline,) * len(values),
        candidate=tuple(values),
    )


@pytest.mark.usefixtures("verdicts_alone")
@pytest.mark.simulation
@pytest.mark.parametrize("n", [20, 40, 54])
@pytest.mark.parametrize("spread", [0.0, 0.005])
def test_no_equal_candidate_is_called_better(n, spread):
    """95 % gain 0.02 and 5 % lose all they have: nothing changed, and no loss is seen in 13 % of samples of 40."""
    random, runs, called = np.random.default_rng(n), 400, 0
    for _ in range(runs):
        gained = 0.4 + random.uniform(-2, 2, n) * spread
        values = np.where(random.random(n) < 0.05, 0.0, gained)
        (row,) = judge_metrics([scores("f1", values.tolist())], {("s", "f1"): 0.05})
        called += standing(row) is Standing.BETTER
    assert called / runs <= at_most(0.05, runs)


def many_metrics(random, count, n, fell):
    """So many metrics of which all but one stay, or move by chance alone."""
    lost = (0.8 - fell + 0.05 * random.random(n)).tolist()
    return [scores("m0", lost, 0.8), *(scores(f"m{place}", [0.8] * n, 0.8) for place in range(1, count))]


@pytest.mark.usefixtures("verdicts_alone")
@pytest.mark.parametrize("looks", [None, (0.2,), (0.2, 0.4, 0.6, 0.8, 1.0)])
@pytest.mark.parametrize(("count", "models"), [(300, 1), (6, 45)])
def test_a_certain_loss_regresses_among_many_tests(looks, count, models):
    """From 0.8 to about 0.1 in each of 60 cases, beside 299 other metrics, or five, as one of 45 models."""
    metrics = many_metrics(np.random.default_rng(1), count, 60, 0.7)
    margins = {("s", each.metric): 0.05 for each in metrics}
    fractions = {} if looks is None else {"s": looks}
    rows = judge(metrics, margins, regress_alpha=0.05 / models, fractions=fractions)[0]
    assert [row.metric for row in rows if row.verdict is REGRESS] == ["m0"]
    assert rows[0].p_adjusted <= 0.05


def test_few_tests_draw_no_more_resamples():
    """Their level is one that the usual ones reach."""
    metrics = many_metrics(np.random.default_rng(1), 250, 60, 0.7)[:1]
    expected = [("s", f"m{place}") for place in range(250)]
    row = judge(metrics, {("s", "m0"): 0.05}, expected=expected)[0][0]
    assert (row.p_value, row.verdict) == (1 / 5000, REGRESS)
