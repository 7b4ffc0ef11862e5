"""Which checks are decided before an answer ends: what is found in a text stays in every longer one.

So an answer may stop once each check of its case has found what it looks for. A check that could not find it,
or that reads the whole answer, is known only at the end.
"""

import unicodedata
import warnings
from collections.abc import Callable, Mapping, Sequence
from re import _constants as codes  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

from harness.golden.patterns import compiled
from harness.types import Check, JsonValue

_TEXTS = {"contains": "any", "icontains": "any", "contains-any": "any", "contains-all": "all"}
_JSON = "contains-json"
DECIDED = (*_TEXTS, "regex", _JSON)
# Whether an answer that begins with a text contains JSON that is valid under a schema, or None for any.
FindsJson = Callable[[str, JsonValue], bool]
# One pattern on the answer so far; a slower one is left to the end.
_SECONDS = 0.1
# What may still join the character before it.
_JAMO = range(0x1100, 0x1200)
_UNFINISHED = "\ufffd"


def condition_of(check: Check, references: Sequence[str]) -> JsonValue:
    """What has to be found for a check to be decided; None for a check that only the end decides.

    Args:
        check: The check, also a negated one.
        references: Its case's.
    """
    name = check.type.removeprefix("not-")
    if check.transform or check.checks or name not in DECIDED:
        return None
    if name == "regex":
        pattern = str(check.value)
        ignore_case = bool(check.options.get("ignore_case"))
        return {"pattern": pattern, "ignore_case": ignore_case} if _stays(pattern) else None
    if name == _JSON:
        return {"json": check.value}
    given = list(references) if check.value is None else check.value
    texts: list[JsonValue] = list(given) if isinstance(given, list) else [given]
    if not texts or not all(isinstance(each, str) for each in texts):
        return None
    return {_TEXTS[name]: texts, "fold": name == "icontains"}


def looks_for_json(conditions: Sequence[JsonValue]) -> bool:
    """Whether one of the conditions is of JSON."""
    return any(isinstance(each, Mapping) and "json" in each for each in conditions)


def is_decided(
    conditions: Sequence[JsonValue], answer: str, finds_json: FindsJson = lambda _answer, _schema: False
) -> bool:
    """Whether all conditions are met by the beginning of an answer, and so by the whole one.

    Args:
        conditions: Those of a case's checks.
        answer: The answer so far.
        finds_json: Looks for JSON, where ``looks_for_json``.
    """
    begun = answer.rstrip(_UNFINISHED)
    return all(isinstance(each, Mapping) and _met(each, begun, finds_json) for each in conditions)


def _met(condition: Mapping[str, Any], answer: str, finds_json: FindsJson) -> bool:
    if "json" in condition:
        return finds_json(answer, condition["json"])
    if "pattern" in condition:
        pattern = compiled(condition["pattern"], ignore_case=condition["ignore_case"])
        try:
            return pattern.search(answer, timeout=_SECONDS) is not None
        except TimeoutError:
            return False
    fold = _folded if condition["fold"] else _composed
    found = (_found(fold, text, fold(answer)) for text in condition.get("any") or condition["all"])
    return any(found) if "any" in condition else all(found)


def _composed(text: str) -> str:
    return unicodedata.normalize("NFC", text)


def _folded(text: str) -> str:
    return _composed(_composed(text).casefold())


def _found(fold: Callable[[str], str], text: str, answer: str) -> bool:
    """Whether a text is in the answer, with a character after it that shows that its last one is whole."""
    wanted = fold(text)
    end = answer.find(wanted) + len(wanted)
    if end < len(wanted) or end >= len(answer):
        return False
    after = answer[end]
    return not (unicodedata.category(after).startswith("M") or ord(after) in _JAMO)


def _stays(pattern: str) -> bool:
    """Whether a match in a text is one in each text that begins with it: nothing looks at what follows."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        tree = _parser.parse(pattern)
    waiting: list[Any] = [tree]
    while waiting:
        for code, value in waiting.pop():
            if code is codes.AT and value not in {codes.AT_BEGINNING, codes.AT_BEGINNING_STRING}:
                return False
            if code not in _PLAIN:
                return False
            waiting += _inside(value)
    return True


_PLAIN = {
    *(codes.LITERAL, codes.NOT_LITERAL, codes.ANY, codes.IN, codes.AT, codes.BRANCH, codes.SUBPATTERN),
    *(codes.MAX_REPEAT, codes.MIN_REPEAT, codes.GROUPREF),
}


def _inside(value: Any) -> list[Any]:
    """The patterns inside a node's value."""
    if isinstance(value, _parser.SubPattern):
        return [value]
    if isinstance(value, list | tuple):
        return [pattern for each in value for pattern in _inside(each)]
    return []
