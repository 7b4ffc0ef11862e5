"""What labels that a side lacks may be: of a macro-F1 a rare one costs most."""

from dataclasses import replace

import pytest

from harness.baselines.accept import _baseline
from harness.baselines.file import baseline_text, read_baseline
from harness.baselines.file import run_of as kept_run
from harness.types import Check, GateSettings, GateVerdict, Message, Outcome
from tests.comparison.test_whole_sets_set_metrics import row_of, run_of


def test_a_missing_label_may_be_a_rare_one():
    """Of 90 red and 10 blue, five red have no label: as blue they cost 0.11, as no label at all 0.01."""
    expected = ["red"] * 90 + ["blue"] * 10
    whole = run_of(expected, expected)
    lacking = [replace(result, scores=(), outcome=Outcome.ERRORED) for result in whole.results[:5]]
    row, _, _ = row_of(replace(whole, results=(*lacking, *whole.results[5:])), whole)
    assert (row.missing, row.drop.estimate) == (5, 0)
    assert row.high_unseen >= 1 - (2 * 85 / 175 + 20 / 25) / 2
    # Where the baseline lacks them, it may be as low as that, so the candidate has regressed less surely.
    row, _, _ = row_of(whole, replace(whole, results=(*lacking, *whole.results[5:])))
    assert row.drop.low <= -(1 - (2 * 85 / 175 + 20 / 25) / 2)
    assert row.high_at_best < row.drop.high


@pytest.mark.parametrize(
    ("population", "collected", "verdict"),
    [
        ("sample", 100, GateVerdict.PASS),
        ("cases", 100, GateVerdict.PASS),
        ("sample", 105, GateVerdict.INCONCLUSIVE),
    ],
)
def test_a_label_that_only_new_cases_have_is_none_that_may_be_lost(population, collected, verdict):
    """Five cases of a third label, which a baseline of all cases so far has not; one that lacks cases may have lost it."""
    gate = GateSettings(metric_margins={"macro-f1": 0.1}, population=population)
    expected = ["red"] * 50 + ["green"] * 50 + ["blue"] * 5
    grown = run_of(expected, expected, gate=gate)
    before = replace(grown, results=grown.results[:100], collected=collected)
    row, _, told = row_of(grown, before)
    assert row.n == 100
    assert row.drop.estimate == 0
    assert row.verdict is verdict
    assert (row.high_unseen < 0.1) is (verdict is GateVerdict.PASS)
    if verdict is GateVerdict.PASS:
        assert told.outcome is verdict
        assert row.high_unseen == row_of(before, before)[0].high_unseen


def kept(run, now):
    """A run as the file of an accepted baseline has it, for the cases of another run."""
    baseline = read_baseline(baseline_text(_baseline(run, "ship", "")), "ship.json")
    return kept_run(baseline, [each.case for each in now.results])


@pytest.mark.parametrize("population", ["sample", "cases"])
@pytest.mark.parametrize("accepted", [True, False])
def test_a_corrected_label_is_none_that_the_baseline_may_lose(population, accepted):
    """One reference of a hundred was corrected to a label that nothing asked for: equal models never passed again."""
    gate = GateSettings(metric_margins={"macro-f1": 0.1}, population=population)
    expected = ["red"] * 50 + ["green"] * 50
    before = run_of(expected, expected, gate=gate)
    now = run_of([*expected[:-1], "blue"], [*expected[:-1], "blue"], gate=gate)
    row, comparison, told = row_of(now, kept(before, now) if accepted else before)
    assert comparison.unpaired == ("s/99",)
    assert (row.n, row.unseen_labels) == (99, ())
    assert (row.verdict, told.outcome) == (GateVerdict.PASS, GateVerdict.PASS)


@pytest.mark.parametrize("accepted", [True, False])
def test_a_label_whose_only_cases_were_edited_may_be_lost(accepted):
    """Both blue cases have another text: the baseline knew the label, and no compared case shows that it stays."""
    gate = GateSettings(metric_margins={"macro-f1": 0.1})
    expected = ["red"] * 50 + ["green"] * 50 + ["blue"] * 2
    before = run_of(expected, expected, gate=gate)
    edited = [
        replace(each, case=replace(each.case, messages=(Message(role="user", content="?"),)))
        for each in before.results[-2:]
    ]
    now = replace(before, results=(*before.results[:-2], *edited))
    row, _, _ = row_of(now, kept(before, now) if accepted else before)
    assert (row.n, row.unseen_labels) == (100, ("blue",))
    assert row.high_unseen >= 1 / 3
    assert row.verdict is GateVerdict.INCONCLUSIVE


def test_a_label_whose_only_case_broke_on_both_sides_may_be_lost():
    """It is the same case on both sides, and what both would have named is unknown."""
    gate = GateSettings(metric_margins={"macro-f1": 0.1}, max_errored=0.1)
    expected = ["red"] * 50 + ["green"] * 50 + ["blue"]
    whole = run_of(expected, expected, gate=gate)
    broken = replace(whole.results[-1], scores=(), outcome=Outcome.ERRORED)
    run = replace(whole, results=(*whole.results[:-1], broken))
    row, _, _ = row_of(run, run)
    assert (row.n, row.unseen_labels, row.verdict) == (100, ("blue",), GateVerdict.INCONCLUSIVE)


def test_labels_of_a_case_on_which_another_metric_broke_are_known():
    """The judge broke on five cases that are labelled alike on both sides: nothing of them may be lost."""
    expected = [label for label in ("red", "green", "blue") for _ in range(40)]
    found = ["red" if place % 40 < 16 else label for place, label in enumerate(expected)]
    gate = GateSettings(metric_margins={"macro-f1": 0.05}, max_errored=0.05)
    before = run_of(found, expected, gate=gate)
    broken = [replace(each, outcome=Outcome.ERRORED) for each in before.results[50:55]]
    now = replace(before, results=(*before.results[:50], *broken, *before.results[55:]))
    row, _, _ = row_of(now, before)
    assert (row.n, row.missing, row.drop.estimate) == (115, 0, 0)
    same, _, _ = row_of(before, before)
    assert row.high_unseen == pytest.approx(same.high_unseen, abs=0.005)
    gone = [replace(each, scores=()) for each in broken]
    assert (
        row_of(replace(now, results=(*before.results[:50], *gone, *before.results[55:])), before)[0].missing
        == 5
    )


@pytest.mark.parametrize("group", ["any-of", "all-of"])
def test_a_label_inside_a_group_is_none_of_the_set_s(group):
    """A group has one score and no label: nothing in a macro-F1 can be lost by it."""
    expected = ["red"] * 50 + ["green"] * 50
    before = run_of(expected, expected, gate=GateSettings(metric_margins={"macro-f1": 0.1}))
    members = (
        Check(type="classification", value="other", options={"labels": ["red", "green", "other"]}),
        Check(type="contains", value="can't tell"),
    )
    result = replace(before.results[0], scores=())
    case = replace(result.case, id="grouped", checks=(Check(type=group, checks=members),))
    run = replace(before, results=(*before.results, replace(result, case=case)))
    row, _, told = row_of(run, run)
    assert row.unseen_labels == ()
    assert told.outcome is GateVerdict.PASS
