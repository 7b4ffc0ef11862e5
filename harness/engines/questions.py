"""Answers requests with loaded sides: by our loop over a batch, or one at a time by the library."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from harness.engines.base import GenerationRequest, OnText
from harness.engines.decode import Row, decode_batch, pad_rows
from harness.engines.library_decoder import decode_alone
from harness.engines.sampling import chooser
from harness.engines.side import Side, adapted, empty_cache
from harness.prompts.reasoning import AnswerWatch, answer_so_far, read_answer
from harness.prompts.rendering import RenderedPrompt
from harness.types import Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request with everything needed to answer it.

    Attributes:
        tokens: The prompt's tokens.
    """

    request: GenerationRequest
    side: Side
    prompt: RenderedPrompt
    tokens: Sequence[int]

    def row(self) -> Row:
        """Its row for decoding, with its own side's tokenizer."""
        watch = AnswerWatch(self.side.tokenizer, self.prompt.shown, self.request.settings, self.side.stop_ids)
        choose = chooser(self.request, self.side, self.tokens)
        if self.request.json_schema is not None:
            from harness.engines.constrained import following_schema

            choose = following_schema(choose, self.request.json_schema, self.side)
        return Row(watch=watch, choose=choose)

    def completion(self, tokens: Sequence[int], stop_reason: Literal["stop", "length"]) -> Completion:
        """The completion of its answer.

        Args:
            tokens: The answer's token ids.
            stop_reason: Why it ended.
        """
        read = read_answer(self.side.tokenizer, tokens, self.prompt.shown, self.request.settings)
        return Completion(
            text=read.answer,
            reasoning=read.reasoning,
            stop_reason=stop_reason,
            prompt_tokens=len(self.tokens),
            completion_tokens=len(tokens),
            latency_s=0.0,
            prompt=self.prompt.shown,
            prompt_sha256=self.prompt.sha256,
        )


@dataclass(frozen=True, slots=True)
class WrittenAnswer:
    """The tokens of an answer without its end token, why it ended, and that token, if one ended it."""

    tokens: Sequence[int]
    stop_reason: Literal["stop", "length"]
    end: int | None = None


def answer_questions(questions: Sequence[Question], on_text: OnText | None) -> list[Completion]:
    """Answer questions whose sides share batches; the caller records the duration.

    Args:
        questions: The questions.
        on_text: Called with a question's index and its answer's text so far, or None.

    Returns:
        One completion per question, in order.
    """

    def on_tokens(place: int, tokens: list[int]) -> None:
        if on_text is not None:
            asked = questions[place]
            settings, tokenizer = asked.request.settings, asked.side.tokenizer
            on_text(place, answer_so_far(tokenizer, tokens, asked.prompt.shown, settings))

    return [
        question.completion(answer.tokens, answer.stop_reason)
        for question, answer in zip(questions, write_answers(questions, on_tokens), strict=True)
    ]


def write_answers(
    questions: Sequence[Question],
    on_tokens: Callable[[int, list[int]], None] = lambda _place, _tokens: None,
) -> list[WrittenAnswer]:
    """Write the answers to questions whose sides share batches.

    Args:
        questions: At least one question.
        on_tokens: Called with each question's index and its answer's tokens so far, after each token.
    """
    rows = [question.row() for question in questions]
    if questions[0].side.decoder == "library":
        limits = [question.request.settings.token_limit for question in questions]
        reasons = [
            decode_alone(question.side, question.tokens, row, limit, partial(on_tokens, place))
            for place, (question, row, limit) in enumerate(zip(questions, rows, limits, strict=True))
        ]
    else:
        reasons = _decode_together(questions, rows, on_tokens)
    return [
        WrittenAnswer(row.watch.tokens, reason, row.watch.end)
        for row, reason in zip(rows, reasons, strict=True)
    ]


def _decode_together(
    questions: Sequence[Question], rows: Sequence[Row], on_tokens: Callable[[int, list[int]], None]
) -> list[Literal["stop", "length"]]:
    """Our loop over a batch, each row through its side's adapter."""
    import torch

    first, adapters = questions[0].side, [question.side.adapter for question in questions]

    def select_rows(places: list[int]) -> None:
        adapters[:] = [adapters[place] for place in places]

    ids, mask = pad_rows([question.tokens for question in questions], first.pad_id, first.model.device)
    with torch.inference_mode(), adapted(first.model, adapters) as forward:
        cache, cached = empty_cache(first, len(questions))
        return decode_batch(
            forward, cache, ids, mask, rows, select_rows=select_rows, cached=cached, on_tokens=on_tokens
        )
