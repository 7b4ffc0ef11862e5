"""The macro-F1 of a set's classifications, on both sides."""

import random

import pytest
from sklearn.metrics import f1_score

from harness.comparison.gate import run_gate
from harness.golden.schema import metric_facts
from harness.presentation.terminal import metric_table
from harness.run.scoring import score_cases
from harness.statistics.classification import macro_f1
from harness.types import (
    Check,
    Completion,
    Environment,
    ExecutionPlan,
    GoldenCase,
    GoldenSet,
    Message,
    ModelRef,
    Run,
)

LABELS = ["red", "green", "blue"]


@pytest.mark.parametrize("seed", range(5))
def test_macro_f1_equals_that_of_scikit_learn(seed):
    draws = random.Random(seed)
    expected = [draws.choice(LABELS) for _ in range(40)]
    predicted = [draws.choice([*LABELS, "", "grey"]) for _ in range(40)]
    wanted = f1_score(expected, predicted, labels=sorted(set(expected)), average="macro", zero_division=0)
    assert macro_f1(list(zip(expected, predicted, strict=True))) == pytest.approx(wanted)


def test_macro_f1_of_nothing_is_none():
    assert macro_f1([]) is None
    assert macro_f1([("a", "")]) == 0


def run_of(answers, expected, *, clusters=None, repeat=1):
    check = Check(type="classification", options={"labels": LABELS})
    cases = [
        GoldenCase(
            id=str(n), set_name="s", messages=(Message(role="user", content=str(n)),), references=(label,), checks=(check,), repeat=repeat,
            cluster=None if clusters is None else clusters[n],
        )
        for n, label in enumerate(expected)
    ]  # fmt: skip
    completions = {
        key: Completion(
            text=answers[n], stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1
        )
        for n, case in enumerate(cases)
        for key in case.answer_keys
    }
    results = score_cases(cases, completions)
    return Run(
        id="r", started_at="2026-01-01T00:00:00+00:00", duration_s=1.0,
        model=ModelRef(label="m", base_model="m", base_sha256="b"),
        plan=ExecutionPlan(engine="e", dtype="float32", device="cpu", batch_tokens=1),
        environment=Environment(python="3", platform="p", packages={}),
        golden_sets=(GoldenSet(name="s", path="s.yaml"),), collected=len(cases), results=tuple(results),
        metrics=metric_facts(check for case in cases for check in case.checks),
    )  # fmt: skip


def row_of(candidate, baseline):
    comparison, verdict = run_gate(candidate, baseline)
    (row,) = [row for row in comparison.metrics if row.metric == "macro-f1"]
    return row, comparison, verdict


EXPECTED = ["red"] * 20 + ["green"] * 10 + ["blue"] * 4


def test_a_rare_label_that_is_lost_shows_in_macro_f1_more_than_in_accuracy():
    right = list(EXPECTED)
    worse = ["red" if label == "blue" else label for label in EXPECTED]
    row, comparison, verdict = row_of(run_of(worse, EXPECTED), run_of(right, EXPECTED))
    (accuracy,) = [each for each in comparison.metrics if each.metric == "classification"]
    assert accuracy.drop.estimate == pytest.approx(4 / 34)
    assert row.drop.estimate == pytest.approx(1 - macro_f1(list(zip(EXPECTED, worse, strict=True))))
    assert row.drop.estimate > 2 * accuracy.drop.estimate
    assert row.drop.low < row.drop.estimate < row.drop.high <= 1
    assert (row.verdict, row.n) == (None, 34)
    assert all(finding.metric != "macro-f1" for finding in verdict.findings)
    assert metric_table(comparison).row_count == 2


def test_equal_sides_have_no_drop_and_an_interval_all_the_same():
    row, _, _ = row_of(run_of(EXPECTED, EXPECTED), run_of(EXPECTED, EXPECTED))
    assert row.drop.estimate == 0
    assert row.drop.low < 0 < row.drop.high
    assert row.p_value == 1


def test_clusters_are_left_out_whole():
    worse = ["red" if label == "blue" else label for label in EXPECTED]
    alone, _, _ = row_of(run_of(worse, EXPECTED), run_of(EXPECTED, EXPECTED))
    clusters = [f"c{n // 4}" for n in range(len(EXPECTED))]
    together, _, _ = row_of(
        run_of(worse, EXPECTED, clusters=clusters), run_of(EXPECTED, EXPECTED, clusters=clusters)
    )
    assert together.drop.estimate == pytest.approx(alone.drop.estimate)
    assert together.drop.high - together.drop.low > alone.drop.high - alone.drop.low


def test_one_cluster_says_nothing():
    one = ["c"] * len(EXPECTED)
    row, _, _ = row_of(run_of(EXPECTED, EXPECTED, clusters=one), run_of(EXPECTED, EXPECTED, clusters=one))
    assert (row.drop.low, row.drop.high) == (-1, 1)


def test_every_answer_of_a_case_counts():
    row, _, _ = row_of(run_of(EXPECTED, EXPECTED, repeat=3), run_of(EXPECTED, EXPECTED, repeat=3))
    assert row.candidate.mean.estimate == 1


@pytest.mark.parametrize("seed", range(3))
def test_the_interval_covers_the_true_drop(seed):
    """With two models of known error, nine of ten intervals should contain the drop of the population."""
    draws = random.Random(seed)

    def answers(expected, wrong):
        return [draws.choice(LABELS) if draws.random() < wrong else label for label in expected]

    large = [draws.choice(LABELS) for _ in range(30_000)]
    truth = macro_f1(list(zip(large, answers(large, 0.1), strict=True))) - macro_f1(
        list(zip(large, answers(large, 0.3), strict=True))
    )
    covered = 0
    for _ in range(40):
        expected = [draws.choice(LABELS) for _ in range(80)]
        row, _, _ = row_of(run_of(answers(expected, 0.3), expected), run_of(answers(expected, 0.1), expected))
        covered += row.drop.low <= truth <= row.drop.high
    assert covered >= 31
