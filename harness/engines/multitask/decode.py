"""From a head's numbers to an answer, and from a text's entities to the tags that a head learns.

Tags are BIO: ``B-city`` begins an entity, ``I-city`` goes on with it, ``O`` is none (Ramshaw and Marcus 1995,
arXiv:cmp-lg/9505040). Words are the tokenizer's own: punctuation marks are separate, and the first piece
of a word decides for all its pieces.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

OUTSIDE = "O"
SPAN_LABELS = ("start", "end")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text.

    Attributes:
        start: Index of its first character.
        end: Index after its last character.
        token: Index of its first token in the row.
    """

    start: int
    end: int
    token: int


@dataclass(frozen=True, slots=True)
class Entity:
    """A named part of a text, from ``start`` up to, but without, ``end``."""

    type: str
    start: int
    end: int


class MisalignedError(ValueError):
    """An entity begins or ends inside a word, or two entities overlap; the message says which."""


def find_words(word_ids: Sequence[int | None], offsets: Sequence[tuple[int, int]]) -> list[Word]:
    """A row's words, given for each token its word (None: a special token) and its characters.

    Args:
        word_ids: The word of each token; None for special tokens.
        offsets: The first character and the one after the last, of each token.
    """
    words: list[Word] = []
    before: int | None = None
    for token, (word, (start, end)) in enumerate(zip(word_ids, offsets, strict=True)):
        if word is not None and word == before:
            words[-1] = Word(words[-1].start, end, words[-1].token)
        elif word is not None:
            words.append(Word(start, end, token))
        before = word
    return words


def tag_labels(types: Sequence[str]) -> tuple[str, ...]:
    """All tags of some entity types, ``O`` first."""
    return (OUTSIDE, *(f"{mark}-{kind}" for kind in types for mark in ("B", "I")))


def tags_of(entities: Sequence[Entity], words: Sequence[Word]) -> list[str]:
    """The tag of each word.

    Args:
        entities: The entities.
        words: The text's words.

    Returns:
        One tag per word.

    Raises:
        MisalignedError: An entity has no tags.
    """
    tags = [OUTSIDE] * len(words)
    for entity in entities:
        inside = [
            place for place, word in enumerate(words) if entity.start < word.end and word.start < entity.end
        ]
        if not inside or words[inside[0]].start != entity.start or words[inside[-1]].end != entity.end:
            raise MisalignedError(
                f"{entity.type} from {entity.start} to {entity.end} begins or ends inside a word"
            )
        if any(tags[place] != OUTSIDE for place in inside):
            raise MisalignedError(
                f"{entity.type} from {entity.start} to {entity.end} overlaps another entity"
            )
        tags[inside[0]] = f"B-{entity.type}"
        for place in inside[1:]:
            tags[place] = f"I-{entity.type}"
    return tags


def entities_of(tags: Sequence[str], words: Sequence[Word]) -> list[Entity]:
    """The entities of tags. An ``I`` without a preceding tag of its type begins one, as in CoNLL.

    Args:
        tags: One tag per word.
        words: The text's words.
    """
    found: list[Entity] = []
    before = OUTSIDE
    for tag, word in zip(tags, words, strict=True):
        mark, _, kind = tag.partition("-")
        if mark == "I" and before.partition("-")[2] == kind:
            found[-1] = Entity(kind, found[-1].start, word.end)
        elif tag != OUTSIDE:
            found.append(Entity(kind, word.start, word.end))
        before = tag
    return found


def write_entities(entities: Sequence[Entity], text: str) -> str:
    """The answer for entities: a JSON list in the text's order.

    Args:
        entities: The entities, in the text's order.
        text: The text.
    """
    named = [{"type": entity.type, "text": text[entity.start : entity.end]} for entity in entities]
    return json.dumps(named, ensure_ascii=False)


def best_span(
    starts: Sequence[float], ends: Sequence[float], allowed: Sequence[int], longest: int
) -> tuple[int, int]:
    """The likeliest span: first and last token, by the sum of their scores.

    Args:
        starts: Each token's score as the first one.
        ends: Each token's score as the last one.
        allowed: The passage's tokens, in order, at least one.
        longest: Most tokens of a span.

    Returns:
        The tokens' positions.
    """
    best = max(
        ((starts[first] + ends[last], -place, first, last))
        for place, first in enumerate(allowed)
        for last in allowed[place : place + longest]
    )
    return best[2], best[3]


def split_question(text: str) -> tuple[str, str]:
    """A question and the passage with its answer: the text above and below the first empty line.

    Raises:
        ValueError: One of them is missing.
    """
    question, _, passage = text.partition("\n\n")
    if not question.strip() or not passage.strip():
        raise ValueError("it needs a question, an empty line and the passage that answers it")
    return question.strip(), passage.strip()


def join_question(question: str, passage: str) -> str:
    """The text for split_question.

    Args:
        question: The question.
        passage: The passage.
    """
    return f"{question.strip()}\n\n{passage.strip()}"
