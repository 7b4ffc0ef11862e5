"""What a set can show before any run; the command's own tests are in tests/cli/test_power.py."""

from dataclasses import replace

import numpy as np
import pytest

from harness.comparison.pairing import PASS_RATE
from harness.statistics.clusters import group
from harness.statistics.paired_graded import mean_drop
from harness.statistics.planning import pass_chance
from harness.studies.set_power import (
    ANSWERS,
    LOG_MARGIN,
    power_of_set,
    why_it_seldom_passes,
)
from harness.types import Check, GateSettings, GenerationSettings, GoldenCase, GoldenSet, Message


def cases_of(count, clusters=None, types=("equals",), repeat=1):
    return tuple(
        GoldenCase(
            id=str(n),
            set_name="s",
            messages=(Message(role="user", content=str(n)),),
            checks=tuple(Check(type=each) for each in types),
            repeat=repeat,
            generation=GenerationSettings(temperature=0.0 if repeat == 1 else 0.7),
            cluster=None if clusters is None else str(n % clusters),
        )
        for n in range(count)
    )


def set_of(count, clusters=None, types=("equals",), repeat=1, **gate):
    cases = cases_of(count, clusters, types, repeat)
    return GoldenSet(name="s", path="s.yaml", cases=cases, gate=GateSettings(**gate))


def log_probabilities(count, spread):
    """What log-probabilities of so many cases would buy."""
    found = power_of_set(set_of(count), {PASS_RATE: 0.05}, 0.02, 0.05, spread=spread, with_ways=True)
    return next(way for way in found.ways if way.name.startswith("log-probability"))


def test_log_probabilities_detect_what_reaches_beyond_their_margin():
    """100 cases: 0.10 - (1.645 - 0.842) x 0.02 for 0.2 nats; for 0.5 nats (1.645 + 0.842) x 0.05; by Student's t."""
    assert log_probabilities(100, 0.2).detectable == pytest.approx(0.083935, abs=2e-4)
    assert log_probabilities(100, 0.5).detectable == pytest.approx(0.124324, rel=0.01)
    assert log_probabilities(7, 0.2).detectable == pytest.approx(0.25, abs=0.02)


@pytest.mark.simulation
@pytest.mark.parametrize("count", [12, 20, 50])
@pytest.mark.parametrize("spread", [0.05, 0.2, 0.5, 1.0])
def test_what_log_probabilities_buy_is_what_the_gate_does(count, spread):
    """Normal changes of any spread: an equal model passes as often as said, and the said drop is found in 80 %."""
    way, random, runs = log_probabilities(count, spread), np.random.default_rng(count), 150

    def judged(drop):
        return [
            mean_drop(
                group(random.normal(drop, spread, count).tolist(), range(count)),
                0.9,
                light_tails=True,
                resamples=499,
            )
            for _ in range(runs)
        ]

    passed = np.mean([each.high_unseen <= LOG_MARGIN for each in judged(0.0)])
    assert passed == pytest.approx(way.pass_chance, abs=0.12)
    found = np.mean([each.p_value <= 0.05 and each.high > LOG_MARGIN for each in judged(way.detectable)])
    assert found == pytest.approx(0.8, abs=0.12)


def test_one_case_lost_in_five_answers_is_found_by_itself():
    """1 / C(10, 5) = 1/252, and no noisy case beside it."""
    ways = {
        way.name: way for way in power_of_set(set_of(60), {PASS_RATE: 0.05}, 0.0, 0.05, with_ways=True).ways
    }
    assert ways[f"{ANSWERS} answers a case"].detectable == pytest.approx(1 / 60)
    noisy = power_of_set(set_of(400), {PASS_RATE: 0.05}, 0.05, 0.05, with_ways=True)
    assert 1 / 400 < noisy.ways[2].detectable < noisy.ways[0].detectable


def test_what_repeats_find_in_clusters():
    """A single case by itself; where none is tested, three clusters show nothing and more of them less than cases."""

    def repeated(**gate):
        clusters = gate.pop("clusters", None)
        golden_set = set_of(60, **({} if clusters is None else {"clusters": clusters}), **gate)
        return power_of_set(golden_set, {PASS_RATE: 0.05}, 0.02, 0.05, with_ways=True).ways[2].detectable

    assert repeated(clusters=3) == pytest.approx(1 / 60)
    assert repeated(clusters=3, max_regressed=1.0) is None
    alone, clustered = repeated(max_regressed=1.0), repeated(clusters=6, max_regressed=1.0)
    assert 1 / 60 < alone < clustered < 0.1


def test_repeats_help_a_noisy_set_to_pass():
    for golden_set in (set_of(100), set_of(200, clusters=100)):
        ways = power_of_set(golden_set, {PASS_RATE: 0.05}, 0.05, 0.05, with_ways=True).ways
        assert ways[2].pass_chance > ways[0].pass_chance


def test_many_metrics_of_a_small_set_seldom_pass_together():
    few = set_of(
        70,
        types=("equals", "rouge-l", "bleu", "f1"),
        metric_margins={"rouge-l": 0.05, "bleu": 0.05, "f1": 0.05},
    )
    said = why_it_seldom_passes(few)
    assert said is not None
    assert "4 gated metrics together in" in said
    assert why_it_seldom_passes(set_of(70)) is None
    assert (
        why_it_seldom_passes(set_of(600, types=("equals", "rouge-l"), metric_margins={"rouge-l": 0.05}))
        is None
    )
    assert why_it_seldom_passes(replace(few, gate=replace(few.gate, population="cases"))) is None


def test_a_set_about_its_own_cases_has_no_early_stop():
    found = power_of_set(set_of(50, population="cases"), {PASS_RATE: 0.05}, 0.02, 0.05, looks=5)
    assert found.looks is None


def test_one_cluster_passes_no_usual_margin_and_a_very_wide_one():
    """Equal answers of one cluster leave a drop of 1 - 2 * 0.05 = 0.9 possible."""
    for margin, passes in ((0.05, 0.0), (0.89, 0.0), (0.91, 1.0)):
        found = power_of_set(set_of(20, 1), {PASS_RATE: margin}, 0.0, 0.05, looks=5, with_ways=True)
        assert found.pass_chance == passes
        assert found.detectable_drop is None


def test_answers_that_vary_are_not_said_to_pass_for_sure():
    """54 single answers leave a drop of 0.163 of exactly these cases possible."""
    golden_set = set_of(54, types=("equals", "rouge-l"), population="cases", metric_margins={"rouge-l": 0.01})
    still = power_of_set(golden_set, {PASS_RATE: 0.05, "rouge-l": 0.01}, 0.0, 0.05)
    assert still.chances == [1.0, 1.0]
    warm = tuple(replace(case, generation=GenerationSettings(temperature=0.7)) for case in golden_set.cases)
    drawn = replace(golden_set, cases=warm)
    assert (
        power_of_set(drawn, {PASS_RATE: 0.05, "rouge-l": 0.01}, 0.0, 0.05).metrics["rouge-l"].pass_chance
        < 0.01
    )
    assert [power_of_set(drawn, {PASS_RATE: m}, 0.0, 0.05).pass_chance for m in (0.16, 0.17)] == [0.0, 1.0]


def test_a_set_that_only_grades_has_no_pass_rate():
    golden_set = set_of(80, types=("rouge-l",), metric_margins={"rouge-l": 0.05})
    found = power_of_set(golden_set, {PASS_RATE: 0.05, "rouge-l": 0.05}, 0.02, 0.05, looks=5, with_ways=True)
    assert (found.cases, found.pass_chance, found.detectable_drop) == (0, None, None)
    assert found.chances == [found.metrics["rouge-l"].pass_chance]
    assert (found.looks, found.ways) == (None, ())
    assert power_of_set(set_of(80, types=("rouge-l",)), {PASS_RATE: 0.05}, 0.02, 0.05).chances == []


def test_a_margin_of_one_shows_nothing():
    found = power_of_set(set_of(80), {PASS_RATE: 1.0}, 0.02, 0.05, looks=5, with_ways=True)
    assert (found.pass_chance, found.detectable_drop, found.units_if_equal) == (0.0, None, None)
    assert found.looks is None
    assert [way.pass_chance for way in found.ways[:3]] == [0.0] * 3


def test_each_metric_has_its_own_cases():
    cases = (*cases_of(200), *(replace(case, id=f"g{case.id}") for case in cases_of(20, types=("rouge-l",))))
    golden_set = replace(set_of(1), cases=cases)
    found = power_of_set(golden_set, {PASS_RATE: 0.05, "rouge-l": 0.2}, 0.02, 0.05)
    assert (found.cases, found.metrics["rouge-l"].cases) == (200, 20)
    assert found.pass_chance == pass_chance(200, 0.02, 0.05)
    # As 20 single cases, not as 220.
    assert found.metrics["rouge-l"].pass_chance == pytest.approx(pass_chance(20, 0.02, 0.2), abs=0.01)


def test_a_drop_of_whole_clusters_is_no_easier_to_find():
    """A hundred pairs without any flip by chance: by a hair whole pairs are found sooner than single cases."""
    found = power_of_set(set_of(200, clusters=100), {PASS_RATE: 0.05}, 0.0, 0.05, with_ways=True)
    assert found.detectable_cluster_drop >= found.detectable_drop
    assert all(way.detectable_of_clusters >= way.detectable for way in found.ways[:3])


def test_a_set_s_own_repeats_count():
    """As it is, with five answers a case, it shows what single answers would with that way."""
    single = power_of_set(set_of(60), {PASS_RATE: 0.05}, 0.05, 0.05, with_ways=True)
    asked = power_of_set(set_of(60, repeat=5), {PASS_RATE: 0.05}, 0.05, 0.05, looks=5, with_ways=True)
    assert asked.pass_chance == single.ways[2].pass_chance > single.pass_chance
    assert asked.detectable_drop == single.ways[2].detectable == pytest.approx(1 / 60)
    assert asked.units_if_equal < single.units_if_equal
    assert asked.looks is None
    assert [(way.name, way.answers) for way in asked.ways[:3]] == [
        ("as it is", 1.0),
        ("twice the cases", 2.0),
        ("10 answers a case", 2.0),
    ]


def test_repeats_of_exactly_these_cases_detect_smaller_drops():
    drops = [
        power_of_set(
            set_of(60, repeat=repeat, population="cases"), {PASS_RATE: 0.05}, 0.02, 0.05
        ).detectable_drop
        for repeat in (2, 5, 20)
    ]
    assert drops[0] > drops[1] > drops[2] > 0.0


@pytest.mark.parametrize(("idle", "said"), [(10, 0), (11, 11)])
def test_cases_that_nothing_counts_keep_a_set_from_passing(idle, said):
    """More than a twentieth of the cases without a verdict: 11 of 211."""
    more = tuple(replace(case, id=f"g{case.id}") for case in cases_of(idle, types=("rouge-l",)))
    golden_set = replace(set_of(1), cases=(*cases_of(200), *more))
    assert power_of_set(golden_set, {PASS_RATE: 0.05}, 0.02, 0.05).unscored == said
    graded = replace(golden_set, gate=GateSettings(metric_margins={"rouge-l": 0.1}))
    assert power_of_set(graded, {PASS_RATE: 0.05, "rouge-l": 0.1}, 0.02, 0.05).unscored == 0
