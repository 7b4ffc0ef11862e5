"""With whose answers ``pairwise`` compared a run's: two runs are compared by it where that is one question.

A stored run was compared with its own baseline when it was gated. As a baseline itself it is compared with
its own answers, so that each pair is a tie; what a tie decides follows from it, in groups of checks too.
"""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import product
from typing import TypeAlias

from harness.comparison.pairing import answers_of, fold_repeats
from harness.comparison.times import PAIRWISE, asks_pairwise
from harness.golden.schema import base_type
from harness.metrics.definition import combined
from harness.run.scoring import decided_score, outcome_of
from harness.types import (
    CaseResult,
    Check,
    GateRecord,
    MetricError,
    Outcome,
    Repeat,
    Run,
    Score,
    UnscoredMetric,
)

_TIE = 0.5
# Ends of the ids of runs that a comparison changes: each is a run of its own in the history.
_ITSELF, _ANOTHER = "-against-itself", "-against-another"
_OTHER_SCORES = re.compile(rf"{_ITSELF}|-rescored-")
# Most combinations of what a group's members may have said.
_MOST_COMBINATIONS = 256

# A score's value, and whether it passed.
_Said: TypeAlias = tuple[float, bool]
# A group's or a pair's new score from the stored one; None where it is not known.
_Change: TypeAlias = Callable[[Check, Score], Score | None]


def against_itself(run: Run) -> Run:
    """A stored run as a baseline: compared with its own answers, each pair is a tie.

    A group is decided anew by the tie. Its members' scores are not stored: where the group's own doesn't tell
    what they said, it is unscored. Answers whose text is not stored stay as they are, for nothing can be
    compared with them.

    Args:
        run: The run.

    Returns:
        The run; under another id if any result changed.
    """
    if _ITSELF in run.id:
        return run
    return _changed(run, _tied, "with a tie is unknown: what its members said is not stored", _ITSELF)


def opponent_of(record: GateRecord) -> str | None:
    """Id of the run with whose answers ``pairwise`` compared a record's; None where nobody knows."""
    return None if record.comparison is None else _answered(record.comparison.baseline_run)


def as_one_question(candidate: Run, baseline: Run, opponents: tuple[str | None, str | None]) -> Run:
    """The baseline of two stored runs, compared by ``pairwise`` only where that asked both the same.

    That is where the candidate was compared with the baseline's answers, which tie with themselves, or both
    were compared with one other run's. Elsewhere the metric is refused, with the reason.

    Args:
        candidate: The run to judge.
        baseline: The run to compare with.
        opponents: With whose answers the baseline's were compared, and the candidate's; None where there was
            no other run, as of one that was a baseline itself, or where nobody knows.

    Returns:
        The baseline; under another id if it changed.
    """
    of_baseline, of_candidate = (None if each is None else _answered(each) for each in opponents)
    if candidate.id == baseline.id or not any(map(_has_pairs, baseline.results)):
        return baseline
    if of_candidate == _answered(baseline.id):
        # One that was a baseline only met its own answers, unless there was none and its pairs broke.
        return baseline if of_baseline is None and not _is_broken(baseline) else against_itself(baseline)
    if of_candidate is not None and of_candidate == of_baseline:
        return baseline
    told = "another run" if of_baseline is None else f"run {of_baseline}"
    run = _changed(baseline, _of_another, f"compared the answers with those of {told}", _ANOTHER)
    facts = {
        # Of the same answers it gives other values.
        name: replace(each, version=f"{each.version} (against the answers of {told})")
        for name, each in run.metrics.items()
        if name == PAIRWISE
    }
    return replace(run, id=f"{baseline.id}{_ANOTHER}", metrics={**run.metrics, **facts})


def _changed(run: Run, change: _Change, reason: str, ending: str) -> Run:
    """The run with other scores of pairs, and of groups with pairs.

    Args:
        run: The run.
        change: Gives the new scores.
        reason: Why there is none, where there is none.
        ending: Of the id of a run that changed.
    """
    results = tuple(
        _rescored(result, change, reason) if _has_pairs(result) else result for result in run.results
    )
    return run if results == run.results else replace(run, id=f"{run.id}{ending}", results=results)


def _has_pairs(result: CaseResult) -> bool:
    return result.outcome is not Outcome.SKIPPED and asks_pairwise(result.case)


def _answered(run_id: str) -> str:
    """Id of the run that answered, of one that has its answers with other scores."""
    return _OTHER_SCORES.split(run_id)[0]


def _is_broken(run: Run) -> bool:
    answers = (answer for result in run.results for answer in answers_of(result))
    return any(error.metric == PAIRWISE for answer in answers for error in answer.errors)


def _rescored(result: CaseResult, change: _Change, reason: str) -> CaseResult:
    """A case's result with other scores, and with the outcome that follows from them."""
    answers, left_out = [], list(result.unscored)
    for answer in answers_of(result):
        scores, gone = _new_scores(result.case.checks, answer, change)
        left_out += [UnscoredMetric(metric=name, reason=reason) for name in gone]
        errors = answer.errors
        if change is _tied and answer.completion is not None and not answer.completion.unanswered:
            # A tie needs no judge, so none can have broken on it.
            broken = [each for each in errors if each.metric == PAIRWISE]
            scores += _ties_of_broken(result.case.checks, scores, broken)
            errors = tuple(each for each in errors if each.metric != PAIRWISE)
        same = (tuple(scores), errors) == (answer.scores, answer.errors)
        answers.append(
            CaseResult(
                case=result.case,
                completion=answer.completion,
                scores=tuple(scores),
                errors=errors,
                outcome=answer.outcome if same else outcome_of(result.case, scores, errors),
            )
        )
    (folded,) = fold_repeats(answers)
    return replace(folded, unscored=tuple(dict.fromkeys(left_out)))


def _new_scores(
    checks: Sequence[Check], answer: CaseResult | Repeat, change: _Change
) -> tuple[list[Score], list[str]]:
    """An answer's scores, and the names of those that are left out."""
    counts, seen = Counter(score.metric for score in answer.scores), Counter[str]()
    scores: list[Score] = []
    gone: list[str] = []
    for score in answer.scores:
        of_type = [check for check in checks if check.type == score.metric]
        place = seen[score.metric]
        seen[score.metric] += 1
        # Without an answer a group fails, whatever its pair is compared with.
        is_fixed = answer.completion is None or (answer.completion.unanswered and score.metric != PAIRWISE)
        if is_fixed or not any(map(asks_pairwise, of_type)):
            scores.append(score)
            continue
        # One of several without a score leaves open whose these are.
        is_known = len(of_type) == counts[score.metric] or score.metric == PAIRWISE
        check = of_type[min(place, len(of_type) - 1)]
        if is_known and not asks_pairwise(check):
            scores.append(score)
        elif is_known and (new := change(check, score)) is not None:
            scores.append(new)
        else:
            gone.append(score.metric)
    return scores, gone


def _of_another(check: Check, score: Score) -> Score | None:
    """A pair's score, which is refused by its metric; a group's has no metric of its own to be refused by."""
    return None if check.checks else score


def _tied(check: Check, score: Score) -> Score | None:
    """The score of a tie; None for a group of which it is not known."""
    if not check.checks:
        # One that is unclear has no answer, and fails whatever it is compared with.
        return replace(score, value=_TIE) if score.unclear else _tie(score.threshold)
    if score.unclear:
        return None
    found = _combinations(check)
    new = {now for then, now in found or () if math.isclose(then[0], score.value, abs_tol=1e-9)}
    if len(new) != 1:
        return None
    value, passed = new.pop()
    told = "pairwise ties with the baseline's own answer"
    return replace(score, value=value, passed=passed, explanation=told)


def _tie(threshold: float | None) -> Score:
    return decided_score(
        Check(type=PAIRWISE, threshold=threshold),
        Score(metric=PAIRWISE, value=_TIE, explanation="the baseline's own answer"),
    )


def _ties_of_broken(
    checks: Sequence[Check], scores: Sequence[Score], broken: Sequence[MetricError]
) -> list[Score]:
    """The ties of pairs that the judge, or a missing baseline, broke."""
    left = [check.threshold for check in checks if check.type == PAIRWISE]
    for score in scores:
        if score.metric == PAIRWISE and score.threshold in left:
            left.remove(score.threshold)
    return [_tie(threshold) for threshold in left[: len(broken)]]


def _combinations(check: Check) -> set[tuple[_Said, _Said]] | None:
    """What a check may have said and, with ties for its pairs, would say; None if there are too many ways."""
    if not check.checks:
        if base_type(check.type) == PAIRWISE:
            tie = _tie(check.threshold)
            return {((float(then), then), (tie.value, bool(tie.passed))) for then in (True, False)}
        return {((float(then), then), (float(then), then)) for then in (True, False)}
    members = [_combinations(member) for member in check.checks]
    known = [each for each in members if each is not None]
    if len(known) < len(members) or math.prod(map(len, known)) > _MOST_COMBINATIONS:
        return None
    return {
        (_said(check, [then for then, _ in each]), _said(check, [now for _, now in each]))
        for each in product(*known)
    }


def _said(group: Check, members: Sequence[_Said]) -> _Said:
    scores = [
        Score(metric=member.type, value=value, passed=passed)
        for member, (value, passed) in zip(group.checks, members, strict=True)
    ]
    whole = combined(group, scores)
    assert isinstance(whole, Score)  # no member is broken or missing
    decided = decided_score(group, whole)
    return decided.value, bool(decided.passed)
