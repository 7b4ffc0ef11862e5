"""Builders that the metrics' tests share."""

from collections.abc import Callable

import pytest

from harness.metrics.definition import ScoringRequest, score_function
from harness.types import Check, GoldenCase, JsonValue, Message, Score, TextLoss


def build_request(
    check_type: str,
    text: str,
    *references: str,
    value: JsonValue = None,
    losses: tuple[TextLoss, ...] | None = None,
    **options: JsonValue,
) -> ScoringRequest:
    """A request as scoring makes it, from a check's parts."""
    check = Check(type=check_type, value=value, options=options)
    case = GoldenCase(
        id="case",
        set_name="set",
        messages=(Message(role="user", content="question"),),
        references=references,
        checks=(check,),
    )
    return ScoringRequest(case=case, check=check, text=text, reference_losses=losses)


@pytest.fixture(scope="session")
def request_for() -> Callable[..., ScoringRequest]:
    """``request_for(type, answer, *references, value=…, losses=…, **options)``."""
    return build_request


@pytest.fixture(scope="session")
def score() -> Callable[..., Score]:
    """``score(type, answer, *references, value=…, **options)``: the metric's own score, undecided."""

    def score_one(check_type: str, text: str, *references: str, **rest: JsonValue) -> Score:
        (result,) = score_function(check_type)([build_request(check_type, text, *references, **rest)])
        assert isinstance(result, Score), result
        return result

    return score_one


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Patterns are stopped after a twentieth of their time: that they are stopped at all is what a test shows."""
    monkeypatch.setattr("harness.metrics.text.SECONDS", 0.05)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests that failed are sent again at once, nearly: how long is waited is tested where that is decided."""
    monkeypatch.setattr("harness.engines.served.patience._LONGEST_BACKOFF_S", 0.02)
