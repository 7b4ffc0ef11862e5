"""A macro-F1 of cases with several answers: each case counts once, as in a pass rate."""

import random
from dataclasses import replace

import pytest

from harness.comparison.whole_sets import _row
from harness.run.scoring import score_cases
from harness.statistics.classification import LabelledCase
from harness.types import GateSettings, GateVerdict, Outcome
from tests.comparison.test_whole_sets_set_metrics import row_of, run_of
from tests.statistics.chance import at_most

GATE = GateSettings(metric_margins={"macro-f1": 0.05}, margin=0.5, max_regressed=1.0)
EXPECTED = ["red", "green"] * 50


def answered(answers):
    """A run of all cases; each has the texts of its answers."""
    run = run_of([texts[0] for texts in answers], EXPECTED, gate=GATE)
    results = []
    for result, texts in zip(run.results, answers, strict=True):
        case = replace(result.case, repeat=len(texts))
        keys = zip(case.answer_keys, texts, strict=True)
        results += score_cases([case], {key: replace(result.completion, text=text) for key, text in keys})
    return replace(run, results=tuple(results))


def side(answers, right):
    """84 cases that are always right, and 16 in doubt: whether each of so many answers to one is right."""
    return answered(
        [
            [label] if place < 84 else [label if right(place, n) else "none" for n in range(answers)]
            for place, label in enumerate(EXPECTED)
        ]
    )


def test_more_answers_to_cases_in_doubt_are_no_drop_and_hide_none():
    """Eight of 16 are right with one answer each, and two of four of each: counted by answers that was -0.15.

    The other way round it was a gain as large, which hid that no case in doubt was right any more.
    """
    once = side(1, lambda place, _: place % 4 < 2)
    often = side(4, lambda place, n: (place + n) % 2)
    for candidate, baseline in ((often, once), (once, often)):
        row, comparison, verdict = row_of(candidate, baseline)
        (rate,) = [each for each in comparison.metrics if each.metric == "pass-rate"]
        assert row.n == 100
        assert rate.drop.estimate == pytest.approx(0)
        assert row.drop.estimate == pytest.approx(0)
        assert GateVerdict.REGRESS not in {row.verdict, verdict.outcome}
    row, _, _ = row_of(side(1, lambda *_: False), often)
    assert row.drop.estimate == pytest.approx(2 * 0.92 / 1.92 - 2 * 0.84 / 1.84)
    assert row.verdict is not GateVerdict.PASS


def test_a_case_that_lacks_all_its_answers_lacks_one_case():
    """Three red ones without a label on the candidate's side: as bad as single answers that are missing."""
    found = []
    for answers in (1, 5):
        whole = answered([[label] * (answers if place < 40 else 1) for place, label in enumerate(EXPECTED)])
        lacking = [
            replace(each, scores=(), repeats=(), outcome=Outcome.ERRORED) for each in whole.results[:6:2]
        ]
        kept = {each.key: each for each in whole.results} | {each.key: each for each in lacking}
        row, _, _ = row_of(replace(whole, results=tuple(kept.values())), whole)
        assert row.missing == 3
        found.append((row.high_unseen, row.drop.low, row.high_at_best))
    assert found[1] == pytest.approx(found[0])


@pytest.mark.simulation
def test_equal_models_whose_doubtful_cases_got_more_answers_seldom_regress():
    """15 of 100 cases are right every other time, with one answer in the baseline and five in the candidate: all regressed."""
    draws, runs, labels = random.Random(2), 300, ["red", "green"] * 50

    def answers(place, count):
        wrong = [place < 15 and draws.random() < 0.5 for _ in range(count if place < 15 else 1)]
        return [(labels[place], "none" if each else labels[place]) for each in wrong]

    def row():
        cases = [LabelledCase(str(n), n, answers(n, 5), answers(n, 1)) for n in range(100)]
        return _row("s", cases, 0.9)

    rows = [row() for _ in range(runs)]
    assert sum(each.p_value <= 0.05 for each in rows) / runs <= at_most(0.05, runs)
    assert sum(each.drop.estimate for each in rows) / runs == pytest.approx(0, abs=0.01)
