"""Reads the calls of tools in an answer, in the forms in which models write them.

* ``<tool_call>{"name": …, "arguments": …}</tool_call>`` (Hermes, Qwen), also with ``<function=…>`` inside
* ``{"name": …, "arguments": …}``, or ``"parameters"``, alone or in a list (Llama, Mistral)
* OpenAI's ``{"tool_calls": [{"function": …}]}``
* ``[name(argument="value")]`` (Llama 4)
"""

import ast
import json
import re
from collections.abc import Iterator

from harness.metrics.definition import quote
from harness.metrics.json_text import NotJsonError, parse_json
from harness.types import JsonValue, ToolCall

_BLOCK = re.compile(r"<tool_call>(.*?)(</tool_call>|\Z)", re.DOTALL)
_FUNCTION = re.compile(r"\s*<function=([^>\s]+)>(.*?)</function>\s*", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([^>\s]+)>\n?(.*?)\n?</parameter>", re.DOTALL)
_MARKS = re.compile(r"^\s*(?:\[TOOL_CALLS\]|<\|python_tag\|>)\s*")
_CALLS = re.compile(r"\s*\[?\s*[A-Za-z_][\w.]*\s*\(")


class CallError(ValueError):
    """An answer means to call a tool, and the call can't be read; the message says why."""


def written_calls(text: str) -> list[ToolCall]:
    """The calls in an answer, in order; none for an answer in words.

    Args:
        text: The answer.

    Raises:
        CallError: A call can't be read.
    """
    blocks = list(_BLOCK.finditer(text))
    if blocks:
        return [call for block in blocks for call in _of_block(block[1], is_whole=bool(block[2]))]
    bare = _MARKS.sub("", text).strip()
    if bare.startswith(("{", "[{")):
        try:
            return _of_json(parse_json(bare))
        except NotJsonError as error:
            if bare != text.strip() or '"name"' in bare:
                raise CallError(str(error)) from error
            return []
    # Llama writes several objects, with semicolons between them.
    if _CALLS.match(bare):
        return list(_of_python(bare))
    return []


def _of_block(block: str, *, is_whole: bool) -> list[ToolCall]:
    if not is_whole:
        raise CallError("the call has no end")
    function = _FUNCTION.fullmatch(block)
    if function is not None:
        arguments = {name: _json_or_text(value) for name, value in _PARAMETER.findall(function[2])}
        return [ToolCall(name=function[1], arguments=arguments)]
    try:
        calls = _of_json(parse_json(block))
    except NotJsonError as error:
        raise CallError(f"{quote(block.strip(), 40)}: {error}") from error
    if not calls:
        raise CallError(f"{quote(block.strip(), 40)} names no tool")
    return calls


def _json_or_text(value: str) -> JsonValue:
    try:
        return parse_json(value)
    except NotJsonError:
        return value


def _of_json(value: JsonValue) -> list[ToolCall]:
    if isinstance(value, dict) and isinstance(value.get("tool_calls"), list):
        value = value["tool_calls"]
    entries = value if isinstance(value, list) else [value]
    calls = [_call(entry) for entry in entries]
    if any(call is None for call in calls):
        return []
    return [call for call in calls if call is not None]


def _call(entry: JsonValue) -> ToolCall | None:
    """One call; None for JSON that is none."""
    if isinstance(entry, dict) and isinstance(entry.get("function"), dict):
        entry = entry["function"]
    if not isinstance(entry, dict) or not isinstance(entry.get("name"), str):
        return None
    given = entry.get("arguments", entry.get("parameters", {}))
    if isinstance(given, str):
        # OpenAI writes the arguments as a JSON text.
        try:
            given = parse_json(given or "{}")
        except NotJsonError as error:
            raise CallError(f"the arguments of {entry['name']}: {error}") from error
    if not isinstance(given, dict):
        raise CallError(f"the arguments of {entry['name']} are {json.dumps(given)[:40]}, not an object")
    return ToolCall(name=str(entry["name"]), arguments=given)


def _of_python(text: str) -> Iterator[ToolCall]:
    """Calls with literal arguments by name; other Python is an answer in words."""
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    nodes = tree.elts if isinstance(tree, ast.List) else [tree]
    for node in nodes:
        if not isinstance(node, ast.Call) or node.args or any(each.arg is None for each in node.keywords):
            return
    for node in nodes:
        assert isinstance(node, ast.Call)
        name = ast.unparse(node.func)
        try:
            arguments = {str(each.arg): ast.literal_eval(each.value) for each in node.keywords}
            # Only what JSON has too.
            plain = json.loads(json.dumps(arguments, allow_nan=False))
        except (ValueError, TypeError, RecursionError) as error:
            raise CallError(f"the arguments of {name} are no plain values") from error
        yield ToolCall(name=name, arguments=plain)
