"""Scores a stored run's answers anew by some metrics: another judge, encoder or version gave its scores."""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from harness.comparison.pairing import answers_of, fold_repeats
from harness.golden.schema import CHECK_TYPES, base_type
from harness.registry import active
from harness.registry.metric import is_scored_alike, other_scorers
from harness.run.cache import Cache
from harness.run.generation import Progress
from harness.run.judging import texts_of
from harness.run.scoring import Judging, outcome_of, score_cases
from harness.types import (
    JUDGE,
    CaseResult,
    Check,
    Completion,
    GoldenCase,
    MetricFacts,
    Outcome,
    Repeat,
    Run,
    Score,
)
from harness.types.storage import encode


def note_rescored(stored: Run, anew: Run) -> None:
    """Note by which metrics a stored run was scored anew; nothing if it was not.

    Args:
        stored: As it was stored.
        anew: As it is compared.
    """
    if anew is not stored:
        names = ", ".join(name for name, facts in anew.metrics.items() if facts != stored.metrics[name])
        why = "another judge, encoder or version of it gave the stored scores"
        active().note(f"run {stored.id} is scored anew by {names}: {why}")


def has_other_judge(now: Mapping[str, MetricFacts], stored: Run) -> bool:
    """Whether another judge than today's has scored a stored run, by the names that are known.

    Args:
        now: Today's facts, by metric.
        stored: The run.
    """
    return any(JUDGE in other_scorers(*facts) for facts in _shared(now, stored).values())


def _shared(now: Mapping[str, MetricFacts], stored: Run) -> dict[str, tuple[MetricFacts, MetricFacts]]:
    """By metric, the facts of today and those in a stored run."""
    return {name: (facts, stored.metrics[name]) for name, facts in now.items() if name in stored.metrics}


def others_of(now: Mapping[str, MetricFacts], stored: Run) -> dict[str, MetricFacts]:
    """The metrics that another judge, encoder or version may have scored in a stored run, with today's facts.

    Args:
        now: Today's facts, by metric.
        stored: The run.

    Returns:
        By metric; empty where nothing has changed.
    """
    shared = _shared(now, stored)
    return {name: today for name, (today, then) in shared.items() if not is_scored_alike(today, then)}


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
        The run under another id. A metric keeps its scores if an answer is missing, or what else it needs.
    """
    asked = {case.key: case for case in cases}
    answered = {result.key: result for result in run.results if _is_the_same(result, asked.get(result.key))}
    # Equal content, but a file of it has its place here.
    checks = {key: [check for check in asked[key].checks if check.type in metrics] for key in answered}
    lacking = {
        check.type for key, these in checks.items() for check in these if not _can_score(answered[key], check)
    }
    metrics = {name: facts for name, facts in metrics.items() if name not in lacking}
    chosen = [
        replace(answered[key].case, checks=tuple(kept))  # with as many answers as it had
        for key, these in checks.items()
        if (kept := [check for check in these if check.type in metrics])
    ]
    if not chosen:
        return run
    completions = {
        key: completion for case in chosen for key, completion in _completions(answered[case.key]).items()
    }
    judging = replace(judging, baseline_texts=texts_of(run))
    new = score_cases(chosen, completions, cache=cache, on_progress=on_progress, judging=judging)
    found = {result.key: _joined(answered[result.key], result, metrics) for result in new}
    results = tuple(found.get(result.key, result) for result in run.results)
    scored = replace(run, results=results, metrics={**run.metrics, **metrics})
    return replace(scored, id=f"{run.id}-rescored-{_content(scored)}")


def _is_the_same(result: CaseResult, case: GoldenCase | None) -> bool:
    if case is None or result.outcome is Outcome.SKIPPED or case.skip is not None:
        return False
    return result.case.content_sha256 == case.content_sha256


def _can_score(result: CaseResult, check: Check) -> bool:
    """Whether a check's scores can be computed of what is stored: texts are, losses are not."""
    kinds = [CHECK_TYPES[base_type(single.type)] for single in check.single_checks]
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
