"""``multiple-choice``: the option that an answer chooses, by its letter or its text.

Evidence is read in this order: the whole answer; "the answer is B" or a box; a line that begins with "B)" or
is "B"; "option B", "it's B", "B is right"; the text of an option. The first kind that is found decides. If it
names two options, or its words deny what it names, none is chosen.
"""

import re
import unicodedata
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from harness.golden.value_rules import CHOICE_EDGES, letter_of, lettered, same_words
from harness.metrics.definition import ScoringRequest, binary, one_by_one, quote, unclear, wanted_texts
from harness.metrics.denial import is_asked, is_contrast, is_denied, is_in_longer_name
from harness.metrics.readings import Form, loosest_reading
from harness.metrics.text import as_words, without_ignorable
from harness.types import Score

_MARKUP = re.compile(r"[*`$]+|(?<!\w)_+|_+(?!\w)|</?[A-Za-z]{1,20}>|\\[()\[\]]")
_COMMAND = re.compile(r"\\(?:text|textbf|mathrm|mathbf|bf|rm|fbox)\{([^{}\n]{0,60})\}")
_BOX = re.compile(r"\\boxed\{([^{}\n]{0,60})\}")
_BETWEEN_SCRIPTS = re.compile(
    r"(?<=[\u0e00-\u0eff\u3040-\u9fff\uac00-\ud7af])(?=[A-Za-z0-9])|(?<=[A-Za-z0-9])(?=[\u3040-\u9fff\uac00-\ud7af])"
)
# A line is read this far around a letter.
_WINDOW = 80
_REST = 200
# An answer's first and last letters are read, should it have many.
_MOST_LETTERS = 1000
_ANSWER = (
    r"(?:answers?|antwort|lösung|réponse|respuesta|resposta|risposta|antwoord|svar(?:et)?|odpowiedź|ответ|відповідь|відповіддю|cevap|jawaban(?:nya)?"
    r"|đáp\s+án|答案|正解|答え?|選択肢?|选项?|정답은?|답은?|उत्तर|الإجابة|الجواب|คำตอบ(?:คือ)?)"
)
_FILL = (
    r"(?:\b(?:is|was|are|be|would|should|must|will|therefore|thus|so|then|here|clearly|definitely|certainly|probably|likely|indeed|simply|actually"
    r"|the|an?(?=\s+option)|option|choice|letter|number|correct|right|best|final|one|for|this|question|ist|lautet|die|est|la|es|é|è|это|является)\b"
    r"|是|就是|选|選|为|為|は|が|です|है|هي|هو|คือ|[\s:=>→\-–—.…(\[\"'“‘{])"
)
_STATED = re.compile(rf"(?<!\w){_ANSWER}{_FILL}*\Z", re.IGNORECASE)
_PICKED = re.compile(
    rf"(?:\b(?:option|choice|choose|chose|choosing|chosen|pick|picked|select|selected|(?:go|going|went)\s+(?:with|for)|it['’]?s|it\s+is|it\s+(?:must|has\s+to|(?:can|could)\s+only)\s+be|that['’]?s|that\s+is"
    rf"|opt(?:ed)?\s+for|vote\s+for|say|guess|letter|wähle|choisis|elijo|escolho|scelgo|выбираю|вариант)\b|选择?|選択?|이건){_FILL}*\Z",
    re.IGNORECASE,
)
_RIGHT = re.compile(
    r"[)\].:\"'”’]*\s*(?:is|was|must\s+be|would\s+be|seems|looks)\s+(?:(?:the|definitely|clearly|most|likely|probably|obviously)\s+){0,3}"
    r"(?:correct|right|true|best|answer|it\b|one)",
    re.IGNORECASE,
)
# Before a letter that is right: the beginning of a clause.
_SAID = re.compile(
    r"(?:\A|[.!?:;,]|\b(?:think|believe|say|that|so|thus|therefore|letter))\s*[(\[]?\Z", re.IGNORECASE
)
_LINE_START = re.compile(r"\A\s*(?:(?:[-•>]|#{1,6})\s*)?[(\[]?\Z")
_DELIMITED = re.compile(r"\s?[)\].:]|\s[-–—]+\s|\s*\Z|\s+(?:because|since|as\s+it)\b|[,;]\s")
_DASH = re.compile(r"^[-–—]+(?:\s+|$)")
# "Therefore, B.": with nothing behind it.
_SO = re.compile(
    r"\b(?:therefore|thus|so|consequently|ergo|daher|also|donc|believe|think)\b[\s,:(\[\"'“‘]*\Z",
    re.IGNORECASE,
)
_ENDS = re.compile(r"[)\]\"'”’]*\s*(?:\Z|[.!](?:\s|\Z))")
_ALTERNATIVE = re.compile(
    r"[)\].]?\s*(?:,|/|&|\+|\b(?:and|or|und|oder|et|ou|y|o|e|и|или)\b|[或和と])\s*(?:also\s+|maybe\s+|perhaps\s+|the\s+)?(?:option\s+|choice\s+)?[(\[]?(\w)(?!\w|['’])",
    re.IGNORECASE,
)


def _multiple_choice(request: ScoringRequest) -> Score:
    choices = lettered(request.check.options["choices"])
    wanted = {letter_of(text, choices) for text in wanted_texts(request)}
    chosen, denied = read_choice(request.text, choices)
    expected = " or ".join(f"{letter} ({quote(choices[letter], 30)})" for letter in wanted if letter)
    if not chosen and denied:
        named = ", ".join(f"{letter} ({quote(choices[letter], 30)})" for letter in denied)
        return unclear(request, f"the answer denies or doubts {named}; expected {expected}")
    if not chosen:
        return binary(request, False, f"the answer chooses none of the options; expected {expected}")
    named = ", ".join(f"{letter} ({quote(choices[letter], 30)})" for letter in chosen)
    if len(chosen) > 1:
        return unclear(request, f"the answer names {len(chosen)} options: {named}; expected {expected}")
    if chosen[0] in wanted:
        return binary(request, True, f"the answer chooses {named}")
    return binary(request, False, f"the answer chooses {named}; expected {expected}")


def read_choice(text: str, choices: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """The letter that an answer chooses; none, or several, if it is not clear.

    Args:
        text: The answer.
        choices: The texts by letter.

    Returns:
        The letters, and those that the answer denies or doubts.
    """
    whole = letter_of(text.strip(), choices)
    if whole is not None:
        return [whole], []
    plain_of = _reading(tuple(choices.values()))
    plain, choices = plain_of(text), {letter: plain_of(choice) for letter, choice in choices.items()}
    bare = plain.strip(CHOICE_EDGES)
    whole = letter_of(bare, choices)
    if whole is not None:
        return ([], [whole]) if is_asked(plain, bare) else ([whole], [])
    denied: list[str] = []
    letters = _letters(plain, choices)
    for kind in (_is_stated, _is_leading, _is_picked):
        found: list[str] = []
        for match in letters:
            named = _named(plain, match, choices) if kind(plain, match) else []
            (denied if named and is_denied(plain, match.start(), match.end()) else found).extend(named)
        if found:
            return _distinct(found), _distinct(denied)
    found, doubted = _named_texts(plain, choices)
    return found, _distinct([*denied, *doubted])


@lru_cache(maxsize=256)
def _reading(choices: tuple[str, ...]) -> Callable[[str], str]:
    """How answer and options are read: without markup, in one width, as far as the options stay different.

    ``x²`` is x2 in one width, and ``__init__`` is init without markup: options that differ in these only are
    read with them.
    """
    return loosest_reading(_plain, choices, lambda text: same_words(text).strip(CHOICE_EDGES))


def _plain(text: str, form: Form, *, marks: bool) -> str:
    """A text's lines with single spaces, and a letter of a box after the word answer."""
    text = unicodedata.normalize(form, without_ignorable(text))
    text = _BOX.sub(r"answer: \1 ", _COMMAND.sub(r"\1", text))
    text = _BETWEEN_SCRIPTS.sub(" ", text if marks else _MARKUP.sub("", text))
    return "\n".join(" ".join(line.split()) for line in text.splitlines()).strip()


def _letters(text: str, choices: Mapping[str, str]) -> list[re.Match[str]]:
    found = list(_letter_pattern("".join(choices)).finditer(text))
    return found if len(found) <= 2 * _MOST_LETTERS else found[:_MOST_LETTERS] + found[-_MOST_LETTERS:]


@lru_cache(maxsize=256)
def _letter_pattern(letters: str) -> re.Pattern[str]:
    either = "".join(re.escape(letter) for letter in {*letters.upper(), *letters.lower()})
    return re.compile(rf"(?<![\w'’-])[{either}](?![\w'’]|-\w)")


def _before(text: str, match: re.Match[str]) -> str:
    """The line before a letter, as far as it counts."""
    return text[max(0, match.start() - _WINDOW) : match.start()].rpartition("\n")[2]


def _after(text: str, match: re.Match[str]) -> str:
    return text[match.end() : match.end() + _REST].partition("\n")[0]


def _is_stated(text: str, match: re.Match[str]) -> bool:
    return _STATED.search(_before(text, match)) is not None and not _is_word(text, match)


def _is_leading(text: str, match: re.Match[str]) -> bool:
    at_start = match.start() <= _WINDOW or "\n" in text[match.start() - _WINDOW : match.start()]
    line = _before(text, match)
    return (
        at_start and _LINE_START.match(line) is not None and _DELIMITED.match(_after(text, match)) is not None
    )


def _is_picked(text: str, match: re.Match[str]) -> bool:
    before = _before(text, match)
    after = _after(text, match)
    said = _PICKED.search(before) is not None or (
        _SO.search(before) is not None and _ENDS.match(after) is not None and match.group().isupper()
    )
    said = said or (_RIGHT.match(after) is not None and _SAID.search(before) is not None)
    joined = match.start() == 0 and _ALTERNATIVE.match(after) is not None
    return (said and not _is_word(text, match)) or joined


def _is_word(text: str, match: re.Match[str]) -> bool:
    """Whether a small letter is a word: "the answer is a dog"."""
    after = _after(text, match)
    return (
        match.group().islower()
        and after[:1].isspace()
        and bool(same_words(after.strip(CHOICE_EDGES + "-–—")))
    )


def _named(text: str, match: re.Match[str], choices: Mapping[str, str]) -> list[str]:
    """The letter, and what else the words behind it name: an alternative, or an option's text."""
    letter, after = match.group().upper(), _after(text, match)
    rest = same_words(_DASH.sub("", after.strip(CHOICE_EDGES)))
    # "B) Paris", where Paris is A, and "A dog", where that is D: both are named. Of 10 and 10% the longer.
    begun = [
        [other for other, choice in choices.items() if _begins(told, choice)]
        for told in (rest, same_words(match.group() + after))
    ]
    named = [letter] + [max(others, key=lambda other: len(choices[other])) for others in begun if others]
    other = _ALTERNATIVE.match(after)
    if other and (other[1].isupper() or other[1].isdigit()) and other[1] in choices:
        named.append(other[1])
    return named


def _begins(rest: str, choice: str) -> bool:
    return as_words(same_words(choice)).match(rest) is not None


def _named_texts(text: str, choices: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Letters of the options whose text occurs outside of a longer option's; and those that are denied."""
    plain = "\n".join(map(same_words, text.splitlines()))
    found: list[str] = []
    denied: list[str] = []
    doubted: list[str] = []
    for letter, choice in sorted(choices.items(), key=lambda choice: -len(choice[1])):
        pattern: Any = as_words(same_words(choice))
        matches = list(pattern.finditer(plain))
        if not matches:
            continue
        plain = pattern.sub(lambda match: "\0" * len(match.group()), plain)
        places = [(match.start(), match.end()) for match in matches[:100]]
        if any(is_denied(plain, *place) for place in places):
            denied.append(letter)
        elif choice[:1].isupper() and any(is_in_longer_name(plain, *place) for place in places):
            doubted.append(letter)
        else:
            found.append(letter)
    if len(found) == 1 and not doubted and is_contrast(plain):
        return found, denied
    return ([*found, *denied, *doubted], denied) if found else ([], [*denied, *doubted])


def _distinct(letters: list[str]) -> list[str]:
    return list(dict.fromkeys(letters))


multiple_choice = one_by_one(_multiple_choice)
