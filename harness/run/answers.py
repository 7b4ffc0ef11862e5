"""What one side answered, assembled from a finished workload."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.engines.base import GenerationRequest, LossRequest
from harness.run.partial_answers import PartialAnswers
from harness.types import Completion, ExecutionPlan, TextLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers:
    """What one side answered.

    Attributes:
        completions: By answer key; a case that is asked more than once has several.
        reference_losses: Cross-entropy of each of a case's references, by case key, where a check needs it.
        text_losses: Cross-entropy on the bundled passages; empty when they were not asked for.
        divergences: KL(other side ‖ this side) on the same passages, by the other side; of a candidate, from
            sides on the same base.
        plan: How these answers were computed.
        failures: By answer key, why a case has no answer: the model failed on it alone.
    """

    completions: Mapping[str, Completion]
    reference_losses: Mapping[str, tuple[TextLoss, ...]]
    text_losses: tuple[TextLoss, ...]
    divergences: Mapping[str, tuple[TextLoss, ...]]
    plan: ExecutionPlan
    failures: Mapping[str, str] = field(default_factory=dict)


def assemble(side: str, answers: PartialAnswers, plan: ExecutionPlan) -> Answers:
    """Put one side's answers together, when all are there.

    Args:
        side: Whose.
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
            workload.answers[place].key: _with_prompt(answers.completions[place], workload.answers[place])
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
    """One side's requests with their losses, as far as they have one; ``start`` is the first one's place."""
    return [
        (request, answers.losses[place])
        for place, request in enumerate(requests, start)
        if request.side == side and place in answers.losses
    ]


def _reference_losses(side: str, answers: PartialAnswers) -> dict[str, tuple[TextLoss, ...]]:
    """Each case's losses, in the order of its references; none of a case of which one failed."""
    texts = answers.workload.texts
    # One that failed leaves the others without meaning: the best of all is asked for.
    failed = {texts[place].key for place in answers.failed_texts if texts[place].side == side}
    losses: dict[str, tuple[TextLoss, ...]] = {}
    for request, loss in _scored(side, answers.workload.references, 0, answers):
        if request.key not in failed:
            losses[request.key] = (*losses.get(request.key, ()), loss)
    return losses


def _with_prompt(completion: Completion, request: GenerationRequest) -> Completion:
    """The completion with what was asked: the cache stores each prompt once, and apart."""
    prompt = request.prompt
    if prompt is None:
        return completion
    return replace(completion, prompt=prompt.shown, prompt_sha256=prompt.sha256)
