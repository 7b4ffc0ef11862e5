"""Whether a judge's object is its own word: no copy of what it was shown, and no prose says otherwise."""

import html
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from harness.judge.reply_objects import attempts, deciding_names, scalar_names
from harness.judge.spelling import in_schema_spelling
from harness.types import JsonValue

_PASSES = r"not\s+pass(?:ed)?|pass(?:ed|es)?|fail(?:ed|s|ure)?|true|false"
_IS = r"\b\W{0,6}?(?:is|was|should be|must be|has to be|=|:)?\W{0,6}\b"
_NO_CHOICE = r"\b(?!\s+or\b|\s*[-–|]\s*\w|\s*/\s*[a-z])"
_LAST = (
    r"(?:final(?: answer| grade| score| word| rating| verdict| decision)?|verdict|decision|ruling|judge?ment)"
)
_SAID = [
    re.compile(rf"\b{name}{_IS}(?P<value>{value}){_NO_CHOICE}", re.IGNORECASE)
    for name, value in (
        (rf"(?:{_LAST}|result|outcome|conclusion|pass(?:ed)?)", _PASSES),
        (r"(?:verdict|decision|ruling|judge?ment)", "yes|no|(?:in)?correct|accept(?:ed)?|reject(?:ed)?"),
        (rf"(?:{_LAST}|grade|score|rating)", r"\d+(?:\.\d+)?"),
        (rf"(?:{_LAST}|winner|prefer(?:ence|red)?)", "(?-i:A|B)|tie"),
    )
]
_LINE = re.compile(
    r"^[^\w\n]{0,9}(?P<value>pass(?:ed|es)?|fail(?:ed|s)?|true|false)[^\w\n]{0,9}$",
    re.IGNORECASE | re.MULTILINE,
)
_YES_OR_NO = re.compile(r"^[^\w\n]{0,9}(?P<value>yes|no)[^\w\n]{0,9}$", re.IGNORECASE | re.MULTILINE)
_WORDS = dict.fromkeys(("pass", "passed", "passes", "true", "yes", "correct", "accept", "accepted"), True)
_WORDS |= dict.fromkeys(("fail", "failed", "fails", "failure", "false", "no", "incorrect", "reject"), False)
_WORDS |= dict.fromkeys(("rejected", "not pass", "not passed"), False)
_NOT = r"(?:do(?:es)? not|doesn't|did not|didn't|should not|shouldn't|cannot|can't|not|never)\s+pass\b"
_CONCLUDES = re.compile(
    r"(?:\b(?:so|therefore|thus|overall|which means|and|but)|[,;.])\s+(?:that\s+)?"
    r"(?:(?:it|the answer|this|that)\s+)?(?:(?:therefore|must|should|has to|will)\s+)?"
    rf"(?P<word>fails?\b(?!\s+to)|{_NOT}|passes\b)",
    re.IGNORECASE,
)
_BEHIND = re.compile(rf"\b(?P<word>{_NOT}|fail(?:s|ed)?\b|reject(?:ed)?\b|passes\b)", re.IGNORECASE)
_CAPITALS = re.compile(r"\b(?P<word>(?:NOT\s+)?PASS(?:ES|ED)?|FAIL(?:S|ED)?)\b")
_TURNS = re.compile(
    r"\b(?:correction|on reflection|on second thoughts?|actually|wait|scratch that|i take (?:that|it) back|"
    r"reconsider\w*|changed? my mind|should (?:instead )?(?:be|have been)|i (?:retract|withdraw)|"
    r"that (?:was|is|['’]s) (?:wrong|not right)|never mind|strike that|"
    r"(?:i )?made (?:an|a) (?:error|mistake)|opposite|invert\w*|"
    r"quot(?:ed|e|ation)|(?:not|n['’]t) mine|answer['’]s own|joke|kidding|"
    r"(?:ignore|disregard|discard|forget|scrap) (?:the|this|that|my) "
    r"(?:above|object|json|verdict|reply|previous|first))\b",
    re.IGNORECASE,
)
# Words before an object, in its sentence, that is none of the judge's verdicts.
_SUPPOSED = re.compile(
    r"(?:\b(?:example|e\.g\.|such as|draft|if (?:it|the answer) had|had it|"
    r"would (?:write|reply|be|get|receive|earn|deserve)|"
    r"(?:wants|asks|tells|instructs|orders|expects|urges) me to|"
    r"looks? like|"
    r"(?:must|should|have to|asked to|told to) (?:reply|respond)|instead of|rather than|copied|"
    r"(?:it|he|she|they|which|that|answer) (?:\w+ly )?"
    r"(?:says?|said|writes?|wrote|claims?|claimed|tries|tried|"
    r"contains?|contained|smuggles|includes?|itself|ends? with|quotes?|carries)|quot(?:es?|ed|ing))\b"
    r"|(?:^|\n)\W*(?:the )?(?:reply |expected |required )?format(?: is)?\b)"
    r"[^{}.!?\n]{0,60}(?::\s*)?(?:```\w*|\\\w{1,12}\{|<\|?[\w|]{1,20}>|final|[>(\[\"'“‘`*_~]|\s)*$",
    re.IGNORECASE,
)
_LOOKED_BACK = 120
_SHARED_WORDS = 3


def contradiction(
    before: str, behind: str, found: Mapping[str, JsonValue], schema: Mapping[str, JsonValue]
) -> bool:
    """Whether the prose around an object states another verdict, in English.

    Args:
        before: The text before and between the objects.
        behind: The text behind the last one.
        found: The verdict, in the schema's spelling.
        schema: JSON Schema of it.
    """
    values = [found[name] for name in scalar_names(schema) if name in found]
    if not values or not (before.strip() or behind.strip()):
        return False
    if _TURNS.search(behind):
        return True
    words = [
        one["value"] for text in (before, behind) for said in (*_SAID, _LINE) for one in said.finditer(text)
    ]
    words += [one["value"] for one in _YES_OR_NO.finditer(behind)]
    if any(_opposes(word, value) for word in words for value in values):
        return True
    passed = found.get("pass")
    if not isinstance(passed, bool):
        return False
    told = [_sense(one["word"]) for one in _BEHIND.finditer(behind)]
    told += [_sense(one["word"]) for one in _CONCLUDES.finditer(before)][-1:]
    capitals = {_sense(one["word"]) for one in _CAPITALS.finditer(f"{before}\n{behind}")}
    return (not passed) in told or capitals == {not passed}


def _sense(word: str) -> bool:
    """Whether the words say that it passes."""
    return word.casefold().startswith("pass")


def _opposes(word: str, value: JsonValue) -> bool:
    word = " ".join(word.casefold().split())
    if isinstance(value, bool):
        return word in _WORDS and _WORDS[word] is not value
    if isinstance(value, int | float):
        return word[0].isdigit() and float(word) != float(value)
    return word in {"a", "b", "tie"} and word != str(value).casefold()


def supposed(before: str) -> bool:
    """Whether the words before an object say that it is an example, a quotation or no verdict yet."""
    return _SUPPOSED.search(before[-_LOOKED_BACK:]) is not None


def is_copy(
    piece: str, found: Mapping[str, JsonValue], material: str, schema: Mapping[str, JsonValue]
) -> bool:
    """Whether an object, or its verdict, was copied from the material, in whatever spelling.

    Args:
        piece: The object as the judge wrote it.
        found: The same, in the schema's spelling.
        material: What the judge was shown, and may have copied.
        schema: JSON Schema of it.
    """
    bare, shown = _without_space(piece), _without_space(material)
    if bare in shown or _ends_alike(bare, shown, schema):
        return True
    texts, letters = [_letters(value) for value in _strings(found, schema)], _letters(material)
    if carries(material, found, schema):
        # Whatever its spelling, a verdict with no word of the judge's own beside it.
        return all(text in letters for text in texts)
    return any(texts) and any(_letters(form) in letters for form in _orders(found))


def carries(material: str, found: Mapping[str, JsonValue], schema: Mapping[str, JsonValue]) -> bool:
    """Whether the material states the same verdict, in whatever spelling.

    Args:
        material: What the judged model wrote.
        found: A verdict in the schema's spelling.
        schema: JSON Schema of it.
    """
    names = [name for name in scalar_names(schema) if name in found]
    return bool(names) and all(
        any(
            in_schema_spelling({name: one}, schema).get(name) == found[name]
            for one in _stated(material, name)
        )
        for name in names
    )


def other_attempts(prose: str, found: Mapping[str, JsonValue], schema: Mapping[str, JsonValue]) -> bool:
    """Whether prose holds the beginning of a verdict that is not the same one.

    Args:
        prose: The text around the objects.
        found: The verdict, in the schema's spelling.
        schema: JSON Schema of it.
    """
    begun = attempts(deciding_names(schema)).findall(prose)
    same = [
        one
        for name in scalar_names(schema)
        for one in _stated(prose, name)
        if name in found and in_schema_spelling({name: one}, schema).get(name) == found[name]
    ]
    return len(begun) > len(same)


def format_copied(piece: str, prompt: str) -> bool:
    """Whether an object has a text of the format that the prompt shows, but for case and punctuation.

    Args:
        piece: The object as the judge wrote it.
        prompt: The prompt.
    """
    shown = _without_space(prompt).casefold()
    pairs = re.findall(r"[\"'](?:\w+)[\"']\s*:\s*\"[^\"\\]{3,}\"", piece)
    begun = [
        _without_space(pair).casefold().rstrip('".!') for pair in pairs if _letters(pair.partition(":")[2])
    ]
    return any(f'{pair}"' in shown for pair in begun)


def _stated(material: str, name: str) -> Iterator[str]:
    key = rf"\b{re.escape(name.casefold())}\b\W{{0,4}}[:=]\W{{0,4}}([\w.]+){_NO_CHOICE}"
    yield from re.findall(key, _readable(material))


def _ends_alike(piece: str, material: str, schema: Mapping[str, JsonValue]) -> bool:
    """Whether a verdict behind a text is in the material in the same way: a quotation ended the text."""
    names = "|".join(re.escape(name) for name in scalar_names(schema)) or r"(?!)"
    verdict = re.search(rf"[\"'],[\"'](?:{names})[\"']:[\"']?[\w.]+[\"']?[,}}]", piece, re.IGNORECASE)
    if verdict is None:
        return False
    place = material.find(verdict[0])
    while place >= 0:
        before, said = material[:place], piece[: verdict.start()]
        shared = 0
        while shared < min(len(before), len(said)) and before[-1 - shared] == said[-1 - shared]:
            shared += 1
        if len(re.findall(r"\w", said[len(said) - shared :])) >= _SHARED_WORDS or shared == len(before):
            return True
        place = material.find(verdict[0], place + 1)
    return False


def _orders(found: Mapping[str, JsonValue]) -> Iterator[str]:
    pairs = [f"{name} {_text(value)}" for name, value in found.items()]
    yield " ".join(pairs)
    yield " ".join(reversed(pairs))


def _text(value: JsonValue) -> str:
    if isinstance(value, dict):
        return " ".join(f"{name} {_text(item)}" for name, item in value.items())
    return " ".join(map(_text, value)) if isinstance(value, list) else str(value)


def _strings(value: Any, schema: Mapping[str, JsonValue]) -> Iterator[str]:
    """The free texts in an object."""
    decided = set(scalar_names(schema))
    for name, item in value.items() if isinstance(value, dict) else ():
        if name not in decided:
            yield from _all_strings(item)


def _all_strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _all_strings(item)


@lru_cache(maxsize=16)
def _readable(text: str) -> str:
    """The text in one spelling: escapes and entities resolved, one width and case, nothing invisible."""
    text = re.sub(r"(?<!\\)\\+u([0-9a-fA-F]{4})", lambda one: chr(int(one[1], 16)), html.unescape(text))
    text = unicodedata.normalize("NFKC", re.sub(r"\\+[nrtbf]?", " ", text))
    return "".join(one for one in text if unicodedata.category(one) not in {"Cf", "Cs"}).casefold()


@lru_cache(maxsize=64)
def _letters(text: str) -> str:
    return "".join(one for one in _readable(text) if one.isalnum())


def _without_space(text: str) -> str:
    return "".join(text.split())
