"""Items for a person to label: one answer, or two to one prompt, in an order that hides their origin."""

import hashlib
import itertools
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from harness.types import Message

Ask: TypeAlias = Literal["all", "answers", "pairs"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What is known about a good answer.

    Attributes:
        rubric: What it satisfies.
        tone: How it is written.
        references: Right answers.
    """

    rubric: str | None = None
    tone: str | None = None
    references: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceAnswer:
    """An answer in a source.

    Attributes:
        origin: Its run and side, or its file and line. It is never shown.
        tags: Of its golden case.
    """

    messages: tuple[Message, ...]
    text: str
    wanted: Expectation
    origin: str
    run: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelItem:
    """One answer, or a pair, to be labelled.

    Attributes:
        id: A hash of what is shown, so the same question is recognised in any run.
        answers: One, or two in the order in which they are shown as A and B.
        origins: Where each answer is from, for people.
        runs: The ids of the stored runs that gave each answer; none for the answers of a file.
        tags: Of the golden cases that ask this.
    """

    id: str
    messages: tuple[Message, ...]
    answers: tuple[str, ...]
    wanted: Expectation
    origins: tuple[str, ...]
    runs: tuple[tuple[str, ...], ...]
    tags: tuple[str, ...] = ()


def items_of(answered: Sequence[SourceAnswer], *, ask: Ask, seed: int) -> list[LabelItem]:
    """All items to label, shuffled.

    The order of the items and of a pair's answers depends only on the seed and the item itself, so it stays
    when others are added. Equal answers to one prompt are one answer, not a pair.

    Args:
        answered: The answers, each with its prompt.
        ask: The kind of questions: to judge an answer, or to choose between two.
        seed: Of the order.
    """
    asked: dict[tuple[tuple[Message, ...], Expectation], dict[str, list[SourceAnswer]]] = {}
    for one in answered:
        asked.setdefault((one.messages, one.wanted), {}).setdefault(one.text, []).append(one)
    items: list[LabelItem] = []
    for (messages, wanted), texts in asked.items():
        chosen: list[tuple[str, ...]] = []
        tags = dict.fromkeys(tag for some in texts.values() for one in some for tag in one.tags)
        if ask != "pairs":
            chosen += [(text,) for text in texts]
        if ask != "answers":
            chosen += itertools.combinations(texts, 2)
        for answers in chosen:
            item = LabelItem(
                id=_content_id(messages, wanted, answers),
                messages=messages,
                answers=answers,
                wanted=wanted,
                origins=tuple(
                    ", ".join(dict.fromkeys(one.origin for one in texts[text])) for text in answers
                ),
                runs=tuple(
                    tuple(dict.fromkeys(one.run for one in texts[text] if one.run is not None))
                    for text in answers
                ),
                tags=tuple(tags),
            )
            items.append(_placed(item, seed))
    return sorted(items, key=lambda item: _draw(seed, "order", item.id))


def _placed(item: LabelItem, seed: int) -> LabelItem:
    """A pair with its answers in a random order, independent of the source."""
    if len(item.answers) < 2:
        return item
    order = sorted(range(2), key=lambda place: item.answers[place])
    if int(_draw(seed, "sides", item.id), 16) % 2:
        order.reverse()
    return replace(
        item,
        answers=tuple(item.answers[place] for place in order),
        origins=tuple(item.origins[place] for place in order),
        runs=tuple(item.runs[place] for place in order),
    )


def _content_id(messages: Sequence[Message], wanted: Expectation, answers: Sequence[str]) -> str:
    content = [
        [[turn.role, turn.content] for turn in messages],
        [wanted.rubric, wanted.tone, wanted.references],
        sorted(answers),
    ]
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]


def _draw(seed: int, purpose: str, item_id: str) -> str:
    return hashlib.sha256(f"{seed}:{purpose}:{item_id}".encode()).hexdigest()
