"""Scores a stored run's answers anew by some metrics: another judge or encoder gave the stored scores."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from harness.comparison.pairing import answers_of, fold_repeats
from harness.golden.schema import CHECK_TYPES, base_type
from harness.registry import active
from harness.run.cache import Cache
from harness.run.generation import Progress
from harness.run.judging import texts_of
from harness.run.scoring import Judging, outcome_of, score_cases
from harness.types import (
    CaseResult,
    Completion,
    GoldenCase,
    MetricFacts,
    Outcome,
    Repeat,
    Run,
    Score,
)
from harness.types.storage import encode


def rescored(
    run: Run,
    metrics: Mapping[str, MetricFacts],
    cases: Sequence[GoldenCase],
    judging: Judging,
    cache: Cache,
    on_progress: Progress,
) -> Run:
    """A stored run with new scores of some metrics for the cases that are asked now; its others stay.

    Args:
        run: The run.
        metrics: The metrics to score, with today's facts.
        cases: The cases that are asked now. One that was changed since is not compared, and not scored.
        judging: The judges.
        cache: Where scores are looked up and stored.
        on_progress: Called with each metric's progress.

    Returns:
        The run under another id; unchanged if it lacks answers, or what else a check of such a metric needs.
    """
    asked = {case.key: case for case in cases}
    chosen = [
        replace(result.case, checks=checks)  # with as many answers as it had
        for result in run.results
        if _is_the_same(result, asked.get(result.key))
        # Equal content, but a file of it has its place here.
        and (checks := tuple(check for check in asked[result.key].checks if check.type in metrics))
    ]
    answered = {result.key: result for result in run.results}
    if not chosen or not all(_can_be_scored(answered[case.key], case) for case in chosen):
        return run
    completions = {
        key: completion for case in chosen for key, completion in _completions(answered[case.key]).items()
    }
    judging = replace(judging, baseline_texts=texts_of(run))
    new = score_cases(chosen, completions, cache=cache, on_progress=on_progress, judging=judging)
    found = {result.key: _joined(answered[result.key], result, metrics) for result in new}
    results = tuple(found.get(result.key, result) for result in run.results)
    names = ", ".join(metrics)
    active().note(f"run {run.id} is scored anew by {names}: another judge or encoder gave its own scores")
    scored = replace(run, results=results, metrics={**run.metrics, **metrics})
    return replace(scored, id=f"{run.id}-rescored-{_content(scored)}")


def _is_the_same(result: CaseResult, case: GoldenCase | None) -> bool:
    if case is None or result.outcome is Outcome.SKIPPED or case.skip is not None:
        return False
    return result.case.content_sha256 == case.content_sha256


def _can_be_scored(result: CaseResult, case: GoldenCase) -> bool:
    """Whether every score of a case can be computed of what is stored: texts are, losses are not."""
    kinds = [CHECK_TYPES[base_type(check.type)] for check in case.single_checks]
    lacks_text = any(answer.scores and answer.completion is None for answer in answers_of(result))
    return not lacks_text and not any(kind.needs_losses for kind in kinds)


def _completions(result: CaseResult) -> dict[str, Completion]:
    return {
        key: answer.completion
        for key, answer in zip(result.case.answer_keys, answers_of(result), strict=False)
        if answer.completion is not None
    }


def _joined(old: CaseResult, new: CaseResult, metrics: Collection[str]) -> CaseResult:
    """A case's result with the scores of some metrics taken from another one."""
    answers = [
        _of_answer(old.case, before, now, metrics)
        for before, now in zip(answers_of(old), answers_of(new), strict=False)
    ]
    unscored = (*(each for each in old.unscored if each.metric not in metrics), *new.unscored)
    return replace(fold_repeats(answers)[0], unscored=unscored)


def _of_answer(
    case: GoldenCase, before: CaseResult | Repeat, now: CaseResult | Repeat, metrics: Collection[str]
) -> CaseResult:
    scores = (*(each for each in before.scores if each.metric not in metrics), *now.scores)
    errors = (*(each for each in before.errors if each.metric not in metrics), *now.errors)
    if before.completion is None or any(each.metric == "generation" for each in before.errors):
        # It has no answer, or one that came too late.
        scores, errors = before.scores, before.errors
    return CaseResult(
        case=case,
        completion=before.completion,
        scores=scores,
        errors=errors,
        outcome=outcome_of(case, scores, errors),
    )


def _content(run: Run) -> str:
    """A hash of all scores and of who gave them: another judge's are another run, also if they are equal."""
    facts = [
        [result.key, [[str(answer.outcome), *map(_values, answer.scores)] for answer in answers_of(result)]]
        for result in run.results
    ]
    whole = json.dumps(facts) + encode(replace(run, results=()))
    return hashlib.sha256(whole.encode()).hexdigest()[:8]


def _values(score: Score) -> list[object]:
    return [score.metric, score.value, score.passed]
