"""Checks on the answer's form: its length, refusals, repetition."""

import re
from collections import Counter

from harness.metrics.definition import ScoringRequest, binary, graded, one_by_one, quote
from harness.metrics.refusal import refusal_words
from harness.metrics.words import pieces
from harness.types import Score

_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s|$)|[。！？]+")


def _length(request: ScoringRequest) -> Score:
    options = request.check.options
    unit = str(options.get("unit", "characters"))
    count = {"characters": _characters, "words": _words, "lines": _lines, "sentences": _sentences}[unit](
        request.text.strip()
    )
    least, most = options.get("min"), options.get("max")
    low = least if isinstance(least, int) else 0
    fits = low <= count and (not isinstance(most, int) or count <= most)
    wanted = " and ".join(
        part
        for part in (f"at least {least}" if least else "", f"at most {most}" if most is not None else "")
        if part
    )
    named = unit if count != 1 else unit.removesuffix("s")
    return binary(request, fits, f"{count} {named}; the limits are {wanted or 'none'}")


def _characters(text: str) -> int:
    return len(text)


def _words(text: str) -> int:
    return len(text.split())


def _lines(text: str) -> int:
    return len(text.splitlines())


def _sentences(text: str) -> int:
    pieces = _SENTENCE_END.split(text)
    with_letters = sum(1 for piece in pieces if any(character.isalpha() for character in piece))
    return max(with_letters, 1) if text else 0


def _is_refusal(request: ScoringRequest) -> Score:
    words = refusal_words(request.text)
    if words is None:
        return binary(request, False, "no words of refusal at the answer's beginning")
    return binary(request, True, f"declines with {quote(words)}")


def _repetition(request: ScoringRequest) -> Score:
    option = request.check.options.get("ngram", 4)
    size = option if isinstance(option, int) else 4
    words = pieces(request.text)
    counted = Counter(tuple(words[start : start + size]) for start in range(len(words) - size + 1))
    total = counted.total()
    if not total:
        return graded(request, 0.0, f"fewer than {size} words: nothing can repeat")
    repeated = total - len(counted)
    if not repeated:
        return graded(request, 0.0, f"none of the {total} {size}-grams repeats")
    piece, times = counted.most_common(1)[0]
    example = f"{quote(' '.join(piece))} occurs {times} times"
    return graded(
        request,
        repeated / total,
        f"{repeated} of {total} {size}-grams repeat an earlier one; {example}",
    )


length = one_by_one(_length)
is_refusal = one_by_one(_is_refusal)
repetition = one_by_one(_repetition)
