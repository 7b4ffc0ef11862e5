"""Samples answers of a model in training, with the gate's own prompts and decoder."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any

from rich.console import Console
from rich.progress import Progress

from harness.engines.base import GenerationRequest
from harness.engines.decode import pack_batches
from harness.engines.questions import Question, WrittenAnswer, write_answers
from harness.engines.side import Side, accepts
from harness.errors import SettingsError
from harness.prompts.reasoning import read_answer
from harness.prompts.rendering import RenderedPrompt, prompt_ids, render_prompt
from harness.types import GenerationSettings

_BATCH_TOKENS = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class SampledAnswer:
    """One answer.

    Attributes:
        text: The answer, without its reasoning unless the settings score that too.
        reasoning: None if there is none.
        written: The model's whole text, including special tokens.
        tokens: Its tokens, with the end token, if one ended it.
    """

    text: str
    reasoning: str | None
    written: str
    tokens: tuple[int, ...] = ()


def sample_answers(
    model: Any,
    tokenizer: Any,
    requests: Sequence[GenerationRequest],
    console: Console | None = None,
) -> list[SampledAnswer]:
    """Answer each request once; those above temperature 0 with their own random stream.

    Args:
        model: A causal language model; afterwards it is in the mode that it was in.
        tokenizer: The model's, with its own chat template.
        requests: The requests, of any side. A request without a rendered prompt is rendered here.
        console: Where progress is shown; nowhere by default.

    Raises:
        PromptError: The chat template refuses a conversation.
    """
    side = side_of(model, tokenizer)
    questions = [_question(request, side) for request in requests]
    batches = pack_batches(
        [len(question.tokens) for question in questions],
        [request.settings.token_limit for request in requests],
        _BATCH_TOKENS if side.decoder == "batched" else 0,
    )
    found: dict[int, SampledAnswer] = {}
    shown = console is not None and console.is_terminal
    with answering(model), Progress(console=console, disable=not shown, transient=True) as progress:
        for batch in progress.track(batches, description="sampling"):
            answers = write_answers([questions[row] for row in batch])
            for row, answer in zip(batch, answers, strict=True):
                prompt, settings = questions[row].prompt.shown, requests[row].settings
                read = read_tokens(tokenizer, answer.tokens, prompt, settings)
                found[row] = replace(read, tokens=_with_end(answer))
    return [found[row] for row in range(len(requests))]


def sample_tokens(
    model: Any, tokenizer: Any, prompts: Sequence[Sequence[int]], settings: GenerationSettings, key: str
) -> list[list[int]]:
    """Answer prompts that are tokens already, all in one batch.

    Args:
        model: A causal language model that our decoder can run; afterwards it is in the mode that it was in.
        tokenizer: The model's.
        prompts: The prompts' tokens.
        settings: How answers are sampled.
        key: Names these answers: with the settings' seed it gives each its random stream.

    Returns:
        Each answer's tokens, with the end token, if one ended it.
    """
    side = side_of(model, tokenizer)
    questions = [
        Question(
            request=GenerationRequest(key=f"{key}/{place}", side="trained", messages=(), settings=settings),
            side=side,
            prompt=RenderedPrompt(text=str(tokenizer.decode(tokens)), tokens=len(tokens)),
            tokens=tokens,
            together=True,
        )
        for place, tokens in enumerate(prompts)
    ]
    with answering(model):
        return [list(_with_end(answer)) for answer in write_answers(questions)]


@contextmanager
def answering(model: Any) -> Iterator[None]:
    """Let a model in training answer; at the end it is in the mode that it was in.

    Raises:
        SettingsError: Its logits are no numbers.
    """
    was_training = model.training
    model.eval()
    try:
        yield
    except ArithmeticError as error:
        raise SettingsError(
            "learning_rate: the model's logits became NaN; no adapter was written; lower the rate, or give "
            "dtype: float32 where the base itself leaves the range of float16"
        ) from error
    finally:
        model.train(was_training)


def _with_end(answer: WrittenAnswer) -> tuple[int, ...]:
    return (*answer.tokens, *(() if answer.end is None else (answer.end,)))


def _question(request: GenerationRequest, side: Side) -> Question:
    prompt = request.prompt or render_prompt(side.tokenizer, request.messages, request.settings)
    return Question(request=request, side=side, prompt=prompt, tokens=prompt_ids(side.tokenizer, prompt))


def side_of(model: Any, tokenizer: Any) -> Side:
    """A model in training as a side of the gate's engine.

    Args:
        model: A causal language model, or PEFT's around it.
        tokenizer: The model's.
    """
    learnt = getattr(model, "active_peft_config", None)
    base = model.get_base_model() if hasattr(model, "peft_config") else model
    virtual = learnt is not None and learnt.is_prompt_learning
    return Side(
        model=base if virtual else model,
        adapter=None if virtual or learnt is None else str(model.active_adapter),
        tokenizer=tokenizer,
        model_settings=base.generation_config,
        prompt=model if virtual else None,
        decoder="batched" if accepts(model, "past_key_values") else "library",
    )


def end_tokens(model: Any, tokenizer: Any) -> frozenset[int]:
    """The tokens that end an answer at the gate: those of the model's generation config and the tokenizer's.

    Args:
        model: A causal language model.
        tokenizer: The model's.
    """
    return side_of(model, tokenizer).stop_ids


def read_tokens(
    tokenizer: Any,
    tokens: Sequence[int],
    prompt: str,
    settings: GenerationSettings,
    ends: Collection[int] = (),
) -> SampledAnswer:
    """The answer in tokens.

    Args:
        tokenizer: The model's.
        tokens: Its tokens; an end token and everything after it don't count.
        prompt: The rendered prompt.
        settings: As for ``read_answer``.
        ends: The end tokens; none where the tokens are without one.
    """
    written = list(takewhile(lambda token: token not in ends, tokens))
    parts = read_answer(tokenizer, written, prompt, settings)
    return SampledAnswer(
        text=parts.answer,
        reasoning=parts.reasoning,
        written=str(tokenizer.decode(written, skip_special_tokens=False)),
    )


def as_completion(answer: SampledAnswer) -> list[dict[str, str | None]]:
    """An answer in the form for rewards: a turn, with the reasoning separate."""
    return [{"role": "assistant", "content": answer.text, "reasoning": answer.reasoning}]
