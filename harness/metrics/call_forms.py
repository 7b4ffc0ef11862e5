"""Calls of tools between marks: one reader for each family's marks.

* ``<tool_call>{"name": …, "arguments": …}</tool_call>`` (Hermes, Qwen), also with ``<function=…>`` inside
  (Qwen 3.5, Nemotron), or ``name<arg_key>…</arg_key><arg_value>…</arg_value>`` (GLM)
* ``<｜tool▁call▁begin｜>function<｜tool▁sep｜>name`` and JSON (DeepSeek)
* ``to=functions.name``, then JSON (gpt-oss)
* ``<|tool_call_begin|>functions.name:0<|tool_call_argument_begin|>{…}`` (Kimi)
* ``<|tool_call>call:name{key:<|"|>text<|"|>}<tool_call|>`` (Gemma 4)
* an element ``invoke`` with elements ``parameter`` inside, both with a ``name`` (MiniMax, Muse)
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from harness.metrics.definition import quote
from harness.metrics.json_checks import NotJsonError, parse_json
from harness.types import JsonValue, ToolCall

_FUNCTION = re.compile(r"\s*<function=([^>\s]+)>(.*?)</function>\s*", re.DOTALL)
_PARAMETER = re.compile(r"<parameter=([^>\s]+)>\n?(.*?)\n?</parameter>", re.DOTALL)
_NAME = re.compile(r"\s*([\w.-]+)\s*(?=<arg_key>|\Z)")
_PAIR = re.compile(r"<arg_key>([^<]*)</arg_key>\s*<arg_value>(.*?)</arg_value>", re.DOTALL)
_KIMI = re.compile(r"\s*(?:functions\.)?([\w.-]+?)(?::\d+)?\s*<\|tool_call_argument_begin\|>(.*)", re.DOTALL)
_PREFIX = r"(?:\w+:|｜DSML｜)?"
_INVOKE = re.compile(
    rf"[<]{_PREFIX}invoke name=\"([^\">]*)\"[^>]*>(?:(.*?)[<]/{_PREFIX}invoke>|.*)", re.DOTALL
)
_ELEMENT = re.compile(
    rf"[<]{_PREFIX}parameter name=\"([^\">]*)\"([^>]*)>(.*?)[<]/{_PREFIX}parameter>", re.DOTALL
)
_GEMMA = re.compile(r"\s*call:([\w.-]+)(\{.*\})\s*", re.DOTALL)
_GEMMA_TEXT = '<|"|>'
_GEMMA_NULL = re.compile(r"\bNone\b")
_GEMMA_KEY = re.compile(r"(?<=[{,])\s*([\w.-]+)\s*:")


# Qwen's template writes booleans as Python does.
_PYTHON_WORDS: Mapping[str, JsonValue] = {"True": True, "False": False, "None": None}


class CallError(ValueError):
    """An answer means to call a tool, and the call can't be read; the message says why."""


@dataclass(frozen=True, slots=True)
class TextArguments:
    """Arguments that are texts by their tools' schemas, so that ``90210`` is not read as a number.

    Attributes:
        names: Names of such arguments, by the name of their tool.
    """

    names: Mapping[str, frozenset[str]] = field(default_factory=dict)

    def value(self, tool: str, argument: str, written: str) -> JsonValue:
        """What a form without quotes writes: JSON, or else a text.

        Args:
            tool: The called tool.
            argument: The argument's name.
            written: Its value as written.
        """
        if argument in self.names.get(tool, ()):
            return written
        if written.strip() in _PYTHON_WORDS:
            return _PYTHON_WORDS[written.strip()]
        try:
            return parse_json(written)
        except NotJsonError:
            return written


def text_arguments(tools: Sequence[JsonValue]) -> TextArguments:
    """The arguments of a case's tools that are texts.

    Args:
        tools: In OpenAI's form.
    """
    names: dict[str, frozenset[str]] = {}
    for tool in tools:
        function = tool.get("function") if isinstance(tool, dict) else None
        parameters = function.get("parameters") if isinstance(function, dict) else None
        properties = parameters.get("properties") if isinstance(parameters, dict) else None
        if isinstance(function, dict) and isinstance(properties, dict):
            names[str(function.get("name"))] = frozenset(
                [key for key, schema in properties.items() if _is_text(schema)]
            )
    return TextArguments(names)


def _is_text(schema: JsonValue) -> bool:
    if not isinstance(schema, dict):
        return False
    choices = schema.get("enum")
    of_choices = isinstance(choices, list) and all(isinstance(choice, str) for choice in choices)
    return schema.get("type") == "string" or ("type" not in schema and of_choices)


def json_calls(value: JsonValue) -> list[ToolCall]:
    """The calls that a JSON value describes; none if a part of it is no call.

    Raises:
        CallError: A call's arguments are not an object.
    """
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
        return _with_json(str(entry["name"]), given or "{}")
    return _checked(str(entry["name"]), given)


def _with_json(name: str, written: str) -> ToolCall:
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


def _of_tags(block: str, texts: TextArguments) -> list[ToolCall]:
    """Hermes's JSON, or Qwen's and GLM's tags."""
    function = _FUNCTION.fullmatch(block)
    if function is not None:
        name = function[1]
        _require_ends(function[2], "<parameter=", "</parameter>")
        pairs = [(found[1], found[2]) for found in _PARAMETER.finditer(function[2])]
        return [ToolCall(name=name, arguments={key: texts.value(name, key, said) for key, said in pairs})]
    _require_ends(block, "<arg_key>", "</arg_key>")
    _require_ends(block, "<arg_value>", "</arg_value>")
    named = _NAME.match(block)
    if named is not None and not _PAIR.sub("", block[named.end() :]).strip():
        pairs = [(found[1], found[2]) for found in _PAIR.finditer(block, named.end())]
        arguments = {key.strip(): texts.value(named[1], key.strip(), said) for key, said in pairs}
        return [ToolCall(name=named[1], arguments=arguments)]
    return json_calls(_parsed(block))


def _require_ends(block: str, opening: str, closing: str) -> None:
    """Without an end each beginning would be searched for one, which takes long."""
    if block.count(opening) != block.count(closing):
        raise CallError("an argument has no end")


def _parsed(block: str) -> JsonValue:
    try:
        return parse_json(block)
    except NotJsonError as error:
        raise CallError(f"{quote(block.strip(), 40)}: {error}") from error


def _of_deepseek(block: str, _: TextArguments) -> list[ToolCall]:
    """``function``, the mark, the name, and JSON in a fence (V3, R1); or the name, the mark, JSON (V3.1)."""
    before, mark, written = block.partition("<｜tool▁sep｜>")
    name = before.strip()
    if name in {"", "function"}:
        name, written = written.split("\n", 1) if "\n" in written else (written, "")
        written = written.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    return [_with_json(name.strip(), written)] if mark and name.strip() else []


def _of_kimi(block: str, _: TextArguments) -> list[ToolCall]:
    found = _KIMI.fullmatch(block)
    return [] if found is None else [_with_json(found[1], found[2])]


def _of_gemma(block: str, _: TextArguments) -> list[ToolCall]:
    """Gemma's texts are between marks of their own, and its keys have no quotes."""
    found = _GEMMA.fullmatch(block)
    if found is None:
        return []
    parts = found[2].split(_GEMMA_TEXT)
    if len(parts) % 2 == 0:
        raise CallError(f"the arguments of {found[1]}: a text has no end")
    # Keys are quoted outside of texts only: a text may contain what looks like one.
    written = "".join(
        json.dumps(part) if place % 2 else _GEMMA_NULL.sub("null", _GEMMA_KEY.sub(r'"\1":', part))
        for place, part in enumerate(parts)
    )
    return [_with_json(found[1], written)]


_Reader = Callable[[str, TextArguments], list[ToolCall]]
# A call's opening mark, its closing mark, and what reads the text between them.
_FORMS: Sequence[tuple[str, str, _Reader]] = (
    ("<tool_call>", "</tool_call>", _of_tags),
    ("<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", _of_deepseek),
    ("<|tool_call_begin|>", "<|tool_call_end|>", _of_kimi),
    ("<|tool_call>", "<tool_call|>", _of_gemma),
)
_GAP = r"\s{0,2}"
_HARMONY = re.compile(
    rf"\bto=functions\.(?P<name>[\w.-]+?){_GAP}(?:<\|channel\|>)?{_GAP}(?:commentary)?{_GAP}(?:<\|constrain\|>)?"
    rf"{_GAP}(?:json)?{_GAP}(?:<\|message\|>)?{_GAP}(?=[{{\"])"
)


def marked_calls(text: str, texts: TextArguments) -> list[ToolCall] | None:
    """The calls between marks, in order; None for an answer without such marks.

    Args:
        text: The answer.
        texts: The arguments that are texts.

    Raises:
        CallError: A call has no end, or can't be read.
    """
    for opening, closing, read in _FORMS:
        if opening in text:
            return [call for block in _blocks(text, opening, closing) for call in _read(block, texts, read)]
    if elements := list(_INVOKE.finditer(text)):
        return [_of_elements(element, texts) for element in elements]
    if "to=functions." in text:
        return list(_of_harmony(text))
    return None


def _of_harmony(text: str) -> Iterator[ToolCall]:
    """gpt-oss's calls: the arguments end where their JSON does."""
    found = list(_HARMONY.finditer(text))
    if len(found) < text.count("to=functions."):
        raise CallError("a call has no arguments")
    for call in found:
        try:
            _, end = json.JSONDecoder().raw_decode(text, call.end())
        except (ValueError, RecursionError):
            end = len(text)
        yield _with_json(call["name"], text[call.end() : end])


def _of_elements(element: re.Match[str], texts: TextArguments) -> ToolCall:
    name, inside = element[1], element[2]
    if inside is None:
        raise CallError("the call has no end")
    _require_ends(inside, "parameter name=", "parameter>")
    arguments = {
        key: said if 'string="true"' in marks else texts.value(name, key, said)
        for key, marks, said in _ELEMENT.findall(inside)
    }
    return ToolCall(name=name, arguments=arguments)


def _blocks(text: str, opening: str, closing: str) -> Iterator[str]:
    for part in text.split(opening)[1:]:
        block, end, _ = part.partition(closing)
        if not end:
            raise CallError("the call has no end")
        yield block


def _read(block: str, texts: TextArguments, read: _Reader) -> list[ToolCall]:
    calls = read(block, texts)
    if not calls:
        raise CallError(f"{quote(block.strip(), 40)} names no tool")
    return calls
