"""Foreign text is shown as it is, hidden characters included, and never endlessly."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reports.html.text import fitting_limit, one_line
from tunegate.printable import visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "⟨ESC⟩[31mred⟨ESC⟩[0m"),
        ("a\x00b", "a⟨NUL⟩b"),
        ("a\r\nb", "a⟨CR⟩\nb"),
        ("\x01", "⟨U+0001⟩"),
        ("tab\tand\nline", "tab\tand\nline"),
        ("\x7f\x9b", "⟨DEL⟩⟨U+009B⟩"),
        ("user\u202etxt.exe", "user⟨U+202E⟩txt.exe"),
        ("a\u2066b\u2069", "a⟨U+2066⟩b⟨U+2069⟩"),
        ("zero\u200bwidth\ufeff", "zero⟨U+200B⟩width⟨U+FEFF⟩"),
        ("\ud800", "⟨U+D800⟩"),
        ("family 👩\u200d👩\u200d👧, العربية, हिन्दी", "family 👩\u200d👩\u200d👧, العربية, हिन्दी"),
    ],
)
def test_hidden_characters_are_spelled_out(text: str, shown: str) -> None:
    assert visible(text) == shown


@given(st.text(alphabet=st.characters()))
def test_any_text_can_be_written_to_a_file_once_visible(text: str) -> None:
    visible(text).encode("utf-8")


@given(st.text(), st.integers(min_value=1, max_value=50))
def test_one_line_is_one_line_and_within_its_limit(text: str, limit: int) -> None:
    line = one_line(text, limit)
    assert len(line) <= limit
    assert len(line.splitlines()) <= 1


def test_one_line_tells_that_something_was_cut() -> None:
    assert one_line("two  \n words") == "two words"
    assert one_line("abcdef", 4) == "abc…"
    assert one_line("x" + " " * 1000 + "y", 4).endswith("…")


def test_the_limit_shrinks_until_all_texts_fit() -> None:
    assert fitting_limit([10, 30_000], total=100_000) == 20_000
    limit = fitting_limit([5_000] * 1_000, total=1_000_000)
    assert 500 <= limit <= 1_000
    assert fitting_limit([5_000] * 1_000_000, total=1_000_000) == 200
