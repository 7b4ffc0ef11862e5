"""Common words of golden cases and training rows, without text that everything shares."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from harness.types import GoldenCase
from trainers.data.rows import Row
from trainers.data.turns import said

Words = tuple[str, ...]

# An instruction is recognised by pieces of this length that many rows or cases share.
BOILERPLATE_WORDS = 5
ROW_SHARE, CASE_SHARE, LEAST_SHARED = 0.10, 0.30, 3
# Below this length equal pieces of two texts may be chance (Brown et al. 2020, appendix C).
SHORTEST_NGRAM = 8
_WORD = re.compile(r"\w+")
_ANSWERS = ("completion", "chosen", "rejected")


def words_of(text: str) -> Words:
    """Words without case and punctuation, in Unicode's compatibility form."""
    return tuple(_WORD.findall(unicodedata.normalize("NFKC", text).casefold()))


def asked_by(case: GoldenCase) -> str:
    """The words of a case's messages, without the system message."""
    asked = [message.content for message in case.messages if message.role != "system"]
    return "\n".join([*asked, *(turn.content for turn in case.turns[1:])])


def asked_in(row: Row) -> str:
    """The words of a row's prompt, without the system message; empty for raw text."""
    prompt: Any = row.get("prompt", [])
    return "\n".join(said(turn) for turn in prompt if turn["role"] != "system")


def answers_in(row: Row) -> list[str]:
    """The words of a row's answers, or its raw text."""
    answers = [said(turn) for key in _ANSWERS for turn in row.get(key, [])]
    return answers + ([row["text"]] if "text" in row else [])


def pieces(words: Words, length: int) -> Iterator[Words]:
    """All runs of this many neighbouring words.

    Args:
        words: Of one text.
        length: Words of a piece.

    Returns:
        The pieces in the text's order; none if the text is shorter.
    """
    return (words[start : start + length] for start in range(len(words) - length + 1))


def boilerplate(cases: Sequence[Words], rows: Sequence[Words]) -> AbstractSet[Words]:
    """Pieces that belong to instructions and templates, not to any one case.

    A piece counts if it occurs in a tenth of the different rows, or in three tenths of the different cases,
    and in at least three of them. Copies of one row count once, so copies can't hide a leaked case.

    Args:
        cases: Words of each golden case.
        rows: Words of each training row.

    Returns:
        Pieces of BOILERPLATE_WORDS words.
    """
    ours = {piece for case in cases for piece in pieces(case, BOILERPLATE_WORDS)}
    return _shared(cases, ours, CASE_SHARE) | _shared(rows, ours, ROW_SHARE)


def _shared(texts: Sequence[Words], ours: set[Words], share: float) -> set[Words]:
    different = set(texts)
    counts = Counter(
        piece for words in different for piece in ours.intersection(pieces(words, BOILERPLATE_WORDS))
    )
    least = max(LEAST_SHARED, share * len(different))
    return {piece for piece, count in counts.items() if count >= least}


def distinctive(words: Words, shared: AbstractSet[Words]) -> list[Words]:
    """The parts of a text that are not boilerplate.

    Args:
        words: Of one text.
        shared: The boilerplate, in pieces of BOILERPLATE_WORDS words.

    Returns:
        The parts in the text's order.
    """
    covered = [False] * len(words)
    for start, piece in enumerate(pieces(words, BOILERPLATE_WORDS)):
        if piece in shared:
            covered[start : start + BOILERPLATE_WORDS] = [True] * BOILERPLATE_WORDS
    found: list[Words] = []
    current: list[str] = []
    for word, is_covered in zip((*words, ""), (*covered, True), strict=True):
        if is_covered and current:
            found.append(tuple(current))
            current = []
        elif not is_covered:
            current.append(word)
    return found
