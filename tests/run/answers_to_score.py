"""Cases and answers as the tests of scoring need them."""

from collections.abc import Sequence

from harness.metrics.definition import ScoringRequest, graded
from harness.run.scoring import score_cases
from harness.types import (
    CaseResult,
    Check,
    Completion,
    GoldenCase,
    MetricError,
    Score,
)


class MemoryCache(dict[str, Score]):
    """A score cache in memory."""

    def put(self, key: str, score: Score, /) -> None:
        self[key] = score


def answer(text: str) -> Completion:
    return Completion(text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1)


def make_case(
    name: str, *checks: Check, skip: str | None = None, references: tuple[str, ...] = ()
) -> GoldenCase:
    return GoldenCase(id=name, set_name="set", messages=(), checks=checks, references=references, skip=skip)


def score_one(text: str, *checks: Check, references: tuple[str, ...] = ("reference",)) -> CaseResult:
    case = make_case("case", *checks, references=references)
    return score_cases([case], {case.key: answer(text)})[0]


def length_metric(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
    """In place of an expensive metric: a tenth of the answer's length."""
    return [graded(request, len(request.text) / 10, "counted") for request in requests]


EQUALS = Check(type="equals", value="yes")
