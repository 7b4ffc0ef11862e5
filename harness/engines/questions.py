"""Answers requests with loaded sides: by our loop over a batch, or one at a time by the library."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from harness.engines.base import GenerationRequest, OnText
from harness.engines.decode import Ending, Row, Watch, decode_batch, pad_rows
from harness.engines.library_decoder import decode_alone
from harness.engines.side import Side, adapted, chooser, empty_cache
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

    def row(self, sharing: int = 1) -> Row:
        """Its row for decoding, with its own side's tokenizer; its time begins now.

        Args:
            sharing: Number of rows that share the batch's time.
        """
        watch: Watch = AnswerWatch(
            self.side.tokenizer, self.prompt.shown, self.request.settings, self.side.stop_ids
        )
        if self.request.timeout_s is not None:
            watch = TimedWatch(watch, self.request.timeout_s, sharing)
        choose = chooser(self.request, self.side, self.tokens)
        if self.request.json_schema is not None:
            from harness.engines.constrained import following_schema

            choose = following_schema(choose, self.request.json_schema, self.side)
        return Row(watch=watch, choose=choose)

    def completion(self, tokens: Sequence[int], stop_reason: Ending) -> Completion:
        """The completion of its answer.

        Args:
            tokens: The answer's token ids.
            stop_reason: Why it ended.
        """
        read = read_answer(self.side.tokenizer, tokens, self.prompt.shown, self.request.settings)
        return Completion(
            text=read.answer,
            reasoning=read.reasoning,
            stop_reason="stop" if stop_reason == "stop" else "length",
            prompt_tokens=len(self.tokens),
            completion_tokens=len(tokens),
            latency_s=0.0,
            prompt=self.prompt.shown,
            prompt_sha256=self.prompt.sha256,
        )


@dataclass(frozen=True, slots=True)
class LateAnswer:
    """An answer that was stopped at its case's timeout."""

    tokens: int
    timeout_s: float

    def __str__(self) -> str:
        """The reason in a line."""
        tokens = "1 token" if self.tokens == 1 else f"{self.tokens} tokens"
        return f"the answer was stopped after {tokens}: the case's timeout is {self.timeout_s:g} s"


class TimedWatch:
    """Follows an answer as another watch does, and ends it once its share of the batch's time is spent.

    Attributes:
        seconds: The share until the last token.
    """

    def __init__(self, watch: Watch, limit_s: float, sharing: int) -> None:
        """Begin to measure.

        Args:
            watch: Decides everything else.
            limit_s: The most seconds.
            sharing: Number of rows that share the batch's time.
        """
        self.tokens, self.end, self.seconds = watch.tokens, watch.end, 0.0
        self._watch, self._limit_s, self._sharing = watch, limit_s, sharing
        self._started = time.perf_counter()

    def take(self, token: int) -> Ending | Literal[""]:
        """Add the next token; returns why the answer ended with it, or nothing while it goes on."""
        reason = self._watch.take(token)
        self.end = self._watch.end
        self.seconds = (time.perf_counter() - self._started) / self._sharing
        return "late" if not reason and self.seconds > self._limit_s else reason


@dataclass(frozen=True, slots=True)
class WrittenAnswer:
    """The tokens of an answer without its end token, why it ended, and that token, if one ended it.

    Attributes:
        seconds: Its share of the batch's time until it ended; None without a limit.
    """

    tokens: Sequence[int]
    stop_reason: Ending
    end: int | None = None
    seconds: float | None = None


def answer_questions(questions: Sequence[Question], on_text: OnText | None) -> list[Completion | LateAnswer]:
    """Answer questions whose sides share batches; the caller records the duration of answers without a limit.

    Args:
        questions: The questions.
        on_text: Called with a question's index and its answer's text so far, or None.

    Returns:
        One completion per question, in order; with its own duration where there is a timeout.
    """

    def on_tokens(place: int, tokens: list[int]) -> None:
        if on_text is not None:
            asked = questions[place]
            settings, tokenizer = asked.request.settings, asked.side.tokenizer
            on_text(place, answer_so_far(tokenizer, tokens, asked.prompt.shown, settings))

    return [
        _finished(question, answer)
        for question, answer in zip(questions, write_answers(questions, on_tokens), strict=True)
    ]


def _finished(question: Question, answer: WrittenAnswer) -> Completion | LateAnswer:
    if answer.stop_reason == "late":
        assert question.request.timeout_s is not None
        return LateAnswer(len(answer.tokens), question.request.timeout_s)
    completion = question.completion(answer.tokens, answer.stop_reason)
    return completion if answer.seconds is None else replace(completion, latency_s=answer.seconds)


def write_answers(
    questions: Sequence[Question],
    on_tokens: Callable[[int, list[int]], None] = lambda _place, _tokens: None,
) -> list[WrittenAnswer]:
    """Write the answers to questions whose sides share batches.

    Args:
        questions: At least one question.
        on_tokens: Called with each question's index and its answer's tokens so far, after each token.
    """
    rows: list[Row] = []
    if questions[0].side.decoder == "library":
        reasons: list[Ending] = []
        for place, question in enumerate(questions):
            limit = question.request.settings.token_limit
            rows.append(question.row())
            reasons.append(
                decode_alone(question.side, question.tokens, rows[-1], limit, partial(on_tokens, place))
            )
    else:
        rows += [question.row(len(questions)) for question in questions]
        reasons = _decode_together(questions, rows, on_tokens)
    return [
        WrittenAnswer(row.watch.tokens, reason, row.watch.end, getattr(row.watch, "seconds", None))
        for row, reason in zip(rows, reasons, strict=True)
    ]


def _decode_together(
    questions: Sequence[Question], rows: Sequence[Row], on_tokens: Callable[[int, list[int]], None]
) -> list[Ending]:
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
