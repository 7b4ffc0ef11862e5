"""One row's decision: what the other question would be answered, and tests that can't reject."""

import random
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.simulated_sets import paired
from harness.comparison.gate import run_gate
from harness.comparison.metric_verdicts import judge
from harness.presentation.sentences import sentences_of
from harness.statistics.paired_binary import Trials
from harness.types import GateSettings, Outcome, TooFew
from tests.comparison.conftest import OPEN, PASS, REGRESS

RATE = ("s", "pass-rate")


def asked(make_result, make_run, before, now, population, **gate):
    """The gate's answer to one question about set ``s`` beside ``t``, of outcomes by set."""
    gates = {"s": GateSettings(population=population, **gate)}
    sides = [
        make_run(
            [
                make_result(f"{name}/{n:02}", each)
                for name, of_set in side.items()
                for n, each in enumerate(of_set)
            ],
            gates=gates,
        )
        for side in (now, before)
    ]
    return run_gate(*sides)


def rate_of(comparison):
    return next(row for row in comparison.metrics if (row.set_name, row.metric) == RATE)


@pytest.mark.parametrize("passed", [0, 1, 2])
@pytest.mark.parametrize("n", [20, 40, 80])
def test_the_other_question_knows_of_nothing_to_lose_too(make_result, make_run, passed, n):
    """Of 40 cases the baseline passes none: on exactly these cases it was a pass, which the gate never says."""
    side = {"s": [place < passed for place in range(n)]}
    rows = {
        population: rate_of(asked(make_result, make_run, side, side, population)[0])
        for population in ("sample", "cases")
    }
    within = passed / n <= 0.05
    assert rows["cases"].verdict is (OPEN if within else PASS)
    assert rows["sample"].other_question is rows["cases"].verdict
    assert rows["cases"].other_question is rows["sample"].verdict


def test_what_the_other_metrics_reject_counts_for_the_other_question(make_result, make_run):
    """Six lost of 60 and one gained are 9/256 by mid-p: at 5 % beside another set that lost all, not at 2.5 % first."""
    before = {"s": [place != 59 for place in range(60)], "t": [True] * 40}
    now = {"s": [place >= 6 for place in range(60)], "t": [False] * 40}
    rows = [
        rate_of(asked(make_result, make_run, before, now, population)[0])
        for population in ("cases", "sample")
    ]
    assert rows[1].p_value == pytest.approx(9 / 256)
    assert rows[0].other_question is rows[1].verdict is REGRESS
    assert rows[1].other_question is rows[0].verdict is REGRESS
    alone = {"t": [True] * 40}
    rows = [
        rate_of(asked(make_result, make_run, before, now | alone, population)[0])
        for population in ("cases", "sample")
    ]
    assert rows[0].other_question is rows[1].verdict is OPEN


def drawn_side(draw, n, passed, broken, mean):
    """Outcomes and scores of one side."""
    outcomes = [Outcome.ERRORED if draw.random() < broken else draw.random() < passed for _ in range(n)]
    return [(each, mean + draw.uniform(-0.1, 0.1)) for each in outcomes]


def test_the_other_question_is_what_the_gate_says_when_it_is_asked(make_result, make_run):
    """Sixty gates with few and many cases, clusters, a score beside the rate, and cases without a verdict."""
    draw, seen = random.Random(4), set()
    for _ in range(60):
        n, share = draw.choice([8, 30, 60, 120]), draw.choice([0.02, 0.1, 0.9, 1.0])
        clusters, gated = draw.choice([None, 5, 20]), draw.choice([{}, {"rouge-l": 0.05}])
        lost, broken = draw.choice([0.0, 0.05, 0.1, 0.3]), draw.choice([0.0, 0.04])
        sides = [drawn_side(draw, n, share * (1 - fall), broken, 0.6 - fall) for fall in (lost, 0.0)]
        rows = {}
        for population in ("sample", "cases"):
            gate = GateSettings(population=population, metric_margins=gated, max_errored=0.5)
            runs = []
            for side in sides:
                results = [
                    make_result(
                        f"s/{place:03}",
                        outcome,
                        scores=[("rouge-l", score)],
                        cluster=clusters and f"k{place % clusters}",
                    )
                    for place, (outcome, score) in enumerate(side)
                ]
                runs.append(make_run(results, gates={"s": gate}))
            rows[population] = rate_of(run_gate(*runs)[0])
        assert rows["sample"].other_question is rows["cases"].verdict
        assert rows["cases"].other_question is rows["sample"].verdict
        seen |= {row.verdict for row in rows.values()}
    assert seen == {PASS, REGRESS, OPEN}


@pytest.mark.parametrize("lost", [0, 2, 4, 6])
def test_exactly_these_cases_are_asked_about_without_looks(lost):
    """A set that asks about its own cases is answered at once, whatever looks others have."""
    metric = replace(paired(np.array([1.0] * lost + [0.0] * (80 - lost))), reproducible=True)
    margins = {RATE: 0.05}
    (looked,) = judge([metric], margins, fractions={"s": (0.2, 0.4, 0.6, 0.8, 1.0)})[0]
    (at_once,) = judge([metric], margins, populations={"s": "cases"})[0]
    assert looked.other_question is at_once.verdict is (PASS if lost <= 4 else REGRESS)


def in_clusters(count, each=5, name="pass-rate"):
    """Cases in so many clusters, of which all are lost."""
    return paired(np.ones(count * each), np.repeat(np.arange(count), each).tolist(), name=name)


def judged(metrics, models=1, **settings):
    margins = {(each.set_name, each.metric): 0.05 for each in metrics}
    return judge(metrics, margins, regress_alpha=0.05 / models, **settings)[0]


def test_five_clusters_regress_alone_and_never_beside_another_model():
    """All lost by chance: 1/32, which two models count twice: 1/16 is above 5 %. Six clusters are 1/64."""
    (alone,) = judged([in_clusters(5)])
    assert (alone.verdict, alone.p_adjusted, alone.too_few) == (REGRESS, pytest.approx(1 / 32), None)
    (row,) = judged([in_clusters(5)], models=2)
    assert (row.verdict, row.p_adjusted) == (OPEN, pytest.approx(1 / 16))
    assert row.minimum_detectable_drop is None
    assert row.too_few == TooFew(
        units=5, chance=1 / 32, counts=2.0, models=2, tests=1, looks=1, enough=6, never=True
    )
    (row,) = judged([in_clusters(6)], models=2)
    assert (row.verdict, row.too_few) == (REGRESS, None)


def test_three_clusters_never_regress():
    (row,) = judged([in_clusters(3)])
    assert row.too_few == TooFew(
        units=3, chance=1 / 8, counts=1.0, models=1, tests=1, looks=1, enough=5, never=True
    )


@pytest.mark.parametrize(
    ("n", "models", "metrics", "expected"),
    [
        (4, 1, 1, None),
        (
            4,
            2,
            1,
            TooFew(units=4, chance=1 / 32, counts=2.0, models=2, tests=1, looks=1, enough=5, never=True),
        ),
        (5, 2, 1, None),
        (
            5,
            2,
            2,
            TooFew(units=5, chance=1 / 64, counts=4.0, models=2, tests=2, looks=1, enough=6, never=True),
        ),
        (6, 2, 2, None),
        (
            3,
            2,
            2,
            TooFew(units=3, chance=1 / 16, counts=1.0, models=1, tests=1, looks=1, enough=6, never=True),
        ),
    ],
)
def test_few_single_cases_of_several_models_and_metrics(n, models, metrics, expected):
    """All of n lost are half of 0.5^n by mid-p: what can regress does."""
    names = [f"m{place}" for place in range(metrics)]
    lost = [replace(paired(np.ones(n)), metric=name) for name in names]
    rows = judged(lost, models)
    assert [row.too_few for row in rows] == [expected] * metrics
    assert {row.verdict for row in rows} == {REGRESS if expected is None else OPEN}


def test_few_clusters_can_regress_beside_a_metric_that_does():
    """Five clusters beside 60 single cases: alone they count twice; once the others are rejected, once."""
    sure, few = replace(paired(np.ones(60)), set_name="t"), in_clusters(5)
    expected = TooFew(units=5, chance=1 / 32, counts=2.0, models=1, tests=2, looks=1, enough=6, never=False)
    rows = judged([few, sure])
    assert [(row.verdict, row.too_few) for row in rows] == [(REGRESS, expected), (REGRESS, None)]
    rows = judged([few, replace(paired(np.zeros(60)), set_name="t")])
    assert [(row.verdict, row.too_few) for row in rows] == [(OPEN, expected), (OPEN, None)]


def test_repeated_answers_show_more_than_single_ones():
    """Three answers of one case, all passed and then all failed: half of 1/20, which two models count twice."""
    for models, expected in (
        (2, None),
        (3, TooFew(units=1, chance=1 / 40, counts=3.0, models=3, tests=1, looks=1, enough=2, never=True)),
    ):
        metric = replace(paired(np.ones(1)), trials=(Trials(3, 3, 0, 3),))
        assert judged([metric], models)[0].too_few == expected


def repeated(n, passed=5):
    """Cases with five answers, of which so many passed, and then none."""
    return replace(paired(np.ones(n)), trials=(Trials(passed, 5, 0, 5),) * n, baseline=(passed / 5,) * n)


@pytest.mark.parametrize(("n", "regresses"), [(3, False), (4, True)])
def test_lost_whole_repeated_answers_are_counted_where_some_cases_may_regress(n, regresses):
    """All of four are 1/32 by mid-p, a regression beside which the JSON file said that they can never regress."""
    (row,) = judged([repeated(n)], limits={"s": 1.0})
    assert row.p_value == pytest.approx(0.5 ** (n + 1))
    assert (row.verdict, row.too_few is None) == (REGRESS if regresses else OPEN, regresses)
    assert regresses or (row.too_few.chance, row.too_few.enough) == (1 / 16, 4)


def test_repeated_answers_of_which_some_failed_before_are_not_counted():
    """Four of five passed: cases fall by 0.8 each, and all of four do by chance once in 16 times."""
    (row,) = judged([repeated(4, passed=4)], limits={"s": 1.0})
    assert row.p_value >= row.too_few.chance == 1 / 16


def test_what_is_asked_about_exactly_these_cases_is_not_too_few():
    metric = replace(in_clusters(2), reproducible=True)
    (row,) = judged([metric], 3, populations={"s": "cases"})
    assert (row.verdict, row.too_few) == (REGRESS, None)


def test_the_sentence_says_what_shares_the_level(make_result, make_run):
    """Of 25 cases in 5 clusters all are lost; so many models are gated that this never shows."""
    now, before = (
        make_run([make_result(f"s/{n:02}", passed, cluster=f"k{n % 5}") for n in range(25)])
        for passed in (False, True)
    )
    _, verdict = run_gate(now, before, regress_alpha=0.05 / 2)
    assert sentences_of(verdict)[0].startswith("s pass-rate is inconclusive: 1.000 → 0.000, drop +1.000 [")
    assert (
        "; it can never regress: 5 clusters can all get worse by chance with a probability of 0.03125, which counts "
        "2 times for 2 models: make it 6 clusters or more, or gate fewer models at once"
    ) in sentences_of(verdict)[0]
