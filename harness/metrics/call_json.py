"""Calls of tools as JSON, the tools of a case, and the error of a call that can't be read."""

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from harness.metrics.definition import quote
from harness.metrics.json_checks import NotJsonError, parse_json
from harness.types import JsonValue, ToolCall

# Qwen's template writes booleans as Python does.
_PYTHON_WORDS: Mapping[str, JsonValue] = {"True": True, "False": False, "None": None}


_DECODER = json.JSONDecoder()


_GAP_OF_VALUES = re.compile(r"[;,\s]+")


_OF_CALLS = frozenset(
    ["name", "tool_name", "arguments", "parameters", "id", "type", "index", "tool_call_id", "call_id"]
)


_NAMING = frozenset(["name", "tool", "tool_name", "action", "function", "recipient_name", "function_name"])


class CallError(ValueError):
    """An answer means to call a tool, and the call can't be read; the message says why."""


@dataclass(frozen=True, slots=True)
class KnownTools:
    """The tools of a case.

    Attributes:
        names: Their names, and those that a check expects.
        texts: By tool, the arguments that are texts by its schema, so that ``90210`` is not read as a number.
    """

    names: frozenset[str] = frozenset()
    texts: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def value(self, tool: str, argument: str, written: str) -> JsonValue:
        """What a form without quotes writes: JSON, or else a text.

        Args:
            tool: The called tool.
            argument: The argument's name.
            written: Its value as written.
        """
        if argument in self.texts.get(tool, ()):
            return written
        if written.strip() in _PYTHON_WORDS:
            return _PYTHON_WORDS[written.strip()]
        try:
            return parse_json(written)
        except NotJsonError:
            return written


def known_tools(tools: Sequence[JsonValue], expected: Collection[str] = ()) -> KnownTools:
    """The tools of a case, with their arguments that are texts.

    Args:
        tools: In OpenAI's form.
        expected: Names of tools that a check expects.
    """
    texts: dict[str, frozenset[str]] = {}
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict):
            continue
        parameters = function.get("parameters")
        properties = parameters.get("properties") if isinstance(parameters, dict) else None
        schemas = properties.items() if isinstance(properties, dict) else ()
        texts[str(function.get("name"))] = frozenset(key for key, schema in schemas if _is_text(schema))
    return KnownTools(frozenset([*texts, *expected]), texts)


def _is_text(schema: JsonValue) -> bool:
    if not isinstance(schema, dict):
        return False
    choices = schema.get("enum")
    of_choices = isinstance(choices, list) and all(isinstance(choice, str) for choice in choices)
    return schema.get("type") == "string" or ("type" not in schema and of_choices)


def json_calls(value: JsonValue) -> list[ToolCall]:
    """The calls that a JSON value between marks describes; none if a part of it is no call.

    Raises:
        CallError: A call's arguments are not an object.
    """
    calls = [_call(entry) for entry in call_entries(value)]
    if any(call is None for call in calls):
        return []
    return [call for call in calls if call is not None]


def call_entries(value: JsonValue) -> list[JsonValue]:
    """The values that may be calls: of OpenAI's message, of a list, or the value alone."""
    if isinstance(value, dict):
        for key in ("tool_calls", "function_call"):
            if isinstance(value.get(key), list | dict):
                value = value[key]
                break
    return list(value) if isinstance(value, list) else [value]


def _call(entry: JsonValue) -> ToolCall | None:
    """One call; None for JSON that is none."""
    if isinstance(entry, dict) and isinstance(entry.get("function"), dict):
        entry = entry["function"]
    if not isinstance(entry, dict):
        return None
    name = entry.get("name", entry.get("tool_name"))
    if not isinstance(name, str):
        return None
    given = entry.get("arguments", entry.get("parameters", {}))
    if isinstance(given, str):
        # OpenAI writes the arguments as a JSON text.
        return with_json(name, given or "{}")
    return _checked(name, given)


def unmarked_call(entry: JsonValue, known: KnownTools) -> ToolCall | None:
    """A call in JSON without marks; None for JSON that says something else, such as ``{"name": "Bob"}``.

    Args:
        entry: The JSON.
        known: The tools.

    Raises:
        CallError: It names a tool, but in no form of a call.
    """
    call = _call(entry)
    inner = (
        entry["function"] if isinstance(entry, dict) and isinstance(entry.get("function"), dict) else entry
    )
    if not isinstance(inner, dict):
        return None
    if call is not None and ("arguments" in inner or "parameters" in inner):
        return call
    named = [value for value in inner.values() if isinstance(value, str) and value in known.names]
    if call is not None and call.name in known.names and set(inner) <= _OF_CALLS:
        return call
    if named and (call is None or call.name in known.names) and set(inner) & _NAMING:
        raise CallError(f"{named[0]} is named, but not as a call with name and arguments")
    return None


def with_json(name: str, written: str) -> ToolCall:
    """A call whose arguments are a JSON text.

    Args:
        name: The tool.
        written: The arguments.

    Raises:
        CallError: They are not JSON, or no object.
    """
    try:
        value = parse_json(written)
        # Some write the arguments as a JSON text inside of JSON.
        return _checked(name, parse_json(value) if isinstance(value, str) else value)
    except NotJsonError as error:
        raise CallError(f"the arguments of {name}: {error}") from error


def _checked(name: str, arguments: JsonValue) -> ToolCall:
    if not isinstance(arguments, dict):
        raise CallError(f"the arguments of {name} are {json.dumps(arguments)[:40]}, not an object")
    return ToolCall(name=name, arguments=arguments)


def values_of(block: str) -> list[JsonValue]:
    """The JSON values of a text, with semicolons, commas or line breaks between them.

    Raises:
        CallError: It has something else, too.
    """
    values, end = [], 0
    block = block.strip()
    while end < len(block):
        try:
            _, stop = _DECODER.raw_decode(block, end)
        except (ValueError, RecursionError):
            stop = len(block)
        try:
            values.append(parse_json(block[end:stop]))
        except NotJsonError as error:
            raise CallError(f"{quote(block[end:stop], 40)}: {error}") from error
        gap = _GAP_OF_VALUES.match(block, stop)
        end = gap.end() if gap else stop
    return values


def json_end(text: str, start: int) -> int:
    """Where the JSON value that begins at a place ends; the text's end if it doesn't.

    Args:
        text: Any text.
        start: The place.
    """
    try:
        return int(_DECODER.raw_decode(text, start)[1])
    except (ValueError, RecursionError):
        return len(text)
