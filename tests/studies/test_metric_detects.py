"""What each gated metric of a set detects before any model has answered: as the gate finds it."""

import numpy as np
import pytest

from harness.comparison.metric_drop import compare_metric
from harness.comparison.pairing import PairedMetric
from harness.statistics.clusters import group
from harness.statistics.detectable_drops import Flips, drawn_drops
from harness.statistics.paired_graded import mean_drop
from harness.statistics.power import detectable_drop
from harness.studies.metric_detects import (
    detectable_of_metric,
    detectable_of_verdicts,
    has_no_end,
    light_tailed_detectable,
)
from harness.types import Check, GenerationSettings, GoldenCase, Message


def cases_of(count, *types, clusters=None, repeat=1, value=None):
    return [
        GoldenCase(
            id=str(place),
            set_name="s",
            messages=(Message(role="user", content="?"),),
            checks=tuple(Check(type=each, value=value(place) if value else None) for each in types),
            cluster=None if clusters is None else str(place % clusters),
            repeat=repeat,
            generation=GenerationSettings(temperature=0.0 if repeat == 1 else 0.7),
        )
        for place in range(count)
    ]


def test_a_gated_check_detects_what_a_pass_rate_does():
    found = detectable_of_metric("contains", cases_of(80, "contains"), 0.05, 0.02, 0.05)
    assert found == (detectable_drop(80, 0.02, 0.05, margin=0.05), None)


def test_a_log_probability_detects_by_its_spread_and_its_own_margin():
    """100 cases that move by 0.2 nats: (1.66 + 0.845) x 0.02 without a margin, 0.20 - 0.8 x 0.02 with one of 0.20."""
    cases = cases_of(100, "perplexity")
    assert detectable_of_metric("perplexity", cases, 0.001, 0.02, 0.05)[0] == pytest.approx(0.0501, abs=3e-4)
    assert detectable_of_metric("perplexity", cases, 0.2, 0.02, 0.05)[0] == pytest.approx(0.1840, abs=3e-4)
    wider = detectable_of_metric("perplexity", cases, 0.001, 0.02, 0.05, spread=0.4)[0]
    assert wider == pytest.approx(0.1003, abs=6e-4)
    assert light_tailed_detectable([1.0] * 7, 0.2, 0.05, 0.1) == pytest.approx(0.25, abs=0.02)
    assert light_tailed_detectable([1.0], 0.2, 0.05, 0.1) is None


def test_exactly_these_cases_detect_what_is_beyond_the_margin():
    """Of 60 cases four lost ones are more than a twentieth; a mean of scores has no steps."""
    assert detectable_of_metric("contains", cases_of(60, "contains"), 0.05, 0.02, 0.05, own=True)[0] == 4 / 60
    assert detectable_of_metric("rouge-l", cases_of(60, "rouge-l"), 0.05, 0.02, 0.05, own=True)[0] == 0.05


def test_nothing_is_known_of_a_scale_without_an_end():
    assert [has_no_end(each) for each in ("latency", "tokens", "perplexity", "rouge-l")] == [
        True,
        True,
        False,
        False,
    ]
    assert detectable_of_metric("latency", cases_of(60, "latency"), 0.5, 0.02, 0.05) == (None, None)
    # Nor can a drop be beyond the whole scale.
    assert detectable_of_metric("rouge-l", cases_of(60, "rouge-l"), 1.0, 0.02, 0.05) == (None, None)


@pytest.mark.parametrize(("sizes", "expected"), [([1] * 40, 0.1875), ([3] * 24, 0.1238)])
def test_scores_that_are_lost_whole_are_found_in_eighty_percent(sizes, expected):
    """Two percent are lost and gained by chance; the rule of scores judges further samples of the said drop."""
    units = [[1] * size for size in sizes]
    drop, whole = detectable_of_verdicts(units, 0.05, 0.02, 0.05, singly=False, graded=True)
    assert drop == pytest.approx(expected, abs=0.012)
    assert (whole is None) is (max(sizes) == 1)
    sums = drawn_drops(sizes, Flips(lose=0.02 + drop, gain=0.02, alike=0.0), 900)[400:700]
    rise = (0.02 * sum(sizes) + 1) / (sum(sizes) + 1)
    clusters = [place for place, size in enumerate(sizes) for _ in range(size)]
    judged = [
        mean_drop(group(np.repeat(run / sizes, sizes).tolist(), clusters), 0.9, rise=rise, resamples=499)
        for run in sums
    ]
    assert np.mean([each.p_value <= 0.05 and each.high > 0.05 for each in judged]) == pytest.approx(
        0.8, abs=0.08
    )


def test_a_check_of_several_answers_is_found_in_eighty_percent():
    """Sixty cases with three answers, of which eight percent pass every other time: every chance falls alike."""
    cases, random = cases_of(60, "contains", repeat=3), np.random.default_rng(1)
    drop, whole = detectable_of_metric("contains", cases, 0.05, 0.02, 0.05)
    assert whole is None
    chances = np.where(np.arange(60) < 0.08 * 60, 0.5, 1.0)

    def regresses():
        before, now = random.binomial(3, chances) / 3, random.binomial(3, np.maximum(chances - drop, 0)) / 3
        row = PairedMetric(
            set_name="s", metric="contains", kind="binary", keys=tuple(map(str, range(60))),
            candidate=tuple(now.tolist()), baseline=tuple(before.tolist()), clusters=tuple(range(60)),
            parts=((3, 3),) * 60,
        )  # fmt: skip
        found = compare_metric(row, detectable=False)
        return found.p_value <= 0.05 and found.drop.high > 0.05

    assert np.mean([regresses() for _ in range(250)]) == pytest.approx(0.8, abs=0.09)


def test_a_drop_of_short_references_is_harder_to_find():
    """A few cases that fell a little: gains that none has shown may outweigh it, where one token can make them."""
    few, many = [1.0] * 8, [1.0] * 100
    assert light_tailed_detectable(few, 0.05, 0.05, 0.05, 10.0) > 0.4
    assert light_tailed_detectable(few, 0.05, 0.05, 0.05, 0.1) < 0.12
    assert light_tailed_detectable(many, 0.2, 0.05, 0.1, 10.0) == pytest.approx(
        light_tailed_detectable(many, 0.2, 0.05, 0.1), rel=0.02
    )
