"""Texts that show nothing."""

import pytest

from harness.golden.value_rules import is_blank


@pytest.mark.parametrize(
    "text",
    [
        "",
        " \n\t",
        "\u200b\u200d",
        "\ufeff",
        "\u2060\u00ad",
        "\u3164",
        "\u2800",
        "\ufe0f",
        "\x00\x1b",
        "\u202e",
        "\u3000",
    ],
)
def test_what_nobody_can_see_is_blank(text: str) -> None:
    assert is_blank(text)


@pytest.mark.parametrize("text", ["a", ".", "\u200ba", "👍", "ক", "\u0301", "中"])
def test_one_visible_character_is_enough(text: str) -> None:
    assert not is_blank(text)
