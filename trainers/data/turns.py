"""Turns of a conversation, in the forms that training data have, as one form.

A turn has ``role`` and ``content``, and, where the data have them: ``tool_calls`` (each with ``name`` and
``arguments``), the ``name`` of a tool's result, the assistant's ``reasoning``, and its ``weight``, 0 for an
answer that is not learnt.
"""

import json
from collections.abc import Mapping, Sequence
from itertools import count, groupby
from pathlib import Path
from typing import Any, NoReturn

from harness.errors import DataError
from harness.prompts.rendering import chat_turns
from harness.types import Message, ToolCall
from harness.types.storage import parse_json
from tunegate.printable import shown_value

Turn = dict[str, Any]

_ROLES = ("system", "user", "assistant", "tool")
# ShareGPT's names of roles.
_SHAREGPT = {
    "human": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "function_call": "assistant",
    "observation": "tool",
    "function_response": "tool",
    # OpenAI's older name.
    "function": "tool",
}
_REASONING = ("reasoning_content", "reasoning", "thinking")
_READ = frozenset(
    {"role", "content", "from", "value", "tool_calls", "function_call", "tool_call_id", "name", "weight"}
)
_OF_A_CALL = frozenset({"id", "type", "index", "function", "name", "arguments", "parameters"})
EMPTY: tuple[Any, ...] = (None, "", [], {})


def turns_of(path: Path, line: int, key: str, value: Any) -> list[Turn]:
    """Turns with ``role`` and ``content``, or ShareGPT's with ``from`` and ``value``.

    Args:
        path: The row's file, for messages.
        line: Its line, from 1.
        key: The turns' key, for messages.
        value: The turns, or their JSON text.

    Raises:
        DataError: The value is not a list of turns, or a turn has a field that is not read.
    """
    if isinstance(value, str):
        value = parsed(path, line, key, value)
    if not isinstance(value, list) or not all(isinstance(turn, dict) for turn in value):
        refuse(path, line, key, "each needs role (system | user | assistant | tool) and content")
    return _with_named_results(path, line, key, [_turn(path, line, key, turn) for turn in value])


def _turn(path: Path, line: int, key: str, given: Mapping[str, Any]) -> Turn:
    _refuse_doubled(path, line, key, given)
    named = given.get("role", given.get("from"))
    role = _SHAREGPT.get(str(named), named)
    content = _text_of_parts(given.get("content", given.get("value")))
    calls: Any = given.get("tool_calls") or given.get("function_call") or []
    calls = [calls] if isinstance(calls, dict) else calls
    if named == "function_call":
        calls, content = parsed(path, line, key, str(content)), ""
        calls = calls if isinstance(calls, list) else [calls]
    if content is None and calls:
        content = ""
    if role not in _ROLES or not isinstance(content, str):
        refuse(path, line, key, _no_turn(named, role, content))
    turn: Turn = {"role": role, "content": content}
    for field, value in given.items():
        if field in _READ or field in _REASONING or value in EMPTY:
            continue
        refuse(path, line, key, f"a turn has {field}, which is not read (allowed: role, content, tool_calls)")
    if calls:
        turn["tool_calls"] = [_call(path, line, key, call) for call in _listed(path, line, key, calls)]
    if role == "tool":
        turn |= {field: str(given[field]) for field in ("name", "tool_call_id") if given.get(field)}
    for field, value in ((field, given.get(field)) for field in _REASONING):
        if value:
            if not isinstance(value, str):
                refuse(path, line, key, f"{field}: found {shown_value(value)} (allowed: a text)")
            turn["reasoning"] = value
    if given.get("weight") is not None:
        if given["weight"] not in (0, 1):  # a tuple: it may be a list, which no set could look up
            refuse(path, line, key, f"weight: found {shown_value(given['weight'])} (allowed: 0 and 1)")
        turn["weight"] = int(given["weight"])
    _check_role(path, line, key, turn, given)
    return turn


# Names of one and the same field in different forms of turns.
_SAME = (("role", "from"), ("content", "value"), ("tool_calls", "function_call"), _REASONING)


def _refuse_doubled(path: Path, line: int, key: str, given: Mapping[str, Any]) -> None:
    """Refuse a turn that says one thing twice, and differently: one of them would be dropped."""
    for names in _SAME:
        found = [name for name in names if given.get(name) not in EMPTY]
        if any(given[name] != given[found[0]] for name in found):
            refuse(path, line, key, f"a turn has {' and '.join(found)}; leave one of them out")
    if given.get("role", given.get("from")) == "function_call" and given.get("tool_calls"):
        refuse(path, line, key, "a turn has function_call and tool_calls; leave one of them out")


def _no_turn(named: Any, role: Any, content: Any) -> str:
    """Why it is no turn.

    Args:
        named: Its role, as given.
        role: The same by our names.
        content: Its content.
    """
    if isinstance(named, str) and role not in _ROLES:
        return f"found the role {named!r} (allowed: {' | '.join(_ROLES)})"
    if isinstance(content, list):
        kinds = [part.get("type") for part in content if isinstance(part, dict)]
        other = next((kind for kind in kinds if kind != "text"), None)
        return f"a turn's content has a part of type {other!r} (allowed: text)"
    if named is not None and content is not None:
        return f"a turn's content: found {shown_value(content)} (allowed: a text)"
    return "each needs role (system | user | assistant | tool) and content"


def _check_role(path: Path, line: int, key: str, turn: Turn, given: Mapping[str, Any]) -> None:
    """Refuse what only another role's turn has."""
    if turn["role"] != "tool" and given.get("name"):
        refuse(path, line, key, "a turn has name, which is read for a tool's result only")
    if turn["role"] != "assistant":
        if wrong := [field for field in ("tool_calls", "reasoning", "weight") if field in turn]:
            refuse(path, line, key, f"{wrong[0]}: only an assistant's turn has it, not the {turn['role']}'s")
        if turn["role"] != "tool" and not turn["content"].strip():
            refuse(path, line, key, f"the {turn['role']}'s turn is empty")


def _text_of_parts(content: Any) -> Any:
    """The text of a content in parts; anything else unchanged."""
    if isinstance(content, list) and content:
        parts = [part for part in content if isinstance(part, dict) and part.get("type") == "text"]
        if len(parts) == len(content):
            return "".join(str(part.get("text") or "") for part in parts)
    return content


def _listed(path: Path, line: int, key: str, calls: Any) -> list[Any]:
    found = parsed(path, line, key, calls) if isinstance(calls, str) else calls
    if not isinstance(found, list):
        refuse(path, line, key, f"tool_calls: found {shown_value(found)} (allowed: a list of calls)")
    return found


def _call(path: Path, line: int, key: str, given: Any) -> dict[str, Any]:
    """A call with ``name`` and ``arguments``, and its ``id`` if it has one.

    Raises:
        DataError: It is none, or has a field that is not read.
    """
    call = given.get("function", given) if isinstance(given, dict) else given
    if not isinstance(call, dict) or not isinstance(call.get("name"), str):
        refuse(
            path,
            line,
            key,
            f"tool_calls: found {shown_value(given)} (allowed: a name, and arguments as an object)",
        )
    both = {**given, **call}
    if unread := [name for name, value in both.items() if name not in _OF_A_CALL and value not in EMPTY]:
        problem = f"a call has {unread[0]}, which is not read (allowed: name and arguments)"
        refuse(path, line, key, f"tool_calls: {problem}")
    if call.get("arguments") not in EMPTY and call.get("parameters") not in EMPTY:
        refuse(path, line, key, "tool_calls: a call has arguments and parameters; leave one of them out")
    given_arguments = (call[name] for name in ("arguments", "parameters") if call.get(name) is not None)
    arguments: Any = next(given_arguments, {})
    if isinstance(arguments, str):
        arguments = parsed(path, line, key, arguments) if arguments.strip() else {}
    if not isinstance(arguments, dict):
        refuse(
            path,
            line,
            key,
            f"tool_calls: found {shown_value(given)} (allowed: a name, and arguments as an object)",
        )
    named = {"id": str(given["id"])} if given.get("id") else {}
    return {"name": call["name"], "arguments": arguments, **named}


def _with_named_results(path: Path, line: int, key: str, turns: Sequence[Turn]) -> list[Turn]:
    """The turns with each tool's result in the order of the calls, and with its tool's name.

    Data name a call by its id; chat templates, which give ids of their own, pair results by their order.
    """
    numbers = count()
    called: dict[str, tuple[int, str]] = {}
    found: list[Turn] = []
    for are_results, run in groupby(turns, key=lambda turn: turn["role"] == "tool"):
        part = list(run)
        if are_results:
            ids = [turn.pop("tool_call_id", None) for turn in part]
            if called and (unknown := [each for each in ids if each is not None and each not in called]):
                refuse(
                    path,
                    line,
                    key,
                    f"tool_call_id: found {shown_value(unknown[0])}, the id of no call before it",
                )
            for call_id, turn in zip(ids, part, strict=True):
                if call_id in called:
                    turn.setdefault("name", called[call_id][1])
            if all(call_id in called for call_id in ids):
                order = sorted(range(len(part)), key=lambda place: called[ids[place]][0])
                part = [part[place] for place in order]
        for call in (call for turn in part for call in turn.get("tool_calls", ())):
            if call_id := call.pop("id", None):
                called[call_id] = (next(numbers), call["name"])
        found += part
    return found


def tools_of(path: Path, line: int, value: Any) -> list[dict[str, Any]]:
    """Tools in OpenAI's form, from a list or its JSON text.

    Args:
        path: The row's file, for messages.
        line: Its line, from 1.
        value: The tools, each a function's description, with or without ``type: function`` around it.

    Raises:
        DataError: They are none.
    """
    found = parsed(path, line, "tools", value) if isinstance(value, str) else value
    if not isinstance(found, list):
        refuse(path, line, "tools", f"found {shown_value(found)} (allowed: a list of tools)")
    tools = []
    for entry in found:
        function = entry.get("function", entry) if isinstance(entry, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("name"), str):
            refuse(
                path, line, "tools", f"found {shown_value(entry)} (allowed: tools with name and parameters)"
            )
        # In the order of the gate's own tools: templates write them as JSON.
        plain = {"name": "", "description": "", "parameters": {"type": "object", "properties": {}}}
        tools.append({"type": "function", "function": {**plain, **function}})
    return tools


def messages_of_turns(turns: Sequence[Turn]) -> tuple[Message, ...]:
    """The turns as the gate's messages; they have no reasoning.

    Args:
        turns: In one form.
    """
    return tuple(
        Message(
            role=turn["role"],
            content=turn["content"],
            tool_calls=tuple(
                ToolCall(name=call["name"], arguments=call["arguments"])
                for call in turn.get("tool_calls", ())
            ),
            name=turn.get("name"),
        )
        for turn in turns
    )


def template_turns(turns: Sequence[Turn]) -> list[dict[str, Any]]:
    """The turns as chat templates read them: as the gate's, and with the reasoning.

    Args:
        turns: In one form.
    """
    found = chat_turns(messages_of_turns(turns))
    for turn, written in zip(turns, found, strict=True):
        if "reasoning" in turn:
            written["reasoning_content"] = turn["reasoning"]
    return found


def said(turn: Turn) -> str:
    """All that a turn says, as text: its content, and its calls of tools."""
    calls = [
        f"{call['name']} {json.dumps(call['arguments'], ensure_ascii=False)}"
        for call in turn.get("tool_calls", ())
    ]
    return "\n".join([*([turn["content"]] if turn["content"] or not calls else []), *calls])


def parsed(path: Path, line: int, key: str, text: str) -> Any:
    """The value of a JSON text in a row.

    Args:
        path: The row's file, for messages.
        line: Its line, from 1.
        key: Where the text is.
        text: The text.

    Raises:
        DataError: It is not JSON.
    """
    try:
        return parse_json(text, once=True)
    except ValueError as error:
        raise DataError(path, line, f"{key}: {text[:40]!r} is not JSON: {error}") from error


def refuse(path: Path, line: int, key: str, problem: str) -> NoReturn:
    """Raise the error of a row's key.

    Args:
        path: The file.
        line: The row's line.
        key: The key in it.
        problem: What is wrong with it.
    """
    raise DataError(path, line, f"{key}: {problem}")
