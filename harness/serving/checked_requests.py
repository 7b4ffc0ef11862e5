"""From a checked request to the engine's."""

import asyncio
import itertools
from dataclasses import replace

from harness.engines.base import GenerationRequest
from harness.errors import PromptError
from harness.prompts.rendering import plain_prompt
from harness.serving.models import ServedModels
from harness.serving.protocol import ChatRequest, CompletionRequest

_NUMBERS = itertools.count()


async def chat_requests(served: ServedModels, body: ChatRequest) -> list[GenerationRequest]:
    """The requests of a chat completion, one per answer, with their prompt.

    They are rendered before they join a batch that they could break.

    Raises:
        PromptError: The model can't answer it, or has no room for an answer.
    """
    settings = body.settings()
    request = GenerationRequest(key="request", side=body.model, messages=body.turns, settings=settings)
    form = body.response_format
    request = replace(request, json_schema=None if form is None else form.schema_of_answer)
    request = await asyncio.to_thread(_rendered, served, request)
    return _answers_of(request, body.answers, seeded=body.seed is not None)


async def completion_requests(served: ServedModels, body: CompletionRequest) -> list[GenerationRequest]:
    """The requests of a plain completion: for each prompt as many as there are answers.

    Raises:
        PromptError: A prompt can't be read, or leaves no room for an answer.
    """

    def plain(prompt: str | list[int]) -> GenerationRequest:
        request = GenerationRequest(key="request", side=body.model, messages=(), settings=body.settings())
        return _with_room(served, replace(request, prompt=plain_prompt(tokenizer, prompt)))

    tokenizer = served.engine.tokenizer(body.model)
    requests = await asyncio.to_thread(lambda: [plain(prompt) for prompt in body.prompts()])
    seeded = body.seed is not None
    return [one for request in requests for one in _answers_of(request, body.answers, seeded=seeded)]


def _answers_of(request: GenerationRequest, answers: int, *, seeded: bool) -> list[GenerationRequest]:
    """A request as often as it is to be answered; samples differ by their names."""
    names = ["request", *(f"request#{number}" for number in range(2, answers + 1))]
    if not seeded:
        names = [f"{name}-{next(_NUMBERS)}" for name in names]
    return [replace(request, key=name) for name in names]


def _rendered(served: ServedModels, request: GenerationRequest) -> GenerationRequest:
    if request.json_schema is not None:
        served.engine.check_schema(request.side, request.json_schema)
    prompt = served.engine.render(request.side, request.messages, request.settings)
    return _with_room(served, replace(request, prompt=prompt))


def _with_room(served: ServedModels, request: GenerationRequest) -> GenerationRequest:
    """The request, whose answer ends at the model's context, whatever the requested limit.

    Raises:
        PromptError: There is no room for an answer.
    """
    prompt, context = request.prompt, served.engine.context(request.side)
    if prompt is None or context is None:
        return request
    room, wanted = context - prompt.tokens, request.settings.max_new_tokens
    if room < min(wanted, 1):
        raise PromptError(
            f"the prompt's {prompt.tokens} tokens fill the context of {context}; shorten the prompt"
        )
    return replace(request, settings=replace(request.settings, max_new_tokens=min(wanted, room)))
