"""``multiple-choice``: the option that an answer chooses, by its letter or its text.

Evidence is read in this order: the whole answer, "the answer is B", a line that begins with "B)", "option B",
the text of an option. The first kind that is found decides; if it names two options, none is chosen.
"""

import re
from collections.abc import Iterable, Iterator, Mapping

from harness.golden.value_rules import letter_of, lettered, same_words
from harness.metrics.definition import ScoringRequest, binary, one_by_one, quote, wanted_texts
from harness.metrics.text import as_words, composed
from harness.types import Score

_MARKS = re.compile(r"[*_`]+")
_EDGES = " \t\r\n.,;:!?\"'()[]{}"
# Followed by what is not a word: in "the answer is a dog" there is no letter.
_NAMED = re.compile(
    r"\banswer(?:\s+(?:is|would\s+be|should\s+be|must\s+be))?\s*[:=]?\s*(?:the\s+)?(?:option|choice|letter)?\s*"
    r"[(\[\"']?(?P<letter>\w)\b(?=(?P<rest>[^\n]{0,200}))",
    re.IGNORECASE,
)
_PICKED = re.compile(
    r"\b(?:option|choice|choose|chose|pick|select)\s+[(\[\"']?(?P<letter>\w)\b(?=(?P<rest>[^\n]{0,200}))",
    re.IGNORECASE,
)
_BOXED = re.compile(r"\\boxed\{\s*(?:\\text\{)?\s*(?P<letter>\w)\s*\}(?P<rest>)")
_LEADING = re.compile(r"^\s*(?:[-*•]\s+)?[(\[]?(?P<letter>\w)[)\].:](?=(?P<rest>[^\n]{0,200}))", re.MULTILINE)


def _multiple_choice(request: ScoringRequest) -> Score:
    choices = lettered(request.check.options["choices"])
    wanted = {letter_of(text, choices) for text in wanted_texts(request)}
    chosen = chosen_letters(request.text, choices)
    expected = " or ".join(f"{letter} ({quote(choices[letter], 30)})" for letter in wanted if letter)
    if not chosen:
        return binary(request, False, f"the answer chooses none of the options; expected {expected}")
    named = ", ".join(f"{letter} ({quote(choices[letter], 30)})" for letter in chosen)
    if len(chosen) > 1:
        return binary(request, False, f"the answer names {len(chosen)} options: {named}; expected {expected}")
    if chosen[0] in wanted:
        return binary(request, True, f"the answer chooses {named}")
    return binary(request, False, f"the answer chooses {named}; expected {expected}")


def chosen_letters(text: str, choices: Mapping[str, str]) -> list[str]:
    """The letter that an answer chooses; none, or several, if it is not clear.

    Args:
        text: The answer.
        choices: The texts by letter.
    """
    plain = composed(_MARKS.sub("", text)).strip()
    whole = letter_of(plain.strip(_EDGES), choices)
    if whole is not None:
        return [whole]
    for pattern in (_NAMED, _BOXED, _LEADING, _PICKED):
        found = _distinct(_letters(pattern, plain, choices))
        if found:
            return found
    return _named_texts(plain, choices)


def _letters(pattern: re.Pattern[str], text: str, choices: Mapping[str, str]) -> Iterator[str]:
    for match in pattern.finditer(text):
        letter, rest = match["letter"], same_words(match["rest"].strip(_EDGES + "-–—"))
        # A small letter before a word is a word: "the answer is a dog".
        if letter.upper() not in choices or (letter.islower() and match["rest"][:1].isspace() and rest):
            continue
        yield letter.upper()
        # "B) Paris", where Paris is A, and "A dog", where that is D: both are named.
        told = (rest, same_words(letter + match["rest"]))
        yield from (other for other, choice in choices.items() if any(_begins(each, choice) for each in told))


def _begins(rest: str, choice: str) -> bool:
    return as_words(same_words(choice)).match(rest) is not None


def _named_texts(text: str, choices: Mapping[str, str]) -> list[str]:
    """Letters of the options whose text occurs; one inside a longer option's text does not count."""
    plain = same_words(text)
    by_length = sorted(choices.items(), key=lambda choice: -len(choice[1]))
    found = []
    for letter, choice in by_length:
        plain, count = as_words(same_words(choice)).subn("\n", plain)
        found += [letter] if count else []
    return found


def _distinct(letters: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(letters))


multiple_choice = one_by_one(_multiple_choice)
