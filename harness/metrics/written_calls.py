"""Reads the calls of tools in an answer, in the forms in which models write them.

* between marks: see ``call_forms``
* ``{"name": …, "arguments": …}``, or ``"parameters"``, alone or in a list (Llama, Mistral)
* OpenAI's ``{"tool_calls": [{"function": …}]}``
* ``[name(argument="value")]`` (Llama 4, LFM)
"""

import ast
import itertools
import json
import re
from collections.abc import Iterator

from harness.metrics.call_forms import CallError, TextArguments, json_calls, marked_calls
from harness.metrics.json_checks import NotJsonError, parse_json
from harness.types import ToolCall

_MARKS = re.compile(r"^\s*(?:\[TOOL_CALLS\]|<\|python_tag\|>)\s*")
# Words may come before and behind LFM's marks.
_LIST = re.compile(r"<\|tool_call_start\|>(.*?)(?:<\|tool_call_end\|>|\Z)", re.DOTALL)
_CALLS = re.compile(r"\s*\[?\s*[A-Za-z_][\w.]*\s*\(")
_GAP = re.compile(r"[;\s]+")
_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None}
_NO_TEXTS = TextArguments()


def written_calls(text: str, texts: TextArguments = _NO_TEXTS) -> list[ToolCall]:
    """The calls in an answer, in order; none for an answer in words.

    Args:
        text: The answer.
        texts: The arguments that are texts by their tools' schemas.

    Raises:
        CallError: A call can't be read.
    """
    calls = marked_calls(text, texts)
    if calls is not None:
        return calls
    listed = _LIST.search(text)
    bare = listed[1].strip() if listed else _MARKS.sub("", text).strip()
    if bare.startswith(("{", "[{")):
        try:
            found = [json_calls(parse_json(each)) for each in _objects(bare)]
            if len(found) > 1 and not all(found):
                raise CallError("more text follows the call")
            return list(itertools.chain.from_iterable(found))
        except NotJsonError as error:
            if bare != text.strip() or '"name"' in bare:
                raise CallError(str(error)) from error
            return []
    # Llama writes several objects, with semicolons between them.
    calls = list(_of_python(bare)) if _CALLS.match(bare) else []
    if listed and not calls:
        raise CallError("between the marks of calls is none")
    return calls


def _objects(text: str) -> list[str]:
    """The JSON values of a text; Llama writes several calls with semicolons or line breaks between them."""
    places, end = [0], 0
    try:
        while end < len(text):
            _, end = json.JSONDecoder().raw_decode(text, places[-1])
            gap = _GAP.match(text, end)
            end = gap.end() if gap else end
            places.append(end)
    except (ValueError, RecursionError):
        return [text]
    return [text[start:stop].rstrip("; \t\r\n") for start, stop in itertools.pairwise(places)]


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
