"""The engine that runs base models and adapters on this machine, with transformers and PEFT."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from harness.engines.base import GenerationRequest, LossRequest, OnEarly, OnText
from harness.engines.constrained import following_schema
from harness.engines.decode import pack_batches
from harness.engines.library_faults import Batches, answer_or_split
from harness.engines.loading import leave_busy_cores, quiet_load
from harness.engines.model_settings import refuse_unfollowed
from harness.engines.precision import SPLIT
from harness.engines.questions import (
    LateAnswer,
    Question,
    StreamSettings,
    WrittenAnswer,
    answer_questions,
    parts_of,
    with_shared,
    write_answers,
)
from harness.engines.side import refuse_unknown_tokens, whole_model
from harness.engines.sides import LoadedSides, load_sides
from harness.engines.split import warn_of_weights_away
from harness.engines.text_losses import nats_of, option_ids, scored_text
from harness.engines.traced import TokenRow, TracedAnswer, trace_rows
from harness.errors import CasesFailedError, EngineError
from harness.prompts.rendering import RenderedPrompt, prompt_ids, render_prompt, text_ids
from harness.prompts.tokenizers import places
from harness.prompts.training import render_begun, render_direct
from harness.types import Completion, ExecutionPlan, GenerationSettings, Message, ModelRef, TextLoss

if TYPE_CHECKING:
    import torch

# Logits of a scored text are rows x tokens x vocabulary: 1024 tokens of a 49 152-word vocabulary are 0.2 GB.
_LOSS_BATCH_TOKENS = 1024


def load_engine(sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> TransformersEngine:
    """Load the models of all sides.

    Args:
        sides: The model behind each side, such as ``candidate`` and ``baseline``.
        plan: How to compute; ``dtype`` is a torch dtype's name, ``device`` a torch device.
    """
    with leave_busy_cores(plan), quiet_load():
        loaded = load_sides(sides, plan)
    if SPLIT in plan.device:
        warn_of_weights_away(side.model for side in loaded.sides.values())
    return TransformersEngine(loaded, plan)


class TransformersEngine:
    """Base models and adapters loaded once, answering in batches.

    Sides with the same base model share its weights if that changes no answer; if the plan is *mixed*, they
    share batches too.

    Attributes:
        plan: How it computes, with each side's placement.
        sides: The loaded sides by name.
        on_early: Called with answers that have ended while others of their batch go on.
    """

    on_early: OnEarly | None = None

    def __init__(self, loaded: LoadedSides, plan: ExecutionPlan) -> None:
        """Answer with sides that are in memory.

        Args:
            loaded: The sides, and how each is run.
            plan: How they compute.
        """
        import torch

        self._torch = torch
        self.sides = loaded.sides
        mixed = any(placement.batches == "mixed" for placement in loaded.placements)
        self.plan = replace(plan, mixed=mixed, placements=loaded.placements)

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        on_batch: Callable[[Mapping[int, Completion]], None],
        on_text: OnText | None = None,
    ) -> None:
        """Answer all requests batch by batch; ``on_text`` gets each answer's text so far, token by token.

        Raises:
            ModelError: A prompt has a token without an embedding in the model, or the model has settings that
                can't be followed.
            CasesFailedError: The model failed on some of the requests; all others were answered.
            EngineError: It failed on all of them.
        """
        with late_answers_apart(on_batch) as split:
            answer_or_split(self.answer_batches(requests, on_text), split)

    def answer_batches(
        self, requests: Sequence[GenerationRequest], on_text: OnText | None = None, workers: int = 1
    ) -> Batches[Completion | LateAnswer]:
        """The batches in which requests are answered, to be computed one by one.

        Args:
            requests: The requests.
            on_text: Called with an index and the answer's text so far.
            workers: How many will compute them: each gets its part of those that are refilled.

        Raises:
            ModelError: As for generate.
        """
        asked = with_shared([self._question(request) for request in requests])
        batches = [
            part
            for batch in self._batches(
                [request.side for request in requests],
                [len(question.tokens) for question in asked],
                [request.settings.token_limit for request in requests],
                self.plan.batch_tokens,
                refilled=True,
            )
            for part in parts_of(batch, asked, self.plan.batch_tokens, workers)
        ]
        stream = StreamSettings(budget=self.plan.batch_tokens)

        def answer(batch: Sequence[int]) -> dict[int, Completion | LateAnswer]:
            started, questions = time.perf_counter(), [asked[index] for index in batch]
            told = replace(stream, tell=self.on_early and _all_renumbered(self.on_early, batch))
            answered = answer_questions(questions, on_text and _renumbered(on_text, batch), told)
            # A batch is measured as a whole: its answers are one measurement, which comparisons know by this.
            latency_s = (time.perf_counter() - started) / len(batch)
            return {
                index: one
                if isinstance(one, LateAnswer) or one.latency_s
                else replace(one, latency_s=latency_s)
                for index, one in zip(batch, answered, strict=True)
            }

        return Batches(rows=batches, keys=[request.key for request in requests], compute=answer)

    def losses(
        self, requests: Sequence[LossRequest], on_batch: Callable[[Mapping[int, TextLoss]], None]
    ) -> None:
        """Cross-entropy of each text given its conversation, batch by batch.

        Raises:
            EngineError: The model failed on a batch, or a text has no token to score.
        """
        answer_or_split(self.loss_batches(requests), on_batch)

    def loss_batches(self, requests: Sequence[LossRequest]) -> Batches[TextLoss]:
        """The batches in which texts are scored, to be computed one by one.

        Raises:
            EngineError: A text has no token to score.
        """
        prompts = [self._context_ids(request) for request in requests]
        texts = [self._ids(request.side, request.text) for request in requests]
        for place, request in enumerate(requests):
            if request.options:
                prompts[place], texts[place] = option_ids(
                    self.sides[request.side].tokenizer, self._rendered(request), prompts[place], request
                )
        for request, text in zip(requests, texts, strict=True):
            if not text:
                raise EngineError(f"{request.key}: the text to score is empty")
        # A divergence compares two sides row by row, so it shares no batch with plain losses.
        kinds = [
            f"{request.side} against {request.against}" if request.against else "" for request in requests
        ]
        # Texts after one prompt stay together in a batch, counted with the length of the longest.
        longest: dict[tuple[str, tuple[int, ...]], int] = {}
        questions = [(request.side, tuple(ids)) for request, ids in zip(requests, prompts, strict=True)]
        for question, text in zip(questions, texts, strict=True):
            longest[question] = max(longest.get(question, 0), len(text))
        batches = self._batches(
            [request.side for request in requests],
            [len(prompt) for prompt in prompts],
            [longest[question] for question in questions],
            min(self.plan.batch_tokens, _LOSS_BATCH_TOKENS),
            kinds=kinds,
        )

        def score(batch: Sequence[int]) -> dict[int, TextLoss]:
            asked = [
                scored_text(requests[row], self.sides, prompts[row], texts[row], self._context_ids)
                for row in batch
            ]
            return {
                row: TextLoss(
                    passage=requests[row].key, nats_per_token=float(nats.double().mean()), tokens=nats.numel()
                )
                for row, nats in zip(batch, nats_of(asked), strict=True)
            }

        return Batches(rows=list(batches), keys=[request.key for request in requests], compute=score)

    def largest_logit_change(self, side: str) -> float:
        """Largest absolute change of the base's logits or embeddings by a side's adapter."""
        return self.sides[side].change

    def next_token_logits(self, requests: Sequence[GenerationRequest]) -> list[torch.Tensor]:
        """Logits of the next token after each request's prompt, (vocabulary,) each, one at a time."""
        found = []
        for request in requests:
            entry = self.sides[request.side]
            tokens = prompt_ids(entry.tokenizer, self._rendered(request))
            ids = self._torch.tensor([tokens], device=entry.model.device)
            with self._torch.inference_mode(), whole_model(entry) as model:
                logits = model(input_ids=ids, attention_mask=self._torch.ones_like(ids)).logits
                found.append(logits[0, -1].float().cpu())
        return found

    def trace(
        self, requests: Sequence[GenerationRequest], most: int | None, *, with_prompts: bool = False
    ) -> list[TracedAnswer]:
        """Answer requests, with the log-probability of each token.

        Args:
            requests: The requests; one with ``max_new_tokens=0`` gets an empty answer.
            most: How many of the likeliest tokens are listed at each place; None for the tokens alone.
            with_prompts: Whether the prompts' tokens are traced too.

        Returns:
            One traced answer per request, in order.

        Raises:
            ModelError: A prompt has a token without an embedding in the model, or the model has settings that
                can't be followed.
        """
        asked = [self._question(request) for request in requests]
        limits = [request.settings.token_limit for request in requests]
        sides, prompt_tokens = [request.side for request in requests], [len(each.tokens) for each in asked]
        written = [WrittenAnswer([], "length") for _ in requests]
        for batch in self._batches(sides, prompt_tokens, limits, self.plan.batch_tokens):
            if rows := [row for row in batch if limits[row]]:
                for row, answer in zip(rows, write_answers([asked[row] for row in rows]), strict=True):
                    written[row] = answer
        budget = min(self.plan.batch_tokens, _LOSS_BATCH_TOKENS)
        found: dict[int, TracedAnswer] = {}
        for batch in self._batches(sides, prompt_tokens, [len(each.all_tokens) for each in written], budget):
            texts = [
                TokenRow(side=asked[row].side, ids=[*asked[row].tokens, *written[row].all_tokens])
                for row in batch
            ]
            for row, traced in zip(batch, trace_rows(texts, most), strict=True):
                start, answer = prompt_tokens[row], written[row]
                ended = start + len(answer.tokens)
                found[row] = TracedAnswer(
                    completion=asked[row].completion(answer.tokens, answer.stop_reason),
                    prompt=tuple(traced[:start]) if with_prompts else (),
                    answer=tuple(traced[start:ended]),
                    end=None if answer.end is None else traced[ended],
                )
        return [found[row] for row in range(len(requests))]

    def _question(self, request: GenerationRequest) -> Question:
        prompt, side = self._rendered(request), self.sides[request.side]
        tokens = prompt_ids(side.tokenizer, prompt)
        refuse_unknown_tokens(side, tokens, request.key)
        if request.settings.use_model_settings:
            refuse_unfollowed(side, request.key)
        return Question(request=request, side=side, prompt=prompt, tokens=tokens)

    def check_schema(self, side: str, schema: Mapping[str, Any]) -> None:
        """Check that a side's answers can follow a JSON Schema.

        Args:
            side: The side.
            schema: The schema.

        Raises:
            PromptError: They can't.
        """
        following_schema(None, schema, self.sides[side])

    def stop_ids(self, side: str) -> frozenset[int]:
        """The tokens that end a side's answers."""
        return self.sides[side].stop_ids

    def tokenizer(self, side: str) -> Any:
        """The tokenizer of a side's model."""
        return self.sides[side].tokenizer

    def _batches(
        self,
        sides: Sequence[str],
        prompt_tokens: Sequence[int],
        answer_tokens: Sequence[int],
        budget: int,
        kinds: Sequence[str] | None = None,
        *,
        refilled: bool = False,
    ) -> Iterator[list[int]]:
        """Row indices of each batch; kinds are separate, and so are sides unless they may share batches.

        With ``refilled``, all rows of sides that refill their batches are one batch.
        """
        groups: dict[tuple[str, str], list[int]] = {}
        for index, side in enumerate(sides):
            groups.setdefault((self.sides[side].group, kinds[index] if kinds else ""), []).append(index)
        for rows in groups.values():
            if refilled and self.sides[sides[rows[0]]].refills:
                yield rows
                continue
            # A model that can't be batched gets one row at a time.
            alone = self.sides[sides[rows[0]]].decoder == "library"
            packed = pack_batches(
                [prompt_tokens[row] for row in rows],
                [answer_tokens[row] for row in rows],
                0 if alone else budget,
            )
            for batch in packed:
                # Neighbours with one adapter are computed together.
                yield sorted((rows[place] for place in batch), key=lambda row: sides[row])

    def render(
        self,
        side: str,
        messages: Sequence[Message],
        settings: GenerationSettings,
        *,
        direct: bool = False,
    ) -> RenderedPrompt:
        """The rendered conversation for a side's model.

        Args:
            side: The side.
            messages: The conversation.
            settings: The settings of rendering.
            direct: Whether an opened reasoning is closed in the prompt.

        Raises:
            PromptError: Its chat template refuses the conversation.
        """
        render = render_direct if direct else render_prompt
        return render(self.sides[side].tokenizer, messages, settings)

    def context(self, side: str) -> int | None:
        """Largest number of tokens of prompt and answer together for a side's model; None for no limit."""
        return places(self.sides[side].model.config)

    def _rendered(self, request: GenerationRequest | LossRequest) -> RenderedPrompt:
        if request.prompt is None and isinstance(request, LossRequest):
            tokenizer = self.sides[request.side].tokenizer
            return render_begun(tokenizer, request.messages, request.settings, request.texts)
        return request.prompt or self.render(request.side, request.messages, request.settings)

    def _context_ids(self, request: LossRequest) -> list[int]:
        tokenizer = self.sides[request.side].tokenizer
        if request.messages:
            return prompt_ids(tokenizer, self._rendered(request))
        # A text on its own has no prompt before it: even a BOS that prompts don't have helps its first token.
        return [] if tokenizer.bos_token_id is None else [tokenizer.bos_token_id]

    def _ids(self, side: str, text: str) -> list[int]:
        return text_ids(self.sides[side].tokenizer, text)


@contextmanager
def late_answers_apart(
    on_batch: Callable[[Mapping[int, Completion]], None],
) -> Iterator[Callable[[Mapping[int, Completion | LateAnswer]], None]]:
    """Pass on the answers of batches that are not late, and raise for the late ones at the end.

    Args:
        on_batch: Called with the answers that are not late.

    Raises:
        CasesFailedError: Answers were late.
    """
    late: dict[int, str] = {}

    def split(batch: Mapping[int, Completion | LateAnswer]) -> None:
        late.update({index: str(one) for index, one in batch.items() if isinstance(one, LateAnswer)})
        on_batch({index: one for index, one in batch.items() if not isinstance(one, LateAnswer)})

    try:
        yield split
    except CasesFailedError as error:
        raise CasesFailedError({**error.failures, **late}) from error
    if late:
        raise CasesFailedError(late)


def _renumbered(on_text: OnText, batch: Sequence[int]) -> OnText:
    return lambda place, text: on_text(batch[place], text)


def _all_renumbered(on_early: OnEarly, batch: Sequence[int]) -> OnEarly:
    return lambda found: on_early({batch[place]: one for place, one in found.items()})
