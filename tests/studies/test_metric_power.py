"""How often an equal model passes each gated metric, by the cases that have it."""

import math
from dataclasses import replace

import numpy as np
import pytest

from harness.comparison.pairing import PASS_RATE
from harness.statistics.clusters import group
from harness.statistics.paired_graded import mean_drop
from harness.studies.metric_detects import detectable_of_metric
from harness.studies.metric_power import (
    answers_by_unit,
    chance_to_pass,
    gated_cases,
    hypotheses,
    light_tailed_pass,
    pass_of_verdicts,
)
from harness.types import Check, GateSettings, GenerationSettings, GoldenCase, GoldenSet, Message


def case_of(place, *types, cluster=None, repeat=1):
    return GoldenCase(
        id=str(place),
        set_name="s",
        messages=(Message(role="user", content="?"),),
        checks=tuple(Check(type=each) for each in types),
        cluster=cluster,
        repeat=repeat,
        generation=GenerationSettings(temperature=0.0 if repeat == 1 else 0.7),
    )


def cases_of(count, **settings):
    return [case_of(place, "equals", "rouge-l", "perplexity", **settings) for place in range(count)]


def test_a_metric_has_the_cases_with_its_check_and_a_pass_rate_those_that_are_decided():
    cases = (case_of(0, "equals"), case_of(1, "rouge-l"), case_of(2, "rouge-l"))
    golden_set = GoldenSet(name="s", path="s.yaml", cases=cases, gate=GateSettings())
    found = gated_cases(golden_set, {PASS_RATE: 0.05, "rouge-l": 0.05, "bleu": 0.05})
    assert {metric: [case.id for case in of_metric] for metric, of_metric in found.items()} == {
        PASS_RATE: ["0"],
        "rouge-l": ["1", "2"],
    }
    graded = replace(golden_set, cases=cases[1:])
    assert list(gated_cases(graded, {PASS_RATE: 0.05, "rouge-l": 0.05})) == ["rouge-l"]


def test_answers_by_cluster():
    cases = [case_of(0, cluster="k", repeat=3), case_of(1), case_of(2, cluster="k")]
    assert answers_by_unit(cases) == [[3, 1], [1]]


@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("metric", [PASS_RATE, "rouge-l"])
def test_nothing_is_shown_within_a_margin_that_no_drop_exceeds(metric, own):
    assert chance_to_pass(metric, cases_of(500), 1.0, 0.0, own=own) == 0.0
    assert chance_to_pass(metric, cases_of(500), 0.99, 0.0, own=own) == 1.0


def test_nothing_is_known_of_a_scale_without_an_end_but_what_reproduces():
    """A margin of 9 tokens is no share of 1: the baseline's mean, which it is a share of, is unknown."""
    cases = [case_of(place, "equals", "tokens") for place in range(80)]
    assert [chance_to_pass("tokens", cases, margin, 0.02) for margin in (0.05, 9.0)] == [None, None]
    assert detectable_of_metric("tokens", cases, 9.0, 0.02, 0.05) == (None, None)
    assert chance_to_pass("tokens", cases, 9.0, 0.02, own=True) == 1.0
    assert detectable_of_metric("tokens", cases, 9.0, 0.02, 0.05, own=True) == (9.0, None)
    warm = [case_of(place, "tokens", repeat=2) for place in range(80)]
    assert chance_to_pass("tokens", warm, 9.0, 0.02, own=True) is None


def test_a_worked_example_of_log_probabilities():
    """100 cases that move by 0.2 nats: the margin is 0.10 / 0.02 = 5 standard errors, t(99) at 0.95 is 1.660."""
    chance = chance_to_pass("perplexity", cases_of(100), 0.10, 0.02, spread=0.2)
    assert chance == pytest.approx(0.99958, abs=1e-5)
    assert chance_to_pass("perplexity", cases_of(1), 0.10, 0.02) == 0.0
    assert light_tailed_pass([1.0] * 40, 0.1, 0.2) > light_tailed_pass([5.0] * 8 + [1.0] * 32, 0.1, 0.2)


@pytest.mark.parametrize(("count", "churn"), [(20, 0.02), (60, 0.05), (500, 0.02)])
def test_scores_are_taken_to_move_as_verdicts_do(count, churn):
    """The mean's rule and that of counts hardly differ where scores are 0 or 1."""
    counted, graded = (chance_to_pass(each, cases_of(count), 0.1, churn) for each in (PASS_RATE, "rouge-l"))
    assert graded == pytest.approx(counted, abs=0.02)


def test_means_of_many_moves_are_bootstrapped():
    """200 cases of which 5 % flip each way: the bootstrap of the mean passes more often than counts do."""
    random, passed = np.random.default_rng(5), []
    for _ in range(400):
        moves = random.choice([1.0, -1.0, 0.0], size=200, p=[0.05, 0.05, 0.9]).tolist()
        passed.append(mean_drop(group(moves, range(200)), 0.9, span=1.0, resamples=499).high_unseen <= 0.05)
    said = pass_of_verdicts([[1]] * 200, 0.05, 0.05, graded=True)
    assert said == pytest.approx(np.mean(passed), abs=0.05)
    assert said > pass_of_verdicts([[1]] * 200, 0.05, 0.05) + 0.03


def test_a_set_s_own_repeats_help_it_to_pass():
    for own in (False, True):
        few, many = (
            chance_to_pass(PASS_RATE, cases_of(100, repeat=repeat), 0.05, 0.05, own=own) for repeat in (2, 8)
        )
        assert few < many - 0.2


def test_exactly_these_cases_with_noisier_answers_pass_less_often():
    calm, noisy = (
        chance_to_pass(PASS_RATE, cases_of(100, repeat=5), 0.05, churn, own=True) for churn in (0.02, 0.1)
    )
    assert noisy < calm - 0.2


def test_clusters_of_scores_pass_less_often_than_single_ones():
    clustered = [case_of(n, "rouge-l", cluster=str(n % 60)) for n in range(120)]
    single = chance_to_pass("rouge-l", cases_of(120), 0.1, 0.02)
    assert chance_to_pass("rouge-l", clustered, 0.1, 0.02) < single
    assert math.isclose(single, 1.0, abs_tol=0.01)


def test_single_cases_that_are_tested_share_the_level():
    def counted(*types, **gate):
        repeat = gate.pop("repeat", 1)
        cases = tuple(case_of(place, *types, repeat=repeat) for place in range(60))
        return hypotheses(
            GoldenSet(name="s", path="s", cases=cases, gate=GateSettings(**gate)), {PASS_RATE: 0.05}
        )

    assert counted("equals") == counted("equals", repeat=3) == 1
    assert counted("equals", repeat=5) == 2
    assert counted("equals", repeat=5, max_regressed=1.0) == 1
    assert counted("rouge-l") == 0


def test_a_group_without_a_threshold_has_the_power_of_a_check():
    checks = (Check(type="equals"), Check(type="all-of", checks=(Check(type="equals"),)))
    cases = [replace(each, checks=checks) for each in cases_of(60)]
    check, group = (
        (chance_to_pass(each, cases, 0.1, 0.02), detectable_of_metric(each, cases, 0.1, 0.02, 0.05))
        for each in ("equals", "all-of")
    )
    assert check == group


def test_short_references_pass_as_the_gate_passes_them():
    """80 labels of one token: what none has shown is up to (1 - 0.05^(1/80)) x 10 = 0.37 nats."""

    def chance(count, reference, margin=0.1):
        cases = [replace(case, references=(reference,)) for case in cases_of(count)]
        return chance_to_pass("perplexity", cases, margin, 0.02, spread=0.05)

    sentence = "The order is for Bob, who lives in Paris and asked for four kettles, all of them blue."
    assert chance(80, "yes") == 0.0
    assert chance(80, "yes", 0.4) > 0.99
    assert chance(80, sentence) > 0.99
    # So few are simulated by the gate's own function.
    assert chance(20, sentence) > 0.99
    assert chance(20, "It is blue.") == 0.0


@pytest.mark.parametrize(("tokens", "enough"), [(1, 299), (2, 149), (4, 74), (8, 36), (15, 19), (20, 14)])
def test_how_many_cases_equal_answers_need(tokens, enough):
    """As docs/metrics.md has it, with the usual margin of 0.10."""
    found = (light_tailed_pass([1.0] * n, 0.1, 1e-6, 10 / tokens) for n in range(5, 400))
    assert next(n for n, chance in enumerate(found, start=5) if chance > 0.5) == enough
