"""Whether the words around a name in a text deny it: "not positive", "C is wrong", 这不是积极的.

Read in the name's clause only. It is wording, not logic: a reader of labels or options uses it to decline an
answer, never to accept the opposite.
"""

import re

# A clause of a long answer is read this far.
_WINDOW = 90
# A longer answer may deny and name for other reasons.
_CONTRAST = 300
_CLAUSE_END = re.compile(
    r"[.!?;:\n…。！？；：，、|—]|,(?!\s*(?:dass|daß|ob|que|che|что|чтобы)\b)|\s[-–]\s|\band\s+(?:it|this|that|the|so|is)\b"
    r"|\b(?:but|because|since|so|although|though|thus|therefore|aber|sondern|weil|mais|pero|sino|mas|но)\b",
    re.IGNORECASE,
)
_IDIOMS = re.compile(
    r"\b(?:no|little|without(?:\s+a)?|beyond(?:\s+a)?)\s+(?:doubt|question)\b|(?:\bnot|n['’]t)\s+(?:only|just|merely|simply)\b"
    r"|\bnothing\s+but\b|\bif\s+(?:(?:i|you|we)\s+(?:had|have)\s+to\s+\w+|anything)\b"
    r"|\bno\s+other\s+than\b|\bwhy\s+not\b|非常|不错|無論|无论|不管|不仅",
    re.IGNORECASE,
)
_NOT = (
    r"(?:\b(?:not|no|never|neither|nor|none|nothing|cannot|hardly|barely|scarcely|without|unlike|except|isnt|doesnt"
    r"|far\s+from|opposite|doubt(?:s|ed|ful)?|unsure|uncertain|(?:wrong|incorrect|mistaken)\s+to|fails?\s+to|less\s+than"
    r"|short\s+of|rather\s+than|instead\s+of|nowhere\s+near|disagree\w*|refus(?:e|es|ed|ing)|false\s+(?:that|to)|if|unless|nicht|kein\w{0,2}|nie|weder|pas|ni|jamais"
    r"|aucun\w?|non|não|nem|tampoco|nunca|jamás|не|ни|нет|нельзя|niet|geen|inte|ikke|không|tidak|bukan|sio"
    r"|ليس|ليست|غير|لا|לא|אינו)\b|n['’]t\b|[不没沒非無无未否勿]|안\s|ไม่|មិន|ບໍ່|मत\s)"
)
# In these languages what denies a name comes behind it.
_BEHIND = r"(?:ない|ません|じゃな|아니|아닙|않|नहीं|değil|نیست|ဘူး)"
_BEFORE = re.compile(rf"{_NOT}|{_BEHIND}", re.IGNORECASE)
# Directly before a name only: "the lack of delays makes it positive" denies nothing.
_RULED_OUT = re.compile(
    r"\b(?:lack(?:s|ed|ing)?|avoid(?:s|ed|ing)?|pretend(?:s|ed|ing)?\s+to\s+be|rul(?:e|es|ed|ing)\s+out|reject(?:s|ed|ing)?"
    r"|eliminat(?:e|es|ed|ing)|exclud(?:e|es|ed|ing)|dismiss(?:es|ed|ing)?|sauf|sans|ohne|senza|sin)"
    r"\s+(?:(?:a|an|any|the|option|choice|label)\s+)*[(\[\"'“‘]?\Z",
    re.IGNORECASE,
)
# "positive, but it isn't", "positive (not)"; not the contrast "positive, not negative".
_TAKEN_BACK = re.compile(
    r"\A[\s\"'”’)*_]*(?:[,;–—(-]|\.{3}|…)?\s*"
    r"(?:(?:but|however|though|although|yet|aber|mais|pero|mas)\b,?\s*)?"
    r"(?:(?:it|this|that|in\s+fact|actually|really|clearly|certainly)\s+)*(?:(?:is|was|does|do)\s*)?"
    r"(?:(?:not\b|n['’]t\b)\s*(?:(?:really|quite|exactly|so|at\s+all|true|the\s+case)\b\s*)?(?:[).!?;,…]|\Z)"
    r"|said\s+no\s?one\b)",
    re.IGNORECASE,
)
_UNSURE = re.compile(
    r"(?:\bnot|n['’]t|\bcannot)\s+(?:be\s+)?(?:sure|certain|know|tell|decide|determine|say)\b|\bunsure\b|\buncertain\b|\beither\b",
    re.IGNORECASE,
)
# A name with one of these words is another name: New London, London Bridge.
_MORE_NAME_BEFORE = re.compile(
    r"\b(?:new|old|(?:north|south)(?:east|west)?(?:ern)?|(?:east|west)(?:ern)?|greater|upper|lower|little|saint|st\.?|san|santa|são"
    r"|port|fort|mount|mt\.?|lake|nova|novo|neu|nouvelle|nueva|nuevo)[\s-]\Z",
    re.IGNORECASE,
)
_MORE_NAME_BEHIND = re.compile(
    r"\A[\s-](?:bridge|city|street|road|avenue|square|county|airport|university|college|museum|hills?|beach|bay|river|islands?"
    r"|heights|park|station|tower|jr\.?|junior)\b",
    re.IGNORECASE,
)
_ENDS_IN_NOT = re.compile(rf"{_NOT}\s*\Z", re.IGNORECASE)
_IS = r"\b(?:is|was|are|were|be|seems?|looks?|does|can|ist|war|est|es|è|é|som)"
_AFTER = re.compile(
    rf"{_IS}(?:n['’]t\b|\b(?:\s+\w+){{0,2}}?\s+(?:{_NOT}|wrong|incorrect|false|untrue|impossible|unlikely|excluded"
    rf"|eliminated|ruled\s+out|out\b|(?:a\s+)?mistaken?|fals\w+|fau[xs]\w*|errad\w))"
    rf"|\bcannot\b|{_BEHIND}|[不没沒]",
    re.IGNORECASE,
)
_ALL_BUT = re.compile(r"\b(?:anything|everything|all)\s+but\b", re.IGNORECASE)
_QUESTION = re.compile(r"[^\n.!;:]{0,60}\?")
_ATTACHED = re.compile(r"\b(?:non|not|un|anti|pseudo|nicht|не)[-‐‑–]\Z", re.IGNORECASE)
_ASIDE = re.compile(r",[^,.;:!?\n]{1,40},\s*\Z")


def is_asked(text: str, name: str) -> bool:
    """Whether a text is a name and a question mark: "positive?".

    Args:
        text: The text.
        name: The name in it, with its own marks.
    """
    return any(mark in text.rpartition(name)[2] for mark in "?？؟")


def is_denied(text: str, start: int, end: int) -> bool:
    """Whether the clause of a name denies it, or asks whether it is right.

    Args:
        text: The text; names that contain words that deny should be blanked out.
        start: Where the name begins.
        end: Where it ends.
    """
    before, after = text[max(0, start - _WINDOW) : start], text[end : end + _WINDOW]
    before = _ALL_BUT.sub("not", before)
    if _ATTACHED.search(before) or _QUESTION.match(after) or _TAKEN_BACK.match(after):
        return True
    if _RULED_OUT.search(before):
        return True
    # It isn't, in my view, positive.
    aside = _ASIDE.search(before)
    if aside and _ENDS_IN_NOT.search(before[: aside.start()]):
        return True
    ends = [match.end() for match in _CLAUSE_END.finditer(before)]
    behind = _CLAUSE_END.search(after)
    clause = before[ends[-1] :] if ends else before
    rest = after[: behind.start()] if behind else after
    return bool(_BEFORE.search(_IDIOMS.sub(" ", clause)) or _AFTER.search(_IDIOMS.sub(" ", rest)))


def is_contrast(text: str) -> bool:
    """Whether a text is short enough that, of the names in it, the one that it doesn't deny is meant.

    In a longer one the others may be denied for another reason: "not London, Paris" is a contrast.
    """
    return len(text) <= _CONTRAST and not _UNSURE.search(text)


def is_in_longer_name(text: str, start: int, end: int) -> bool:
    """Whether a proper name is a part of another one, such as London of New London.

    Args:
        text: The text.
        start: Where the name begins.
        end: Where it ends.
    """
    before, after = text[max(0, start - _WINDOW) : start], text[end : end + _WINDOW]
    return _MORE_NAME_BEFORE.search(before) is not None or _MORE_NAME_BEHIND.match(after) is not None
