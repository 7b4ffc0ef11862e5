"""Calls of tools between marks: one reader for each family's marks.

* ``<tool_call>{"name": …, "arguments": …}</tool_call>`` (Hermes, Qwen), or a list (Nemotron, Granite), also
  with ``<function=…>`` inside or alone (Qwen3-Coder, Nemotron, Llama), or
  ``name<arg_key>…</arg_key><arg_value>…</arg_value>`` (GLM, Hunyuan)
* ``<｜tool▁call▁begin｜>function<｜tool▁sep｜>name`` and JSON (DeepSeek)
* ``<|tool_call_begin|>functions.name:0<|tool_call_argument_begin|>{…}`` (Kimi)
* ``<|tool_call>call:name{key:<|"|>text<|"|>}<tool_call|>`` (Gemma 4), also
  ``<start_function_call>call:name{key:<escape>text<escape>}<end_function_call>`` (FunctionGemma)
* an element ``invoke`` with elements ``parameter`` inside, both with a ``name`` (MiniMax, Muse)
* ``<|START_ACTION|>[{"tool_name": …, "parameters": …}]<|END_ACTION|>`` (Command R),
  ``<|action_start|><|plugin|>{…}<|action_end|>`` (InternLM)
* ``<|tool_call|>[…]`` (Phi-4-mini, Granite), ``functools[…]`` (Phi-4), ``[TOOL_CALLS]name[ARGS]{…}`` or
  ``[TOOL_CALLS][…]`` (Mistral), ``<|python_tag|>`` and JSON or ``name.call(…)`` (Llama 3.1),
  ``<|tool_call_start|>[name(…)]<|tool_call_end|>`` (LFM)
* ``to=functions.name``, then JSON (gpt-oss); ``Action: name``, ``Action Input: {…}`` (ReAct)
"""

import json
import re
from collections.abc import Callable, Sequence

from harness.metrics.call_json import CallError, KnownTools, json_calls, json_end, values_of, with_json
from harness.metrics.definition import quote
from harness.types import ToolCall

_FUNCTION = re.compile(r"\s*<function=([^>\s]+)>(.*?)</function>\s*", re.DOTALL)


_PARAMETER = re.compile(r"<parameter=([^>\s]+)>\n?(.*?)\n?</parameter>", re.DOTALL)


_NAME = re.compile(r"\s*([\w.-]+)\s*(?=<arg_key>|\Z)")


_PAIR = re.compile(r"<arg_key>([^<]*)</arg_key>\s*<arg_value>(.*?)</arg_value>", re.DOTALL)


_KIMI = re.compile(r"\s*(?:functions\.)?([\w.-]+?)(?::\d+)?\s*<\|tool_call_argument_begin\|>(.*)", re.DOTALL)


_PREFIX = r"(?:\w+:|｜DSML｜)?"


_INVOKE = re.compile(rf"invoke name=\"([^\">]*)\"[^>]*>(?:(.*?)[<]/{_PREFIX}invoke>|.*)", re.DOTALL)


_ELEMENT = re.compile(
    rf"[<]{_PREFIX}parameter name=\"([^\">]*)\"([^>]*)>(.*?)[<]/{_PREFIX}parameter>", re.DOTALL
)


_GEMMA = re.compile(r"\s*call:([\w.-]+)(\{.*\})\s*", re.DOTALL)


_GEMMA_TEXT = '<|"|>'


_GEMMA_NULL = re.compile(r"\bNone\b")


_GEMMA_KEY = re.compile(r"(?<=[{,])\s*([\w.-]+)\s*:")


def _of_tags(block: str, known: KnownTools) -> list[ToolCall]:
    """Hermes's JSON, or Qwen's and GLM's tags."""
    block = block.replace("<tool_sep>", "")
    function = _FUNCTION.fullmatch(block)
    if function is not None:
        name = function[1]
        _require_ends(function[2], "<parameter=", "</parameter>")
        pairs = [(found[1], found[2]) for found in _PARAMETER.finditer(function[2])]
        return [_of_pairs(name, pairs, known)]
    _require_ends(block, "<arg_key>", "</arg_key>")
    _require_ends(block, "<arg_value>", "</arg_value>")
    named = _NAME.match(block)
    if named is not None and not _PAIR.sub("", block[named.end() :]).strip():
        pairs = [(found[1], found[2]) for found in _PAIR.finditer(block, named.end())]
        return [_of_pairs(named[1], [(key.strip(), said) for key, said in pairs], known)]
    return [call for value in values_of(block) for call in json_calls(value)]


def _of_pairs(name: str, pairs: Sequence[tuple[str, str]], known: KnownTools) -> ToolCall:
    keys = [key for key, _ in pairs]
    if twice := [key for key in keys if keys.count(key) > 1]:
        raise CallError(f"the argument {twice[0]} of {name} occurs twice")
    return ToolCall(name=name, arguments={key: known.value(name, key, said) for key, said in pairs})


def _require_ends(block: str, opening: str, closing: str) -> None:
    """Without an end each beginning would be searched for one, which takes long."""
    if block.count(opening) != block.count(closing):
        raise CallError("an argument has no end")


def _of_deepseek(block: str, _: KnownTools) -> list[ToolCall]:
    """``function``, the mark, the name, and JSON in a fence (V3, R1); or the name, the mark, JSON (V3.1)."""
    before, mark, written = block.partition("<｜tool▁sep｜>")
    name = before.strip()
    if name in {"", "function"}:
        name, written = written.split("\n", 1) if "\n" in written else (written, "")
        written = written.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    return [with_json(name.strip(), written)] if mark and name.strip() else []


def _of_kimi(block: str, _: KnownTools) -> list[ToolCall]:
    found = _KIMI.fullmatch(block)
    return [] if found is None else [with_json(found[1], found[2])]


def _of_gemma(block: str, _: KnownTools) -> list[ToolCall]:
    """Gemma's texts are between marks of their own, and its keys have no quotes."""
    found = _GEMMA.fullmatch(block)
    if found is None:
        return []
    parts = found[2].replace("<escape>", _GEMMA_TEXT).split(_GEMMA_TEXT)
    if len(parts) % 2 == 0:
        raise CallError(f"the arguments of {found[1]}: a text has no end")
    # Keys are quoted outside of texts only: a text may contain what looks like one.
    written = "".join(
        json.dumps(part) if place % 2 else _GEMMA_NULL.sub("null", _GEMMA_KEY.sub(r'"\1":', part))
        for place, part in enumerate(parts)
    )
    return [with_json(found[1], written)]


_GAP = r"\s{0,2}"


_HARMONY = re.compile(
    rf"(?P<name>[\w.-]+?){_GAP}(?:<\|channel\|>)?{_GAP}(?:commentary)?{_GAP}(?:<\|constrain\|>)?"
    rf"{_GAP}(?:json)?{_GAP}(?:<\|message\|>)?{_GAP}(?=[{{\"])"
)


_NAMED_JSON = re.compile(
    r"\s*(?:functions\.)?([\w.-]{1,200})(?::\d+)?\s*(?:\[CALL_ID\]\s*[\w-]{0,80}\s*)?(?:\[ARGS\])?\s*(?=\{)"
)


_ACTION = re.compile(r"[ \t]*([\w.-]{1,200})[ \t]*\n+[ \t]*Action[ _]Input:\s*(?=\{)", re.IGNORECASE)


_FENCED = re.compile(r"\s*```(?:json)?\s*(?=\[)")


# The calls of a form behind its mark, and where they end.
_Read = tuple[list[ToolCall], int]


def _of_values(text: str, start: int, _: KnownTools) -> _Read:
    """A JSON value, or several, behind an opening mark that needs no closing one."""
    calls: list[ToolCall] = []
    end = start
    while (value := _VALUE.match(text, end)) is not None:
        stop = json_end(text, value.end())
        calls += [call for one in values_of(text[value.end() : stop]) for call in json_calls(one)]
        end = stop
    return _require(calls, text[start : start + 40]), end


_VALUE = re.compile(r"[;,\s]*(?=[{\[])")


def _require(calls: list[ToolCall], written: str) -> list[ToolCall]:
    if not calls:
        raise CallError(f"{quote(written.strip(), 40)} names no tool")
    return calls


def _of_mistral(text: str, start: int, known: KnownTools) -> _Read:
    named = _NAMED_JSON.match(text, start)
    if named is None:
        return _of_values(text, start, known)
    end = json_end(text, named.end())
    return [with_json(named[1], text[named.end() : end])], end


def _of_harmony(text: str, start: int, _: KnownTools) -> _Read:
    """gpt-oss's call: the arguments end where their JSON does."""
    call = _HARMONY.match(text, start)
    if call is None:
        raise CallError("a call has no arguments")
    end = json_end(text, call.end())
    return [with_json(call["name"], text[call.end() : end])], end


def _of_action(text: str, start: int, known: KnownTools) -> _Read:
    """ReAct's lines, or Command R's list; words behind "Action:" are words."""
    fenced = _FENCED.match(text, start)
    if fenced is not None:
        end = json_end(text, fenced.end())
        return _of_values(text[:end], fenced.end(), known)
    action = _ACTION.match(text, start)
    if action is None:
        return [], start
    end = json_end(text, action.end())
    return [with_json(action[1], text[action.end() : end])], end


def _of_invoke(text: str, start: int, known: KnownTools) -> _Read:
    element = _INVOKE.match(text, start - len("invoke"))
    if element is None or element[2] is None:
        raise CallError("the call has no end")
    name, inside = element[1], element[2]
    _require_ends(inside, "parameter name=", "parameter>")
    found = _ELEMENT.findall(inside)
    call = _of_pairs(name, [(key, said) for key, _, said in found], known)
    texts = {key: said for key, marks, said in found if 'string="true"' in marks}
    return [ToolCall(name=name, arguments={**call.arguments, **texts})], element.end()


def _closed(
    closing: str, read: Callable[[str, KnownTools], list[ToolCall]]
) -> Callable[[str, int, KnownTools], _Read]:
    """A reader of what is between the opening mark and a closing one."""
    pattern = re.compile(closing, re.IGNORECASE)

    def block(text: str, start: int, known: KnownTools) -> _Read:
        end = pattern.search(text, start)
        if end is None:
            raise CallError("the call has no end")
        return _require(read(text[start : end.start()], known), text[start : end.start()]), end.end()

    return block


def _of_function(text: str, start: int, known: KnownTools) -> _Read:
    """``<function=name>`` alone, with parameters or JSON inside."""
    name, _, inside = text[start:].partition(">")
    inside, closing, _ = inside.partition("</function>")
    if not closing:
        raise CallError("the call has no end")
    end = start + len(name) + 1 + len(inside) + len(closing)
    if inside.strip().startswith("{"):
        return [with_json(name, inside.strip())], end
    return _of_tags(f"<function={name}>{inside}</function>", known), end


def _of_json(block: str, _: KnownTools) -> list[ToolCall]:
    return [call for value in values_of(block.replace("<|plugin|>", "")) for call in json_calls(value)]


# The pattern of an opening mark, and what reads behind it.
FORMS: Sequence[tuple[str, Callable[[str, int, KnownTools], _Read]]] = (
    (r"<\s?tool_?call\s?>", _closed(r"<\s?/\s?tool_?call\s?>", _of_tags)),
    (r"<｜tool▁call▁begin｜>", _closed("<｜tool▁call▁end｜>", _of_deepseek)),
    (r"<\|tool_call_begin\|>", _closed(r"<\|tool_call_end\|>", _of_kimi)),
    (r"<\|tool_call>", _closed(r"<tool_call\|>", _of_gemma)),
    (r"<start_function_call>", _closed("<end_function_call>", _of_gemma)),
    (r"<\|START_ACTION\|>", _closed(r"<\|END_ACTION\|>", _of_json)),
    (r"<\|action_start\|>", _closed(r"<\|action_end\|>", _of_json)),
    (r"<\|tool_call\|>", _of_values),
    (r"\bfunctools(?=\s?\[)", _of_values),
    (r"\[TOOL_CALLS\]", _of_mistral),
    (r"<function=", _of_function),
    (r"(?<=[<:｜])invoke(?=\sname=)", _of_invoke),
    (r"\bto=functions\.", _of_harmony),
    (r"(?<![^\n])[ \t]{0,8}Action:", _of_action),
)
