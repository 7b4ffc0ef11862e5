"""Checks that a judge decides: rubric, reference, facts, tone, pairs, and ragas' metrics."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from harness.errors import JudgeError
from harness.golden.schema import base_type
from harness.judge.panel import Panel, Vote
from harness.judge.prompts import Prompt, own_prompt
from harness.judge.questions import pair_requests, question_name, single_request
from harness.metrics import rag
from harness.metrics.definition import ScoreFunction, ScoringRequest, graded, text_of
from harness.metrics.ragas_bridge import prepare_ragas
from harness.types import Check, JudgeRequest, MetricError, Score

# The judge's question behind each check about one answer.
_TASKS = {"llm-rubric": "rubric", "llm-reference": "reference", "factuality": "factuality", "tone": "tone"}
_NO_JUDGE = "there is no judge: name one with --gate-judge"
_NO_BASELINE = (
    "there is no baseline's answer to compare with: take the base, an adapter or a stored run as baseline "
    "(an accepted baseline's file has no answers)"
)


def task_of(metric: str) -> str:
    """The judge's question behind a check type."""
    return _TASKS.get(metric, metric)


def question_of(check: Check) -> str:
    """The judge's question behind a check, with its wording where that is the project's own."""
    task = task_of(base_type(check.type))
    if check.file is None:
        return task
    return question_name(task, f"{Path(check.file).stem}@{str(check.options['sha256'])[:12]}")


def require_template(check: Check) -> None:
    """Read a check's own wording, which is then kept for the session.

    Raises:
        JudgeError: The file was changed since the golden set was read.
    """
    _own_prompt(check)


def _own_prompt(check: Check) -> Prompt | None:
    """The project's wording of a check's question; None for the built-in one."""
    if check.file is None:
        return None
    return own_prompt(check.file, base_type(check.type), str(check.options["sha256"]))


def _single(request: ScoringRequest) -> JudgeRequest:
    name = base_type(request.check.type)
    value = request.check.value
    return single_request(
        _TASKS[name],
        request.case.key,
        request.case.messages,
        request.text,
        rubric=None if value is None else text_of(value),
        references=request.case.references,
        repeat=request.repeat,
        prompt=_own_prompt(request.check),
    )


def _pair(request: ScoringRequest, baseline_text: str) -> tuple[JudgeRequest, JudgeRequest]:
    value = request.check.value
    return pair_requests(
        request.case.key,
        request.case.messages,
        request.text,
        baseline_text,
        rubric=None if value is None else text_of(value),
        repeat=request.repeat,
        prompt=_own_prompt(request.check),
    )


def ask_beforehand(panel: Panel, requests: Iterable[ScoringRequest]) -> None:
    """Send the judge's questions that are already known, without waiting. Others are left for later.

    Args:
        panel: The judges.
        requests: The requests that will be scored.
    """
    for request in requests:
        name, other = base_type(request.check.type), request.baseline_text
        if name in _TASKS:
            panel.start([_single(request)])
        elif name in rag.RAG_METRICS:
            rag.start(panel, request)
        elif name == "pairwise" and other is not None and other != request.text:
            panel.start(_pair(request, other))


def prepare_judging(panel: Panel, checks: Iterable[Check]) -> None:
    """Import and load what asking the judge and reading its replies needs; nothing is sent.

    Args:
        panel: The judges.
        checks: Checks that a judge decides.
    """
    panel.prepare()
    passages = [check for check in checks if base_type(check.type) in rag.RAG_METRICS]
    if passages:
        prepare_ragas(passages, panel.dealer)


def passes_so_far(panel: Panel, request: ScoringRequest) -> bool | None:
    """Whether an answer passes a judged check, once the judge has replied; None while that is unknown.

    Args:
        panel: The judges.
        request: The check and the answer.
    """
    check = request.check
    if base_type(check.type) not in _TASKS:
        return None
    vote = panel.verdict_so_far(_single(request))
    if vote is None or isinstance(vote, JudgeError):
        return None
    if check.threshold is not None:
        return vote.value >= check.threshold
    return (vote.value == 1.0) is not check.type.startswith("not-")


def _judged(ask: Callable[[Panel, Sequence[ScoringRequest]], list[Vote]]) -> ScoreFunction:
    """A score function that sends its requests to the panel."""

    def score(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
        panel = requests[0].panel
        if panel is None:
            return [_error(request, _NO_JUDGE) for request in requests]
        votes = ask(panel, requests)
        return [_result(request, vote) for request, vote in zip(requests, votes, strict=True)]

    return score


def _result(request: ScoringRequest, vote: Vote) -> Score | MetricError:
    if isinstance(vote, JudgeError):
        return _error(request, str(vote))
    said = vote.reason or "no reason given"
    return graded(request, vote.value, f"{said} ({vote.judge_model}, {vote.prompt_version})")


def _error(request: ScoringRequest, reason: str) -> MetricError:
    return MetricError(metric=base_type(request.check.type), error=reason)


of_passages = _judged(rag.votes)
single = _judged(lambda panel, requests: panel.judge_singles([_single(request) for request in requests]))


def pairwise(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
    """1 if the answer is preferred to the baseline's, 0 if not, 0.5 for a tie; the baseline has 0.5."""
    results: dict[int, Score | MetricError] = {}
    asked: list[int] = []
    for place, request in enumerate(requests):
        if request.baseline_text is None:
            results[place] = _error(request, _NO_BASELINE)
        elif request.baseline_text == request.text:
            results[place] = graded(request, 0.5, "the baseline's own answer")
        elif request.panel is None:
            results[place] = _error(request, _NO_JUDGE)
        else:
            asked.append(place)
    panel = requests[asked[0]].panel if asked else None
    if panel is not None:
        pairs = [_pair(requests[place], requests[place].baseline_text or "") for place in asked]
        for place, vote in zip(asked, panel.judge_pairs(pairs), strict=True):
            results[place] = _result(requests[place], vote)
    return [results[place] for place in range(len(requests))]
