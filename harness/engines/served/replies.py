"""Reads replies of servers, whatever they wrote into the protocol's fields."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from harness.engines.served.address import SECRET, without_keys
from harness.engines.served.client import PassingFaultError, RefusedError

_FILTERED = 451
# Of an error in a reply that has status 200: OpenRouter and other gateways.
_SHOWN = 200
# Why a server ended an answer that is none: SGLang, OpenRouter, DeepSeek, Zhipu, Gemini and others.
_BROKEN = frozenset(
    [
        *("error", "abort", "aborted", "cancelled", "canceled", "insufficient_system_resource"),
        *("network_error", "malformed_function_call"),
    ]
)
_FILTERS = frozenset(
    [
        *("content_filter", "content_filtered", "safety", "recitation", "blocklist", "prohibited_content"),
        *("spii", "sensitive", "guardrail_intervened"),
    ]
)
_CUT = frozenset(
    {"length", "max_tokens", "max_output_tokens", "model_length", "model_context_window_exceeded"}
)
# TGI and Together name the end token.
_WHOLE = frozenset({"stop", "eos", "eos_token", "end_turn", "stop_sequence", "complete", "completed"})
_CALLED = frozenset({"tool_calls", "tool_call", "tool_use", "function_call"})


def first_choice(reply: Any, kind: str) -> Any:
    """The first choice of a reply.

    Args:
        reply: The reply.
        kind: What it should be, for messages.

    Raises:
        PassingFaultError: There is none, or the server broke off.
        RefusedError: A content filter cut the answer.
    """
    choices = getattr(reply, "choices", None)
    if not isinstance(choices, list) or not choices or None in choices:
        said = getattr(reply, "error", None)
        raise PassingFaultError(f"the reply is not a {kind}" + (f": {str(said)[:_SHOWN]}" if said else ""))
    choice = min(choices, key=lambda one: number(getattr(one, "index", 0)))
    reason = _ending(choice)
    if reason in _FILTERS:
        raise RefusedError("the server's content filter cut the answer", _FILTERED)
    if reason in _BROKEN:
        raise PassingFaultError(f"the server broke off the answer ({reason})")
    return choice


def _ending(choice: Any) -> str:
    """Why an answer ended; Gemini writes it in capitals, or with more behind it. Empty where nobody says."""
    reason = getattr(choice, "finish_reason", None)
    return reason.casefold().partition(":")[0].strip() if isinstance(reason, str) else ""


def is_cut(choice: Any) -> bool:
    """Whether the limit of tokens ended an answer."""
    return _ending(choice) in _CUT


def unknown_ending(choice: Any) -> str:
    """Why an answer ended, where it is not known whether it is whole then; else empty."""
    reason = _ending(choice)
    return "" if reason in _CUT | _WHOLE | _CALLED else without_keys(reason)


def is_empty(reply: Any, choice: Any) -> bool:
    """Whether an answer without text is an empty one; otherwise it is no answer.

    SGLang and others write null where the model ended at once.

    Args:
        reply: The reply.
        choice: Its choice, whose text is null.
    """
    reason = _ending(choice)
    return reason in _CUT | _WHOLE or (not reason and tokens_used(reply)[1] > 0)


def number(value: Any) -> int:
    """A count in a reply; 0 where it is no count."""
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else 0


def tokens_used(reply: Any) -> tuple[int, int]:
    """The tokens of the prompt and of the answer; 0 where the server doesn't say."""
    usage = getattr(reply, "usage", None)
    return number(getattr(usage, "prompt_tokens", 0)), number(getattr(usage, "completion_tokens", 0))


def reasoned_unseen(reply: Any) -> bool:
    """Whether the model reasoned without showing it, as hosted models do: only its tokens are counted."""
    details = getattr(getattr(reply, "usage", None), "completion_tokens_details", None)
    return number(getattr(details, "reasoning_tokens", 0)) > 0


def as_text(content: Any) -> str | None:
    """The text of a field; None where it has none.

    Args:
        content: A text, or a list of the parts of one.

    Raises:
        PassingFaultError: It is something else, which would be scored as what it isn't.
    """
    if content is None:
        return None
    if isinstance(content, list):
        texts = [part if isinstance(part, str) else _part(part) for part in content]
        if all(isinstance(text, str) for text in texts):
            content = "".join(texts)
    if not isinstance(content, str):
        raise PassingFaultError("the reply's text is no text")
    # Half a character, which no file can hold.
    text = content.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return without_keys(text, shortest=SECRET)


def _part(part: Any) -> Any:
    return part.get("text") if isinstance(part, Mapping) else getattr(part, "text", None)


def message_text(message: Any) -> str | None:
    """The text of a message, or that of a refusal in its place; None without either.

    Raises:
        PassingFaultError: It can't be read.
    """
    said = as_text(getattr(message, "content", None))
    return said if said else as_text(getattr(message, "refusal", None)) or said


def written_tools(message: Any) -> list[str]:
    """The calls of tools that the server took out of a text, as Hermes and Qwen write them.

    Raises:
        PassingFaultError: A call has no name.
    """
    calls: Sequence[Any] = getattr(message, "tool_calls", None) or []
    # The older form has one call; our own server leaves the calls in the text, and says so.
    alone = getattr(message, "function_call", None)
    functions = [getattr(call, "function", None) for call in calls] or ([alone] if alone else [])
    if getattr(message, "tool_calls_in_content", None) is True:
        return []
    return [_written_call(function) for function in functions]


def _written_call(function: Any) -> str:
    name, arguments = getattr(function, "name", None), getattr(function, "arguments", None)
    if not isinstance(name, str) or not name:
        raise PassingFaultError("the reply has a call of a tool without a name")
    # Arguments that are no JSON stay as they are: the check of calls says so.
    written = arguments if isinstance(arguments, str) and arguments else json.dumps(arguments or {})
    written = without_keys(written, shortest=SECRET)
    return f'<tool_call>\n{{"name": {json.dumps(name)}, "arguments": {written}}}\n</tool_call>'
