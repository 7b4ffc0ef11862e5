"""Reading a judge's reply: strict in what it says, tolerant in how it is wrapped, and closed to the answer.

An answer may carry verdicts of its own, and a judge may quote it. So a verdict counts only if the whole reply
is that object, or if every object in it that could be one says the same, none is a copy, and the prose beside
it says nothing else. Marks of reasoning that the judged texts contain themselves are not trusted to be the
judge's. In doubt there is no verdict.
"""

import json
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from harness.judge.reply_echoes import (
    carries,
    contradiction,
    format_copied,
    is_copy,
    other_attempts,
    supposed,
)
from harness.judge.reply_objects import (
    FoundObject,
    ReplyError,
    deciding_names,
    find_objects,
    scalar_names,
    whole_object,
)
from harness.judge.reply_reasoning import behind_reasoning
from harness.judge.reply_statements import denied_inside, doubtful, introduced, reason_denies, taken_back
from harness.judge.spelling import in_schema_spelling, plain_key
from harness.types import JsonValue

# Of a longer reply the end is read: that is where a verdict stands.
_LONGEST = 1_000_000
# Of the private use area: no judge writes it.
_MASK = "\ue000"
_MASKED = re.compile(f"{_MASK}([0-9]+){_MASK}")
_OTHER_VERDICTS = re.compile(
    r"pass|verdict|final|overall|result|decision|outcome|winner|label|conclusion|correct(ed)?$|revised"
)
# Grades of single points may differ from the grade.
_OTHER_GRADES = re.compile(r"final|overall|verdict|decision|conclusion|corrected|revised")
# The one key of an object around a verdict; one that may name what was judged, such as answer, is none.
_WRAPPING = re.compile(
    r"(?:(?:the|my|your|final|overall|judge'?s?) )*"
    r"(?:results?|verdicts?|evaluations?|judge?ments?|assessments?|decision|ruling|conclusion|json|data|object|grading|review)"
)
_COPIED = "its only verdict is a copy from what it was shown"


def read_reply(
    text: str,
    schema: Mapping[str, JsonValue],
    *,
    quoted: str = "",
    judged: str | None = None,
    cut: bool = False,
) -> dict[str, JsonValue]:
    """The object in a reply.

    A code fence, prose around the object, reasoning before it, Python's spelling of it, raw line breaks and
    trailing commas, and numbers or booleans in quotation marks are accepted. A missing or wrong value is
    refused, and so are objects that disagree, a key that is written twice, an object that can't be repaired
    without a guess, and a copy of what the judge was shown.

    Args:
        text: The reply.
        schema: JSON Schema of an object.
        quoted: All that the judge was shown.
        judged: The part of it that a judged model wrote, or that it may imitate; all of it by default, and
            empty where that part is unknown among examples, so that only whole copies are told. A mark of
            reasoning there is not taken for the judge's own.
        cut: The reply ended at the token limit.

    Returns:
        The object, with the keys and types of the schema.

    Raises:
        ReplyError: There is no such object, or there are several that disagree.
    """
    judged = quoted if judged is None else judged
    text = text[-_LONGEST:].replace(_MASK, "").strip().removeprefix("\ufeff")
    whole = whole_object(text, schema)
    if whole is not None:
        return _own(text, whole, schema, quoted, judged)
    if cut:
        raise ReplyError("the reply was cut at the token limit, before a verdict that can be relied on")
    answer = _answer_part(text, schema, quoted, judged)
    if not answer.strip():
        raise ReplyError("the reply is reasoning only" if text.strip() else "the reply is empty")
    return _agreed(answer, schema, quoted, judged)


def prepare_reading(schema: Mapping[str, JsonValue]) -> None:
    """Import and make what reads a reply of this schema, so that the first reply doesn't wait for it."""
    _validator(json.dumps(schema, sort_keys=True))


def _own(
    text: str, whole: Mapping[str, Any], schema: Mapping[str, JsonValue], quoted: str, judged: str
) -> dict[str, JsonValue]:
    """The verdict of a reply that is one object."""
    found, problem, piece = _read_object(text, whole, schema)
    if found is None:
        raise ReplyError(f"{problem}: {text[:80]!r}")
    if _copied(piece, found, schema, quoted, judged):
        raise ReplyError(f"{_COPIED}: {text[:80]!r}")
    return found


def _read_object(
    piece: str, value: Mapping[str, Any], schema: Mapping[str, JsonValue]
) -> tuple[dict[str, JsonValue] | None, str, str]:
    """The verdict of an object, or of the one inside of it where its only key says so: {"result": {…}}.

    Args:
        piece: The object's text.
        value: The object.
        schema: JSON Schema of the verdict.

    Returns:
        The verdict, or None and what is wrong with it; and its own text.
    """
    found, problem = _fitting(value, schema)
    names = [" ".join(re.findall(r"[^\W_]+", plain_key(str(name)))) for name in value]
    if found is not None or len(names) != 1 or not _WRAPPING.fullmatch(names[0]):
        return found, problem, piece
    inside = list(find_objects(piece[1:], schema))
    if len(inside) != 1 or inside[0].value is None:
        return None, problem, piece
    inner = piece[1 + inside[0].start : 1 + inside[0].stop]
    return _read_object(inner, inside[0].value, schema)


def _copied(
    piece: str, found: Mapping[str, JsonValue], schema: Mapping[str, JsonValue], quoted: str, judged: str
) -> bool:
    if not judged:
        return "".join(piece.split()) in "".join(quoted.split())
    if is_copy(piece, found, judged, schema):
        return True
    return judged != quoted and (
        format_copied(piece, quoted) or "".join(piece.split()) in "".join(quoted.split())
    )


def _agreed(answer: str, schema: Mapping[str, JsonValue], quoted: str, judged: str) -> dict[str, JsonValue]:
    """The verdict that all objects in the text share. What is copied from the material is none of them."""
    fitting: list[tuple[dict[str, JsonValue], FoundObject]] = []
    problem, outside, end = "no JSON object in it", [], 0
    for one in find_objects(answer, schema):
        if one.value is None:
            raise ReplyError(f"{one.problem}: {answer[one.start : one.stop][:80]!r}")
        found, error, piece = _read_object(answer[one.start : one.stop], one.value, schema)
        if found is None:
            problem = error
            continue
        if _copied(piece, found, schema, quoted, judged):
            problem = _COPIED
        else:
            fitting.append((found, one))
        outside.append(answer[end : one.start])
        end = one.stop
    outside.append(answer[end:])
    if not fitting:
        raise ReplyError(f"{problem}: {answer.strip()[:80]!r}")
    if len({json.dumps(_decisive(found, schema), sort_keys=True) for found, _ in fitting}) > 1:
        raise ReplyError("the reply holds several verdicts, which disagree")
    _require_own(answer, fitting, outside, schema, judged)
    return fitting[-1][0]


def _require_own(
    answer: str,
    fitting: list[tuple[dict[str, JsonValue], FoundObject]],
    outside: list[str],
    schema: Mapping[str, JsonValue],
    judged: str,
) -> None:
    """The text around the objects must leave no doubt that they are the judge's last word.

    Raises:
        ReplyError: There is doubt.
    """
    prose = " ".join(outside)
    found, _ = fitting[-1]
    if other_attempts(prose, found, schema) or re.search(r"[\"'”]\s*\}", prose):
        raise ReplyError("the reply holds a verdict and the remains of another one")
    if _bare(answer):
        return
    if carries(judged, found, schema):
        raise ReplyError("the reply's verdict can't be told from the one that the answer carries")
    passes, objects = found.get("pass") is True, [one for _, one in fitting]
    if all(_is_supposed(answer, objects, place, passes=passes) for place in range(len(fitting))):
        raise ReplyError("the reply's only verdict is an example or a quotation")
    if contradiction("\n".join(outside[:-1]), outside[-1], found, schema) or (
        found.get("pass") is True and (doubtful("\n".join(outside)) or taken_back(outside[-1]))
    ):
        raise ReplyError("the reply's words and its verdict disagree")


def _is_supposed(answer: str, objects: list[FoundObject], place: int, *, passes: bool) -> bool:
    """Whether the words before an object, or those right before it, don't say that it is the verdict."""
    while place:
        between = answer[objects[place - 1].stop : objects[place].start]
        if re.search(r"\w", re.sub(r"```\w*", "", between)):
            break
        place -= 1
    before = answer[: objects[place].start]
    if supposed(before):
        return True
    return passes and not introduced(before[objects[place - 1].stop if place else 0 :])


def _bare(answer: str) -> bool:
    """Whether an answer is an object and nothing else, in a code fence or without one."""
    text = answer.strip()
    if text.startswith("```") and text.endswith("```") and len(text) >= 6:
        language, _, inner = text[3:-3].partition("\n")
        text = inner.strip() if not language.strip() or language.strip().isalnum() else text[3:-3].strip()
    return text.startswith("{") and text.endswith("}") and is_bare_object(text)


def _answer_part(text: str, schema: Mapping[str, JsonValue], quoted: str, judged: str) -> str:
    """The reply without its reasoning; a mark inside an object is the object's own text, and ends nothing."""
    kept: list[str] = []
    masked, end = [], 0
    for one in find_objects(text, schema):
        if one.value is None:
            continue
        masked += [text[end : one.start], f"{_MASK}{len(kept)}{_MASK}"]
        kept.append(text[one.start : one.stop])
        end = one.stop
    answer = behind_reasoning("".join([*masked, text[end:]]), judged or quoted, quoted, _MASKED)
    return _MASKED.sub(lambda found: kept[int(found[1])], answer)


def is_bare_object(text: str) -> bool:
    """Whether a text is one JSON object and nothing else, as structured output gives it."""
    try:
        return isinstance(json.loads(text.strip(), strict=False), dict)
    except (ValueError, RecursionError):
        return False


def _fitting(
    value: Mapping[str, Any], schema: Mapping[str, JsonValue]
) -> tuple[dict[str, JsonValue] | None, str]:
    """The object in the schema's spelling, or None and what is wrong with it."""
    candidate = in_schema_spelling(value, schema)
    error = _first_error(candidate, json.dumps(schema, sort_keys=True))
    if error is None and _disagrees_inside(value, candidate, schema):
        raise ReplyError("the reply's object holds a second verdict, which disagrees")
    if error is None and candidate.get("pass") is True:
        _require_undenied(value, candidate, schema)
    return (candidate, "") if error is None else (None, error)


def _require_undenied(
    value: Mapping[str, Any], candidate: Mapping[str, JsonValue], schema: Mapping[str, JsonValue]
) -> None:
    """A pass needs all beside it to agree: further keys in any language, and the reason, in English.

    Raises:
        ReplyError: Something denies it.
    """
    known = {plain_key(name) for name in candidate}
    further = {name: item for name, item in value.items() if plain_key(name) not in known}
    if denied_inside(further):
        raise ReplyError("the reply's object holds a second verdict, which disagrees")
    texts = [text for text in [*candidate.values(), *further.values()] if isinstance(text, str)]
    if any(reason_denies(text) or contradiction(text, "", candidate, schema) for text in texts):
        raise ReplyError("the reply's reason and its verdict disagree")


def _disagrees_inside(value: object, found: Mapping[str, JsonValue], schema: Mapping[str, JsonValue]) -> bool:
    """Whether an object, or one inside of it, has another verdict under a key of its own."""
    deciding = {name: found[name] for name in scalar_names(schema) if name in found}
    if not deciding or not isinstance(value, Mapping | list):
        return False
    if isinstance(value, list):
        # Verdicts on single points: one that fails fails the whole, so a pass may have none.
        return found.get("pass") is True and any(_disagrees_inside(item, found, schema) for item in value)
    for name, item in value.items():
        rule = _decided_by(plain_key(str(name)), deciding)
        if rule is not None and not isinstance(item, dict | list):
            read = in_schema_spelling({rule: item}, schema)[rule]
            if type(read) is type(deciding[rule]) and read != deciding[rule] and not isinstance(read, str):
                return True
        if _disagrees_inside(item, found, schema):
            return True
    return False


def _decided_by(plain: str, deciding: Mapping[str, JsonValue]) -> str | None:
    """The deciding key that a key is another name of."""
    if plain in deciding:
        return plain
    first = next(iter(deciding))
    others = _OTHER_VERDICTS if isinstance(deciding[first], bool) else _OTHER_GRADES
    return first if others.search(plain) else None


def _decisive(found: Mapping[str, JsonValue], schema: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """The deciding part of an object: everything except free text."""
    return {name: found[name] for name in deciding_names(schema) if name in found}


@cache
def _validator(schema: str) -> Any:
    from jsonschema import Draft202012Validator

    return Draft202012Validator(json.loads(schema))


def _first_error(candidate: Mapping[str, JsonValue], schema: str) -> str | None:
    for error in _validator(schema).iter_errors(candidate):
        place = ".".join(map(str, error.path))
        return f"{place}: {error.message}" if place else str(error.message)
    return None
