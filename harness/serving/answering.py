"""Answers to the engine's requests, and their tokens."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from harness.engines.base import GenerationRequest
from harness.engines.micro_batch import Trace
from harness.engines.traced import TracedAnswer
from harness.prompts.rendering import (
    RenderedPrompt,
    chat_turns,
    plain_prompt,
    prompt_ids,
    render_prompt,
    text_ids,
    write_chat,
)
from harness.serving.models import ServedModels
from harness.types import Completion, GenerationSettings, Message

if TYPE_CHECKING:
    from fastapi import Request

_T = TypeVar("_T")
# As nginx calls it; nobody reads it.
_GONE = 499


async def while_connected(request: "Request", work: Coroutine[Any, Any, _T]) -> _T:
    """The result of work for a client; it is given up once the client has gone.

    Args:
        request: The client's.
        work: What it waits for.

    Raises:
        HTTPException: The client has gone.
    """
    from fastapi import HTTPException

    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(_until_gone(request))
    try:
        await asyncio.wait((working, watching), return_when=asyncio.FIRST_COMPLETED)
        # What can't be watched is there.
        if not working.done() and watching.exception() is None:
            raise HTTPException(_GONE, "the client has gone")
        return await working
    finally:
        working.cancel()
        watching.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def _until_gone(request: "Request") -> None:
    # What comes behind a whole request is nothing else.
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def answer(served: ServedModels, requests: Sequence[GenerationRequest]) -> list[Completion]:
    """Answer requests in one batch.

    Args:
        served: The models.
        requests: The requests.

    Raises:
        EngineError: The model failed.
    """
    return list(await asyncio.gather(*(served.batcher.generate(request) for request in requests)))


async def trace(
    served: ServedModels, requests: Sequence[GenerationRequest], most: int | None, *, with_prompt: bool
) -> list[TracedAnswer]:
    """Answer requests in one batch, with their tokens.

    Args:
        served: The models.
        requests: The requests.
        most: How many of the likeliest tokens at each place; None for the tokens alone.
        with_prompt: Whether the prompts' tokens are traced too.

    Raises:
        EngineError: The model failed.
    """
    wanted = Trace(most, with_prompt)
    return list(await asyncio.gather(*(served.batcher.trace(request, wanted) for request in requests)))


def tokens_of(served: ServedModels, model: str, prompt: RenderedPrompt | str, *, begin: bool) -> list[int]:
    """The tokens of a rendered prompt, or of a text.

    Args:
        served: The models.
        model: The model's name.
        prompt: The prompt or the text.
        begin: Whether a text gets the tokenizer's beginning.

    Returns:
        Token ids.
    """
    tokenizer = served.engine.tokenizer(model)
    if isinstance(prompt, RenderedPrompt):
        return prompt_ids(tokenizer, prompt)
    return list(plain_prompt(tokenizer, prompt).ids) if begin and prompt else text_ids(tokenizer, prompt)


def answered_text(
    served: ServedModels, model: str, turns: Sequence[Message], settings: GenerationSettings
) -> str:
    """A conversation as the model's template writes it, without the beginning of a further answer.

    Args:
        served: The models.
        model: The model's name.
        turns: The conversation.
        settings: The settings of rendering.

    Raises:
        PromptError: The template refuses it.
    """
    tokenizer = served.engine.tokenizer(model)
    if tokenizer.chat_template is None:
        return render_prompt(tokenizer, turns, settings).shown
    kwargs, tools = settings.chat_template_kwargs, settings.tools
    return write_chat(tokenizer, chat_turns(turns), kwargs, settings.date, for_answer=False, tools=tools)


def text_of(served: ServedModels, model: str, tokens: Sequence[int]) -> str:
    """The text of tokens, with their special ones.

    Args:
        served: The models.
        model: The model's name.
        tokens: Token ids.
    """
    tokenizer = served.engine.tokenizer(model)
    return str(tokenizer.decode(tokens, skip_special_tokens=False, clean_up_tokenization_spaces=False))
