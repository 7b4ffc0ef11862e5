"""The engine that runs base models and adapters on this machine, with transformers and PEFT."""

from __future__ import annotations

import inspect
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from harness.engines.base import GenerationRequest, LossRequest, OnText
from harness.engines.batching import pack_batches
from harness.engines.decode import before_stop, decode_batch, own_stream, pad_id, stop_ids
from harness.engines.loading import Side, load_sides, quiet_load
from harness.engines.prompt_learning import virtual_tokens
from harness.engines.shared_prompts import logits_behind
from harness.errors import EngineError
from harness.prompts.rendering import RenderedPrompt, prompt_ids, render_prompt, text_ids
from harness.types import Completion, ExecutionPlan, GenerationSettings, Message, ModelRef, TextLoss

if TYPE_CHECKING:
    import torch

# PEFT's name for "no adapter" inside a mixed batch.
_NO_ADAPTER = "__base__"
# Logits of a scored text are rows x tokens x vocabulary: 1024 tokens of a 49 152-word vocabulary are 0.2 GB.
_LOSS_BATCH_TOKENS = 1024


class TransformersEngine:
    """Base models and adapters loaded once, answering in batches.

    Sides that share a base model share its weights; where the plan says *mixed*, they share batches too.
    """

    def __init__(self, sides: Mapping[str, ModelRef], plan: ExecutionPlan) -> None:
        """Load what ``sides`` name.

        Args:
            sides: The model behind each side, such as ``candidate`` and ``baseline``.
            plan: How to compute; ``dtype`` is a torch dtype's name, ``device`` a torch device.
        """
        with quiet_load():
            import torch

            self.plan = plan
            self._torch = torch
            self._device = torch.device(plan.device)
            self._sides = load_sides(sides, plan)

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        on_batch: Callable[[Mapping[int, Completion]], None],
        on_text: OnText | None = None,
    ) -> None:
        """Answer all requests, a batch at a time; ``on_text`` gets each answer's text so far, token by token.

        Raises:
            EngineError: The model failed on a batch; the message names its first case.
        """
        prompts = [self._request_ids(request) for request in requests]
        for batch in self._batches(
            [request.side for request in requests],
            [len(prompt) for prompt in prompts],
            [request.settings.max_new_tokens for request in requests],
            self.plan.batch_tokens,
        ):
            with _named_failures("generating", requests[batch[0]].key):
                rows = [requests[index] for index in batch]
                completions = self._generate_batch(
                    rows, [prompts[index] for index in batch], on_text and _renumbered(on_text, batch)
                )
            on_batch(dict(zip(batch, completions, strict=True)))

    def losses(
        self, requests: Sequence[LossRequest], on_batch: Callable[[Mapping[int, TextLoss]], None]
    ) -> None:
        """Cross-entropy of each text given its conversation, a batch at a time.

        Raises:
            EngineError: The model failed on a batch, or a text has no token to score.
        """
        prompts = [self._context_ids(request) for request in requests]
        texts = [self._ids(request.side, request.text) for request in requests]
        for request, text in zip(requests, texts, strict=True):
            if not text:
                raise EngineError(f"{request.key}: the text to score is empty")
        # A divergence compares two sides row by row, so it shares no batch with plain losses.
        kinds = [
            f"{request.side} against {request.against}" if request.against else "" for request in requests
        ]
        # Texts behind one prompt stay together in a batch as if all were as long as the longest.
        longest: dict[tuple[str, tuple[int, ...]], int] = {}
        questions = [(request.side, tuple(ids)) for request, ids in zip(requests, prompts, strict=True)]
        for question, text in zip(questions, texts, strict=True):
            longest[question] = max(longest.get(question, 0), len(text))
        for batch in self._batches(
            [request.side for request in requests],
            [len(prompt) for prompt in prompts],
            [longest[question] for question in questions],
            min(self.plan.batch_tokens, _LOSS_BATCH_TOKENS),
            kinds=kinds,
        ):
            with _named_failures("scoring a text of", requests[batch[0]].key):
                losses = self._loss_batch(
                    [requests[index] for index in batch],
                    [prompts[index] for index in batch],
                    [texts[index] for index in batch],
                )
            on_batch(dict(zip(batch, losses, strict=True)))

    def largest_logit_change(self, side: str, conversations: Sequence[tuple[Message, ...]]) -> float:
        """Largest absolute difference that a side's adapter makes to the next-token logits."""
        entry = self._sides[side]
        largest = 0.0
        for messages in conversations:
            ids = self._torch.tensor([self._prompt_ids(side, messages)], device=self._device)
            with self._torch.inference_mode():
                # One row at a time with and without: the same shapes, so that rounding cannot differ.
                cache, _ = self._cache(entry, 1)
                with_adapter = self._forward(entry.model, [entry.adapter])(
                    input_ids=ids, past_key_values=cache
                ).logits[0, -1]
                without = self._forward(entry.model, [None])(input_ids=ids).logits[0, -1]
            largest = max(largest, float((with_adapter - without).abs().max()))
        return largest

    def next_token_logits(
        self, side: str, conversations: Sequence[tuple[Message, ...]]
    ) -> list[torch.Tensor]:
        """Logits of the next token after each conversation, (vocabulary,) each, one at a time."""
        entry, found = self._sides[side], []
        for messages in conversations:
            ids = self._torch.tensor([self._prompt_ids(side, messages)], device=self._device)
            with self._torch.inference_mode():
                cache, _ = self._cache(entry, 1)
                forward = self._forward(entry.model, [entry.adapter])
                found.append(forward(input_ids=ids, past_key_values=cache).logits[0, -1].float().cpu())
        return found

    def _batches(
        self,
        sides: Sequence[str],
        prompt_tokens: Sequence[int],
        answer_tokens: Sequence[int],
        budget: int,
        kinds: Sequence[str] | None = None,
    ) -> Iterator[list[int]]:
        """Row indices of each batch; kinds stay apart, sides too unless the plan mixes those of a base."""
        groups: dict[object, list[int]] = {}
        for index, side in enumerate(sides):
            weights = id(self._sides[side].model) if self.plan.mixed else side
            groups.setdefault((weights, kinds[index] if kinds else ""), []).append(index)
        for rows in groups.values():
            packed = pack_batches(
                [prompt_tokens[row] for row in rows], [answer_tokens[row] for row in rows], budget
            )
            for batch in packed:
                yield [rows[place] for place in batch]

    def _generate_batch(
        self,
        requests: Sequence[GenerationRequest],
        prompts: Sequence[list[int]],
        on_text: OnText | None,
    ) -> list[Completion]:
        started = time.perf_counter()
        first = self._sides[requests[0].side]
        tokenizer, model = first.tokenizer, first.model
        adapters = [self._sides[request.side].adapter for request in requests]
        ids, mask = self._pad(prompts, left=True, pad=pad_id(tokenizer))

        def select_rows(places: list[int]) -> None:
            adapters[:] = [adapters[place] for place in places]

        def to_text(tokens: list[int]) -> str:
            return str(tokenizer.decode(tokens, skip_special_tokens=True))

        def on_tokens(place: int, tokens: list[int]) -> None:
            if on_text is not None:
                on_text(place, before_stop(to_text(tokens), requests[place].settings.stop))

        with self._torch.inference_mode():
            cache, cached = self._cache(first, len(requests))
            decoded = decode_batch(
                self._forward(model, adapters),
                cache,
                ids,
                mask,
                [own_stream(request) for request in requests],
                stop_ids=stop_ids(model, tokenizer),
                to_text=to_text,
                select_rows=select_rows,
                cached=cached,
                on_tokens=None if on_text is None else on_tokens,
            )
        latency_s = (time.perf_counter() - started) / len(requests)
        return [
            Completion(
                text=before_stop(to_text(row.tokens), request.settings.stop),
                stop_reason="stop" if row.stop_reason == "stop" else "length",
                prompt_tokens=len(prompt),
                completion_tokens=len(row.tokens),
                latency_s=latency_s,
            )
            for request, prompt, row in zip(requests, prompts, decoded, strict=True)
        ]

    def _loss_batch(
        self, requests: Sequence[LossRequest], prompts: Sequence[list[int]], texts: Sequence[list[int]]
    ) -> list[TextLoss]:
        if shared := self._shared_losses(requests, prompts, texts):
            return shared
        torch = self._torch
        first = self._sides[requests[0].side]
        adapters = [self._sides[request.side].adapter for request in requests]
        joined = [prompt + text for prompt, text in zip(prompts, texts, strict=True)]
        ids, mask = self._pad(joined, left=False, pad=pad_id(first.tokenizer))
        # The token at place p is predicted from p - 1; a text's very first token has nothing before it.
        # Logits of the prompts that all rows begin with are not needed: they would take a good part of the
        # time, and over long prompts more memory than the model.
        starts = [max(len(prompt) - 1, 0) for prompt in prompts]
        skipped = min(starts)
        with torch.inference_mode():
            logits = self._text_logits(first, adapters, ids, mask, skipped)  # (rows, places, vocabulary)
            if requests[0].against is None:
                nats = torch.nn.functional.cross_entropy(  # (rows, places)
                    logits.transpose(1, 2), ids[:, skipped + 1 :], reduction="none"
                )
            else:
                other = self._sides[requests[0].against]
                others = [other.adapter] * len(requests)
                theirs = self._text_logits(other, others, ids, mask, skipped).log_softmax(-1)
                nats = (theirs.exp() * (theirs - logits.log_softmax(-1))).sum(-1)
        losses = []
        for row, (request, start, joint) in enumerate(zip(requests, starts, joined, strict=True)):
            scored = nats[row, start - skipped : len(joint) - 1 - skipped]
            if scored.numel() == 0:
                raise EngineError(f"{request.key}: one token with nothing before it can't be scored")
            losses.append(
                TextLoss(
                    passage=request.key, nats_per_token=float(scored.double().mean()), tokens=scored.numel()
                )
            )
        return losses

    def _shared_losses(
        self, requests: Sequence[LossRequest], prompts: Sequence[list[int]], texts: Sequence[list[int]]
    ) -> list[TextLoss]:
        """The same where several texts stand behind one prompt; empty where none do."""
        torch, first = self._torch, self._sides[requests[0].side]
        asked = [(request.side, tuple(ids)) for request, ids in zip(requests, prompts, strict=True)]
        places = {question: place for place, question in enumerate(dict.fromkeys(asked))}
        if len(places) == len(asked) or requests[0].against is not None or not all(prompts):
            return []
        pad = pad_id(first.tokenizer)
        text_ids, text_mask = self._pad(texts, left=False, pad=pad)
        with torch.inference_mode():
            cache, cached = self._cache(first, len(places))
            logits = logits_behind(
                self._forward(first.model, [self._sides[side].adapter for side, _ in places]),
                self._forward(first.model, [self._sides[side].adapter for side, _ in asked]),
                cache,
                self._pad([list(ids) for _, ids in places], left=True, pad=pad),
                (text_ids, text_mask),
                [places[question] for question in asked],
                cached=cached,
            )
            nats = torch.nn.functional.cross_entropy(  # (texts, tokens)
                logits.float().transpose(1, 2), text_ids, reduction="none"
            )
        return [
            TextLoss(
                passage=request.key,
                nats_per_token=float(nats[row, : len(text)].double().mean()),
                tokens=len(text),
            )
            for row, (request, text) in enumerate(zip(requests, texts, strict=True))
        ]

    def _text_logits(
        self,
        side: Side,
        adapters: Sequence[str | None],
        ids: torch.Tensor,
        mask: torch.Tensor,
        skipped: int,
    ) -> torch.Tensor:
        """Logits that each place but the skipped first ones and the last gives the next token.

        Returns:
            (rows, tokens - 1 - skipped, vocabulary).
        """
        cache, cached = self._cache(side, len(ids))
        mask = self._torch.cat([mask.new_ones(len(ids), cached), mask], dim=-1)
        inputs = {"input_ids": ids, "attention_mask": mask, "past_key_values": cache}
        forward = self._forward(side.model, adapters)
        if "logits_to_keep" in inspect.signature(side.model.forward).parameters:
            kept = self._torch.arange(skipped, ids.shape[1] - 1, device=ids.device)
            return forward(**inputs, logits_to_keep=kept).logits.float()  # type: ignore[no-any-return] # untyped
        return forward(**inputs).logits[:, skipped:-1].float()  # type: ignore[no-any-return] # as above

    def _cache(self, side: Side, rows: int) -> tuple[Any, int]:
        """A key/value cache that holds the side's virtual tokens, if it has any, and their number."""
        from transformers import DynamicCache

        return (
            (DynamicCache(config=side.model.config), 0)
            if side.prompt is None
            else virtual_tokens(side.prompt, rows)
        )

    def _forward(self, model: Any, adapters: Sequence[str | None]) -> Callable[..., Any]:
        """The model's forward with each row through its adapter, or through none."""
        if not hasattr(model, "peft_config"):
            return model  # type: ignore[no-any-return] # transformers' modules are untyped here
        names = set(adapters)
        if names == {None}:

            def without_adapter(**inputs: Any) -> Any:
                with model.disable_adapter():
                    return model(**inputs)

            return without_adapter
        if len(names) == 1:
            if model.active_adapter != adapters[0]:
                model.set_adapter(adapters[0])
            return model  # type: ignore[no-any-return] # as above
        return lambda **inputs: model(**inputs, adapter_names=[name or _NO_ADAPTER for name in adapters])

    def _pad(self, rows: Sequence[list[int]], *, left: bool, pad: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Token ids and attention mask, both (rows, longest)."""
        longest = max(len(row) for row in rows)
        ids, mask = [], []
        for row in rows:
            fill, zeros = [pad] * (longest - len(row)), [0] * (longest - len(row))
            ids.append(fill + row if left else row + fill)
            mask.append(zeros + [1] * len(row) if left else [1] * len(row) + zeros)
        return (
            self._torch.tensor(ids, device=self._device),
            self._torch.tensor(mask, device=self._device),
        )

    def render(self, side: str, messages: Sequence[Message], settings: GenerationSettings) -> RenderedPrompt:
        """A conversation as a side's model reads it.

        Raises:
            PromptError: Its chat template refuses the conversation.
        """
        return render_prompt(self._sides[side].tokenizer, messages, settings)

    def _prompt_ids(self, side: str, messages: Sequence[Message]) -> list[int]:
        tokenizer = self._sides[side].tokenizer
        return prompt_ids(tokenizer, render_prompt(tokenizer, messages, GenerationSettings()))

    def _request_ids(self, request: GenerationRequest | LossRequest) -> list[int]:
        prompt = request.prompt or self.render(request.side, request.messages, request.settings)
        return prompt_ids(self._sides[request.side].tokenizer, prompt)

    def _context_ids(self, request: LossRequest) -> list[int]:
        if request.messages:
            return self._request_ids(request)
        # Nothing stands before a text on its own: even a BOS that prompts go without helps its first token.
        begin = self._sides[request.side].tokenizer.bos_token_id
        return [] if begin is None else [begin]

    def _ids(self, side: str, text: str) -> list[int]:
        return text_ids(self._sides[side].tokenizer, text)


def _renumbered(on_text: OnText, batch: Sequence[int]) -> OnText:
    """As ``on_text``, for places in a batch instead of places among all requests."""
    return lambda place, text: on_text(batch[place], text)


@contextmanager
def _named_failures(doing: str, key: str) -> Iterator[None]:
    try:
        yield
    except (RuntimeError, ValueError, MemoryError) as error:
        remedy = "; a smaller --gate-batch-tokens needs less" if "memory" in str(error).lower() else ""
        raise EngineError(f"{doing} the batch of {key} failed: {error}{remedy}") from error
