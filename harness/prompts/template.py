"""Renders a conversation with a tokenizer's chat template, on a fixed day."""

import datetime
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from harness.errors import PromptError

# Each directive of strftime, which a template may use by a format that need not be in its text.
_DIRECTIVES = (
    *("%-d", "%-m", "%-H", "%-I", "%-M", "%-S", "%-j", "%-y"),
    *("%a", "%A", "%w", "%d", "%b", "%B", "%m", "%y", "%Y", "%H", "%I", "%p", "%M", "%S", "%f", "%j", "%U"),
    *("%W", "%c", "%x", "%X", "%G", "%u", "%V", "%F", "%T", "%D", "%R", "%e", "%z", "%Z"),
)


def write_chat(
    tokenizer: Any,
    turns: Sequence[Mapping[str, Any]],
    kwargs: Mapping[str, Any],
    date: str,
    *,
    for_answer: bool,
    tools: Sequence[Any] = (),
) -> str:
    """The conversation rendered by the chat template.

    Args:
        tokenizer: A tokenizer with a chat template.
        turns: Mappings with ``role`` and ``content``.
        kwargs: Further values for the template, such as ``enable_thinking``.
        date: Today's date for the template, as YYYY-MM-DD.
        for_answer: Whether the beginning of an answer is added after the last turn.
        tools: Tools for the template to describe, in OpenAI's format.

    Raises:
        PromptError: The template refuses the conversation, leaves a message out, or can't be run at all.
    """

    def written(conversation: Sequence[Mapping[str, Any]]) -> str:
        return str(
            tokenizer.apply_chat_template(
                [dict(turn) for turn in conversation],
                chat_template=pin_date(tokenizer.get_chat_template(), date),
                add_generation_prompt=for_answer,
                tokenize=False,
                **({"tools": [dict(tool) for tool in tools]} if tools else {}),
                **kwargs,
            )
        )

    names = [tool["function"]["name"] for tool in tools]
    try:
        text = written(turns)
    except Exception as error:  # a template is a foreign program, which may raise any exception
        if (parts := _in_parts(written, turns, names)) is not None:
            return parts
        raise _refusal(error, turns) from error
    if unknown := [name for name in names if name not in text]:
        problem = f"the chat template leaves the tool {unknown[0]} out"
        raise PromptError(f"{problem}; skip the case, or leave tools out")
    left_out = _left_out(text, turns, names)
    if left_out is None:
        return text
    if (parts := _in_parts(written, turns, names)) is not None:
        return parts
    raise PromptError(f"the chat template leaves the {left_out} message out; {_remedy(turns)}")


def _in_parts(
    written: Callable[[Sequence[Mapping[str, Any]]], str],
    turns: Sequence[Mapping[str, Any]],
    tools: Sequence[str],
) -> str | None:
    """The conversation for a template that reads lists of parts, as for models with images.

    Returns:
        The text, if all messages are in it.
    """
    parts = [{**turn, "content": [{"type": "text", "text": turn["content"]}]} for turn in turns]
    try:
        text = written(parts)
    except Exception:  # the exception of the plain conversation is reported
        return None
    return text if _left_out(text, turns, tools) is None else None


def _left_out(text: str, turns: Sequence[Mapping[str, Any]], tools: Sequence[str]) -> str | None:
    """The role of a message that is not in the text, ignoring white space, which templates trim.

    Earlier answers may be incomplete: templates remove their reasoning. Of a call the tool's name must be
    there, besides those in the descriptions of the ``tools``.
    """
    dense = "".join(text.split())
    for turn in turns:
        if turn["role"] == "tool":
            # Templates may write the result as a JSON text.
            spellings = [turn["content"], json.dumps(turn["content"])[1:-1]]
        else:
            spellings = [turn["content"]] if turn["role"] != "assistant" else []
        if spellings and not any("".join(spelling.split()) in dense for spelling in spellings):
            return str(turn["role"])
    calls = Counter(call["function"]["name"] for turn in turns for call in turn.get("tool_calls", ()))
    missing = any(text.count(name) < count + (name in tools) for name, count in calls.items())
    return "assistant" if missing else None


def _refusal(error: Exception, turns: Sequence[Mapping[str, Any]]) -> PromptError:
    """The message for a template's exception."""
    from jinja2.exceptions import TemplateError

    line = str(error).strip().partition("\n")[0]
    # The template's own raise_exception: jinja's own exceptions are subclasses of this class.
    if type(error) is TemplateError:
        return PromptError(f"the chat template refuses it: {line.rstrip('.')}; {_remedy(turns)}")
    return PromptError(
        f"the chat template can't be run: {type(error).__name__}: {line or 'no reason given'}; "
        f"fix chat_template.jinja (or chat_template in tokenizer_config.json) of the model"
    )


def pin_date(template: str, date: str) -> str:
    """The template with a fixed date; a template without a date is unchanged.

    transformers gives templates a function ``strftime_now``, which can't be replaced by an argument; a macro
    of that name in the template hides it.

    Args:
        template: A chat template in Jinja.
        date: The day, in ISO 8601.
    """
    if "strftime_now" not in template:
        return template
    day = datetime.datetime.fromisoformat(date)
    replaced = "".join(f" | replace({each!r}, {day.strftime(each)!r})" for each in _DIRECTIVES)
    # The line break belongs to the block and is dropped, so the template begins at the start of a line.
    return "{%- macro strftime_now(format) -%}{{- format" + replaced + " -}}{%- endmacro %}\n" + template


def _remedy(turns: Sequence[Mapping[str, Any]]) -> str:
    roles = [turn["role"] for turn in turns]
    if "system" in roles:
        return "leave the system message out or put its text into the first user message"
    if any(role == after for role, after in pairwise(roles)):
        return "let user and assistant take turns"
    return "change the conversation, or skip the case"
