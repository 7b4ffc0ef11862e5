"""From answers to results: every check of every case, batched by metric.

Scoring uses no model: the same completions can be scored again, and a metric that breaks on one answer does
not affect the others.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias

from harness.comparison.pairing import fold_repeats
from harness.errors import OverdueError, TunegateError
from harness.golden.schema import CHECK_TYPES, base_type, decides, is_binary
from harness.golden.value_rules import LIKELIHOOD, choices_key, likelihood_texts
from harness.metrics.definition import (
    Path,
    Result,
    ScoreFunction,
    ScoringRequest,
    combined,
    computed,
    error_of,
    score_function,
    single_checks,
)
from harness.metrics.encoder_work import ENCODED, dealt_scores
from harness.metrics.libraries import ScoreCache, cache_key
from harness.metrics.transformed import checked_text
from harness.prompts.reasoning import split_reasoning
from harness.registry.builtin_metrics import BUILTIN_METRICS
from harness.registry.listeners import LISTENERS, tell_scored
from harness.registry.metric import reaches
from harness.run.distrust import NOTHING, Distrust, left_open, why_no_answer, with_unscored
from harness.types import (
    NOTHING_ALLOWED,
    CaseResult,
    Check,
    Completion,
    GoldenCase,
    MetricError,
    Outcome,
    Permissions,
    Score,
    TextLoss,
)
from harness.types.run import conversation

if TYPE_CHECKING:
    from harness.engines.workers.functions import Dealer
    from harness.judge.panel import Panel

# Expensive metrics and those of plug-ins are scored, cached and reported in chunks: a crash loses one, a
# progress bar moves, and one that does not end is interrupted after the limit of a chunk.
_CHUNK = 256
# A judge's verdicts come one by one, each after seconds.
_JUDGED_CHUNK = 16

# The index of an answer among all answers, and the place of a check in its case.
_Place: TypeAlias = tuple[int, Path]


@dataclass(frozen=True, slots=True, kw_only=True)
class Judging:
    """The judges of a session, and permissions for checks.

    Attributes:
        panel: The judge or judges; None if there are none.
        fresh: Whether each answer gets a new reply, and none from the cache.
        baseline_texts: The baseline's answers by answer key, for ``pairwise``.
        distrust: For what this judge is unreliable: such checks are unscored.
        allowed: What checks may run; a check that needs more is errored.
        dealer: Deals encoders' work to workers; None computes it in this process.
    """

    panel: Panel | None = None
    fresh: bool = False
    baseline_texts: Mapping[str, str] = field(default_factory=dict)
    distrust: Distrust = NOTHING
    allowed: Permissions = NOTHING_ALLOWED
    dealer: Dealer | None = None

    def close(self) -> None:
        """Close the judges, and let the workers go."""
        if self.panel is not None:
            self.panel.close()
        if self.dealer is not None:
            self.dealer.close()


def score_cases(  # noqa: PLR0913 # one stage of every command, whose callers each have other parts of it
    cases: Sequence[GoldenCase],
    completions: Mapping[str, Completion],
    *,
    reference_losses: Mapping[str, tuple[TextLoss, ...]] | None = None,
    failures: Mapping[str, str] | None = None,
    loss_failures: Mapping[str, str] | None = None,
    unmeasured: Mapping[str, str] | None = None,
    cache: ScoreCache | None = None,
    on_progress: Callable[[str, int, int], None] | None = None,
    judging: Judging | None = None,
) -> list[CaseResult]:
    """Run every check of every case.

    Args:
        cases: The cases, in the order of the results.
        completions: The answers by answer key. A case without one is errored, unless it is skipped.
        reference_losses: By case key, the model's loss on each reference, for ``perplexity``.
        failures: By answer key, why a case has no answer.
        loss_failures: By the losses' key, why there are none: the model failed on a text.
        unmeasured: By the losses' key, why the engine gives none: checks that need them are unscored.
        cache: Where scores of metrics that need a library are stored between runs.
        on_progress: Called with a metric's name, how many of its checks are done, and how many there are.
        judging: The judges, whose replies are waited for last.

    Returns:
        One result per case. A metric that breaks is a ``MetricError`` in its case's result, never an
        exception.
    """
    judging, answers = judging or Judging(), [(case, key) for case in cases for key in case.answer_keys]
    completions = {key: answer_apart(completions[key], case) for case, key in answers if key in completions}
    losses, failed = reference_losses or {}, loss_failures or {}
    why = partial(_why_unscored, judging.distrust, unmeasured or {})
    requests, faults = _requests(cases, completions, losses, failed, judging, why)
    by_metric: dict[str, list[_Place]] = defaultdict(list)
    for place, request in requests.items():
        by_metric[base_type(request.check.type)].append(place)
    if judging.panel is not None:  # all questions are sent at once; the loop below only waits for replies
        from harness.metrics.judged import ask_beforehand

        ask_beforehand(judging.panel, requests.values())
    results: dict[int, dict[Path, Result]] = defaultdict(dict)
    for (row, path), fault in faults.items():
        results[row][path] = fault
    for metric, places in sorted(by_metric.items(), key=lambda each: CHECK_TYPES[each[0]].judged):
        asked = [requests[place] for place in places]
        scored = _score_metric(metric, asked, cache, on_progress, judging.dealer)
        for (row, path), request, result in zip(places, asked, scored, strict=True):
            results[row][path] = _of_request(request, result)
    single = [
        _case_result(
            case,
            completions.get(key),
            [result for result in _decided_groups(case.checks, (), results[row]) if result is not None],
            (failures or {}).get(key),
        )
        for row, (case, key) in enumerate(answers)
    ]
    all_scored = not unmeasured and judging.distrust is NOTHING
    return fold_repeats(single) if all_scored else with_unscored(fold_repeats(single), why)


def _why_unscored(distrust: Distrust, unmeasured: Mapping[str, str], case: GoldenCase, check: Check) -> str:
    """Why a check is left without a score; empty if it is not."""
    if distrust is not NOTHING and (reason := distrust.reason(case, check)):
        return f"the judge is unreliable: {reason}"
    if not unmeasured or not CHECK_TYPES[base_type(check.type)].needs_losses:
        return ""
    key = _losses_key(case, check)
    return f"was not measured: {unmeasured[key]}" if key in unmeasured else ""


def _losses_key(case: GoldenCase, check: Check) -> str:
    return choices_key(case) if base_type(check.type) == LIKELIHOOD else case.key


def _decided_groups(
    checks: Sequence[Check], above: Path, results: Mapping[Path, Result]
) -> list[Result | None]:
    """The results of checks; None for one without."""
    found: list[Result | None] = []
    for number, check in enumerate(checks):
        place = (*above, number)
        if not check.checks:
            found.append(results.get(place))
            continue
        members = _decided_groups(check.checks, place, results)
        whole = combined(check, members)
        found.append(None if whole is None else _decided(check, whole))
    return found


def _requests(
    cases: Sequence[GoldenCase],
    completions: Mapping[str, Completion],
    losses: Mapping[str, tuple[TextLoss, ...]],
    failed: Mapping[str, str],
    judging: Judging,
    why_unscored: Callable[[GoldenCase, Check], str],
) -> tuple[dict[_Place, ScoringRequest], dict[_Place, MetricError]]:
    """The requests, and errors of checks whose text can't be taken out of the answer, by their places."""
    requests: dict[_Place, ScoringRequest] = {}
    faults: dict[_Place, MetricError] = {}
    answers = [(case, key, number) for case in cases for number, key in enumerate(case.answer_keys, start=1)]
    for row, (case, key, number) in enumerate(answers):
        if case.skip is not None or key not in completions:
            continue
        for place, check in single_checks(case.checks):
            if why_unscored(case, check):
                continue
            said, completion = _at_turn(case, completions[key], case.checks[place[0]].turn)
            request = ScoringRequest(
                case=said,
                check=check,
                text=completion.text,
                completion=completion,
                reference_losses=losses.get(case.key),
                choice_losses=dict(
                    zip(likelihood_texts(case), losses.get(choices_key(case), ()), strict=False)
                ),
                losses_missing=failed.get(_losses_key(case, check), ""),
                panel=judging.panel,
                baseline_text=judging.baseline_texts.get(key),
                repeat=number if judging.fresh else 0,
                allowed=judging.allowed,
            )
            try:
                requests[row, place] = _transformed(request)
            except OverdueError as error:
                raise OverdueError(f"{case.key}: {error}") from error
            except TunegateError as error:
                faults[row, place] = error_of(request, error)
    return requests, faults


def _at_turn(case: GoldenCase, completion: Completion, turn: int | None) -> tuple[GoldenCase, Completion]:
    """The case as it was when a turn was answered, and that answer; the last one without a turn."""
    if not case.turns:
        return case, completion
    answers = (*completion.earlier, completion)
    number = len(answers) if turn is None else turn
    messages = conversation(case, answers[: number - 1])
    references = case.references if turn is None else case.turns[turn - 1].references
    return replace(case, messages=messages, references=references), answers[number - 1]


def _transformed(request: ScoringRequest) -> ScoringRequest:
    if not request.check.transform:
        return request
    checked = checked_text(request.check, request.text, request.allowed)
    return replace(request, text=checked.text, missing=checked.missing)


def answer_apart(completion: Completion, case: GoldenCase) -> Completion:
    """An answer without its reasoning, which gets a field of its own, if the engine has not done so.

    Args:
        completion: The answer.
        case: Its case, which may say that the reasoning is a part of it.
    """
    if completion.earlier:
        earlier = tuple(answer_apart(one, case) for one in completion.earlier)
        completion = replace(completion, earlier=earlier)
    if completion.reasoning is not None or case.generation.score_reasoning:
        return completion
    parts = split_reasoning(completion.text, completion.prompt or "")
    is_same = parts.reasoning is None and parts.answer == completion.text
    return completion if is_same else replace(completion, text=parts.answer, reasoning=parts.reasoning)


def _score_metric(
    metric: str,
    requests: Sequence[ScoringRequest],
    cache: ScoreCache | None,
    on_progress: Callable[[str, int, int], None] | None,
    dealer: Dealer | None = None,
) -> list[Result]:
    """The metric's own results, chunk by chunk, or by workers."""
    started, total = time.time_ns(), len(requests)
    kind = CHECK_TYPES[metric]
    is_cheap = kind.extra is None and metric in BUILTIN_METRICS
    chunk = _JUDGED_CHUNK if kind.judged else total if is_cheap else _CHUNK
    show = on_progress or (lambda metric, done, total: None)
    results: list[Result] = []
    if dealer is not None and metric in ENCODED:
        results = dealt_scores(metric, requests, cache, lambda done: show(metric, done, total), dealer)
    while len(results) < total:
        show(metric, len(results), total)
        some = requests[len(results) : len(results) + chunk]
        results += _remembered(score_function(metric), some, cache)
    show(metric, total, total)
    if LISTENERS:
        tell_scored(metric, started, [isinstance(each, MetricError) for each in results])
    return results


def _remembered(
    function: ScoreFunction, requests: Sequence[ScoringRequest], cache: ScoreCache | None
) -> list[Result]:
    """Take cached scores and compute the rest in one batch."""
    keys = [cache_key(request) if cache is not None else None for request in requests]
    known = [cache.get(key) if cache is not None and key is not None else None for key in keys]
    new = iter(computed(function, [r for r, score in zip(requests, known, strict=True) if score is None]))
    results: list[Result] = []
    for key, score in zip(keys, known, strict=True):
        result = score if score is not None else next(new)
        if score is None and cache is not None and key is not None and isinstance(result, Score):
            cache.put(key, result)
        results.append(result)
    return results


def _of_request(request: ScoringRequest, result: Result) -> Result:
    decided = _decided(request.check, result)
    if request.case.turns and request.completion is not None and request.completion.unanswered:
        return _of_no_answer(decided, request.completion)
    return _failed(decided, request.missing) if request.missing else decided


def _decided(check: Check, result: Result) -> Result:
    return decided_score(check, result) if isinstance(result, Score) else replace(result, metric=check.type)


def decided_score(check: Check, score: Score) -> Score:
    """Name a score as the case does, invert it for a negated check, and apply the threshold.

    Args:
        check: The check.
        score: The score of its metric.
    """
    value = 1.0 - score.value if check.type.startswith("not-") else score.value
    passed: bool | None = None
    if is_binary(check):
        value = 0.0 if score.unclear else value
        passed = value == 1.0
    elif check.threshold is not None:
        passed = reaches(CHECK_TYPES[base_type(check.type)], value, check.threshold)
    return replace(score, metric=check.type, value=value, threshold=check.threshold, passed=passed)


def _case_result(
    case: GoldenCase, completion: Completion | None, results: Sequence[Result], failure: str | None
) -> CaseResult:
    answers = () if completion is None else (*completion.earlier, completion)
    lacking = any(answer.unanswered for answer in answers)
    results, unscored = left_open(case, answers, results) if lacking else (results, ())
    if completion is not None and completion.unanswered and not unscored:
        results = [_of_no_answer(result, completion) for result in results]
    scores = tuple(result for result in results if isinstance(result, Score))
    errors = tuple(result for result in results if isinstance(result, MetricError))
    if case.skip is None and completion is None:
        errors = (MetricError(metric="generation", error=failure or "no answer was generated for this case"),)
    if completion is not None and (late := _late(case, completion)):
        scores, errors = (), (MetricError(metric="generation", error=late),)
    return CaseResult(
        case=case,
        completion=completion,
        scores=scores,
        errors=errors,
        outcome=Outcome.SKIPPED if case.skip is not None else outcome_of(case, scores, errors),
        unscored=unscored,
    )


def _late(case: GoldenCase, completion: Completion) -> str:
    """Why an answer, of any turn, came too late; empty if none did."""
    seconds = max(one.latency_s for one in (*completion.earlier, completion))
    if case.timeout_s is None or seconds <= case.timeout_s:
        return ""
    return f"the answer took {seconds:.1f} s; the case's timeout is {case.timeout_s:g} s"


def _of_no_answer(result: Result, completion: Completion) -> Result:
    """A result for a model that reasoned but gave no answer: it failed, whatever an empty text passes."""
    if CHECK_TYPES[base_type(result.metric)].needs_losses:
        return result
    return _failed(result, f"no answer: {why_no_answer(completion)}")


def _failed(result: Result, explanation: str) -> Result:
    """A result for an answer without the text that is checked: it fails, whatever an empty text passes."""
    if isinstance(result, MetricError) or result.passed is None:
        return result
    # A check that decides without a threshold is true or false.
    value = 0.0 if result.threshold is None else result.value
    return replace(result, value=value, passed=False, explanation=explanation, unclear=True)


def outcome_of(case: GoldenCase, scores: Sequence[Score], errors: Sequence[MetricError]) -> Outcome:
    """The outcome of an answer to a case that is not skipped.

    Args:
        case: The case.
        scores: The answer's scores.
        errors: The metrics that broke on it.
    """
    if errors:
        return Outcome.ERRORED
    decided = [score.passed for score in scores if score.passed is not None]
    # Where a deciding check has no result the others can't decide alone.
    if not decided or len(decided) < sum(map(decides, case.checks)):
        return Outcome.UNSCORED
    return Outcome.PASSED if all(decided) else Outcome.FAILED
