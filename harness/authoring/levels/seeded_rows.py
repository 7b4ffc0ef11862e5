"""Rows of a family that are drawn from a seed."""

import random
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


def draws(seeded: SeededRow, seed: int, count: int) -> list[tuple[str, Any]]:
    """Different questions of a row, each with its answer.

    A family's draws depend on its own name only, so that another family changes none of them.

    Args:
        seeded: The row.
        seed: Of all draws.
        count: How many.

    Returns:
        Pairs of question and answer.
    """
    source = random.Random(f"{seed}/{seeded.name}")
    found: dict[str, Any] = {}
    while len(found) < count:
        drawn = {name: source.choice(choices) for name, choices in seeded.values.items()}
        made = {name: make(**drawn) for name, make in seeded.made.items()}
        found.setdefault(seeded.ask.format(**drawn, **made), seeded.answer(**drawn))
    return list(found.items())
