"""Parts of messages: a value that was found, a word that was perhaps meant."""

import difflib
import json
from collections.abc import Iterable

_LONGEST_SHOWN = 60


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean …?`` if a known word is similar, else an empty text.

    Args:
        word: The word that is not known.
        known: The words that are.
    """
    close = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {close[0]}?" if close else ""


def shown(value: object) -> str:
    """A value as JSON, cut if it is long."""
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else text[: _LONGEST_SHOWN - 3] + "..."
