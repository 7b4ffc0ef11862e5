"""Conversations as clients send them, checked, and as the harness renders them."""

from itertools import count, groupby
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from harness.metrics.call_json import CallError, json_calls
from harness.metrics.written_calls import words_before_calls
from harness.serving.checked_fields import CheckedFields
from harness.serving.message_parts import CalledTool, OfferedTool, TextPart
from harness.types import RESERVED_KWARGS, JsonValue, Message, ToolCall


class ChatMessage(CheckedFields):
    """One turn."""

    neutral: ClassVar = {
        **dict.fromkeys(("prefix", "partial"), (False,)),
        "refusal": ("",),
        "type": ("text", "message"),
    }
    without_effect: ClassVar = frozenset(
        (
            *("id", "annotations", "tool_calls_in_content", "provider_specific_fields", "cache_control"),
            # The gate too asks a further turn without the reasoning of earlier answers.
            *("reasoning_content", "reasoning", "reasoning_details", "thinking_blocks"),
        )
    )

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None
    tool_calls: list[CalledTool] | None = None
    tool_call_id: str | None = None
    name: str | None = None

    @model_validator(mode="after")
    def _says_something(self) -> "ChatMessage":
        if self.content is None and not self.tool_calls:
            raise ValueError("a message without content")
        return self

    def as_message(self) -> Message:
        """The turn as a message of the harness.

        Raises:
            ValueError: The arguments of a call are no JSON object.
        """
        content = self.content or ""
        text = content if isinstance(content, str) else "".join(part.text for part in content)
        calls: list[ToolCall] = []
        for one in self.tool_calls or []:
            try:
                calls += json_calls(one.model_dump(mode="json", include={"function"}))
            except CallError as error:
                raise ValueError(str(error)) from None
        role = "system" if self.role == "developer" else self.role
        if calls:
            # Our own replies have the calls in their text too, where the template would write them again.
            text = words_before_calls(text, [call.name for call in calls])
        return Message(role=role, content=text, tool_calls=tuple(calls), name=self.name)


class Conversation(CheckedFields):
    """What a chat template reads, if there is any."""

    messages: Annotated[list[ChatMessage], Field(min_length=1)] | None = None
    tools: list[OfferedTool] | None = None
    tool_choice: Literal["auto", "none"] | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    reasoning_effort: str | None = None

    @model_validator(mode="after")
    def _reads_template(self) -> "Conversation":
        if taken := sorted(RESERVED_KWARGS & set(self.chat_template_kwargs or {})):
            raise ValueError(f"chat_template_kwargs: {taken[0]} is not a value of the template")
        for message in self.messages or []:
            message.as_message()
        return self

    @property
    def turns(self) -> tuple[Message, ...]:
        """The messages. Results of tools have the names of these, and are in the order of their calls."""
        found: list[ChatMessage] = []
        # A client may use an id again in a later turn.
        places: dict[str | None, int] = {}
        tools: dict[str | None, str] = {}
        numbers = count()
        for is_result, group in groupby(self.messages or [], lambda message: message.role == "tool"):
            some = list(group)
            if is_result and all(message.tool_call_id in places for message in some):
                # Tools that run at the same time end in any order, and a template may go by that alone.
                some.sort(key=lambda message: places[message.tool_call_id])
            for message in some:
                name = message.name or tools.get(message.tool_call_id) if is_result else message.name
                found.append(message.model_copy(update={"name": name}))
                calls = [call for call in message.tool_calls or [] if call.id is not None]
                places |= {call.id: next(numbers) for call in calls}
                tools |= {call.id: call.function.name for call in calls}
        return tuple(message.as_message() for message in found)

    @property
    def offered_tools(self) -> tuple[JsonValue, ...]:
        """The tools that the template describes."""
        return () if self.tool_choice == "none" else tuple(tool.model_dump() for tool in self.tools or [])

    @property
    def template_values(self) -> dict[str, JsonValue]:
        """Values for the template."""
        effort = {} if self.reasoning_effort is None else {"reasoning_effort": self.reasoning_effort}
        return {**effort, **(self.chat_template_kwargs or {})}
