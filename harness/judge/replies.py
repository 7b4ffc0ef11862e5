"""Reading a judge's reply: strict in what it says, tolerant in how it is wrapped, and closed to the answer.

An answer may carry verdicts of its own, and a judge may quote it. So a verdict counts only if the whole reply
is that object, or if every object in it that could be one says the same. Marks of reasoning that the judged
texts contain themselves are not trusted to be the judge's. In doubt there is no verdict.
"""

import json
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from harness.judge.spelling import in_schema_spelling
from harness.prompts.reasoning import THINKING_TAGS
from harness.types import JsonValue

# Of a longer reply the end is read: that is where a verdict stands.
_LONGEST = 1_000_000
# More braces than any judge writes; each is read at most once.
_MOST_OBJECTS = 400
_OPENING = re.compile(r"\{")
_FINAL_CHANNEL = re.compile(r"<\|channel\|>\s*final[^<]*<\|message\|>")
_UNMARKED_FINAL = re.compile(r"assistant\s*final")
_CHANNEL = "<|channel|>"
# Of the private use area: no judge writes it.
_MASK = "\ue000"


class ReplyError(ValueError):
    """A reply contains no single verdict that follows the schema."""


def read_reply(
    text: str, schema: Mapping[str, JsonValue], *, quoted: str = "", cut: bool = False
) -> dict[str, JsonValue]:
    """The object in a reply.

    A code fence, prose around the object, reasoning before it, Python's spelling of it, raw line breaks and
    trailing commas, and numbers or booleans in quotation marks are accepted. A
    missing or wrong value is refused, and so are objects that disagree.

    Args:
        text: The reply.
        schema: JSON Schema of an object.
        quoted: All that the judge was shown. A mark of reasoning there is not taken for the judge's own.
        cut: The reply ended at the token limit.

    Returns:
        The object, with the keys and types of the schema.

    Raises:
        ReplyError: There is no such object, or there are several that disagree.
    """
    text = text[-_LONGEST:]
    whole = _strict(text.strip())
    if isinstance(whole, dict):
        found, problem = _fitting(whole, schema)
        if found is None:
            raise ReplyError(f"{problem}: {text.strip()[:80]!r}")
        return found
    if cut:
        raise ReplyError("the reply was cut at the token limit, before a verdict that can be relied on")
    answer = _answer_part(text, quoted)
    if not answer.strip():
        raise ReplyError("the reply is reasoning only" if text.strip() else "the reply is empty")
    return _agreed(answer, schema, quoted)


def _agreed(answer: str, schema: Mapping[str, JsonValue], quoted: str) -> dict[str, JsonValue]:
    """The verdict that all objects in the text share. What is copied from the material is none of them."""
    fitting: list[dict[str, JsonValue]] = []
    problem, outside, end = "no JSON object in it", [], 0
    material, attempts = _without_space(quoted), _attempts(schema)
    for start, stop, value in _objects(answer):
        found, error = _fitting(value, schema)
        if found is None:
            problem = error
            continue
        if _is_copy(_without_space(answer[start:stop]), material, schema):
            problem = "its only verdict is a copy from what it was shown"
        else:
            fitting.append(found)
        outside.append(answer[end:start])
        end = stop
    outside.append(answer[end:])
    if not fitting:
        raise ReplyError(f"{problem}: {answer.strip()[:80]!r}")
    if len({json.dumps(_decisive(found, schema), sort_keys=True) for found in fitting}) > 1:
        raise ReplyError("the reply holds several verdicts, which disagree")
    if attempts.search(" ".join(outside)):
        raise ReplyError("the reply holds a verdict and the remains of another one")
    return fitting[-1]


def _is_copy(piece: str, material: str, schema: Mapping[str, JsonValue]) -> bool:
    """Whether an object, or its verdict, was copied from the material; both without white space."""
    copied = _shared_beginning(piece, material)
    if copied == piece:
        return True
    rules = schema.get("properties")
    values: dict[str, JsonValue] = {
        name: rule
        for name, rule in (rules.items() if isinstance(rules, dict) else ())
        if isinstance(rule, dict) and ("enum" in rule or rule.get("type") in {"boolean", "integer", "number"})
    }
    found = _attempts({"properties": values}).search(copied)
    # Behind a value that was copied as a whole is a comma or a brace; a piece without an end has none.
    return found is not None and (
        not piece.endswith("}") or bool(re.search("[,}]", copied[found.end() - 1 :]))
    )


def _shared_beginning(piece: str, material: str) -> str:
    """The longest beginning of a piece that occurs in the material."""
    least, most = 0, len(piece)
    while least < most:
        middle = (least + most + 1) // 2
        if piece[:middle] in material:
            least = middle
        else:
            most = middle - 1
    return piece[:least]


def _without_space(text: str) -> str:
    return "".join(text.split())


def _answer_part(text: str, quoted: str) -> str:
    """The reply without its reasoning; a mark inside an object is the object's own text, and ends nothing."""
    kept: list[str] = []
    masked, end = [], 0
    for start, stop, _ in _objects(text := text.replace(_MASK, "")):
        masked += [text[end:start], f"{_MASK}{len(kept)}{_MASK}"]
        kept.append(text[start:stop])
        end = stop
    answer = _behind_reasoning("".join([*masked, text[end:]]), quoted)
    return re.sub(f"{_MASK}([0-9]+){_MASK}", lambda found: kept[int(found[1])], answer)


def _behind_reasoning(text: str, quoted: str) -> str:
    """The reply without its reasoning, as far as marks of reasoning can be trusted to be the judge's.

    Raises:
        ReplyError: A reasoning was opened and never closed.
    """
    for opening, closing in THINKING_TAGS:
        if opening in quoted or closing in quoted:
            if text.lstrip().startswith(opening):
                raise ReplyError(f"the reply's reasoning is about an answer that holds {closing} itself")
            continue
        while opening in text:
            before, _, inside = text.partition(opening)
            _, closed, after = inside.partition(closing)
            if not closed:
                raise ReplyError("the reply is reasoning only: it was cut before its answer")
            text = before + after
        # A chat template may have opened the reasoning before the reply began.
        text = text.rpartition(closing)[2]
    if text.lstrip().startswith(_CHANNEL) and _CHANNEL not in quoted:
        parts = _FINAL_CHANNEL.split(text)
        if len(parts) < 2:
            raise ReplyError("the reply is reasoning only: it was cut before its answer")
        return parts[-1]
    if text.lstrip().startswith("analysis") and not _UNMARKED_FINAL.search(quoted):
        return _UNMARKED_FINAL.split(text)[-1]
    return text


def _objects(text: str) -> Iterator[tuple[int, int, dict[str, Any]]]:
    """Objects that stand anywhere in the text, with their places; those inside another one are its own.

    Raises:
        ReplyError: There are more braces than can be looked at.
    """
    starts = [found.start() for found in _OPENING.finditer(text)]
    if len(starts) > _MOST_OBJECTS:
        raise ReplyError(f"the reply holds more than {_MOST_OBJECTS} opening braces")
    end = 0
    for start in starts:
        if start < end:
            continue
        found = _object_at(text, start)
        if found is not None:
            stop, value = found
            yield start, stop, value
            end = stop


def _object_at(text: str, start: int) -> tuple[int, dict[str, Any]] | None:
    """The object that begins at a brace, and where it ends: as it is written, or repaired."""
    try:
        value, stop = json.JSONDecoder(strict=False).raw_decode(text, start)
    except (ValueError, RecursionError):
        stop = _closing(text, start)
        value = _repaired(text[start:stop])
    return (stop, value) if isinstance(value, dict) else None


def _closing(text: str, start: int) -> int:
    """Behind the brace that closes the one at ``start``, or the text's end; quotation marks don't count."""
    depth = 0
    for found in re.finditer(r"[{}]", text[start:]):
        depth += 1 if found.group() == "{" else -1
        if depth == 0:
            return start + found.end()
    return len(text)


def _repaired(text: str) -> object:
    # Prose between braces is none of an object's beginnings.
    if not re.match(r"\{\s*[\"'\w\\]", text) or ":" not in text:
        return None
    from json_repair import repair_json

    try:
        return repair_json(text, return_objects=True, skip_json_loads=True)
    except (ValueError, RecursionError, TypeError):
        return None


def is_bare_object(text: str) -> bool:
    """Whether a text is one JSON object and nothing else, as structured output gives it."""
    return isinstance(_strict(text.strip()), dict)


def _strict(text: str) -> object:
    try:
        return json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None


def _fitting(
    value: Mapping[str, Any], schema: Mapping[str, JsonValue]
) -> tuple[dict[str, JsonValue] | None, str]:
    """The object in the schema's spelling, or None and what is wrong with it."""
    candidate = in_schema_spelling(value, schema)
    error = _first_error(candidate, json.dumps(schema, sort_keys=True))
    return (candidate, "") if error is None else (None, error)


def _decisive(found: Mapping[str, JsonValue], schema: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The deciding part of an object: everything except free text."""
    properties = schema.get("properties")
    rules: Mapping[str, Any] = properties if isinstance(properties, dict) else {}
    return {
        name: value
        for name, value in found.items()
        if rules.get(name, {}).get("type") != "string" or "enum" in rules.get(name, {})
    }


def _attempts(schema: Mapping[str, JsonValue]) -> re.Pattern[str]:
    """Matches the beginning of a verdict, whole or not: a deciding key with a colon or an equals sign."""
    properties = schema.get("properties")
    rules: Mapping[str, Any] = properties if isinstance(properties, dict) else {}
    keys = [name for name in rules if name in _decisive(dict.fromkeys(rules), schema)]
    names = "|".join(re.escape(name) for name in keys) or r"(?!)"
    return re.compile(rf"\b(?:{names})\b\\?[\"']?\s*[:=]\s*\S", re.IGNORECASE)


@cache
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema))


def _first_error(candidate: Mapping[str, JsonValue], schema: str) -> str | None:
    for error in _validator(schema).iter_errors(candidate):
        place = ".".join(map(str, error.path))
        return f"{place}: {error.message}" if place else str(error.message)
    return None
