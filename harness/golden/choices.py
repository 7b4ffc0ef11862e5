"""The options of a multiple-choice question, by letter."""

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import cast

from harness.types import GoldenCase, JsonValue

LIKELIHOOD = "choice-likelihood"


def lettered(choices: JsonValue) -> dict[str, str]:
    """The choices of a ``multiple-choice`` check, by upper-case letter."""
    if isinstance(choices, Mapping):
        return {letter.upper(): str(text) for letter, text in choices.items()}
    return dict(zip(ascii_uppercase, map(str, cast("Sequence[str]", choices)), strict=False))


def likelihood_texts(case: GoldenCase) -> tuple[str, ...]:
    """The options of a case's ``choice-likelihood`` checks, each once, in order."""
    checks = [check for check in case.single_checks if check.type == LIKELIHOOD]
    return tuple(
        dict.fromkeys(
            str(text) for check in checks for text in cast("Sequence[str]", check.options["choices"])
        )
    )


def choices_key(case: GoldenCase) -> str:
    """The key of the losses on a case's options, besides those on its references."""
    return f"{case.key} (choices)"


def same_words(text: str) -> str:
    """A text for comparison: no case, single spaces."""
    return " ".join(text.casefold().split())


def letter_of(text: str, choices: Mapping[str, str]) -> str | None:
    """The letter of a choice that a golden set names by its letter or its text; None if it is neither.

    Args:
        text: The letter or the text.
        choices: The choices by letter.
    """
    if text.strip().upper() in choices:
        return text.strip().upper()
    return next(
        (letter for letter, choice in choices.items() if same_words(choice) == same_words(text)), None
    )
