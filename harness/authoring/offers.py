"""Offers checks for a new case: a good answer passes them and an empty answer fails them."""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, cast

from harness.golden.check_rules import CheckProblem, make_check
from harness.golden.quantities import quantities
from harness.golden.schema import CHECK_TYPES, base_type
from harness.golden.variables import fill_value
from harness.metrics.call_json import known_tools
from harness.metrics.text import words
from harness.metrics.written_calls import written_calls
from harness.run.scoring import score_cases
from harness.types import (
    Check,
    Completion,
    GenerationSettings,
    GoldenCase,
    JsonValue,
    Message,
    Outcome,
    ToolCall,
)

# A variable of the case is a word.
_WORD = re.compile(r"\{\{\s*[A-Za-z_]\w*\s*\}\}|\w[\w'-]*")
_COMMON = frozenset(
    [
        *("a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "have", "in", "is", "it"),
        *("of", "on", "or", "that", "the", "this", "to", "was", "with"),
    ]
)
_SHORT_WORDS = 4
_NO_CALL: dict[str, Any] = {"type": "tool-calls", "value": []}
_KEYWORDS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a case asks.

    Attributes:
        prompt: The words of the user that are answered.
        tools: The tools that it offers, in OpenAI's form.
        fills: For each case that the entry stands for, what fills its variables into a text.
    """

    prompt: str
    tools: tuple[JsonValue, ...] = ()
    fills: tuple[Callable[[str], str], ...] = (str,)


def offer_checks(asked: Question, answer: str, references: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Checks for an answer, most specific first.

    Args:
        asked: The question.
        answer: A good answer.
        references: Good answers; the answer itself if there are none.

    Returns:
        Checks as in the YAML. Each passes on the answer and fails on an empty one. Those that need a library
        are not run: they are offered if the answer is itself a reference, because it then gets their best
        value and an empty answer their worst. Where tools are offered and not called, the last one says so.

    Raises:
        CallError: It means to call a tool, and the call can't be read.
    """
    references = list(references) or [answer]
    offers: list[dict[str, Any]] = []
    for check in _candidates(asked, answer, references):
        if CHECK_TYPES[base_type(check["type"])].extra is None:
            wrong = _some_call(asked) if check == _NO_CALL else ""
            fits = passes(check, asked, answer, references) and not passes(check, asked, wrong, references)
        else:
            # The libraries compare words; in a text without any they find nothing.
            fits = answer in references and bool(words(answer))
        if fits and check not in offers:
            offers.append(check)
    return offers


def passes(check: Mapping[str, Any], asked: Question, answer: str, references: Sequence[str]) -> bool:
    """Whether an answer passes a check as written in YAML; for checks that need no library.

    Args:
        check: The check, with the keys of the YAML format.
        asked: The question.
        answer: The answer to check.
        references: Good answers.
    """
    return all(_passes(check, asked, answer, references, fill) for fill in asked.fills)


def _passes(
    check: Mapping[str, Any],
    asked: Question,
    answer: str,
    references: Sequence[str],
    fill: Callable[[str], str],
) -> bool:
    references = [fill(reference) for reference in references]
    filled = {**check, "value": fill_value(check["value"], fill)} if "value" in check else check
    try:
        made = _made(filled, references)
    except CheckProblem:
        return False
    case = GoldenCase(
        id="answer",
        set_name="offer",
        messages=(Message(role="user", content=fill(asked.prompt)),),
        references=tuple(references),
        checks=(made,),
        generation=GenerationSettings(tools=asked.tools),
    )
    completion = Completion(
        text=fill(answer), stop_reason="stop", prompt_tokens=0, completion_tokens=0, latency_s=0.0
    )
    (result,) = score_cases([case], {case.key: completion})
    return result.outcome is Outcome.PASSED


def _made(check: Mapping[str, Any], references: Sequence[str]) -> Check:
    options = {key: value for key, value in check.items() if key not in {"type", "value", "threshold"}}
    return make_check(
        check["type"], check.get("threshold"), check.get("value"), options, references=references
    )


def _some_call(asked: Question) -> str:
    """An answer that calls the first tool."""
    name = cast("Any", asked.tools[0])["function"]["name"]
    return json.dumps({"name": name, "arguments": {}})


def _of_calls(calls: Sequence[ToolCall]) -> Iterator[dict[str, Any]]:
    value = [{"name": call.name, "arguments": dict(call.arguments)} for call in calls]
    yield {"type": "tool-calls", "value": value}
    yield {"type": "is-valid-openai-tools-call"}
    yield {"type": "tool-calls", "value": [{"name": call.name} for call in calls]}
    yield {"type": "tool-call-f1", "value": sorted({call.name for call in calls}), "threshold": 1}


def _candidates(asked: Question, answer: str, references: Sequence[str]) -> Iterator[dict[str, Any]]:
    if asked.tools and (calls := written_calls(answer, known_tools(asked.tools))):
        # Words of a call are of its form, which models write differently.
        yield from _of_calls(calls)
        return
    yield from _of_text(asked.prompt, answer, references, asked.fills[0])
    if asked.tools:
        yield _NO_CALL


def _of_text(
    prompt: str, answer: str, references: Sequence[str], fill: Callable[[str], str]
) -> Iterator[dict[str, Any]]:
    value = _json_container(fill(answer))
    if value is not None:
        yield {"type": "json-equals"} if answer in references else {"type": "json-equals", "value": value}
        yield {"type": "is-json", "value": _schema_of(value)}
        return
    yield {"type": "is-refusal"}
    if len(answer.split()) <= _SHORT_WORDS:
        yield {"type": "equals"}
        yield {"type": "exact-match"}
        if len(quantities(answer)) == 1:
            yield {"type": "numeric"}
    for word in _keywords(prompt, answer):
        # A bare number would also match inside a longer one.
        if word.isdecimal():
            yield {"type": "regex", "value": rf"\b{word}\b"}
        else:
            yield {"type": "icontains", "value": word}
    yield {"type": "f1", "threshold": 0.5}
    yield {"type": "rouge-l", "threshold": 0.5}
    yield {"type": "similar", "threshold": 0.8}
    words = len(answer.split())
    yield {"type": "length", "min": 1, "max": max(2 * words, words + 5), "unit": "words"}


def _json_container(answer: str) -> dict[str, Any] | list[Any] | None:
    """The answer as a JSON object or list."""
    try:
        value = json.loads(answer)
    except (ValueError, RecursionError):
        return None
    return value if isinstance(value, dict | list) else None


def _schema_of(value: Any) -> dict[str, Any]:
    """The JSON Schema of values with the same keys and types."""
    if isinstance(value, dict):
        return {
            "type": "object",
            "properties": {key: _schema_of(item) for key, item in value.items()},
            "required": list(value),
            "additionalProperties": False,
        }
    if isinstance(value, list):
        items = [_schema_of(item) for item in value]
        alike = bool(items) and all(item == items[0] for item in items)
        return {"type": "array", "minItems": min(len(items), 1)} | ({"items": items[0]} if alike else {})
    # bool comes before int, because it is its subclass.
    names = {bool: "boolean", int: "integer", float: "number", str: "string"}
    return {"type": names.get(type(value), "null")}


def _keywords(prompt: str, answer: str) -> list[str]:
    """The answer's most specific words: numbers and names first, then long ones; no words of the prompt."""
    asked = {word.casefold() for word in _WORD.findall(prompt)}
    words = [
        word
        for word in dict.fromkeys(_WORD.findall(answer))
        if word.casefold() not in _COMMON and word.casefold() not in asked
    ]

    def rank(word: str) -> tuple[bool, int]:
        is_name = word[0].isupper() and not answer.startswith(word)
        return (not (word.isdecimal() or is_name), -len(word))

    return sorted(words, key=rank)[:_KEYWORDS]
