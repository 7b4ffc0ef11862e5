"""The interface of a metric: a function that scores a whole batch of completions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from harness.golden.checks import CHECK_TYPES, base_type
from harness.registry import load_function
from harness.types import (
    NOTHING_ALLOWED,
    Check,
    Completion,
    GoldenCase,
    JsonValue,
    MetricError,
    Permissions,
    Score,
    TextLoss,
)

if TYPE_CHECKING:
    from harness.judge.panel import Panel


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoringRequest:
    """One check of one case, with the answer to score.

    Attributes:
        text: The model's answer, after the check's transform.
        missing: What the transform did not find in the answer; the check fails then.
        completion: The whole answer, with its tokens and its time.
        reference_losses: The model's cross-entropy on each of the case's references, in order; None if it was
            not measured.
        choice_losses: The model's cross-entropy on each option of the case, by its text; empty if it was not
            measured.
        panel: The judges, for checks that a judge decides.
        baseline_text: The baseline's answer to the case, if there is one.
        repeat: Number of the repetition of a judge's question.
        allowed: What the project allows checks to run.
    """

    case: GoldenCase
    check: Check
    text: str
    missing: str = ""
    completion: Completion | None = None
    reference_losses: tuple[TextLoss, ...] | None = None
    choice_losses: Mapping[str, TextLoss] = field(default_factory=dict)
    panel: "Panel | None" = None
    baseline_text: str | None = None
    repeat: int = 0
    allowed: Permissions = NOTHING_ALLOWED


ScoreFunction: TypeAlias = Callable[[Sequence[ScoringRequest]], list[Score | MetricError]]
"""Scores requests of one check type: as many results as requests, in the same order.

A result's ``value`` is the type's own (a negated check's value is inverted afterwards, and ``passed`` is
decided then), so its explanation states a fact about the answer, neither good nor bad. If a function raises,
the caller repeats the requests one at a time.
"""


def score_function(name: str) -> ScoreFunction:
    """Import the function of a check type.

    Raises:
        SettingsError: It is from a plug-in and can't be imported.
    """
    function: ScoreFunction = load_function(CHECK_TYPES[name].function, f"metric {name!r}")
    return function


def refuse_group(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
    """The function in a group's record, never called: scoring combines the results of the group's members.

    Raises:
        ValueError: Always.
    """
    raise ValueError(f"{requests[0].check.type} has no checks")


def one_by_one(score: Callable[[ScoringRequest], Score | MetricError]) -> ScoreFunction:
    """Make a batch function from one that scores a single request."""

    def score_each(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
        return [score(request) for request in requests]

    return score_each


def binary(request: ScoringRequest, holds: bool, explanation: str) -> Score:
    """Score of a true-or-false metric: 1 if true, else 0.

    Args:
        request: The request.
        holds: Whether the check is true for the answer.
        explanation: Why, for a person.
    """
    return graded(request, float(holds), explanation)


def graded(request: ScoringRequest, value: float, explanation: str) -> Score:
    """Score of a metric on a scale.

    Args:
        request: The request.
        value: On the metric's own scale.
        explanation: Why, for a person.
    """
    return Score(metric=base_type(request.check.type), value=value, explanation=explanation)


def wanted_texts(request: ScoringRequest) -> tuple[str, ...]:
    """The check's own text, or else the case's references.

    Raises:
        ValueError: There is neither.
        TypeError: The check's value is not text.
    """
    value = request.check.value
    texts = request.case.references if value is None else (text_of(value),)
    if not texts:
        raise ValueError(f"{request.check.type} has neither a value nor a reference to compare with")
    return texts


def text_of(value: JsonValue) -> str:
    """The value, which must be a string.

    Raises:
        TypeError: It is something else.
    """
    if not isinstance(value, str):
        raise TypeError(f"the check's value has to be text, not {type(value).__name__}")
    return value


def quote(text: str, limit: int = 60) -> str:
    """Text between quotation marks for an explanation: one printable line, with a long middle cut.

    Args:
        text: The text.
        limit: Most characters of it that are shown.
    """
    if len(text) <= limit:
        return _quoted(text)
    half = limit // 2
    return f"{_quoted(text[:half])} … {_quoted(text[-half:])}"


def _quoted(text: str) -> str:
    """Unchanged if possible, so that a pattern's backslashes are not doubled; else escaped."""
    return f"'{text}'" if text.isprintable() and "'" not in text else repr(text)
