"""Each metric's row: means, drop, interval, p-value, lost and gained cases, what could have been seen."""

import math
from dataclasses import replace

import numpy as np
import pytest

from harness.comparison.metric_drop import (
    _noise_of,
    cases_to_settle,
    compare_metric,
    flipped,
    reach_of,
    rise_of,
    smallest_detectable,
    smallest_detectable_of_clusters,
    units_of,
)
from harness.comparison.metric_verdicts import judge, judge_metrics
from harness.comparison.pairing import PairedMetric, pair_runs, paired_metrics
from harness.statistics.clustered_drop import METHOD
from harness.statistics.clusters import rate_interval
from harness.statistics.detectable_drops import (
    clusters_that_settle,
    detectable_cluster_drop,
    flips_as_observed,
    flips_by_chance,
)
from harness.statistics.detectable_repeated_drops import (
    detectable_averaged_drop,
    detectable_repeated_cluster_drop,
    detectable_repeated_clusters,
    detectable_repeated_drop,
)
from harness.statistics.paired_binary import Trials
from harness.statistics.paired_graded import mean_drop
from harness.statistics.power import (
    churn_of,
    detectable_drop,
    detectable_mean_drop,
    drop_by_t,
)
from harness.types import GateVerdict, Stability


def paired(candidate, baseline, *, metric="pass-rate", kind="binary", clusters=None, **scale):
    keys = tuple(f"s/{place:02}" for place in range(len(candidate)))
    return PairedMetric(
        set_name="s",
        metric=metric,
        kind=kind,
        keys=keys,
        candidate=tuple(map(float, candidate)),
        baseline=tuple(map(float, baseline)),
        clusters=tuple(range(len(keys)) if clusters is None else clusters),
        **scale,
    )


def test_a_pass_rate_is_counted():
    """3 lost and 1 gained of 20: mid-p McNemar, Tango's interval, and the flips by name."""
    metric = paired([0] * 3 + [1] * 17, [1] * 3 + [0] + [1] * 16)
    row = compare_metric(metric)
    assert (row.n, row.baseline.mean.estimate, row.candidate.mean.estimate) == (20, 0.95, 0.85)
    assert row.drop.estimate == pytest.approx(0.1)
    assert row.drop.method == "Tango score"
    assert row.drop.confidence == row.candidate.mean.confidence == 0.9
    assert row.p_value == pytest.approx((1 / 16 + 5 / 16) / 2)
    assert row.lost == ("s/00", "s/01", "s/02")
    assert row.gained == ("s/03",)
    assert row.minimum_detectable_drop == smallest_detectable(metric, 0.05) > 0.2
    assert (row.margin, row.p_adjusted, row.verdict) == (None, None, None)


@pytest.mark.parametrize(
    ("lost", "gained", "n"), [(4, 0, 4), (12, 5, 17), (12, 5, 40), (19, 10, 29), (3, 0, 4)]
)
def test_p_and_the_interval_agree(lost, gained, n):
    """The score test alone would end at -0.054 beside p = 0.03 of four lost cases, and at -0.002 of 12 and 5."""
    row = compare_metric(
        paired([0] * lost + [1] * (n - lost), [1] * lost + [0] * gained + [1] * (n - lost - gained)),
        detectable=False,
    )
    assert (row.p_value <= 0.05) == (row.drop.low >= 0)


@pytest.mark.parametrize("answers", [2, 5])
@pytest.mark.parametrize("n", [5, 12, 30])
def test_p_and_the_interval_agree_where_cases_have_several_answers(n, answers):
    """The test of all answers alone said p = 0.015 beside an interval from -0.24 for five cases."""
    random, said = np.random.default_rng(n), set()
    for fall in (0.0, 0.2, 0.5):
        before = random.binomial(answers, 0.8, (12, n)).tolist()
        now = random.binomial(answers, 0.8 - fall, (12, n)).tolist()
        for was, is_now in zip(before, now, strict=True):
            metric = paired(
                [each / answers for each in is_now],
                [each / answers for each in was],
                trials=tuple(Trials(b, answers, c, answers) for b, c in zip(was, is_now, strict=True)),
            )
            row = compare_metric(metric, detectable=False)
            assert (row.drop.low >= 0 and row.drop.estimate > 0) or row.p_value > 0.05
            assert row.p_value <= 0.05 or row.drop.low <= 0
            said.add(row.p_value <= 0.05)
    assert said == {True, False}


def test_clusters_widen_the_interval_and_weaken_the_test():
    """Six lost cases are six independent ones, or two of 14 clusters: Student's t over those, 1.474."""
    now, then = [0] * 6 + [1] * 34, [1] * 40
    single = compare_metric(paired(now, then))
    clustered = compare_metric(paired(now, then, clusters=[place // 3 for place in range(40)]))
    assert clustered.p_value == pytest.approx(0.0821, abs=5e-4)
    assert single.p_value < 0.02
    assert clustered.drop.high > single.drop.high
    # One by one they are lost as before; whole clusters are harder to find.
    assert clustered.minimum_detectable_drop == pytest.approx(single.minimum_detectable_drop, abs=0.01)
    assert clustered.minimum_detectable_cluster_drop > single.minimum_detectable_drop + 0.05
    assert single.minimum_detectable_cluster_drop is None
    assert clustered.lost == single.lost


def test_graded_metrics_name_the_cases_that_moved_furthest():
    row = compare_metric(
        paired([0.1, 0.9, 0.5, 0.6], [0.2, 0.3, 0.9, 0.6], metric="rouge-l", kind="graded"),
    )
    assert row.kind == "graded"
    assert row.lost == ("s/02", "s/00")
    assert row.gained == ("s/01",)
    assert row.candidate.mean.low >= 0


@pytest.mark.parametrize(("kind", "clusters"), [("graded", 2), ("binary", 1)])
def test_only_binary_values_in_clusters_have_the_t_over_clusters(kind, clusters):
    """Scores in clusters, and shares of several answers to independent cases, are means on a scale."""
    now = [0.6, 0.8, 1.0, 0.4] * 10
    metric = paired(now, [0.8] * 40, kind=kind, clusters=[place // clusters for place in range(40)])
    row, found = (
        compare_metric(metric, detectable=False),
        mean_drop(units_of(metric), 0.9, reach=reach_of(metric), span=1.0, light_tails=metric.light_tails),
    )
    assert (row.drop, row.p_value) == (found.interval, found.p_value)
    assert row.drop.method != METHOD


def test_means_have_the_confidence_of_their_drop():
    """0.2 and 0.8 by turns, 30 of them: t with 29 degrees of freedom times an error of 0.3 / sqrt(29)."""
    metric = paired([0.2, 0.8] * 15, [0.2, 0.8] * 15, metric="f1", kind="graded")
    for confidence, t in ((0.9, 1.699127), (0.8, 1.311434)):
        mean = compare_metric(metric, confidence).candidate.mean
        assert mean.confidence == confidence
        assert (mean.low, mean.high) == pytest.approx((0.5 - t * 0.3 / 29**0.5, 0.5 + t * 0.3 / 29**0.5))


def test_a_difference_of_rounding_is_no_change():
    """Exactly 1e-9 is the largest that still counts as rounding."""
    metric = paired([0.0, 0.0, 1e-9], [1e-9, 2e-9, 0.0], metric="f1", kind="graded")
    assert flipped(metric, 1) == {"s/01"}
    assert flipped(metric, -1) == set()
    assert (compare_metric(metric).lost, compare_metric(metric).gained) == (("s/01",), ())


@pytest.mark.parametrize(
    ("now", "then", "margin"), [(0.75, 0.8, 0.05), (0.3, 0.1 + 0.2, 0.0), (0.6, 0.7, 0.1)]
)
def test_a_drop_as_large_as_the_margin_but_for_rounding_is_within_it(now, then, margin):
    """0.8 - 0.75 is 0.05 and 4e-17 more: of these very cases, whose answers reproduce, nothing else is known."""
    metric = replace(
        paired([now] * 20, [then] * 20, metric="rouge-l", kind="graded"), set_name="s", reproducible=True
    )
    for more, verdict in ((0.0, GateVerdict.PASS), (-1e-6, GateVerdict.REGRESS)):
        margins = {("s", "rouge-l"): margin + more}
        assert judge([metric], margins, populations={"s": "cases"})[0][0].verdict is verdict


def test_a_mean_never_stands_without_n_and_interval():
    row = compare_metric(paired([0.5] * 30, [0.5] * 30, metric="f1", kind="graded"))
    for summary in (row.candidate, row.baseline):
        assert summary.n == 30
        assert summary.mean.low < summary.mean.estimate < summary.mean.high


@pytest.mark.parametrize("n", [1, 2, 3, 4])
@pytest.mark.parametrize("kind", ["binary", "graded"])
@pytest.mark.parametrize(("now", "then"), [(1, 1), (0, 0), (0, 1), (1, 0), (0.4, 0.4)])
def test_a_handful_of_cases_proves_nothing(n, kind, now, then):
    """No NaN, and no bound within a small margin, whatever a few cases show."""
    if kind == "binary" and now == 0.4:
        return
    row = compare_metric(paired([now] * n, [then] * n, metric="m", kind=kind))
    assert math.isfinite(row.drop.low)
    assert row.drop.low <= row.drop.estimate <= row.drop.high
    assert row.p_value > 0.03
    assert row.drop.high > 0.05


def test_what_could_be_lost_depends_on_the_scale():
    """A score of 0.5 on [0, 1] can lose half; a cosine nothing below 0; a repetition of 0.1 can rise by 0.9."""
    many = 10_000
    half = paired([0.5] * many, [0.5] * many, metric="f1", kind="graded")
    cosine = paired([0.5] * many, [0.5] * many, metric="similar", kind="graded", least=-1.0)
    repetition = paired(
        [0.1] * many, [0.1] * many, metric="repetition", kind="graded", higher_is_better=False
    )
    below = paired([-1.0] * many, [-1.0] * many, metric="own", kind="graded", least=-5.0, most=0.0)
    assert (reach_of(below), rise_of(below)) == pytest.approx((4.0, 1.0), abs=1e-2)
    open_scale = paired([3.0], [3.0], metric="tokens", kind="graded", higher_is_better=False, most=math.inf)
    high = paired([0.7] * many, [0.7] * many, metric="f1", kind="graded")
    assert reach_of(half) == pytest.approx(0.5, abs=1e-3)
    assert reach_of(high) == pytest.approx(0.7, abs=1e-3)
    assert reach_of(cosine) == pytest.approx(0.5, abs=1e-3)
    assert reach_of(repetition) == pytest.approx(0.9, abs=1e-3)
    assert reach_of(open_scale) == 3.0
    # And what it can gain: the other half, a tenth, and one unit where the way is not that short.
    assert [rise_of(each) for each in (half, high, cosine)] == pytest.approx([0.5, 0.3, 0.5], abs=1e-3)
    assert rise_of(repetition) == pytest.approx(0.1, abs=1e-3)
    assert rise_of(open_scale) == 3.0
    logarithm = replace(open_scale, logarithmic=True)
    assert (reach_of(logarithm), rise_of(logarithm)) == (1.0, 1.0)


def test_the_detectable_drop_of_a_graded_metric_heeds_the_margin():
    """50 drops of 0.1 and 50 rises: an error of 0.0100844 where the middle sample shows that; by Student's t of 99."""
    row = paired([0.4, 0.6] * 50, [0.5] * 100, metric="f1", kind="graded")
    for level, margin, confidence in ((0.05, 0.0, 0.9), (0.05, 0.05, 0.9), (0.01, 0.05, 0.98)):
        # What no case of a hundred gained leaves open: half the scale could be gained.
        unseen = rise_of(row) * (level**-0.01 - 1)
        by_t = drop_by_t(0.0100844, 99, level, margin, confidence, 0.8, least=unseen)
        assert smallest_detectable(row, level, margin, confidence) == pytest.approx(by_t, abs=2e-6)


def test_what_two_runs_have_in_common_is_compared_without_verdicts(make_result, make_run):
    now = make_run([make_result("s/a", False, scores=[("f1", 0.2)]), make_result("s/b")], run_id="new")
    then = make_run([make_result("s/a", True, scores=[("f1", 0.8)]), make_result("s/c")], run_id="old")
    pairing = pair_runs(now, then)
    rows = [compare_metric(metric) for metric in paired_metrics(pairing)]
    assert [(row.metric, row.drop.estimate, row.verdict) for row in rows] == [
        ("pass-rate", 1.0, None),
        ("f1", pytest.approx(0.6), None),
    ]
    assert list(pairing.unpaired) == ["s/b", "s/c"]


def test_what_several_answers_detect_is_not_what_single_ones_do():
    """Twenty cases that pass five of five answers on either side: a fall of each to 94 %, not of seven cases to 0."""
    trials = (Trials(5, 5, 5, 5),) * 20
    repeated, single = (
        smallest_detectable(paired([1] * 20, [1] * 20, trials=each), 0.05, 0.05)
        for each in (trials, (Trials(1, 1, 1, 1),) * 20)
    )
    # By the binomial law four of 100 answers fail in 80 % at 0.055, and four are enough.
    assert repeated == pytest.approx(0.055, abs=0.01)
    assert single > 0.25


LOST = [0] * 4 + [1] * 36


@pytest.mark.parametrize("margin", [None, 0.1, 0.25])
@pytest.mark.parametrize(("level", "confidence"), [(0.05, 0.9), (0.01, 0.8)])
class TestEachKindOfMetricHasItsOwnPower:
    """What is printed is what the function of that kind says, for this margin, level and interval."""

    def found(self, metric, level, margin, confidence, **more):
        return smallest_detectable(metric, level, margin, confidence, **more)

    def test_independent_cases(self, level, margin, confidence):
        metric = paired(LOST, [1] * 40)
        for least in (0.0, 0.2):
            churn = max(churn_of(4, 0, 40), least)
            assert self.found(metric, level, margin, confidence, least_churn=least) == detectable_drop(
                40, churn, level, margin=margin, confidence=confidence
            )

    def test_scores_on_a_scale(self, level, margin, confidence):
        now = [3 + place % 5 for place in range(40)]
        metric = paired(now, [6] * 40, metric="rating", kind="graded", least=0.0, most=10.0)
        assert self.found(metric, level, margin, confidence) == detectable_mean_drop(
            units_of(metric),
            level,
            margin=margin,
            confidence=confidence,
            reach=reach_of(metric),
            rise=rise_of(metric),
        )

    def test_hardly_any_scores_moved(self, level, margin, confidence):
        metric = paired([4, 5] + [6] * 38, [6] * 40, metric="rating", kind="graded", least=0.0, most=10.0)
        expected = detectable_mean_drop(
            units_of(metric),
            level,
            margin=margin,
            confidence=confidence,
            reach=reach_of(metric),
            rise=rise_of(metric),
        )
        assert expected != detectable_mean_drop(units_of(metric), level, margin=margin, confidence=confidence)
        assert self.found(metric, level, margin, confidence) == expected

    def test_clusters(self, level, margin, confidence):
        metric = paired(LOST, [1] * 40, clusters=[place // 2 for place in range(40)])
        units = units_of(metric)
        for whole, function in ((False, self.found), (True, smallest_detectable_of_clusters)):
            flips = flips_by_chance(units, 4, 0, whole=whole)
            assert function(metric, level, margin, confidence) == detectable_cluster_drop(
                units.sizes, flips, level, margin=margin, confidence=confidence
            )

    def test_a_baseline_averaged_over_reruns(self, level, margin, confidence):
        reruns = tuple(Stability(passed=3, answers=4) for _ in range(40))
        metric = paired([1] * 30 + [0] * 10, [1] * 20 + [0.8] * 20, reruns=reruns)
        expected = detectable_averaged_drop(
            metric.baseline, _noise_of(metric, 0.05), level, margin=margin or 0.0, confidence=confidence
        )
        assert 0 < expected < 1
        assert self.found(metric, level, margin, confidence, least_churn=0.05) == expected

    def test_several_answers(self, level, margin, confidence):
        trials = tuple(
            Trials(candidate_passed=3, candidate=5, baseline_passed=4, baseline=5) for _ in range(40)
        )
        metric = paired([0.6] * 40, [0.8] * 40, trials=trials)
        assert self.found(metric, level, margin, confidence) == detectable_repeated_drop(
            trials, level, margin=margin, confidence=confidence
        )
        in_pairs = paired([0.6] * 40, [0.8] * 40, trials=trials, clusters=[place // 2 for place in range(40)])
        assert self.found(in_pairs, level, margin, confidence) == detectable_repeated_cluster_drop(
            trials, in_pairs.clusters, units_of(in_pairs), level, margin=margin, confidence=confidence
        )
        whole = detectable_repeated_clusters(
            trials, in_pairs.clusters, level, margin=margin, confidence=confidence
        )
        assert smallest_detectable_of_clusters(in_pairs, level, margin, confidence) == (whole or 1.0)
        assert smallest_detectable_of_clusters(metric, level, margin, confidence) is None


@pytest.mark.parametrize("lost", [1, 6, 7, 20])
def test_all_cases_of_a_lost_cluster_are_named(lost):
    """Ten clusters of twenty cases with five answers: more lost cases are no weaker a finding than one."""
    then = tuple(Trials(5, 5, 0 if place < lost else 5, 5) for place in range(200))
    now = [each.candidate_passed / 5 for each in then]
    clusters = tuple(place // 20 for place in range(200))
    metric = replace(paired(now, [1.0] * 200, clusters=clusters), trials=then)
    rows, cases = judge([metric], {("s", "pass-rate"): 0.05})
    assert len(cases) == lost
    # The row is about further clusters: one of ten is chance, as its interval says.
    assert rows[0].verdict is GateVerdict.INCONCLUSIVE
    assert rows[0].drop.low < 0 < rows[0].p_value
    assert rows[0].minimum_detectable_cluster_drop >= rows[0].minimum_detectable_drop


def test_noise_beside_reruns_is_the_mean_of_two_measurements():
    """Three more answers of each baseline case and a churn of 0.1: 0.125, and 4/3 x 0.1875 of the drops' own."""
    metric = paired(
        [1, 1, 0, 1], [1, 1, 1, 1], reruns=tuple(Stability(passed=3, answers=3) for _ in range(4))
    )
    assert _noise_of(metric, 0.1) == pytest.approx((0.1 * (1 + 1 / 4) + 0.25) / 2)


def test_the_scale_s_length_limits_an_interval():
    """A rating from 1 to 5 can fall by 4, not by 6: one of few cases moved all the way."""
    now, then = [1, 5, 5, 5, 5, 5, 5, 5], [5] * 8
    low = compare_metric(paired(now, then, metric="rating", kind="graded", least=1.0, most=5.0))
    shifted = compare_metric(
        paired(
            [x - 1 for x in now], [x - 1 for x in then], metric="rating", kind="graded", least=0.0, most=4.0
        )
    )
    assert (low.drop.low, low.drop.high) == pytest.approx((shifted.drop.low, shifted.drop.high))


def test_what_has_no_number_of_cases_that_settles():
    clusters = [place // 2 for place in range(40)]
    whole, graded = (
        paired(LOST, [1] * 40, clusters=clusters),
        paired(LOST, [1] * 40, clusters=clusters, metric="f1", kind="graded"),
    )
    units = units_of(whole)
    times = clusters_that_settle(units.sizes, flips_as_observed(units), 0.05, margin=0.05, confidence=0.9)
    assert cases_to_settle(whole, 0.05, 0.05, 0.9) == 40 * times
    assert cases_to_settle(graded, 0.05, 0.05, 0.9) is None
    stable = paired([1] * 40, [1] * 40, trials=tuple(Trials(5, 5, 5, 5) for _ in range(40)))
    assert cases_to_settle(stable, 0.05, 0.05, 0.9) is None
    equal = paired([1] * 40, [1] * 40, clusters=clusters)
    assert 40 <= cases_to_settle(equal, 0.05, 0.2, 0.9) < cases_to_settle(equal, 0.05, 0.05, 0.9)


def test_a_pass_rate_has_wilson_s_interval():
    now = [0] * 30 + [1] * 50
    mean = compare_metric(paired(now, [1] * 80)).candidate.mean
    assert mean == rate_interval([bool(value) for value in now], range(80), 0.9)


def test_the_level_of_judged_metrics_is_the_one_that_is_given():
    """Nine of sixty lost: a regression at 5 %, and none at a ten-thousandth."""
    metric = paired([0] * 9 + [1] * 51, [1] * 60)
    margins = {("s", "pass-rate"): 0.05}
    assert judge_metrics([metric], margins)[0].verdict is GateVerdict.REGRESS
    assert judge_metrics([metric], margins, 1e-4)[0].verdict is GateVerdict.INCONCLUSIVE
