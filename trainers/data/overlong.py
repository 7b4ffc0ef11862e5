"""Rows that are longer than ``max_length``: refused, left out, or cut in front. An answer is never cut."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from harness.errors import DataError, PromptError
from trainers.config import TrainingConfig
from trainers.data.rows import Examples, Row
from trainers.data.turns import Turn

RenderedT = TypeVar("RenderedT")


def fitted(
    examples: Examples, config: TrainingConfig, render: Callable[[Row], tuple[RenderedT, int]], room: int = 0
) -> tuple[Examples, list[RenderedT]]:
    """The rows that fit, rendered.

    Args:
        examples: The rows.
        config: Gives ``max_length``, and ``overlong`` for longer rows.
        render: Renders a row, and counts its tokens: those of its longest answer and the prompt.
        room: Tokens to leave free, for an answer that will be sampled.

    Returns:
        The rows that are kept, some with a shorter prompt, and each rendered.

    Raises:
        DataError: With file and line of the first row that can't be rendered or is too long, or no row is
            left.
    """
    overlong = config.overlong
    rows: list[Row] = []
    places: list[tuple[Path, int]] = []
    found: list[RenderedT] = []
    counts: Counter[str] = Counter()
    for place, row in zip(examples.places, examples.rows, strict=True):
        try:
            kept, made, what = _one(row, config.max_length, overlong, render, room)
        except PromptError as error:
            raise DataError(*place, str(error)) from error
        except _TooLongError as error:
            raise DataError(*place, str(error)) from error
        counts[what] += 1
        if made is not None:
            rows.append(kept)
            places.append(place)
            found.append(made)
    if not rows:
        raise DataError(
            examples.places[0][0], None, f"all rows are longer than max_length {config.max_length}"
        )
    changed = {what: counts[what] for what in ("dropped", "cut") if counts[what]}
    return replace(examples, rows=rows, places=places, overlong=changed), found


class _TooLongError(ValueError):
    """A row that is too long; the message says by how much."""


def _one(
    row: Row, most: int, overlong: str, render: Callable[[Row], tuple[RenderedT, int]], room: int
) -> tuple[Row, RenderedT | None, str]:
    """A row that fits, rendered; None for one that is left out; and what was done with it."""
    made, tokens = render(row)
    if tokens + room <= most:
        return row, made, "kept"
    if overlong == "drop":
        return row, None, "dropped"
    said = f"{tokens} tokens" + (f" and {room} of the answer" if room else "")
    if overlong == "refuse":
        raise _TooLongError(
            f"{said} (allowed: max_length {most}{' together' if room else ''}); "
            "raise it, shorten the row, or set overlong: drop or cut-prompt"
        )
    for shorter in _without_first_turns(row["prompt"]):
        cut = {**row, "prompt": shorter}
        made, tokens = render(cut)
        if tokens + room <= most:
            return cut, made, "cut"
    cut_text = _cut_text(row, most - room, render)
    if cut_text is None:
        raise _TooLongError(
            f"{said} (allowed: max_length {most}), also with no more than the prompt's last words; raise it, "
            "or remove the row"
        )
    return *cut_text, "cut"


def _without_first_turns(turns: list[Turn]) -> Iterator[list[Turn]]:
    """The conversation without its first exchange, its first two, and so on; the system's turn stays."""
    system = [turn for turn in turns[:1] if turn["role"] == "system"]
    rest = turns[len(system) :]
    for place, turn in enumerate(rest):
        if place and turn["role"] == "user":
            yield [*system, *rest[place:]]


def _cut_text(
    row: Row, most: int, render: Callable[[Row], tuple[RenderedT, int]]
) -> tuple[Row, RenderedT] | None:
    """The row with as many of the last words of its last question as fit."""
    turns: list[Any] = [*_without_first_turns(row["prompt"])][-1:] or [row["prompt"]]
    last = turns[0]
    place = max((n for n, turn in enumerate(last) if turn["role"] == "user"), default=None)
    if place is None:
        return None
    # Words with the white space before them, so that the text is otherwise unchanged.
    words = _words(last[place]["content"])

    def with_last(count: int) -> Row:
        turn = {**last[place], "content": "".join(words[len(words) - count :]).lstrip()}
        return {**row, "prompt": [*last[:place], turn, *last[place + 1 :]]}

    best: tuple[Row, RenderedT] | None = None
    low, high = 1, len(words) - 1
    while low <= high:
        middle = (low + high) // 2
        cut = with_last(middle)
        made, tokens = render(cut)
        if tokens <= most:
            best, low = (cut, made), middle + 1
        else:
            high = middle - 1
    return best


def _words(text: str) -> list[str]:
    """The words, each with the white space before it."""
    found: list[str] = []
    for letter in text:
        if not found or (letter.isspace() and not found[-1][-1:].isspace()):
            found.append(letter)
        else:
            found[-1] += letter
    return found
