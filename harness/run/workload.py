"""All requests of one session to its models, planned before anything is looked up."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import TypeVar

from harness.engines.base import BASE, BASELINE, GenerationRequest, LossRequest
from harness.golden.choices import choices_key, likelihood_texts
from harness.run.passages import load_passages
from harness.types import GoldenCase, JsonValue, ModelRef

_Request = TypeVar("_Request")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """The requests of a session. Their indices in these tuples identify them until the answers are assembled.

    Attributes:
        answers: One request for each answer to each case, by side.
        references: The references that a perplexity check scores, and options whose likelihood is compared.
        passages: The bundled passages of general text.
        divergences: The same passages, each with the side from which the divergence is measured.
    """

    answers: tuple[GenerationRequest, ...]
    references: tuple[LossRequest, ...] = ()
    passages: tuple[LossRequest, ...] = ()
    divergences: tuple[LossRequest, ...] = ()

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
        cases = [with_kwargs(case, chat_template_kwargs) for case in cases]
    cases_of = {side: _limited(cases, (only or {}).get(side)) for side in sides}
    return Workload(
        answers=_joined(_answers_of(side, cases_of[side]) for side in sides),
        references=_joined(_references_of(side, cases_of[side]) for side in sides),
        passages=_joined(_passages_of(side) for side in sides) if with_text else (),
        divergences=tuple(_divergences_of(sides)) if with_text else (),
    )


def _limited(cases: Sequence[GoldenCase], keys: Collection[str] | None) -> list[GoldenCase]:
    return [case for case in cases if keys is None or case.key in keys]


def _joined(lists: Iterable[Sequence[_Request]]) -> tuple[_Request, ...]:
    return tuple(chain.from_iterable(lists))


def with_kwargs(case: GoldenCase, usual: Mapping[str, JsonValue]) -> GoldenCase:
    """A case whose chat template gets these values too, where it has none of that name.

    Args:
        case: The case.
        usual: Values by name.
    """
    kwargs = {**usual, **case.generation.chat_template_kwargs}
    return replace(case, generation=replace(case.generation, chat_template_kwargs=kwargs))


def _answers_of(side: str, cases: Sequence[GoldenCase]) -> list[GenerationRequest]:
    """A case's answers have different seeds: its own, then the numbers after it."""
    return [
        GenerationRequest(
            key=key,
            side=side,
            messages=case.messages,
            settings=replace(case.generation, seed=case.generation.seed + number),
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
            key=choices_key(case), side=side, text=text, messages=case.messages, settings=case.generation
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
    ]
