"""A failed case as text: shown by pytest in place of a traceback."""

from harness.types import CaseResult, MetricError, Outcome, Score
from harness.types.conversation import conversation

_EXCERPT_CHARACTERS = 600


def describe_failure(result: CaseResult) -> str:
    """Failed case as text: last prompt, answer, and each failed or errored check."""
    case = result.case
    earlier = () if result.completion is None else result.completion.earlier
    tests = [f"tests:   {_excerpt(case.description)}"] if case.description else []
    lines = [*tests, f"prompt:  {_excerpt(conversation(case, earlier)[-1].content)}"]
    if result.completion is not None:
        cut = " (cut at max_new_tokens)" if result.completion.stop_reason == "length" else ""
        lines.append(f"answer:  {_excerpt(result.completion.text)}{cut}")
    if result.repeats:
        passed = sum(answer.outcome is Outcome.PASSED for answer in result.repeats)
        lines.append(f"repeats: {passed} of {len(result.repeats)} answers passed; shown is one that did not")
    lines += [f"expects: {_excerpt(reference)}" for reference in case.references]
    lines += [f"failed:  {_describe_score(score)}" for score in _failed(result)]
    lines += [f"errored: {_describe_error(error)}" for error in result.errors]
    return "\n".join(lines)


def describe_reason(result: CaseResult) -> str:
    """One line: the last check that could not be computed, or else the last that failed."""
    described = [*map(_describe_score, _failed(result)), *map(_describe_error, result.errors)]
    return " ".join(described[-1].split()) if described else ""


def _failed(result: CaseResult) -> list[Score]:
    return [score for score in result.scores if score.passed is False]


def _describe_score(score: Score) -> str:
    limit = "" if score.threshold is None else f" {score.value:.3g}, threshold {score.threshold:g}"
    return f"{score.metric}{limit}" + (f": {score.explanation}" if score.explanation else "")


def _describe_error(error: MetricError) -> str:
    return f"{error.metric}: {error.error}"


def _excerpt(text: str) -> str:
    shown = text if len(text) <= _EXCERPT_CHARACTERS else text[:_EXCERPT_CHARACTERS] + " …"
    return shown.replace("\n", "\n         ")
