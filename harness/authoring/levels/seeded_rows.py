"""Rows of a family that are drawn from a seed."""

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class SeededRow:
    """A question with values to draw, and the function that answers it.

    Attributes:
        ask: The question, with ``{name}`` for each value.
        values: What each value is drawn from.
        answer: From the drawn values to the answer.
        made: Values that follow from the drawn ones, also in ``{name}``.
    """

    name: str
    level: str
    ask: str
    values: Mapping[str, Sequence[Any]]
    answer: Callable[..., Any]
    made: Mapping[str, Callable[..., Any]]


def row(
    name: str,
    level: str,
    ask: str,
    values: Mapping[str, Sequence[Any]],
    answer: Callable[..., Any],
    **made: Callable[..., Any],
) -> SeededRow:
    """A row of a table of seeded questions.

    Args:
        name: The family's name.
        level: Its level.
        ask: The question, with ``{name}`` for each value.
        values: What each value is drawn from.
        answer: From the drawn values to the answer.
        **made: Values that follow from the drawn ones.
    """
    return SeededRow(name=name, level=level, ask=ask, values=values, answer=answer, made=made)


def draws(seeded: SeededRow, seed: int, count: int, *, is_hidden: bool = False) -> list[tuple[str, Any]]:
    """Different questions of a row, each with an answer of its own.

    A family's draws depend on its own name only, so that another family changes none of them. The answers
    differ, so that a model that says the same to all questions keeps no family.

    Args:
        seeded: The row.
        seed: Of all draws.
        count: How many; a row has at least as many answers.
        is_hidden: Whether no number of the question is its answer, which could be repeated.

    Returns:
        Pairs of question and answer.
    """
    source = random.Random(f"{seed}/{seeded.name}")
    found: dict[str, Any] = {}
    while len(found) < count:
        drawn = {name: source.choice(choices) for name, choices in seeded.values.items()}
        made = {name: make(**drawn) for name, make in seeded.made.items()}
        ask, answer = seeded.ask.format(**drawn, **made), seeded.answer(**drawn)
        is_shown = is_hidden and str(answer).lstrip("-") in re.findall(r"\d+", ask)
        if answer not in found.values() and not is_shown:
            found[ask] = answer
    return list(found.items())
