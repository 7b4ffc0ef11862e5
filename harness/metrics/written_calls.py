"""Finds the calls of tools in an answer, in the forms in which models write them.

* between marks: see ``call_forms``
* JSON in lines of its own: ``{"name": …, "arguments": …}``, or ``"parameters"``, alone or in a list (Llama,
  Mistral); OpenAI's ``{"tool_calls": [{"function": …}]}``
* ``[name(argument="value")]`` (Llama 4, LFM), ``name{…}``

Engines may show answers without special tokens, so marks can be missing. All calls count, in whatever form,
in the answer's order; those in reasoning don't. Where JSON that names a tool is inside of a sentence or
code block, it may be a call or an example: such an answer can't be read.
"""

import ast
import json
import re
import warnings
from collections.abc import Iterator, Sequence
from functools import lru_cache

from harness.metrics.call_forms import FORMS
from harness.metrics.call_json import (
    CallError,
    KnownTools,
    call_entries,
    json_calls,
    json_end,
    unmarked_call,
    values_of,
    with_json,
)
from harness.metrics.definition import quote
from harness.metrics.json_checks import NotJsonError, parse_json
from harness.types import JsonValue, ToolCall

_NO_TOOLS = KnownTools()
# Marks around the calls, which say nothing of one call, and reasoning between tags.
_WRAPPERS = re.compile(
    r"</?(?:[\w-]+:)?(?:tool_?calls?|function_calls|\w+_?tool_?call|tool_code)>"
    r"|<[|｜]/?tool[_▁]calls?(?:[_▁]section)?[_▁](?:begin|end|start)[|｜]>|<\|/tool_call\|>"
    r"|<[|｜](?:call|eom_id|eot_id|im_end|python_end)[|｜]>",
    re.IGNORECASE,
)
_REASONING = r"<(?P<tag>think|thinking|thought|reasoning)>.*?(?:</(?P=tag)>|\Z)"
_PYTHON_MARKS = (
    r"<\|python_tag\|>|<\|python_start\|>|<\|tool_call_start\|>|<tool_code>|```tool_code\b"
    r"|<function_calls>(?!\s*<)"
)
# Marks of the answer's end, where an engine shows them.
_END = re.compile(r"(?:<[|｜](?:eom_id|eot_id|im_end|eot|call|end|endoftext|end▁of▁sentence)[|｜]>|</s>)\Z")
_LONGEST_END = 40
_OPENING = re.compile(
    "|".join([f"(?P<form{place}>{opening})" for place, (opening, _) in enumerate(FORMS)])
    + rf"|(?P<python>{_PYTHON_MARKS})|(?P<reasoning>{_REASONING})",
    re.IGNORECASE | re.DOTALL,
)
_PYTHON_END = re.compile(
    r"<\|tool_call_end\|>|<\|python_end\|>|</tool_code>|</function_calls>|```|\Z", re.IGNORECASE
)
_CALLS = re.compile(r"\s*\[?\s*[A-Za-z_][\w.]*\s*\(")
_OBJECT = re.compile(r"(?:\[\s{0,9})?\{\s{0,9}[\"}]")
_FENCE = re.compile(r"^ {0,3}(?:```|~~~)", re.MULTILINE)
_PRINTED = re.compile(r"(?:print\()?\s*(?:default_api|functions)\.")
_MOST_OBJECTS = 500
_QUOTED_NAME = re.compile(
    r"[{,]\s{0,9}['‘“](?:name|tool|function|tool_name)['’”]\s{0,3}:\s{0,3}['‘“]([\w.-]{1,200})['’”]"
)
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}


def written_calls(text: str, known: KnownTools = _NO_TOOLS) -> list[ToolCall]:
    """The calls in an answer, in order; none for an answer in words.

    Args:
        text: The answer.
        known: The case's tools.

    Raises:
        CallError: A call can't be read, or it isn't clear whether the answer calls a tool.
    """
    calls: list[ToolCall] = []
    place = 0
    text = _without_end(text)
    while (opening := _OPENING.search(text, place)) is not None:
        calls += _unmarked(text[place : opening.start()], known)
        if opening["reasoning"] is not None:
            place = opening.end()
        elif opening["python"] is not None:
            found, place = _of_python_marks(text, opening.end(), known)
            calls += found
        else:
            number = next(at for at in range(len(FORMS)) if opening[f"form{at}"] is not None)
            found, place = FORMS[number][1](text, opening.end(), known)
            calls += found
    return calls + _unmarked(text[place:], known)


def words_before_calls(text: str, called: Sequence[str]) -> str:
    """What an answer says before its calls, where these are known from elsewhere too.

    Args:
        text: The answer.
        called: The tools that it is known to call, in order.

    Returns:
        The words; the whole text where it calls others, or none that can be read.
    """
    known = KnownTools(frozenset(called))
    try:
        if not called or [call.name for call in written_calls(text, known)] != list(called):
            return text
        whole = _without_end(text)
        marks = (found.start() for found in _OPENING.finditer(whole) if found["reasoning"] is None)
        words = whole[: next(marks, None)]
        if _unmarked(words, known):
            words = words[: _first_unmarked(words, known)]
    except CallError:
        return text
    return _WRAPPERS.sub("", words).rstrip()


def _first_unmarked(text: str, known: KnownTools) -> int:
    """Where the line begins that has the first call without marks; Python's calls are all of a text."""
    for found in _OBJECT.finditer(text):
        start = text.rfind("\n", 0, found.start()) + 1
        if _unmarked(text[start : json_end(text, found.start())], known):
            return start
    return 0


def _without_end(text: str) -> str:
    """An answer without the marks of its end."""
    text = text.rstrip()
    while (end := _END.search(text[-_LONGEST_END:])) is not None:
        text = text[: len(text) - len(end.group())].rstrip()
    return text


def _of_python_marks(text: str, start: int, known: KnownTools) -> tuple[list[ToolCall], int]:
    """JSON, or Python's calls, between marks of code."""
    end = _PYTHON_END.search(text, start)
    assert end is not None  # the text's end is one
    block = text[start : end.start()].strip()
    if block.startswith(("{", "[{")):
        calls = [call for value in values_of(block) for call in json_calls(value)]
    else:
        calls = _of_lines(block, known)
    if not calls:
        raise CallError("between the marks of calls is none")
    return calls, end.end()


def _unmarked(text: str, known: KnownTools) -> list[ToolCall]:
    """The calls in a part of the answer without marks of calls."""
    bare = _WRAPPERS.sub("", text).strip()
    if not bare:
        return []
    if named := _single_quoted(bare, known):
        raise CallError(f"{quote(named)} is named between single quotes: not JSON")
    if bare.startswith(("{", "[{")):
        return _of_whole_json(bare, known)
    if _CALLS.match(bare) and (calls := _of_lines(bare, known)):
        return calls
    found = _embedded(bare, known)
    if not found and known.names and (shown := _python_pattern(tuple(sorted(known.names))).search(bare)):
        raise CallError(f"{quote(shown[1])} may be called, or only shown, inside of other text")
    return found


def _single_quoted(text: str, known: KnownTools) -> str:
    """The tool that a text names as a dictionary of Python does; empty if it names none."""
    return next((found[1] for found in _QUOTED_NAME.finditer(text) if found[1] in known.names), "")


@lru_cache(maxsize=64)
def _python_pattern(names: Sequence[str]) -> re.Pattern[str]:
    """A call as Python writes it, with arguments by name or none, at the beginning of a line."""
    either = "|".join(map(re.escape, names))
    return re.compile(
        rf"^[ \t]*\[?[ \t]*({either})[ \t]?\((?:[ \t]*\w+[ \t]*=|[ \t]*\)[ \t]*\]?[ \t]*$)", re.MULTILINE
    )


def _of_whole_json(bare: str, known: KnownTools) -> list[ToolCall]:
    """The calls of JSON values with nothing else; JSON that says something else is an answer in words."""
    try:
        values = values_of(bare)
    except CallError:
        if json_end(bare, 0) < len(bare):
            return _embedded(bare, known)
        if '"name"' in bare:
            raise
        return []
    return _calls_of([entry for value in values for entry in call_entries(value)], known)


def _calls_of(value: JsonValue, known: KnownTools) -> list[ToolCall]:
    """The calls of a JSON value; beside a call, a name alone is one too."""
    entries = call_entries(value)
    found = [unmarked_call(entry, known) for entry in entries]
    if not any(found):
        return []
    calls = [call or next(iter(json_calls(entry)), None) for call, entry in zip(found, entries, strict=True)]
    if any(call is None for call in calls):
        raise CallError("what is beside a call is none")
    return [call for call in calls if call is not None]


def _embedded(text: str, known: KnownTools) -> list[ToolCall]:
    """Calls among words: JSON in lines of its own, or behind a tool's name."""
    calls: list[ToolCall] = []
    place, fences = 0, [match.start() for match in _FENCE.finditer(text)]
    for _ in range(_MOST_OBJECTS):
        found = _OBJECT.search(text, place)
        if found is None:
            return calls
        end = json_end(text, found.start())
        name = _name_before(text, found.start(), known)
        try:
            value = parse_json(text[found.start() : end])
        except NotJsonError as error:
            if name or _names_tool(text[found.start() : found.start() + 200], known):
                raise CallError(str(error)) from error
            place = found.end()
            continue
        if name:
            calls.append(with_json(name, text[found.start() : end]))
        elif mine := _calls_of(value, known):
            if any(fence < found.start() for fence in fences) or not _is_alone(text, found.start(), end):
                raise CallError(f"{quote(mine[0].name)} may be called, or only shown, inside of other text")
            calls += mine
        place = end
    raise CallError(f"more than {_MOST_OBJECTS} pieces of JSON")


def _is_alone(text: str, start: int, end: int) -> bool:
    """Whether only JSON is in the lines of a piece of JSON."""
    before = text[:start].rpartition("\n")[2].strip(" \t;,")
    after = text[end:].partition("\n")[0].strip(" \t;,")
    return (not before or before.endswith(("}", "]"))) and (not after or after.startswith(("{", "[")))


def _name_before(text: str, start: int, known: KnownTools) -> str:
    """The known tool whose name is directly before a piece of JSON; empty if there is none."""
    if not known.names:
        return ""
    found = _name_pattern(tuple(sorted(known.names, key=len, reverse=True))).search(
        text[max(0, start - 300) : start]
    )
    return found[1] if found else ""


@lru_cache(maxsize=64)
def _name_pattern(names: Sequence[str]) -> re.Pattern[str]:
    either = "|".join(map(re.escape, names))
    return re.compile(
        rf"(?<![\w.-])(?:functions\.)?({either})(?::\d+)?\s?(?:\[CALL_ID\][\w-]{{0,80}})?(?:\[ARGS\]|json|\n```json)?\s?\Z"
    )


def _names_tool(text: str, known: KnownTools) -> bool:
    return any(f'"{name}"' in text for name in known.names)


def _of_lines(text: str, known: KnownTools) -> list[ToolCall]:
    """Calls as Python writes them: a list, or one a line; with Gemma's ``print(default_api.…)``."""
    plain = text
    if _PRINTED.match(text):
        plain = "\n".join(_unprinted(line) for line in text.splitlines())
    calls = list(_of_python(plain))
    if not calls and "\n" in plain:
        lines = [line for line in plain.splitlines() if line.strip()]
        each = [list(_of_python(line)) for line in lines]
        calls = [call for found in each for call in found] if all(each) else []
    return [_renamed(call, known) for call in calls]


def _unprinted(line: str) -> str:
    match = _PRINTED.match(line.strip())
    if match is None:
        return line
    rest = line.strip()[match.end() :]
    return rest.removesuffix(")") if match[0].startswith("print") else rest


def _renamed(call: ToolCall, known: KnownTools) -> ToolCall:
    """``name.call(…)`` is Llama's call of its own tool ``name``."""
    if call.name in known.names or not call.name.endswith(".call"):
        return call
    return ToolCall(name=call.name.removesuffix(".call"), arguments=call.arguments)


def _of_python(text: str) -> Iterator[ToolCall]:
    """Calls with literal arguments by name; other Python is an answer in words."""
    # LFM's template leaves line breaks inside of quotes as they are.
    tree = _parsed(text) or _parsed(text.replace("\n", "\\n"))
    if tree is None:
        return
    nodes = tree.elts if isinstance(tree, ast.List) else [tree]
    for node in nodes:
        if not isinstance(node, ast.Call) or node.args or any(each.arg is None for each in node.keywords):
            return
    for node in nodes:
        assert isinstance(node, ast.Call)
        name = ast.unparse(node.func)
        try:
            arguments = {str(each.arg): _literal(each.value) for each in node.keywords}
            # Only what JSON has too.
            plain = json.loads(json.dumps(arguments, allow_nan=False))
        except (ValueError, TypeError, RecursionError) as error:
            raise CallError(f"the arguments of {name} are no plain values") from error
        yield ToolCall(name=name, arguments=plain)


def _parsed(text: str) -> ast.expr | None:
    try:
        # Words may look like Python that only warns: "5km".
        with warnings.catch_warnings(action="ignore", category=SyntaxWarning):
            return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _literal(value: ast.expr) -> object:
    """A literal of Python, with JSON's words too."""
    for node in ast.walk(value):
        for name, child in ast.iter_fields(node):
            children = child if isinstance(child, list) else [child]
            named = [
                ast.Constant(_WORDS[each.id]) if isinstance(each, ast.Name) and each.id in _WORDS else each
                for each in children
            ]
            setattr(node, name, named if isinstance(child, list) else named[0])
    if isinstance(value, ast.Name) and value.id in _WORDS:
        return _WORDS[value.id]
    return ast.literal_eval(value)
