"""Combines several answers to one case into one result."""

from collections.abc import Iterable, Sequence

from harness.types import CaseResult, Outcome, Repeat, Stability

# The case's outcome is the first of these that occurs among its answers.
_WORST_FIRST = (Outcome.ERRORED, Outcome.FAILED, Outcome.PASSED, Outcome.UNSCORED, Outcome.SKIPPED)


def fold_repeats(results: Sequence[CaseResult]) -> list[CaseResult]:
    """One result per case, from one result per answer.

    Args:
        results: The answers' results, those of one case together. A case with one answer stays unchanged.
    """
    by_case: dict[str, list[CaseResult]] = {}
    for result in results:
        by_case.setdefault(result.key, []).append(result)
    return [_folded(answers) for answers in by_case.values()]


def scored_metrics(results: Iterable[CaseResult]) -> tuple[str, ...]:
    """Names of the metrics with a score in any answer, each once, in order of appearance."""
    scores = (score for result in results for answer in answers_of(result) for score in answer.scores)
    return tuple(dict.fromkeys(score.metric for score in scores))


def _folded(answers: Sequence[CaseResult]) -> CaseResult:
    if len(answers) == 1:
        return answers[0]
    shown = min(answers, key=lambda answer: _WORST_FIRST.index(answer.outcome))
    return CaseResult(
        case=shown.case,
        completion=shown.completion,
        scores=shown.scores,
        errors=shown.errors,
        outcome=shown.outcome,
        repeats=tuple(
            Repeat(
                completion=answer.completion,
                scores=answer.scores,
                errors=answer.errors,
                outcome=answer.outcome,
            )
            for answer in answers
        ),
    )


def answers_of(result: CaseResult) -> Sequence[CaseResult | Repeat]:
    """All answers to a case: its repeats, or the result itself if it has one answer."""
    return result.repeats or (result,)


def stability_of(result: CaseResult) -> Stability:
    """Number of a case's passed answers, and of those that passed or failed."""
    outcomes = [answer.outcome for answer in answers_of(result)]
    passed, failed = outcomes.count(Outcome.PASSED), outcomes.count(Outcome.FAILED)
    return Stability(passed=passed, answers=passed + failed)


def flip_rate(noted: Iterable[Stability]) -> float | None:
    """Probability that two reruns of a case disagree, over all cases; None if no case ran twice.

    The unbiased estimate of 2 p (1 - p) from k answers with s passed is 2 s (k - s) / (k (k - 1)).
    """
    chances = [
        2 * case.passed * (case.answers - case.passed) / (case.answers * (case.answers - 1))
        for case in noted
        if case.answers > 1
    ]
    return sum(chances) / len(chances) if chances else None
