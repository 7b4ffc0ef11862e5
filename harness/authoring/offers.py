"""Offers checks for a new case: a good answer passes them and an empty answer fails them."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from harness.golden.check_rules import CheckProblem, make_check
from harness.golden.quantities import quantities
from harness.golden.schema import CHECK_TYPES, base_type
from harness.metrics.text import words
from harness.run.scoring import score_cases
from harness.types import Check, Completion, GoldenCase, Message, Outcome

_WORD = re.compile(r"\w[\w'-]*")
_COMMON = frozenset(
    [
        *("a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "have", "in", "is", "it"),
        *("of", "on", "or", "that", "the", "this", "to", "was", "with"),
    ]
)
_SHORT_WORDS = 4
_KEYWORDS = 3


def offer_checks(prompt: str, answer: str, references: Sequence[str] = ()) -> list[dict[str, Any]]:
    """Checks for an answer, most specific first.

    Args:
        prompt: The prompt.
        answer: A good answer.
        references: Good answers; the answer itself if there are none.

    Returns:
        Checks as in the YAML. Each passes on the answer and fails on an empty one. Those that need a library
        are not run: they are offered if the answer is itself a reference, because it then gets their best
        value and an empty answer their worst.
    """
    references = list(references) or [answer]
    offers: list[dict[str, Any]] = []
    for check in _candidates(prompt, answer, references):
        if CHECK_TYPES[base_type(check["type"])].extra is None:
            fits = passes(check, prompt, answer, references) and not passes(check, prompt, "", references)
        else:
            # The libraries compare words; in a text without any they find nothing.
            fits = answer in references and bool(words(answer))
        if fits and check not in offers:
            offers.append(check)
    return offers


def passes(check: Mapping[str, Any], prompt: str, answer: str, references: Sequence[str]) -> bool:
    """Whether an answer passes a check as written in YAML; for checks that need no library.

    Args:
        check: The check, with the keys of the YAML format.
        prompt: The prompt.
        answer: The answer to check.
        references: Good answers.
    """
    try:
        made = _made(check, references)
    except CheckProblem:
        return False
    case = GoldenCase(
        id="answer",
        set_name="offer",
        messages=(Message(role="user", content=prompt),),
        references=tuple(references),
        checks=(made,),
    )
    completion = Completion(
        text=answer, stop_reason="stop", prompt_tokens=0, completion_tokens=0, latency_s=0.0
    )
    (result,) = score_cases([case], {case.key: completion})
    return result.outcome is Outcome.PASSED


def _made(check: Mapping[str, Any], references: Sequence[str]) -> Check:
    options = {key: value for key, value in check.items() if key not in {"type", "value", "threshold"}}
    return make_check(
        check["type"], check.get("threshold"), check.get("value"), options, references=references
    )


def _candidates(prompt: str, answer: str, references: Sequence[str]) -> Iterator[dict[str, Any]]:
    value = _json_container(answer)
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
