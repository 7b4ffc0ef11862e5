"""ragas' metrics of retrieved passages, with its own code and prompts, through our judge.

Es, S. et al. 2023, "RAGAS: Automated Evaluation of Retrieval Augmented Generation" (arXiv:2309.15217), as
ragas 0.4.3 computes them:

- ``faithfulness``: statements of the answer that follow from the passages, over all of its statements;
- ``context-recall``: statements of the reference that follow from the passages, over all of its statements;
- ``context-precision``: average precision of the passages in their order, where a passage is relevant if it
  was useful for the reference;
- ``answer-relevancy``: mean cosine of the question with questions that the judge derives from the answer; 0
  if the judge finds each time that the answer is noncommittal.
"""

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any, TypeAlias
from weakref import WeakKeyDictionary

from harness.errors import JudgeError
from harness.golden.schema import base_type
from harness.judge.base import may_be_asked_again
from harness.judge.client import Judge
from harness.judge.panel import Panel, Vote
from harness.metrics.definition import ScoringRequest, quote, text_of
from harness.metrics.encoders import DECIMALS
from harness.metrics.ragas_bridge import encoder_embeddings, judged_model, ragas_version
from harness.types import JudgeVerdict

# Computes one metric with a judge; ragas' result has the value.
_Compute: TypeAlias = Callable[[Any, ScoringRequest], Awaitable[Any]]
# By judge and by what the vote depends on.
_VOTES: WeakKeyDictionary[Judge, dict[str, Future[Vote]]] = WeakKeyDictionary()


def start(panel: Panel, request: ScoringRequest) -> None:
    """Send a request's questions without waiting: scoring sends the same later, and finds the replies.

    Args:
        panel: The judges.
        request: The request that will be scored.
    """
    for judge in panel.judges:
        # Scoring reports the fault: it gets the same vote.
        _started(judge, request)


def votes(panel: Panel, requests: Sequence[ScoringRequest]) -> list[Vote]:
    """The panel's value for each request. All questions are sent concurrently.

    Args:
        panel: The judges.
        requests: The requests.

    Returns:
        One vote per request, in order.
    """
    waiting: list[list[Future[Vote]]] = [
        [_started(judge, request) for judge in panel.judges] for request in requests
    ]
    return [
        panel.together(
            base_type(request.check.type), _asked(request), [future.result() for future in futures]
        )
        for request, futures in zip(requests, waiting, strict=True)
    ]


def _started(judge: Judge, request: ScoringRequest) -> Future[Vote]:
    """A judge's vote, computed once: ragas writes its prompts slowly, and they are asked ahead of scoring."""
    votes = _VOTES.setdefault(judge, {})
    # Where replies were another judge's, so may those be that a vote was made of.
    key = f"{judge.renewals} {_asked(request)}"
    known = votes.get(key)
    if known is not None and not known.cancelled() and not _may_be_asked_again(known):
        return known
    votes[key] = judge.spawn(_vote(judge, request))
    return votes[key]


def _may_be_asked_again(vote: Future[Vote]) -> bool:
    return vote.done() and vote.exception() is None and may_be_asked_again(vote.result())


def _asked(request: ScoringRequest) -> str:
    """What a vote depends on beside the judge."""
    check, case = request.check, request.case
    asked = (base_type(check.type), case.key, request.repeat, question_of(request), request.text)
    return repr((*asked, case.retrieved_context, case.references, sorted(check.options.items())))


async def _vote(judge: Judge, request: ScoringRequest) -> Vote:
    name = base_type(request.check.type)
    try:
        if not request.text.strip() and name in {"faithfulness", "answer-relevancy"}:
            raise JudgeError("the answer is empty")  # noqa: TRY301 # told like any other fault
        model = judged_model(judge, request.case.key, name, first_repeat=100 * request.repeat)
        found = await _COMPUTE[name](model, request)
        value = round(float(found.value), DECIMALS)
        reason = _REASONS[name](model.replies)
    except JudgeError as error:
        return error
    except Exception as error:  # a fault of the library is an error of this answer, never of the run
        return JudgeError(f"ragas: {type(error).__name__}: {error}")
    if not math.isfinite(value):
        return JudgeError(reason)
    return JudgeVerdict(
        passed=None,
        value=value,
        reason=reason,
        judge_model=model.judge_model,
        prompt_version=f"ragas {ragas_version()}",
        raw_reply="",
    )


def question_of(request: ScoringRequest) -> str:
    """The check's own question, or else the case's last message."""
    value = request.check.value
    return request.case.messages[-1].content if value is None else text_of(value)


async def _faithfulness(model: Any, request: ScoringRequest) -> Any:
    from ragas.metrics.collections import Faithfulness

    return await Faithfulness(llm=model).ascore(
        user_input=question_of(request),
        response=request.text,
        retrieved_contexts=list(request.case.retrieved_context),
    )


async def _context_recall(model: Any, request: ScoringRequest) -> Any:
    from ragas.metrics.collections import ContextRecall

    return await ContextRecall(llm=model).ascore(
        user_input=question_of(request),
        retrieved_contexts=list(request.case.retrieved_context),
        reference=request.case.references[0],
    )


async def _context_precision(model: Any, request: ScoringRequest) -> Any:
    from ragas.metrics.collections import ContextPrecisionWithReference

    return await ContextPrecisionWithReference(llm=model).ascore(
        user_input=question_of(request),
        reference=request.case.references[0],
        retrieved_contexts=list(request.case.retrieved_context),
    )


async def _answer_relevancy(model: Any, request: ScoringRequest) -> Any:
    from ragas.metrics.collections import AnswerRelevancy

    embeddings = encoder_embeddings(request.check, None if request.panel is None else request.panel.dealer)
    questions = int(str(request.check.options.get("questions", 3)))
    metric = AnswerRelevancy(llm=model, embeddings=embeddings, strictness=questions)
    found = await metric.ascore(user_input=question_of(request), response=request.text)
    if not any(reply.question for reply in model.replies):
        # ragas gives 0 here.
        raise JudgeError("the judge derived no question from the answer")
    return found


_COMPUTE: Mapping[str, _Compute] = {
    "faithfulness": _faithfulness,
    "context-recall": _context_recall,
    "context-precision": _context_precision,
    "answer-relevancy": _answer_relevancy,
}


def _told_faithfulness(replies: Sequence[Any]) -> str:
    if len(replies) < 2:
        return "the judge found no statement in the answer"
    verdicts = replies[1].statements
    unsupported = [one.statement for one in verdicts if not one.verdict]
    told = f"{len(verdicts) - len(unsupported)} of {len(verdicts)} statements follow from the passages"
    return f"{told}; not {quote(unsupported[0])}" if unsupported else told


def _told_recall(replies: Sequence[Any]) -> str:
    found = replies[0].classifications
    if not found:
        return "the judge found no statement in the reference"
    missing = [one.statement for one in found if not one.attributed]
    told = f"{len(found) - len(missing)} of {len(found)} statements of the reference are in the passages"
    return f"{told}; not {quote(missing[0])}" if missing else told


def _told_precision(replies: Sequence[Any]) -> str:
    useful = [str(number) for number, reply in enumerate(replies, 1) if reply.verdict]
    return f"useful passages: {', '.join(useful) or 'none'} of {len(replies)}"


def _told_relevancy(replies: Sequence[Any]) -> str:
    if all(reply.noncommittal for reply in replies):
        return "the answer is noncommittal"
    return f"it answers {quote(replies[0].question)}"


_REASONS: Mapping[str, Callable[[Sequence[Any]], str]] = {
    "faithfulness": _told_faithfulness,
    "context-recall": _told_recall,
    "context-precision": _told_precision,
    "answer-relevancy": _told_relevancy,
}
RAG_METRICS = tuple(_COMPUTE)
