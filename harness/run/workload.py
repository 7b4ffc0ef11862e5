"""All requests of one session to its models, planned before anything is looked up, and their answers.

Answers in the cache come first, then each finished batch; a side's answers are assembled from them.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

from harness.engines.base import BASE, BASELINE, GenerationRequest, LossRequest
from harness.golden.value_rules import choices_key, likelihood_texts
from harness.run.cache import Cache, completion_keys, loss_key
from harness.types import Completion, ExecutionPlan, GoldenCase, JsonValue, ModelRef, TextLoss
from harness.types.golden import TIME_METRICS

_TITLE = "# "
_Request = TypeVar("_Request")
_Value = TypeVar("_Value")


def load_passages() -> Mapping[str, str]:
    """Each passage by its title: English prose in one line; then other kinds, ``KIND/TITLE``, in lines."""
    return {
        **{title: " ".join(lines) for title, lines in _titled_lines("general_text.txt")},
        **{title: "\n".join(lines) for title, lines in _titled_lines("text_panel.txt")},
    }


def _titled_lines(name: str) -> list[tuple[str, list[str]]]:
    """Each passage of a bundled file: its title, and its lines without empty ones around it."""
    found: list[tuple[str, list[str]]] = []
    for line in Path(__file__).with_name(name).read_text(encoding="utf-8").splitlines():
        if line.startswith(_TITLE):
            found.append((line.removeprefix(_TITLE).strip(), []))
        elif found:
            found[-1][1].append(line.rstrip())
    return [(title, "\n".join(lines).strip("\n").split("\n")) for title, lines in found]


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The requests of a session. Their indices in these tuples identify them until the answers are assembled.

    Attributes:
        answers: One request for each answer to each case, by side.
        references: The references that a perplexity check scores, and options whose likelihood is compared.
        passages: The bundled passages of general text.
        divergences: Those of English prose, each with the side from which the divergence is measured.
        timed: Whether an answer's time may decide something: it is known once its batch has ended.
    """

    answers: tuple[GenerationRequest, ...]
    references: tuple[LossRequest, ...] = ()
    passages: tuple[LossRequest, ...] = ()
    divergences: tuple[LossRequest, ...] = ()
    timed: bool = True

    @property
    def texts(self) -> tuple[LossRequest, ...]:
        """All texts to score: references, then passages, then divergences."""
        return (*self.references, *self.passages, *self.divergences)


def plan_workload(
    sides: Mapping[str, ModelRef],
    cases: Sequence[GoldenCase],
    *,
    with_text: bool = False,
    only: Mapping[str, Collection[str]] | None = None,
    chat_template_kwargs: Mapping[str, JsonValue] | None = None,
) -> Workload:
    """List the requests to each side.

    Args:
        sides: The models, by side.
        cases: The selected cases.
        with_text: Whether the bundled passages are scored too.
        only: Keys of the cases that a side answers, for sides that don't answer all.
        chat_template_kwargs: Values for the chat template, used where a case has no value of that name.

    Returns:
        The requests, side by side, each side's in the order of the cases.
    """
    if chat_template_kwargs:
        cases = [case.asked_with(chat_template_kwargs) for case in cases]
    cases_of = {side: _limited(cases, (only or {}).get(side)) for side in sides}
    return Workload(
        answers=_joined(_answers_of(side, cases_of[side]) for side in sides),
        references=_joined(_references_of(side, cases_of[side]) for side in sides),
        passages=_joined(_passages_of(side) for side in sides) if with_text else (),
        divergences=tuple(_divergences_of(sides)) if with_text else (),
        timed=any(map(_is_timed, cases)),
    )


def _is_timed(case: GoldenCase) -> bool:
    types = {check.type.removeprefix("not-") for check in case.single_checks}
    return case.timeout_s is not None or not TIME_METRICS.isdisjoint(types)


def _limited(cases: Sequence[GoldenCase], keys: Collection[str] | None) -> list[GoldenCase]:
    return [case for case in cases if keys is None or case.key in keys]


def _joined(lists: Iterable[Sequence[_Request]]) -> tuple[_Request, ...]:
    return tuple(chain.from_iterable(lists))


def _answers_of(side: str, cases: Sequence[GoldenCase]) -> list[GenerationRequest]:
    """A case's answers have different seeds: its own, then the numbers after it."""
    return [
        GenerationRequest(
            key=key,
            side=side,
            messages=case.messages,
            # A case's only answer shares its settings.
            settings=replace(case.generation, seed=case.generation.seed + number)
            if number
            else case.generation,
            timeout_s=case.timeout_s,
        )
        for case in cases
        for number, key in enumerate(case.answer_keys)
    ]


def _references_of(side: str, cases: Sequence[GoldenCase]) -> list[LossRequest]:
    return [
        LossRequest(key=case.key, side=side, text=reference, messages=case.messages, settings=case.generation)
        for case in cases
        if any(check.type == "perplexity" for check in case.single_checks)
        for reference in case.references
    ] + [
        LossRequest(
            key=choices_key(case),
            side=side,
            text=text,
            messages=case.messages,
            settings=case.generation,
            options=likelihood_texts(case),
        )
        for case in cases
        for text in likelihood_texts(case)
    ]


def _passages_of(side: str) -> list[LossRequest]:
    return [LossRequest(key=name, side=side, text=text) for name, text in load_passages().items()]


def _divergences_of(sides: Mapping[str, ModelRef]) -> list[LossRequest]:
    """Each candidate's divergence on each passage from the baseline and the base, if they share a base."""
    return [
        LossRequest(key=name, side=side, text=text, against=other)
        for side, model in sides.items()
        if side not in {BASELINE, BASE}
        for other in (BASELINE, BASE)
        if other in sides and sides[other].base_sha256 == model.base_sha256
        for name, text in load_passages().items()
        if "/" not in name
    ]


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
        unmeasured_texts: Why the engine gives no losses on texts.
        answered: Sides that have an answer in the session, and whether it was computed in it.
    """

    workload: Workload
    answer_keys: tuple[str, ...]
    text_keys: tuple[str, ...]
    completions: dict[int, Completion] = field(default_factory=dict)
    losses: dict[int, TextLoss] = field(default_factory=dict)
    failures: dict[int, str] = field(default_factory=dict)
    failed_texts: dict[int, str] = field(default_factory=dict)
    unmeasured_texts: dict[int, str] = field(default_factory=dict)
    answered: dict[str, bool] = field(default_factory=dict)

    def note_answered(self) -> None:
        """Note the sides that have an answer: at first those with a stored one, then those with a new one."""
        for place in self.completions:
            self.answered.setdefault(self.workload.answers[place].side, False)

    @property
    def missing_answers(self) -> list[int]:
        """Indices of the missing answers."""
        return [place for place in range(len(self.answer_keys)) if place not in self.completions]

    @property
    def missing_texts(self) -> list[int]:
        """Indices of the texts with a missing loss, without those that are known to get none."""
        return sorted({*range(len(self.text_keys))} - self.losses.keys() - self.unmeasured_texts.keys())

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
    keys_of = {side: completion_keys(model, plan) for side, model in sides.items()}
    found = PartialAnswers(
        workload=workload,
        answer_keys=tuple(
            keys_of[request.side](request.messages, request.settings, request.key, request.prompt)
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
                request.options,
                request.settings,
            )
            for request in workload.texts
        ),
    )
    stored = cache.get_timed if workload.timed else cache.get_completions
    found.completions.update(_stored(stored(found.answer_keys)))
    found.losses.update(_stored(cache.get_losses(found.text_keys)))
    return found


def _stored(values: Iterable[_Value | None]) -> dict[int, _Value]:
    """The values that the cache has, by their places."""
    return {place: value for place, value in enumerate(values) if value is not None}


def store_completions(
    answers: PartialAnswers, finished: Mapping[int, Completion], cache: Cache, *, untimed: bool = False
) -> None:
    """Add finished answers, by index, and store them in the cache.

    Args:
        answers: The answers so far; changed in place.
        finished: New answers, by index.
        cache: Where they are stored.
        untimed: Their batch goes on, so that their time isn't known yet.
    """
    found = {answers.answer_keys[place]: completion for place, completion in finished.items()}
    (cache.put_untimed if untimed else cache.put_all)(found)
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
        loss_failures: By the same key as the losses, why there are none: the model failed on a text.
        unmeasured: The same where the engine gives none on a text, and the model did not fail on another.
        computed: Whether the model gave one of them in this session, and not all of them were stored.
    """

    completions: Mapping[str, Completion]
    reference_losses: Mapping[str, tuple[TextLoss, ...]]
    text_losses: tuple[TextLoss, ...]
    divergences: Mapping[str, tuple[TextLoss, ...]]
    plan: ExecutionPlan
    failures: Mapping[str, str] = field(default_factory=dict)
    loss_failures: Mapping[str, str] = field(default_factory=dict)
    unmeasured: Mapping[str, str] = field(default_factory=dict)
    computed: bool = False


def assemble(side: str, answers: PartialAnswers, plan: ExecutionPlan) -> Answers:
    """Collect one side's answers after all are finished.

    Args:
        side: The side.
        answers: The finished workload.
        plan: How they were computed.
    """
    workload = answers.workload
    places = [place for place, request in enumerate(workload.answers) if request.side == side]
    loss_failures = _by_key(side, answers, answers.failed_texts)
    unmeasured = _by_key(side, answers, answers.unmeasured_texts)
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
        loss_failures=loss_failures,
        unmeasured={key: why for key, why in unmeasured.items() if key not in loss_failures},
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
    """Each case's losses, in the order of its references; none for a case if one of them has none."""
    # The metric needs the best of all references, so one that is missing makes the others useless.
    places, texts = {*answers.failed_texts, *answers.unmeasured_texts}, answers.workload.texts
    own = [texts[place] for place in places if place < len(answers.workload.references)]
    missing = {request.key for request in own if request.side == side}
    losses: dict[str, tuple[TextLoss, ...]] = {}
    for request, loss in _scored(side, answers.workload.references, 0, answers):
        if request.key not in missing:
            found = replace(loss, direct=loss.direct or request.direct)
            losses[request.key] = (*losses.get(request.key, ()), found)
    return losses


def _by_key(side: str, answers: PartialAnswers, reasons: Mapping[int, str]) -> dict[str, str]:
    """Why references have no loss, by their key; of several the first reason."""
    references = answers.workload.references
    found: dict[str, str] = {}
    for place, reason in sorted(reasons.items()):
        if place < len(references) and references[place].side == side:
            found.setdefault(references[place].key, reason)
    return found


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
