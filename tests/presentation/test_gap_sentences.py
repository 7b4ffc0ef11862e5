"""What a comparison lacks, in a sentence each: the set, the numbers, and what would fix it."""

import pytest

from harness.comparison.times import ASKED_OTHERWISE
from harness.presentation.gap_sentences import (
    changed_cases,
    no_verdict,
    not_compared,
    too_few,
    unpaired,
    without_labels,
)
from harness.types import (
    ChangedCasesFinding,
    Finding,
    GateVerdict,
    Interval,
    MetricFinding,
    NotComparedFinding,
    NoVerdictFinding,
    Outcome,
    TooFew,
    UnpairedFinding,
)

OPEN = GateVerdict.INCONCLUSIVE


def told(writer, data, **place):
    return writer(Finding(data=data, **place), data)


def test_changed_cases_say_what_answers_them():
    data = ChangedCasesFinding(cases=53, n=54, tolerated=0.05)
    assert told(changed_cases, data, verdict=OPEN, set_name="orders") == (
        "orders: 53 of 54 cases were changed since the baseline, 5% are tolerated: gate against the baseline's model itself, "
        "which then answers them as they are, or accept a new baseline"
    )


JUDGED = "decided by llm-rubric, which another judge decided in the baseline"


@pytest.mark.parametrize(
    ("causes", "what", "remedy"),
    [
        (
            {JUDGED: 54},
            f"were {JUDGED}",
            "name a stored run as baseline, whose answers are then scored anew (if it is one, name its model itself), or "
            "accept a new one",
        ),
        (
            {JUDGED: 50, "changed since the baseline": 4},
            f"can't be compared (50 {JUDGED})",
            "name a stored run as baseline, whose answers are then scored anew (if it is one, name its model itself), or "
            "accept a new one",
        ),
        (
            {ASKED_OTHERWISE: 54},
            "were asked with other values of the chat template",
            "give the values of the baseline's run, or gate against its model itself",
        ),
    ],
)
def test_cases_that_nobody_changed_are_not_said_to_be_changed(causes, what, remedy):
    data = ChangedCasesFinding(cases=54, n=54, tolerated=0.05, causes=causes)
    said = told(changed_cases, data, verdict=OPEN, set_name="orders")
    assert said == f"orders: 54 of 54 cases {what}, 5% are tolerated: {remedy}"


@pytest.mark.parametrize(
    ("outcome", "what"), [(Outcome.ERRORED, "errored"), (Outcome.UNSCORED, "were left unscored")]
)
def test_missing_verdicts_say_on_which_side(outcome, what):
    data = NoVerdictFinding(side="baseline", outcome=outcome, cases=2, n=40, tolerated=0)
    text = f"orders: 2 of 40 cases {what} in the baseline, 0% are tolerated"
    assert told(no_verdict, data, verdict=OPEN, set_name="orders") == text


def test_a_score_that_is_missing_on_both_sides_is_named():
    data = NoVerdictFinding(side="both", outcome=Outcome.UNSCORED, cases=60, n=100, tolerated=0.05)
    text = "orders perplexity: 60 of 100 cases were left unscored on both sides, 5% are tolerated"
    assert told(no_verdict, data, verdict=OPEN, set_name="orders", metric="perplexity") == text


@pytest.mark.parametrize(("cases", "which"), [(2, "they"), (5, "2 of them")])
def test_what_lets_a_reasoning_model_answer_is_named(cases, which):
    data = NoVerdictFinding(
        side="candidate", outcome=Outcome.UNSCORED, cases=cases, n=40, tolerated=0, unanswered=2
    )
    assert told(no_verdict, data, verdict=OPEN, set_name="general") == (
        f"general: {cases} of 40 cases were left unscored in the candidate, 0% are tolerated: {which} got a "
        "reasoning and no answer, which says nothing of a skill: give the probes room for it "
        "(max_reasoning_tokens, behind a server max_new_tokens, in a set of your own such as tunegate probes "
        "calibrate writes), or turn it off (chat_template_kwargs: {enable_thinking: false})"
    )


def test_a_metric_without_a_row_says_why():
    place = {"verdict": OPEN, "set_name": "orders", "metric": "f1"}
    assert told(not_compared, NotComparedFinding(), **place) == "orders f1: no case has it on both sides"
    scale = NotComparedFinding(reason="its scale differs in the baseline")
    assert told(not_compared, scale, **place) == "orders f1: its scale differs in the baseline"
    assert told(not_compared, scale, metric="f1") == "f1 is not compared: its scale differs in the baseline"


def test_cases_without_a_pair_are_counted_by_cause():
    data = UnpairedFinding(causes={"errored": 2, "skipped": 1})
    assert told(unpaired, data) == "3 cases are not compared: 2 errored, 1 skipped"
    assert told(unpaired, UnpairedFinding(causes={"errored": 1})) == "1 case is not compared: 1 errored"


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        ((), ""),
        (("refund",), " without the label refund"),
        (("a", "b"), " without the labels a, b"),
        (("a", "b", "c", "d", "e"), " without the labels a, b, c and 2 more"),
    ],
)
def test_labels_that_no_compared_case_has_are_named(labels, text):
    interval = Interval(estimate=0, low=0, high=0, confidence=0.9, method="")
    figures = {"baseline": 1, "candidate": 1, "drop": interval, "n": 100, "clusters": 100, "p_value": 1.0}
    rest = {"scale": "graded", "lost": 0, "gained": 0, "margin": 0.1, "unseen_labels": labels}
    assert without_labels(MetricFinding(**figures, **rest)) == text


@pytest.mark.parametrize(
    ("n", "changes", "told"),
    [
        (
            25,
            {},
            "it can never regress: 5 clusters can all get worse by chance with a probability of 0.03125, which counts "
            "2 times for 2 models: make it 6 clusters or more, or gate fewer models at once",
        ),
        (
            25,
            {"counts": 4.0, "tests": 2},
            "it can never regress: 5 clusters can all get worse by chance with a probability of 0.03125, which counts "
            "4 times for 2 models and 2 tests: make it 6 clusters or more, or gate fewer models at once",
        ),
        (
            25,
            {"models": 1, "tests": 2, "never": False},
            "it can regress only beside another metric: 5 clusters can all get worse by chance with a probability of "
            "0.03125, which counts 2 times for 2 tests: make it 6 clusters or more",
        ),
        (
            25,
            {"units": 6, "counts": 3.0, "models": 1, "tests": 3, "enough": 7},
            "it can never regress: 5 clusters beside the one with most cases can all get worse by chance with a "
            "probability of 0.03125, which counts 3 times for 3 tests: make it 7 clusters or more",
        ),
        (
            1,
            {"units": 1, "chance": 0.25, "counts": 1.0, "models": 1, "enough": 4},
            "it can never regress: 1 case can get worse by chance with a probability of 0.25: make it 4 cases or more",
        ),
    ],
)
def test_too_few_cases_say_what_shares_their_level(n, changes, told):
    known = {"units": 5, "chance": 1 / 32, "counts": 2.0, "models": 2, "tests": 1, "looks": 1, "enough": 6}
    few = TooFew(**{**known, "never": True, **changes})
    drop = Interval(estimate=1.0, low=0.1, high=1.0, confidence=0.9, method="by hand")
    data = MetricFinding(
        scale="binary", baseline=1.0, candidate=0.0, drop=drop, n=n, clusters=few.units, p_value=0.06, lost=n, gained=0,
        margin=0.05, too_few=few,
    )  # fmt: skip
    assert too_few(data, few) == told
