"""The supported part of the OpenAI protocol: requests are checked, replies are formatted."""

import time
import uuid
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from harness.types import RESERVED_KWARGS, Completion, GenerationSettings, Message

# Options that would change the answer and are not supported. They are refused, not ignored.
_REFUSED: dict[str, tuple[object, ...]] = {
    "n": (None, 1),
    "response_format": (None, {"type": "text"}),
    "tools": (None, []),
    "tool_choice": (None, "none"),
    "functions": (None, []),
    "logprobs": (None, False),
    "logit_bias": (None, {}),
    "presence_penalty": (None, 0),
    "frequency_penalty": (None, 0),
}


class TextPart(BaseModel):
    """One part of a message with several parts."""

    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    """One turn."""

    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart]

    def as_message(self) -> Message:
        """The turn as a message of the harness."""
        text = self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)
        return Message(role="system" if self.role == "developer" else self.role, content=text)


class StreamOptions(BaseModel):
    """Options of a stream."""

    include_usage: bool = False


class ChatRequest(BaseModel):
    """A request for a chat completion."""

    model_config = ConfigDict(extra="allow")

    model: str
    messages: Annotated[list[ChatMessage], Field(min_length=1)]
    max_tokens: Annotated[int | None, Field(ge=1, le=32768)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1, le=32768)] = None
    temperature: Annotated[float | None, Field(ge=0, le=5)] = None
    top_p: Annotated[float | None, Field(gt=0, le=1)] = None
    seed: int | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    reasoning_effort: str | None = None
    stop: str | list[str] | None = None
    stream: bool = False
    stream_options: StreamOptions | None = None

    @model_validator(mode="after")
    def _supported(self) -> "ChatRequest":
        for name, allowed in _REFUSED.items():
            if (self.__pydantic_extra__ or {}).get(name) not in allowed:
                raise ValueError(f"{name} is not supported")
        if taken := sorted(RESERVED_KWARGS & set(self.chat_template_kwargs or {})):
            raise ValueError(f"chat_template_kwargs: {taken[0]} is not a value of the template")
        return self

    def settings(self) -> GenerationSettings:
        """The settings of sampling; greedy unless the request says otherwise."""
        effort = {} if self.reasoning_effort is None else {"reasoning_effort": self.reasoning_effort}
        stop = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return GenerationSettings(
            max_new_tokens=self.max_completion_tokens or self.max_tokens or 512,
            temperature=self.temperature or 0.0,
            top_p=self.top_p or 1.0,
            seed=(self.seed or 0) % 2**32,
            stop=tuple(one for one in stop if one),
            chat_template_kwargs={**effort, **(self.chat_template_kwargs or {})},
        )


class EmbeddingRequest(BaseModel):
    """A request for embeddings."""

    model: str
    input: str | Annotated[list[str], Field(min_length=1, max_length=2048)]
    encoding_format: Literal["float", "base64"] = "float"

    def texts(self) -> list[str]:
        """The texts in a list."""
        return [self.input] if isinstance(self.input, str) else self.input


def chat_reply(model: str, completion: Completion) -> dict[str, Any]:
    """A whole completion.

    Args:
        model: The served model's name.
        completion: The answer.

    Returns:
        The reply's JSON.
    """
    message = {"role": "assistant", "content": completion.text}
    if completion.reasoning is not None:
        message["reasoning_content"] = completion.reasoning
    choice = {"index": 0, "message": message, "finish_reason": completion.stop_reason, "logprobs": None}
    return {**_head("chat.completion", model), "choices": [choice], "usage": usage_of(completion)}


def new_stream(model: str) -> dict[str, Any]:
    """The common fields of all chunks of a stream."""
    return _head("chat.completion.chunk", model)


def chunk(head: dict[str, Any], delta: dict[str, str], finish_reason: str | None = None) -> dict[str, Any]:
    """One chunk of a stream.

    Args:
        head: The common fields of all chunks.
        delta: The text of this chunk.
        finish_reason: Why the answer ended; only in the last chunk.

    Returns:
        The chunk's JSON.
    """
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason, "logprobs": None}
    return {**head, "choices": [choice]}


def usage_of(completion: Completion) -> dict[str, int]:
    """A completion's tokens."""
    return {
        "prompt_tokens": completion.prompt_tokens,
        "completion_tokens": completion.completion_tokens,
        "total_tokens": completion.prompt_tokens + completion.completion_tokens,
    }


def error_reply(message: str, kind: str, code: str | None = None) -> dict[str, Any]:
    """An error in the protocol's form.

    Args:
        message: The text for people.
        kind: The protocol's kind of error.
        code: The protocol's code, if any.

    Returns:
        The reply's JSON.
    """
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _head(kind: str, model: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": model,
    }
