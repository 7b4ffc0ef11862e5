"""The scores of one metric, dealt to workers or computed here."""

import pytest

from harness.engines.workers.functions import Dealer, FunctionKind
from harness.metrics import encoder_work
from harness.metrics.definition import ScoringRequest, graded
from harness.run import scoring
from harness.types import Check, MetricError
from tests.engines.workers.in_process import InProcess
from tests.run.answers_to_score import MemoryCache, make_case

CHECK = Check(type="similar")


class Lengths:
    """Instead of an encoder: the length of the answer, and an error for one that is empty."""

    def __init__(self, argument):
        assert argument == "encoders"

    def compute(self, items):
        assert all(item.panel is None for item in items)
        return [
            graded(item, len(item.text) / 10, "")
            if item.text
            else MetricError(metric="similar", error="the encoder can't read it")
            for item in items
        ]


def requests(*texts):
    return [
        ScoringRequest(case=make_case(f"c{place}", CHECK), check=CHECK, text=text, panel="a judge")
        for place, text in enumerate(texts)
    ]


@pytest.fixture
def dealt(monkeypatch):
    kind = FunctionKind(path=f"{__name__}:Lengths", argument="encoders", together=2)
    monkeypatch.setattr(encoder_work, "encoder_kind", lambda metric, checks: kind)
    monkeypatch.setattr(encoder_work, "cache_key", lambda request: request.text or None)
    monkeypatch.setattr(scoring, "score_function", lambda metric: pytest.fail("computed here"))


@pytest.mark.usefixtures("dealt")
def test_dealt_scores_come_in_order_and_are_stored_batch_by_batch():
    workers, cache, told = InProcess(), MemoryCache(), []
    asked = requests("a", "bb", "", "dddd", "bb")
    scored = scoring._score_metric(
        "similar", asked, cache, lambda *progress: told.append(progress), Dealer(lambda: workers)
    )
    assert [getattr(each, "value", each) for each in scored[:2]] == [0.1, 0.2]
    assert isinstance(scored[2], MetricError)
    assert told == [("similar", done, 5) for done in (0, 1, 3, 5, 5)]
    workers.batches.clear()
    again = scoring._score_metric("similar", asked, cache, None, Dealer(lambda: workers))
    assert again[3:] == scored[3:]
    # Only what has no score is asked for once more.
    assert workers.batches == [[0]]


@pytest.mark.usefixtures("dealt")
def test_what_a_worker_can_not_compute_is_the_answer_s_own_error():
    class FailingWorkers(InProcess):
        def compute(self, kind, asked, on_batch):
            super().compute(kind, asked[:1], on_batch)
            from harness.errors import CasesFailedError

            raise CasesFailedError({1: "worker 7 was killed, for the second time"})

    scored = scoring._score_metric("similar", requests("a", "bb"), None, None, Dealer(FailingWorkers))
    assert scored[0].value == 0.1
    assert scored[1].error == "worker 7 was killed, for the second time"


def test_without_its_encoder_each_check_tells_it_here():
    """Nothing is sent."""
    check = Check(type="similar", options={"model": "no/such-encoder"})
    asked = [ScoringRequest(case=make_case("c", check, references=("a",)), check=check, text="a")]
    (result,) = scoring._score_metric("similar", asked, None, None, Dealer(lambda: pytest.fail("sent")))
    assert "no/such-encoder" in result.error


def test_other_metrics_are_computed_here():
    asked = [
        ScoringRequest(
            case=make_case("c", Check(type="f1"), references=("yes",)), check=Check(type="f1"), text="yes"
        )
    ]
    (result,) = scoring._score_metric("f1", asked, None, None, Dealer(lambda: pytest.fail("sent")))
    assert result.value == 1
