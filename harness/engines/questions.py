"""Answers requests with loaded sides: by our loop over a batch, or one at a time by the library.

Tokens other than those of the largest logit are chosen by a model's own settings, or at random.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from harness.engines.base import GenerationRequest, OnText
from harness.engines.decode import Choose, Ending, Row, Watch, decode_batch, pad_rows, sampler
from harness.engines.library_decoder import decode_alone
from harness.engines.side import Side, adapted, empty_cache, vocabulary
from harness.errors import ModelError, first_line
from harness.prompts.reasoning import AnswerWatch, answer_so_far, read_answer
from harness.prompts.rendering import RenderedPrompt
from harness.types import Completion

if TYPE_CHECKING:
    import torch


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


# The keys of a generation config that act on a greedy answer through transformers' logits processors, or name
# its end.
_FOLLOWED = frozenset(
    [
        *("repetition_penalty", "encoder_repetition_penalty", "no_repeat_ngram_size"),
        *("encoder_no_repeat_ngram_size", "bad_words_ids", "min_length", "min_new_tokens"),
        *("forced_bos_token_id", "forced_eos_token_id", "remove_invalid_values", "renormalize_logits"),
        *("exponential_decay_length_penalty", "suppress_tokens", "begin_suppress_tokens", "sequence_bias"),
        *("watermarking_config", "eos_token_id", "pad_token_id", "bos_token_id", "decoder_start_token_id"),
    ]
)


# Those in whose place the golden set's own settings stand.
_SET_BY_CASES = frozenset(
    [
        *("do_sample", "temperature", "top_k", "top_p", "min_p", "top_h", "typical_p", "epsilon_cutoff"),
        *("eta_cutoff", "max_length", "max_new_tokens"),
    ]
)


# Those that change no token of a single greedy answer: how fast it is computed, what is returned beside it,
# and what only beams read.
_WITHOUT_EFFECT = frozenset(
    [
        *("use_cache", "max_cache_len", "early_stopping", "length_penalty", "low_memory", "use_mtp"),
        *("output_attentions", "output_hidden_states", "output_scores", "output_logits"),
        *("return_dict_in_generate", "is_assistant", "num_assistant_tokens", "num_assistant_tokens_schedule"),
        *("assistant_confidence_threshold", "prompt_lookup_num_tokens", "max_matching_ngram_size"),
        *("assistant_early_exit", "assistant_lookbehind", "target_lookbehind", "assistant_ensemble_weight"),
        *("speculation_type", "compile_config", "disable_compile", "continuous_batching_config"),
        *("prefill_chunk_size", "transformers_version", "cache_config"),
    ]
)


# Values that mean: off.
_OFF: dict[str, tuple[object, ...]] = {
    "num_beams": (1,),
    "num_beam_groups": (1,),
    "num_return_sequences": (1,),
    "diversity_penalty": (0,),
    "guidance_scale": (1,),
    "penalty_alpha": (0,),
    "cache_implementation": ("dynamic", "dynamic_full", "static", "offloaded", "offloaded_static", "hybrid"),
}


def chooser(request: GenerationRequest, side: Side, prompt: Sequence[int]) -> Choose | None:
    """The function that chooses a request's tokens.

    Args:
        request: The request.
        side: The side that answers.
        prompt: The prompt's tokens, which count for penalties too.

    Returns:
        The function; None for the most probable token.
    """
    settings, draw = request.settings, sampler(request, side.model.device)
    if not settings.use_model_settings:
        return None if draw is None else lambda logits, _tokens: draw(logits)
    process = _model_settings(side, prompt, settings.token_limit)

    def choose(logits: torch.Tensor, tokens: list[int]) -> int:
        logits = process(logits, [*prompt, *tokens])
        return int(logits.argmax()) if draw is None else draw(logits)

    return choose


def refuse_unfollowed(side: Side, key: str) -> None:
    """Check that answers by the model's own settings can follow all of them.

    Args:
        side: The side that answers.
        key: The request's name in messages.

    Raises:
        ModelError: Its generation config sets a key that ``generate`` would follow and our loop doesn't, or
            one to a value that can't be followed.
    """
    import torch

    found = {
        name: value
        for name, value in vars(side.model_settings).items()
        if name in _known_keys() - _FOLLOWED - _SET_BY_CASES - _WITHOUT_EFFECT
        and value is not None
        and value is not False
        and value not in _OFF.get(name, ())
    }
    if found:
        shown = ", ".join(f"{name}: {value!r}" for name, value in sorted(found.items()))
        raise ModelError(
            f"{key}: use_model_settings: the generation config of {side.model.config._name_or_path} sets "
            f"{shown}, which the gate doesn't follow; remove it from generation_config.json, or leave "
            f"use_model_settings out"
        )
    try:
        _model_settings(side, [0], 1)(torch.zeros(vocabulary(side), device=side.model.device), [0])
    except Exception as error:  # transformers checks some values here, and others with the first token
        raise ModelError(
            f"{key}: use_model_settings: the generation config of {side.model.config._name_or_path} can't be "
            f"followed: {first_line(error)}; correct it, or leave use_model_settings out"
        ) from error


def _known_keys() -> set[str]:
    """The keys that transformers' generate knows; models' files hold others too, which nothing reads."""
    from transformers import GenerationConfig

    known: set[str] = set(vars(GenerationConfig()))  # type: ignore[no-untyped-call] # transformers leaves it so
    return {name for name in known if not name.startswith("_")}


def _model_settings(
    side: Side, prompt: Sequence[int], limit: int
) -> Callable[[torch.Tensor, list[int]], torch.Tensor]:
    """The effects of the model's generation config on logits: penalties, suppressed and forced tokens.

    Its settings for sampling and its largest length are ignored: those of the golden set apply, also for the
    place of a forced end token.
    """
    import torch

    settings = copy.deepcopy(side.model_settings)
    settings.do_sample, settings.num_beams, settings.guidance_scale = False, 1, None
    settings.update(**settings._get_default_generation_params(), defaults_only=True)
    settings.max_length = len(prompt) + limit
    device = side.model.device
    eos = sorted(side.stop_ids)
    settings._eos_token_tensor = torch.tensor(eos, device=device) if eos else None
    base: Any = side.model.get_base_model() if hasattr(side.model, "peft_config") else side.model
    processors = base._get_logits_processor(
        generation_config=settings,
        input_ids_seq_length=len(prompt),
        encoder_input_ids=torch.tensor([list(prompt)], device=device),
        device=device,
        model_kwargs={},
    )

    def process(logits: torch.Tensor, tokens: list[int]) -> torch.Tensor:
        ids = torch.tensor([tokens], device=logits.device)
        return processors(ids, logits[None].float())[0]  # type: ignore[no-any-return] # untyped

    return process
