"""Makes text from models and cases short enough to display."""

from collections.abc import Iterable


def one_line(text: str, limit: int = 120) -> str:
    """The text on one line, cut at the limit.

    Args:
        text: The text.
        limit: Largest number of characters, including the sign of omission.
    """
    # Cut first, so that a megabyte is not split into words for one line.
    line = " ".join(text[: limit * 4].split())
    return line if len(line) <= limit and len(text) <= limit * 4 else line[: limit - 1] + "…"


def fitting_limit(lengths: Iterable[int], *, total: int, largest: int = 20_000, least: int = 200) -> int:
    """The number of characters of each text to show, so that all of them fit together.

    Args:
        lengths: The lengths of all texts.
        total: The available number of characters.
        largest: Upper limit for each text.
        least: Lower limit, even if the texts don't fit: a shorter piece would be useless.
    """
    known = list(lengths)
    limit = largest
    while limit > least and sum(min(length, limit) for length in known) > total:
        limit //= 2
    return max(limit, least)
