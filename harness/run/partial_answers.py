"""The finished answers of a workload: those in the cache, then each finished batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.run.cache import Cache, completion_key, loss_key
from harness.run.workload import Workload
from harness.types import Completion, ExecutionPlan, ModelRef, TextLoss


@dataclass(slots=True, kw_only=True)
class PartialAnswers:
    """The finished part of a workload, by index in the workload.

    Attributes:
        answer_keys: The cache key of each of the workload's answers, in order.
        text_keys: The same for its texts.
        completions: The finished answers.
        losses: The finished texts' losses.
        failures: Why there is no answer, if the model failed on a single one.
        failed_texts: The same for texts.
    """

    workload: Workload
    answer_keys: tuple[str, ...]
    text_keys: tuple[str, ...]
    completions: dict[int, Completion] = field(default_factory=dict)
    losses: dict[int, TextLoss] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    failed_texts: dict[int, str] = field(default_factory=dict)

    @property
    def missing_answers(self) -> list[int]:
        """Indices of the missing answers."""
        return [place for place in range(len(self.answer_keys)) if place not in self.completions]

    @property
    def missing_texts(self) -> list[int]:
        """Indices of the texts with a missing loss."""
        return [place for place in range(len(self.text_keys)) if place not in self.losses]

    @property
    def needed_sides(self) -> set[str]:
        """The sides whose models have to be loaded for missing answers."""
        answers, texts = self.workload.answers, self.workload.texts
        needed = {answers[place].side for place in self.missing_answers}
        for place in self.missing_texts:
            needed.add(texts[place].side)
            if (against := texts[place].against) is not None:
                needed.add(against)
        return needed


def look_up(
    workload: Workload, sides: Mapping[str, ModelRef], plan: ExecutionPlan, cache: Cache
) -> PartialAnswers:
    """Look up a workload in the cache.

    Args:
        workload: The requests.
        sides: The models, by side.
        plan: How they compute; an answer with another plan is another answer.
        cache: The cache.
    """
    found = PartialAnswers(
        workload=workload,
        answer_keys=tuple(
            completion_key(
                sides[request.side], plan, request.messages, request.settings, request.key, request.prompt
            )
            for request in workload.answers
        ),
        text_keys=tuple(
            loss_key(
                sides[request.side],
                plan,
                request.messages,
                request.text,
                sides[request.against] if request.against else None,
                request.prompt,
            )
            for request in workload.texts
        ),
    )
    for place, key in enumerate(found.answer_keys):
        if (completion := cache.get_completion(key)) is not None:
            found.completions[place] = completion
    for place, key in enumerate(found.text_keys):
        if (loss := cache.get_loss(key)) is not None:
            found.losses[place] = loss
    return found


def store_completions(answers: PartialAnswers, finished: Mapping[int, Completion], cache: Cache) -> None:
    """Add finished answers, by index, and store them in the cache.

    Args:
        answers: The answers so far; changed in place.
        finished: New answers, by index.
        cache: Where they are stored.
    """
    cache.put_all({answers.answer_keys[place]: completion for place, completion in finished.items()})
    answers.completions.update(finished)


def store_losses(answers: PartialAnswers, finished: Mapping[int, TextLoss], cache: Cache) -> None:
    """Add finished losses, by index, and store them in the cache.

    Args:
        answers: The answers so far; changed in place.
        finished: New losses, by index.
        cache: Where they are stored.
    """
    cache.put_all({answers.text_keys[place]: loss for place, loss in finished.items()})
    answers.losses.update(finished)
