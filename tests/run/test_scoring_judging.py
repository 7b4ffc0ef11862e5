"""What scoring hands on to judges, workers and listeners."""

import pytest

from harness.metrics.definition import graded
from harness.metrics.encoder_work import ENCODED
from harness.registry.listeners import LISTENERS
from harness.run import scoring
from harness.run.scoring import Judging, score_cases
from harness.types import Check, MetricError, TextLoss
from tests.run.answers_to_score import EQUALS, MemoryCache, answer, make_case


class Panel:
    """Notes when it is asked beforehand, and when it is closed."""

    def __init__(self, order):
        self.order = order

    def start(self, questions):
        self.order.extend(("asked", question.key) for question in questions)

    def close(self):
        self.order.append("panel closed")


class Workers:
    def __init__(self, order):
        self.order = order

    def close(self):
        self.order.append("workers closed")


def test_all_questions_are_sent_before_the_first_metric_scores(replace_metric):
    order = []
    replace_metric(
        "llm-rubric", lambda requests: [order.append("scored") or graded(r, 1.0, "") for r in requests]
    )
    cases = [make_case(name, EQUALS, Check(type="llm-rubric", value="Polite.")) for name in "ab"]
    score_cases(cases, {case.key: answer("yes") for case in cases}, judging=Judging(panel=Panel(order)))
    assert order == [("asked", "set/a"), ("asked", "set/b"), "scored", "scored"]


def test_other_metrics_are_scored_while_the_judge_replies(replace_metric):
    """Whatever stands first in a case; results stay in the order of its checks."""
    order = []
    for name in ("f1", "llm-rubric"):
        replace_metric(
            name,
            lambda requests, name=name: order.append(name) or [graded(each, 1.0, "") for each in requests],
        )
    checks = (Check(type="llm-rubric", value="Polite."), Check(type="f1"), EQUALS)
    case = make_case("a", *checks, references=("yes",))
    (result,) = score_cases([case], {case.key: answer("yes")}, judging=Judging(panel=Panel(order)))
    assert order == [("asked", "set/a"), "f1", "llm-rubric"]
    assert [score.metric for score in result.scores] == ["llm-rubric", "f1", "equals"]


def test_judges_and_workers_are_closed_where_there_are_any():
    order = []
    Judging(panel=Panel(order), dealer=Workers(order)).close()
    assert order == ["panel closed", "workers closed"]
    Judging().close()


def test_the_losses_of_options_reach_their_check_and_only_theirs(replace_metric):
    """By option, in the order in which the model was asked; a case without losses has none."""
    seen = {}
    replace_metric(
        "choice-likelihood",
        lambda requests: [seen.update({r.case.id: r.choice_losses}) or graded(r, 1.0, "") for r in requests],
    )
    check = Check(type="choice-likelihood", value="Paris", options={"choices": ["Paris", "Rome"]})
    losses = tuple(TextLoss(passage=name, nats_per_token=1.0, tokens=2) for name in ("Paris", "Rome"))
    cases = [make_case(name, check) for name in "ab"]
    score_cases(
        cases,
        {case.key: answer("Paris") for case in cases},
        reference_losses={"set/a (choices)": losses, "set/b": losses},
    )
    assert seen == {"a": dict(zip(("Paris", "Rome"), losses, strict=True)), "b": {}}


def test_whoever_listens_is_told_of_each_metric_and_its_errors(replace_metric):
    told = []
    listener = told.append
    replace_metric(
        "f1",
        lambda requests: [
            MetricError(metric="f1", error="broke") if r.text == "no" else graded(r, 1.0, "")
            for r in requests
        ],
    )
    cases = [make_case(name, EQUALS, Check(type="f1"), references=("r",)) for name in "abc"]
    LISTENERS.append(listener)
    try:
        score_cases(cases, {case.key: answer("no" if case.id == "a" else "yes") for case in cases})
    finally:
        LISTENERS.remove(listener)
    assert [(work.kind, work.name, work.rows, work.errors) for work in told] == [
        ("score", "equals", 3, 0),
        ("score", "f1", 3, 1),
    ]
    assert all(0 < work.started_ns <= work.ended_ns for work in told)


@pytest.mark.parametrize("metric", sorted(ENCODED))
def test_an_encoder_s_metric_goes_to_the_workers_that_there_are(monkeypatch, metric):
    handed = []

    def dealt(metric, requests, cache, on_done, dealer):
        handed.append((metric, cache, dealer))
        on_done(len(requests))
        return [graded(request, 0.5, "") for request in requests]

    monkeypatch.setattr(scoring, "dealt_scores", dealt)
    case, workers, cache, told = (
        make_case("a", Check(type=metric), references=("r",)),
        Workers([]),
        MemoryCache(),
        [],
    )
    (result,) = score_cases(
        [case],
        {case.key: answer("x")},
        cache=cache,
        on_progress=lambda *step: told.append(step),
        judging=Judging(dealer=workers),
    )
    assert handed == [(metric, cache, workers)]
    assert [score.value for score in result.scores] == [0.5]
    assert told == [(metric, 1, 1), (metric, 1, 1)]
