"""Answers requests with loaded sides: by our loops over batches, or one at a time by the library."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Literal

from harness.engines.base import GenerationRequest, OnText
from harness.engines.batch_decoder import decode_batch
from harness.engines.decode import (
    EXPECTED_TOKENS,
    Choose,
    Ending,
    Row,
    StreamRow,
    Watch,
    own_seed,
    pad_rows,
    sampler,
    shared_lengths,
)
from harness.engines.library_decoder import decode_alone
from harness.engines.model_settings import chooser
from harness.engines.side import Side, adapted, empty_cache, open_stream
from harness.golden.decided import FindsJson, is_decided, looks_for_json
from harness.prompts.reasoning import AnswerWatch, read_answer
from harness.prompts.rendering import RenderedPrompt
from harness.prompts.running import AnswerSoFar, settled
from harness.registry import load_function
from harness.types import Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A request with everything needed to answer it.

    Attributes:
        tokens: The prompt's tokens.
        shared: Number of its first tokens that other questions to its side have too.
        together: Its tokens are drawn together with those of the batch's other rows, which takes less time
            in large batches; for settings with a temperature, and without the model's own ones.
    """

    request: GenerationRequest
    side: Side
    prompt: RenderedPrompt
    tokens: Sequence[int]
    shared: int = 0
    together: bool = False

    def row(self, clock: Callable[[], float] = time.perf_counter) -> Row:
        """Its row for decoding, with its own side's tokenizer; its time begins now.

        Args:
            clock: A row's share of the time of all batches, in seconds.
        """
        watch: Watch = AnswerWatch(
            self.side.tokenizer, self.prompt.shown, self.request.settings, self.side.stop_ids
        )
        if self.request.settings.decided_by and not self.side.tokenizer.clean_up_tokenization_spaces:
            watch = DecidedWatch(watch, self)
        if self.request.timeout_s is not None:
            watch = TimedWatch(watch, self.request.timeout_s, clock)
        if self.together:
            from harness.engines.drawing import Draw, OwnRandom

            settings, random = self.request.settings, OwnRandom(own_seed(self.request))
            draw_of = Draw(temperature=settings.temperature, top_p=settings.top_p, random=random)
            return Row(watch=watch, draw=draw_of)
        if self.request.settings.use_model_settings:
            choose: Choose | None = chooser(self.request, self.side, self.tokens)
        else:
            choose = sampler(self.request, self.side.model.device)
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


_FINDS_JSON = "harness.metrics.json_search:contains_for_good"


class DecidedWatch:
    """Follows an answer as another watch does, and ends it once the checks of its case are decided."""

    def __init__(self, watch: Watch, question: Question) -> None:
        """Begin to follow.

        Args:
            watch: Decides everything else.
            question: Has the conditions.
        """
        self.tokens, self.end = watch.tokens, watch.end
        self._watch, self._settings = watch, question.request.settings
        self._so_far = AnswerSoFar(question.side.tokenizer, question.prompt.shown, self._settings)
        self._finds_json: FindsJson = lambda _answer, _schema: False
        if looks_for_json(self._settings.decided_by):
            self._finds_json = load_function(_FINDS_JSON, "stop_when_decided")

    def take(self, token: int) -> Ending | Literal[""]:
        """Add the next token; returns why the answer ended with it, or nothing while it goes on."""
        reason = self._watch.take(token)
        self.end = self._watch.end
        if reason:
            return reason
        # A stop text that has begun cuts off its beginning too, if it comes.
        begun = settled(self._so_far.of(self.tokens), self._settings.stop)
        return "stop" if is_decided(self._settings.decided_by, begun, self._finds_json) else ""


class TimedWatch:
    """Follows an answer as another watch does, and ends it once its share of the batch's time is spent.

    Attributes:
        seconds: The share until the last token.
    """

    def __init__(self, watch: Watch, limit_s: float, clock: Callable[[], float]) -> None:
        """Begin to measure.

        Args:
            watch: Decides everything else.
            limit_s: The most seconds.
            clock: A row's share of the time of all batches, in seconds.
        """
        self.tokens, self.end, self.seconds = watch.tokens, watch.end, 0.0
        self._watch, self._limit_s, self._clock, self._started = watch, limit_s, clock, clock()

    def take(self, token: int) -> Ending | Literal[""]:
        """Add the next token; returns why the answer ended with it, or nothing while it goes on."""
        reason = self._watch.take(token)
        self.end = self._watch.end
        self.seconds = self._clock() - self._started
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

    @property
    def all_tokens(self) -> list[int]:
        """The tokens, the one that ended the answer included."""
        return [*self.tokens, *([] if self.end is None else [self.end])]


def with_shared(asked: Sequence[Question]) -> list[Question]:
    """The questions with the number of first tokens that are read once for several of them."""
    sides: dict[str, list[int]] = {}
    for place, question in enumerate(asked):
        if question.side.refills:
            sides.setdefault(question.request.side, []).append(place)
    found = list(asked)
    for owned in sides.values():
        lengths = shared_lengths([asked[place].tokens for place in owned])
        for place, shared in zip(owned, lengths, strict=True):
            found[place] = replace(asked[place], shared=shared)
    return found


# A worker gets no fewer rows: reading the weights for few takes as long as for many.
SMALLEST_PART = 8
# A part is stored as a whole: it has so many times the rows that are under way at a time, if those are few.
_FILLS, _MANY_ROWS = 4, 512
# Answers that have ended are told so often.
_TOLD_EVERY_S = 5.0
# Rows with the same first tokens are together as far as they are this fraction of a part.
_TOGETHER = 1 / 8


def parts_of(batch: list[int], asked: Sequence[Question], budget: int, workers: int) -> list[list[int]]:
    """A batch as it is dealt out: one that is refilled in parts that take about as long each.

    They are as large as can be: a step of few rows takes nearly as long as one of many.

    Args:
        batch: Indices of questions.
        asked: All questions.
        budget: Most rows times tokens of the longest one.
        workers: Number of workers, each of which gets as many parts.

    Returns:
        The parts. Rows with the same first tokens are together, the longest first.
    """
    if not asked[batch[0]].side.refills:
        return [batch]
    limits = {row: min(asked[row].request.settings.token_limit, EXPECTED_TOKENS) for row in batch}
    under_way = max(1, budget // max(len(asked[row].tokens) + limit for row, limit in limits.items()))
    most = max(under_way, min(_FILLS * under_way, _MANY_ROWS))
    number = workers * -(-len(batch) // (workers * most))
    parts: list[list[int]] = [[] for _ in range(min(number, -(-len(batch) // SMALLEST_PART)))]
    groups: dict[tuple[int, ...], list[int]] = {}
    lengths = {row: (asked[row].request.settings.token_limit, len(asked[row].tokens)) for row in batch}
    for row in sorted(batch, key=lengths.__getitem__, reverse=True):
        groups.setdefault(tuple(asked[row].tokens[: asked[row].shared]), []).append(row)
    held = max(1, int(len(batch) / len(parts) * _TOGETHER))
    pieces = [group[at : at + held] for group in groups.values() for at in range(0, len(group), held)]
    work = {row: len(asked[row].tokens) - asked[row].shared + limit for row, limit in limits.items()}
    loads = [0] * len(parts)
    weighed = [(sum(work[row] for row in piece), piece) for piece in pieces]
    for load, piece in sorted(weighed, key=lambda one: one[0], reverse=True):
        least = loads.index(min(loads))
        parts[least] += piece
        loads[least] += load
    place = {row: number for number, row in enumerate(row for group in groups.values() for row in group)}
    return [sorted(part, key=place.__getitem__) for part in parts]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """How many answers are written at a time where batches are refilled.

    Attributes:
        budget: Most rows times tokens of the longest one.
        tell: Called with answers that have ended, by place, every few seconds while others go on.
        kept: Keys and values of first tokens, kept for the questions to come, by the sides' group: another
            model, or an adapter with other virtual tokens, reads the same tokens differently.
    """

    budget: float = math.inf
    tell: Callable[[Mapping[int, Completion]], object] | None = None
    kept: dict[str, dict[Any, Any]] = field(default_factory=dict)


def answer_questions(
    questions: Sequence[Question], on_text: OnText | None, stream: StreamSettings | None = None
) -> list[Completion | LateAnswer]:
    """Answer questions whose sides share batches; the caller records the duration of answers without a limit.

    Args:
        questions: The questions.
        on_text: Called with a question's index and its answer's text so far, or None.
        stream: How many are answered at a time, for sides that refill their batches.

    Returns:
        One completion per question, in order; with its own duration where there is a timeout.
    """
    begun: dict[int, AnswerSoFar] = {}

    def on_tokens(place: int, tokens: list[int]) -> None:
        if on_text is not None:
            if place not in begun:
                asked = questions[place]
                begun[place] = AnswerSoFar(asked.side.tokenizer, asked.prompt.shown, asked.request.settings)
            on_text(place, begun[place].of(tokens))

    return [
        _finished(question, answer)
        for question, answer in zip(questions, write_answers(questions, on_tokens, stream), strict=True)
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
    stream: StreamSettings | None = None,
) -> list[WrittenAnswer]:
    """Write the answers to questions whose sides share batches.

    Args:
        questions: At least one question.
        on_tokens: Called with each question's index and its answer's tokens so far, after each token.
        stream: How many are written at a time, for sides that refill their batches.
    """
    if questions[0].side.refills:
        ended = _decode_refilled(questions, on_tokens, stream or StreamSettings())
        rows, reasons = [row for row, _ in ended], [reason for _, reason in ended]
    elif questions[0].side.decoder == "library":
        rows, reasons = [], []
        for place, question in enumerate(questions):
            limit = question.request.settings.token_limit
            rows.append(question.row())
            reasons.append(
                decode_alone(question.side, question.tokens, rows[-1], limit, partial(on_tokens, place))
            )
    else:
        rows = [question.row(lambda: time.perf_counter() / len(questions)) for question in questions]
        reasons = _decode_together(questions, rows, on_tokens)
    return [_written(row, reason) for row, reason in zip(rows, reasons, strict=True)]


def _written(row: Row, reason: Ending) -> WrittenAnswer:
    return WrittenAnswer(row.watch.tokens, reason, row.watch.end, getattr(row.watch, "seconds", None))


def _decode_refilled(
    questions: Sequence[Question], on_tokens: Callable[[int, list[int]], None], settings: StreamSettings
) -> list[tuple[Row, Ending]]:
    """The loop in which the next question takes the place of one that is answered."""
    import torch

    side, adapters = questions[0].side, [question.side.adapter for question in questions]
    found: dict[int, tuple[Row, Ending]] = {}
    untold, began = dict(found), (told_at := time.perf_counter())

    def on_ended(row: StreamRow, reason: Ending) -> None:
        nonlocal told_at
        assert row.row is not None
        found[row.index] = untold[row.index] = row.row, reason
        if settings.tell and (now := time.perf_counter()) - told_at > _TOLD_EVERY_S:
            ended = {place: _finished(questions[place], _written(*one)) for place, one in untold.items()}
            share_s = (now - began) / len(found)
            early = {place: one for place, one in ended.items() if isinstance(one, Completion)}
            settings.tell({n: replace(one, latency_s=one.latency_s or share_s) for n, one in early.items()})
            untold.clear()
            told_at = time.perf_counter()

    if side.group not in settings.kept:
        settings.kept.clear()  # one group's questions come after another's
    kept = settings.kept.setdefault(side.group, {})
    opened = open_stream(side, adapters, budget=settings.budget, kept=kept)
    with torch.inference_mode(), opened as stream:
        stream.add(
            [
                StreamRow(
                    index=place,
                    prompt=question.tokens,
                    limit=question.request.settings.token_limit,
                    adapter=question.side.adapter,
                    shared=question.shared,
                    begin=question.row,
                )
                for place, question in enumerate(questions)
            ]
        )
        stream.write(on_ended, on_tokens)
    return [found[place] for place in range(len(questions))]


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
