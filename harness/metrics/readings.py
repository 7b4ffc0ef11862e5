"""How loosely an answer may be read so that the texts that it may name stay different."""

import itertools
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal, Protocol, TypeAlias

# Unicode's forms: one width for all characters, or as they are written.
Form: TypeAlias = Literal["NFC", "NFKC"]


class Reading(Protocol):
    """Reads a text in a form of Unicode, with its marks, such as emphasis, or without."""

    def __call__(self, text: str, form: Form, *, marks: bool) -> str:
        """The text as it is read.

        Args:
            text: The text.
            form: The form.
            marks: Whether marks are kept.
        """


def loosest_reading(
    reading: Reading, texts: Sequence[str], compared: Callable[[str], str] = str
) -> Callable[[str], str]:
    """The reading without marks and in one width, as far as the texts stay different by it, and not empty.

    Args:
        reading: Reads a text.
        texts: The texts that an answer may name.
        compared: What of a text that was read has to be different.
    """
    forms: tuple[Form, ...] = ("NFKC", "NFC")
    for marks, form in itertools.product((False, True), forms):
        read = [compared(reading(text, form, marks=marks)) for text in texts]
        if all(read) and len(set(read)) == len(read):
            return partial(reading, form=form, marks=marks)
    return partial(reading, form="NFC", marks=True)
