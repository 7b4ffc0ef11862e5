"""Two answers side by side, word by word."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby
from operator import eq
from typing import Literal

# Scripts without spaces between words are compared character by character.
_UNSPACED = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W{_UNSPACED}]+|[^\w\s]")
# difflib visits each pair of equal words at least once; this many take about a tenth of a second.
_MOST_PAIRS = 200_000
# Of texts of as many words, in which at most one of so many differs, words are compared by their place.
_MOST_EXCHANGED = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of one answer: in both answers, or in this one ``only``."""

    kind: Literal["same", "only"]
    text: str


@dataclass(frozen=True, slots=True)
class WordDiff:
    """Both answers in pieces.

    Attributes:
        note: Differences that the pieces can't show, such as white space, or empty.
        pairs: The work, in pairs of equal words.
    """

    before: tuple[Piece, ...]
    after: tuple[Piece, ...]
    note: str
    pairs: int


@dataclass(frozen=True, slots=True)
class _Words:
    """The words of a text with their positions; white space after a word belongs to it."""

    text: str
    words: Sequence[str]
    starts: Sequence[int]

    def piece(self, kind: Literal["same", "only"], first: int, last: int) -> Piece:
        """The text from one word up to another, or to the end."""
        begin = self.starts[first] if first else 0
        end = self.starts[last] if last < len(self.starts) else len(self.text)
        return Piece(kind, self.text[begin:end])


def diff_words(before: str, after: str, most_pairs: int = _MOST_PAIRS) -> WordDiff:
    """Mark the words that only one of two texts has.

    Args:
        before: The baseline's answer.
        after: The candidate's answer.
        most_pairs: Limit of the work, in pairs of equal words; beyond it nothing is marked, and the note says
            so.
    """
    if before == after:
        return WordDiff(_whole(before), _whole(after), "", 0)
    left, right = _words_of(before), _words_of(after)
    counts = Counter(right.words)
    pairs = sum(counts[word] for word in left.words)
    if pairs > most_pairs:
        return WordDiff(_whole(before), _whole(after), "too long to compare word by word", 0)
    if not pairs:
        return WordDiff(_whole(before), _whole(after), "no word in common", 0)
    if left.words == right.words:
        return WordDiff(_whole(before), _whole(after), "the same words, other white space", pairs)
    pieces: tuple[list[Piece], list[Piece]] = ([], [])
    for is_same, left_from, left_to, right_from, right_to in _parts(left.words, right.words):
        kind: Literal["same", "only"] = "same" if is_same else "only"
        if left_to > left_from:
            pieces[0].append(left.piece(kind, left_from, left_to))
        if right_to > right_from:
            pieces[1].append(right.piece(kind, right_from, right_to))
    return WordDiff(tuple(pieces[0]), tuple(pieces[1]), "", pairs)


def _parts(left: Sequence[str], right: Sequence[str]) -> Iterator[tuple[bool, int, int, int, int]]:
    """Parts that are the same, or not, in order: where they begin and end on both sides."""
    same = list(map(eq, left, right))
    if len(left) == len(right) and sum(same) * _MOST_EXCHANGED >= len(same) * (_MOST_EXCHANGED - 1):
        # Single words were exchanged, which needs no search.
        for is_same, places in groupby(range(len(same)), key=same.__getitem__):
            run = list(places)
            yield is_same, run[0], run[-1] + 1, run[0], run[-1] + 1
        return
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    for tag, left_from, left_to, right_from, right_to in matcher.get_opcodes():
        yield tag == "equal", left_from, left_to, right_from, right_to


def _words_of(text: str) -> _Words:
    found = list(_WORD.finditer(text))
    return _Words(text, [match[0] for match in found], [match.start() for match in found])


def _whole(text: str) -> tuple[Piece, ...]:
    return (Piece("same", text),) if text else ()
