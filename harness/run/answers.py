"""One side's answers, assembled from a finished workload."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.engines.base import GenerationRequest, LossRequest
from harness.run.partial_answers import PartialAnswers
from harness.types import Completion, ExecutionPlan, TextLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """One side's answers.

    Attributes:
        completions: By answer key; a case with ``repeat`` has several.
        reference_losses: Cross-entropy of each of a case's references, by case key, if a check needs it.
        text_losses: Cross-entropy on the bundled passages; empty if they were not scored.
        divergences: KL(other side ‖ this side) on the same passages, by the other side; for a candidate, from
            sides on the same base.
        plan: How these answers were computed.
        failures: By answer key, why a case has no answer: the model failed on this case.
    """

    completions: Mapping[str, Completion]
    reference_losses: Mapping[str, tuple[TextLoss, ...]]
    text_losses: tuple[TextLoss, ...]
    divergences: Mapping[str, tuple[TextLoss, ...]]
    plan: ExecutionPlan
    failures: Mapping[str, str] = field(default_factory=dict)


def assemble(side: str, answers: PartialAnswers, plan: ExecutionPlan) -> Answers:
    """Collect one side's answers after all are finished.

    Args:
        side: The side.
        answers: The finished workload.
        plan: How they were computed.
    """
    workload = answers.workload
    places = [place for place, request in enumerate(workload.answers) if request.side == side]
    passages_from = len(workload.references)
    passages = _scored(side, workload.passages, passages_from, answers)
    divergences: dict[str, tuple[TextLoss, ...]] = {}
    for request, loss in _scored(side, workload.divergences, passages_from + len(workload.passages), answers):
        if request.against is not None:
            divergences[request.against] = (*divergences.get(request.against, ()), loss)
    return Answers(
        completions={
            workload.answers[place].key: with_prompt(answers.completions[place], workload.answers[place])
            for place in places
            if place in answers.completions
        },
        reference_losses=_reference_losses(side, answers),
        text_losses=tuple(loss for _, loss in passages),
        divergences=divergences,
        plan=plan,
        failures={
            workload.answers[place].key: answers.failures[place]
            for place in places
            if place in answers.failures
        },
    )


def _scored(
    side: str, requests: Sequence[LossRequest], start: int, answers: PartialAnswers
) -> list[tuple[LossRequest, TextLoss]]:
    """One side's requests with their losses, if they have one; ``start`` is the first one's index."""
    return [
        (request, answers.losses[place])
        for place, request in enumerate(requests, start)
        if request.side == side and place in answers.losses
    ]


def _reference_losses(side: str, answers: PartialAnswers) -> dict[str, tuple[TextLoss, ...]]:
    """Each case's losses, in the order of its references; none for a case if one of them failed."""
    texts = answers.workload.texts
    # The metric needs the best of all references, so one failure makes the others useless.
    failed = {texts[place].key for place in answers.failed_texts if texts[place].side == side}
    losses: dict[str, tuple[TextLoss, ...]] = {}
    for request, loss in _scored(side, answers.workload.references, 0, answers):
        if request.key not in failed:
            losses[request.key] = (*losses.get(request.key, ()), loss)
    return losses


def with_prompt(completion: Completion, request: GenerationRequest) -> Completion:
    """The completion with its prompt: the cache stores each prompt once, separately.

    Args:
        completion: An answer.
        request: Its request.
    """
    prompt = request.prompt
    if prompt is None:
        return completion
    return replace(completion, prompt=prompt.shown, prompt_sha256=prompt.sha256)
