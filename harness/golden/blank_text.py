"""Whether a text shows anything to a reader."""

import unicodedata

# Controls, formats such as the zero-width space, and white space.
_UNSEEN = frozenset(("Cc", "Cf", "Zs", "Zl", "Zp"))
# Letters, marks and symbols that are drawn as nothing: fillers, joiners, variation selectors, empty Braille.
_DRAWN_EMPTY = frozenset(
    [
        *(0x034F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0),
        *range(0x180B, 0x1810),
        *range(0xFE00, 0xFE10),
        *range(0xE0000, 0xE1000),
    ]
)


def is_blank(text: str) -> bool:
    """Whether no character of a text can be seen: white space, zero-width characters, or none at all."""
    return all(
        unicodedata.category(character) in _UNSEEN or ord(character) in _DRAWN_EMPTY for character in text
    )
