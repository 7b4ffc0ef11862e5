"""Getting every answer that a session needs: from the cache, else from the engine, batch by batch."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from harness.engines.base import BASELINE, ORIGIN, Engine, GenerationRequest, LossRequest
from harness.engines.open import check_alive, open_sides
from harness.run.cache import Cache, completion_key, liveness_key, loss_key
from harness.run.passages import load_passages
from harness.types import Completion, ExecutionPlan, GoldenCase, ModelRef, TextLoss

# Stage, finished, total.
Progress: TypeAlias = Callable[[str, int, int], None]
# Side and completions by case key, as soon as they are there.
OnAnswers: TypeAlias = Callable[[str, Mapping[str, Completion]], None]
# Loads the models of the given sides.
OpenEngine: TypeAlias = Callable[[Mapping[str, ModelRef], ExecutionPlan], Engine]


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
    """

    completions: Mapping[str, Completion]
    reference_losses: Mapping[str, tuple[TextLoss, ...]]
    text_losses: tuple[TextLoss, ...]
    divergences: Mapping[str, tuple[TextLoss, ...]]
    plan: ExecutionPlan


def answer_cases(  # noqa: PLR0913 # one stage of every command, whose callers each need other parts of it
    sides: Mapping[str, ModelRef],
    plan: ExecutionPlan,
    cases: Sequence[GoldenCase],
    cache: Cache,
    on_progress: Progress,
    *,
    with_text: bool = False,
    only: Mapping[str, Collection[str]] | None = None,
    open_engine: OpenEngine | None = None,
    on_answers: OnAnswers = lambda side, answers: None,
) -> dict[str, Answers]:
    """Answer all cases on all sides, and score their references and the bundled text where needed.

    Args:
        sides: The models, by side.
        plan: How to compute.
        cases: The selected cases.
        cache: Looked up first; every finished batch is written to it.
        on_progress: Told how many answers of a stage are there.
        with_text: Whether the bundled passages are scored too.
        only: Keys of the cases that a side answers, for sides that don't answer all.
        open_engine: Called only if an answer is missing; loads the models by default.
        on_answers: Given each side's answers as they come, the kept ones first.

    Raises:
        EngineError: The model failed on a batch.
        AdapterError: An adapter changes nothing.
    """
    asked_of = {
        side: [case for case in cases if only is None or side not in only or case.key in only[side]]
        for side in sides
    }
    asked = [
        GenerationRequest(
            key=key,
            side=side,
            messages=case.messages,
            settings=replace(case.generation, seed=case.generation.seed + number),
        )
        for side in sides
        for case in asked_of[side]
        for number, key in enumerate(case.answer_keys)
    ]
    references = [request for side in sides for request in _references_of(side, asked_of[side])]
    passages = [request for side in sides for request in _passages_of(side)] if with_text else []
    apart = _divergences_of(sides) if with_text else []
    texts = [*references, *passages, *apart]
    keys = [completion_key(sides[r.side], plan, r.messages, r.settings, r.key) for r in asked]
    text_keys = [
        loss_key(sides[r.side], plan, r.messages, r.text, sides[r.against] if r.against else None)
        for r in texts
    ]
    completions = {i: kept for i, key in enumerate(keys) if (kept := cache.get_completion(key))}
    losses = {i: loss for i, key in enumerate(text_keys) if (loss := cache.get_loss(key))}
    _hand_over(asked, completions, on_answers)
    missing = [i for i in range(len(asked)) if i not in completions]
    missing_texts = [i for i in range(len(texts)) if i not in losses]
    needed = {asked[i].side for i in missing} | {texts[i].side for i in missing_texts}
    needed |= {against for i in missing_texts if (against := texts[i].against)}
    if needed:
        plan = replace(plan, mixed=plan.mixed and len(needed) > 1)
        opened = {side: sides[side] for side in sides if side in needed}
        on_progress("loading", 0, len(opened))
        engine = (open_engine or open_sides)(opened, plan)
        if plan.weights != "merged":
            # Merged weights can't be had without what was merged into them.
            _check_alive(engine, opened, cache)
        on_progress("loading", len(opened), len(opened))

        def keep_completions(batch: Mapping[int, Completion]) -> None:
            done = {missing[i]: completion for i, completion in batch.items()}
            cache.put_all({keys[i]: completion for i, completion in done.items()})
            completions.update(done)
            _hand_over(asked, done, on_answers)
            on_progress("answering", len(completions), len(asked))

        def keep_losses(batch: Mapping[int, TextLoss]) -> None:
            done = {missing_texts[i]: loss for i, loss in batch.items()}
            cache.put_all({text_keys[i]: loss for i, loss in done.items()})
            losses.update(done)
            on_progress("scoring texts", len(losses), len(texts))

        on_progress("answering", len(completions), len(asked))
        if missing:
            engine.generate([asked[i] for i in missing], keep_completions)
        if missing_texts:
            engine.losses([texts[i] for i in missing_texts], keep_losses)
    reference_losses: dict[str, dict[str, tuple[TextLoss, ...]]] = {side: {} for side in sides}
    for i, request in enumerate(references):
        of_side = reference_losses[request.side]
        of_side[request.key] = (*of_side.get(request.key, ()), losses[i])
    of_text = range(len(references), len(texts))
    return {
        side: Answers(
            completions={asked[i].key: completions[i] for i in range(len(asked)) if asked[i].side == side},
            reference_losses=reference_losses[side],
            text_losses=tuple(losses[i] for i in of_text if texts[i].side == side and not texts[i].against),
            divergences={
                other: tuple(losses[i] for i in of_text if (texts[i].side, texts[i].against) == (side, other))
                for other in dict.fromkeys(texts[i].against for i in of_text if texts[i].side == side)
                if other is not None
            },
            plan=plan,
        )
        for side in sides
    }


def _hand_over(
    asked: Sequence[GenerationRequest], done: Mapping[int, Completion], on_answers: OnAnswers
) -> None:
    by_side: dict[str, dict[str, Completion]] = {}
    for i, completion in done.items():
        by_side.setdefault(asked[i].side, {})[asked[i].key] = completion
    for side, answers in by_side.items():
        on_answers(side, answers)


def _check_alive(engine: Engine, sides: Mapping[str, ModelRef], cache: Cache) -> None:
    for side, model in sides.items():
        if not cache.has(liveness_key(model)):
            check_alive(engine, side, model)
            cache.put_finding(liveness_key(model))


def _references_of(side: str, cases: Sequence[GoldenCase]) -> list[LossRequest]:
    """The references that a perplexity check scores, in the order of their cases."""
    return [
        LossRequest(key=case.key, side=side, text=reference, messages=case.messages)
        for case in cases
        if any(check.type == "perplexity" for check in case.checks)
        for reference in case.references
    ]


def _passages_of(side: str) -> list[LossRequest]:
    return [LossRequest(key=name, side=side, text=text) for name, text in load_passages().items()]


def _divergences_of(sides: Mapping[str, ModelRef]) -> list[LossRequest]:
    """Each candidate's divergence on each passage from what it is held against, where they share a base."""
    return [
        LossRequest(key=name, side=side, text=text, against=other)
        for side, model in sides.items()
        if side not in {BASELINE, ORIGIN}
        for other in (BASELINE, ORIGIN)
        if other in sides and sides[other].base_sha256 == model.base_sha256
        for name, text in load_passages().items()
    ]
