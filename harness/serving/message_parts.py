"""Parts of messages and of tools, as clients send them."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class TextPart(BaseModel):
    """One part of a message with several parts."""

    type: Literal["text"]
    text: str


class CalledFunction(BaseModel):
    """A tool's name, and its arguments as a JSON text."""

    name: str
    arguments: str = "{}"


class CalledTool(BaseModel):
    """A call of a tool in an earlier turn."""

    function: CalledFunction
    id: str | None = None


class Function(BaseModel):
    """A function that a model may call; its parameters are a JSON Schema."""

    model_config = ConfigDict(extra="allow")

    name: Annotated[str, Field(min_length=1)]
    description: str = ""
    parameters: dict[str, Any] = Field(default_factory=dict)


class OfferedTool(BaseModel):
    """A tool in OpenAI's form."""

    type: Literal["function"]
    function: Function
