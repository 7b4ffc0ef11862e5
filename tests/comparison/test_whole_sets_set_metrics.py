"""The macro-F1 of a set's classifications, on both sides."""

import random
from dataclasses import replace

import pytest
from sklearn.metrics import f1_score

from harness.baselines.accept import _baseline
from harness.baselines.file import baseline_text, keep_results, read_baseline
from harness.baselines.file import run_of as kept_run
from harness.comparison.gate import run_gate
from harness.comparison.metric_verdicts import judge
from harness.comparison.whole_sets import _row
from harness.errors import GoldenError
from harness.golden.load import load_golden_set
from harness.presentation.terminal import metric_table
from harness.run.scoring import score_cases
from harness.run.session import metric_facts
from harness.statistics.classification import LabelledCase, label_counts, macro_f1_of
from harness.types import (
    Check,
    Completion,
    Environment,
    ExecutionPlan,
    GateSettings,
    GateVerdict,
    GoldenCase,
    GoldenSet,
    Message,
    ModelRef,
    Outcome,
    Run,
    Stability,
)
from tests.statistics.chance import at_most

LABELS = ["red", "green", "blue"]


def macro_f1(pairs):
    """Of one group of expected and predicted labels."""
    return float(macro_f1_of(label_counts([pairs], sorted({expected for expected, _ in pairs})))[0])


@pytest.mark.parametrize("seed", range(5))
def test_macro_f1_equals_that_of_scikit_learn(seed):
    draws = random.Random(seed)
    expected = [draws.choice(LABELS) for _ in range(40)]
    predicted = [draws.choice([*LABELS, "", "grey"]) for _ in range(40)]
    wanted = f1_score(expected, predicted, labels=sorted(set(expected)), average="macro", zero_division=0)
    assert macro_f1(list(zip(expected, predicted, strict=True))) == pytest.approx(wanted)


def test_macro_f1_of_an_answer_without_a_label_is_nothing():
    assert macro_f1([("a", "")]) == 0


def run_of(answers, expected, *, clusters=None, repeat=1, gate=None):
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
        golden_sets=(GoldenSet(name="s", path="s.yaml", gate=gate or GateSettings()),), collected=len(cases), results=tuple(results),
        metrics=metric_facts(check for case in cases for check in case.checks),
    )  # fmt: skip


def row_of(candidate, baseline):
    comparison, verdict = run_gate(candidate, baseline)
    (row,) = [row for row in comparison.metrics if row.metric == "macro-f1"]
    return row, comparison, verdict


def row_between(expected, candidate, baseline):
    """The row of independent cases, without the rest of a gate."""
    sides = zip(expected, candidate, baseline, strict=True)
    return _row(
        "s", [LabelledCase(str(n), n, [(e, now)], [(e, was)]) for n, (e, now, was) in enumerate(sides)], 0.9
    )


LOW_PRECISION = ExecutionPlan(engine="e", dtype="bfloat16", device="cpu", batch_tokens=1)
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
    # Of 34 cases without one wrong, 1 - 0.05 ** (1 / 34) may be wrong unseen.
    assert (row.candidate.mean.low, row.candidate.mean.high) == pytest.approx((0.05 ** (1 / 34), 1))


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


def test_cases_that_one_side_lacks_are_taken_at_their_worst():
    """Two blue cases of four without an answer of the candidate: lost, macro-F1 is 1 to 0.87, and the rest knows nothing of it."""
    whole = run_of(EXPECTED, EXPECTED)
    lacking = [replace(result, scores=(), outcome=Outcome.ERRORED) for result in whole.results[-2:]]
    row, _, _ = row_of(replace(whole, results=(*whole.results[:-2], *lacking)), whole)
    assert (row.n, row.missing) == (32, 2)
    assert row.drop.estimate == 0
    kept, _, _ = row_of(*2 * [run_of(EXPECTED[:-2], EXPECTED[:-2])])
    assert row.drop.low == kept.drop.low
    lost, _, _ = row_of(run_of([*EXPECTED[:-2], "red", "red"], EXPECTED), whole)
    assert row.high_unseen >= lost.drop.estimate > kept.drop.estimate


GATED = GateSettings(margin=0.9, metric_margins={"macro-f1": 0.1}, max_regressed=1.0)


def gated(candidate, baseline, expected, *, clusters=None):
    """The gated row and the run's verdict; only the macro-F1 can decide."""
    sides = [run_of(side, expected, clusters=clusters, gate=GATED) for side in (candidate, baseline)]
    row, _, verdict = row_of(*sides)
    (finding,) = [each for each in verdict.findings if each.metric == "macro-f1"]
    assert finding.verdict is row.verdict
    return row, verdict.outcome


def test_a_gated_macro_f1_decides():
    many = EXPECTED * 4
    worse = ["red" if label == "blue" else label for label in many]
    row, outcome = gated(worse, many, many)
    assert (row.verdict, outcome) == (GateVerdict.REGRESS, GateVerdict.REGRESS)
    assert (len(row.lost), row.gained, row.margin) == (16, (), 0.1)
    row, outcome = gated(many, many, many)
    assert (row.verdict, outcome) == (GateVerdict.PASS, GateVerdict.PASS)


@pytest.mark.parametrize(
    ("lost", "verdict"), [(0, GateVerdict.PASS), (1, GateVerdict.PASS), (4, GateVerdict.REGRESS)]
)
def test_of_exactly_these_cases_it_is_known_where_answers_reproduce(lost, verdict):
    """34 cases: of further ones nothing could be said. One blue case of four costs less than the margin of 0.1."""
    own = replace(GATED, population="cases")
    answers = [*EXPECTED[: 34 - lost], *["red"] * lost]
    row, _, _ = row_of(run_of(answers, EXPECTED, gate=own), run_of(EXPECTED, EXPECTED, gate=own))
    assert (row.verdict, row.population) == (verdict, "cases")
    assert (
        row.drop.low
        == row.drop.high
        == pytest.approx(1 - macro_f1(list(zip(EXPECTED, answers, strict=True))))
    )
    assert row.minimum_detectable_drop == 0.1
    further, _ = gated(answers, EXPECTED, EXPECTED)
    assert further.population == "sample"
    assert further.verdict is not GateVerdict.PASS


def test_of_answers_that_vary_macro_f1_is_that_of_further_cases():
    """Nothing says how much their labels vary."""
    own = replace(GATED, population="cases")
    runs = [replace(run_of(EXPECTED, EXPECTED, gate=own), plan=plan) for plan in 2 * [LOW_PRECISION]]
    row, _, _ = row_of(*runs)
    assert (row.verdict, row.population) == (GateVerdict.INCONCLUSIVE, "sample")


def test_it_is_compared_with_an_accepted_baseline():
    """Whose file keeps the labels, and only where there are any."""
    many = EXPECTED * 4
    candidate = run_of(many, many, gate=GATED)
    accepted = run_of(many, many, gate=GATED)
    kept = keep_results(accepted.results)
    baseline = _baseline(accepted, "ship", "")
    assert read_baseline(baseline_text(baseline), "ship.json").cases == kept
    cases = [result.case for result in candidate.results]
    comparison, verdict = run_gate(
        candidate, kept_run(read_baseline(baseline_text(baseline), "ship.json"), cases)
    )
    (row,) = [each for each in comparison.metrics if each.metric == "macro-f1"]
    assert (row.verdict, verdict.outcome) == (GateVerdict.PASS, GateVerdict.PASS)


def test_a_drop_that_it_could_detect_is_told_and_is_about_right():
    """A label of 100 cases, of which a share is lost: four of five runs at the told drop should regress."""
    draws, found = random.Random(3), []
    expected = ["red", "green", "blue"] * 40

    def answers(wrong):
        return [draws.choice(LABELS) if draws.random() < wrong else label for label in expected]

    row = row_between(expected, answers(0.2), answers(0.1))
    (judged,), _ = judge([], {("s", "macro-f1"): 0.0}, of_sets=lambda *_: [row])
    able = judged.minimum_detectable_drop
    assert 0.05 < able < 0.2
    for _ in range(200):
        found.append(row_between(expected, answers(0.1 + 1.5 * able), answers(0.1)))
    drop = sum(each.drop.estimate for each in found) / len(found)
    assert drop == pytest.approx(able, rel=0.15)
    assert 0.6 < sum(each.p_value <= 0.05 for each in found) / len(found) < 0.95


def test_a_rare_label_may_be_lost_unseen():
    """Four equal cases of a label can't show that it is still known: a third of 1 - 0.05^(1/4) may be lost."""
    row, outcome = gated(EXPECTED, EXPECTED, EXPECTED)
    assert row.high_unseen == pytest.approx((1 - 0.05 ** (1 / 4)) / 3)
    assert (row.verdict, outcome) == (GateVerdict.INCONCLUSIVE, GateVerdict.INCONCLUSIVE)


def test_a_loss_of_everything_is_no_chance():
    many = EXPECTED * 2
    row, outcome = gated(["none"] * len(many), many, many)
    assert row.drop.estimate == 1
    assert row.p_value == 0.5 ** len(many)
    assert outcome is GateVerdict.REGRESS


def test_it_needs_classifications_and_a_margin(tmp_path):
    path = tmp_path / "s.yaml"
    check = "{type: classification, labels: [a, b]}"
    text = "name: s\ncases: [{id: a, prompt: q, references: [a], checks: [%s]}]\ngate: {metrics: {macro-f1: {%s}}}\n"
    path.write_text(text % (check, "margin: 0.1"))
    assert load_golden_set(path).gate.metric_margins == {"macro-f1": 0.1}
    for checks, gate, why in (
        (check, "", "needs a margin"),
        ("{type: f1, threshold: 1}", "margin: 0.1", "no case has this check"),
    ):
        path.write_text(text % (checks, gate))
        with pytest.raises(GoldenError, match=why):
            load_golden_set(path)


@pytest.mark.simulation
@pytest.mark.parametrize("rare", [0.33, 0.15])
def test_errors_of_the_gate(rare):
    """Without a change about 5 % of runs regress at most; with a drop of the margin about 5 % pass."""
    draws, runs = random.Random(7), 800
    weights = [1 - 2 * rare, rare, rare]

    def answers(expected, wrong):
        return [
            draws.choice([each for each in LABELS if each != label]) if draws.random() < wrong else label
            for label in expected
        ]

    large = draws.choices(LABELS, weights, k=40_000)
    of = {wrong: macro_f1(list(zip(large, answers(large, wrong), strict=True))) for wrong in (0.08, 0.16)}

    def row(wrong):
        expected = draws.choices(LABELS, weights, k=100)
        return row_between(expected, answers(expected, wrong), answers(expected, 0.08))

    equal, fallen = [row(0.08) for _ in range(runs)], [row(0.16) for _ in range(runs)]
    assert sum(each.p_value <= 0.05 for each in equal) / runs <= at_most(0.05, runs)
    assert sum(each.high_unseen <= of[0.08] - of[0.16] for each in fallen) / runs <= at_most(0.05, runs)


@pytest.mark.simulation
def test_the_interval_covers_the_true_drop():
    """With two models of known error, nine of ten intervals should contain the drop of the population."""
    draws, runs = random.Random(0), 400

    def answers(expected, wrong):
        return [draws.choice(LABELS) if draws.random() < wrong else label for label in expected]

    large = [draws.choice(LABELS) for _ in range(30_000)]
    truth = macro_f1(list(zip(large, answers(large, 0.1), strict=True))) - macro_f1(
        list(zip(large, answers(large, 0.3), strict=True))
    )
    covered = 0
    for _ in range(runs):
        expected = [draws.choice(LABELS) for _ in range(80)]
        row = row_between(expected, answers(expected, 0.3), answers(expected, 0.1))
        covered += row.drop.low <= truth <= row.drop.high
    assert 1 - covered / runs <= at_most(0.10, runs)
    assert covered / runs <= at_most(0.95, runs)


def test_one_cluster_says_nothing_of_others():
    cases = [LabelledCase(str(n), "c", [("red", "red")], [("red", "red")]) for n in range(6)]
    row = _row("s", cases, 0.9)
    assert (row.drop.low, row.drop.high, row.drop.method) == (-1.0, 1.0, "one cluster")
    assert (row.high_unseen, row.p_value) == (1.0, 1.0)


def test_an_interval_of_a_share_ends_at_one():
    """Two clusters, of which one was lost whole: no drop is larger than everything."""
    cases = [
        LabelledCase(str(n), n % 2, [("red", "green" if n % 2 else "red")], [("red", "red")])
        for n in range(12)
    ]
    row = _row("s", cases, 0.9)
    assert row.drop.method == "jackknife"
    assert row.drop.high == 1.0
    assert row.candidate.mean.high <= 1.0
    assert row.high_unseen == 1.0


def test_a_change_of_one_case_in_fifty_is_no_regression_by_the_width_of_a_floor():
    """Its interval is the clusters' t alone: p is at most 5 % exactly where it is above 0."""
    for lost in range(8):
        cases = [
            LabelledCase(str(n), n, [(label, "" if n < lost else label)], [(label, label)])
            for n, label in enumerate(["red", "green"] * 25)
        ]
        row = _row("s", cases, 0.9)
        assert (row.p_value <= 0.05) == (row.drop.low > 0)
        assert row.drop.high <= row.high_unseen


def test_a_drop_within_the_margin_is_not_said_to_be_found():
    """A regression's interval reaches beyond the margin: with little noise the margin less 0.8 standard errors."""
    many = EXPECTED * 10
    worse = ["" if n % 100 == 0 else label for n, label in enumerate(many)]
    row, _ = gated(worse, many, many)
    assert 0.05 < row.minimum_detectable_drop < 0.1


def test_a_record_of_answers_that_vary_is_heeded_by_the_labels_too():
    own = replace(GATED, population="cases")
    run = run_of(EXPECTED, EXPECTED, gate=own)
    for record, population in (
        (Stability(passed=5, answers=5), "cases"),
        (Stability(passed=3, answers=5), "sample"),
    ):
        comparison, _ = run_gate(run, run, stability={"s/0": record})
        (row,) = [row for row in comparison.metrics if row.metric == "macro-f1"]
        assert row.population == population


def test_clusters_that_can_show_no_regression_detect_nothing():
    """Four clusters, or one with most cases and four others, fall by chance with a probability of 1/16."""
    many = EXPECTED * 4
    worse = ["red" if label == "blue" else label for label in many]
    for sizes, can in (([34] * 4, False), ([100, 9, 9, 9, 9], False), ([17] * 8, True)):
        clusters = [f"c{number}" for number, size in enumerate(sizes) for _ in range(size)]
        row, _ = gated(worse, many, many, clusters=clusters)
        assert (row.minimum_detectable_drop is not None) == can
        assert can or (row.verdict is GateVerdict.INCONCLUSIVE and row.drop.low <= 0 and row.p_value > 0.05)
