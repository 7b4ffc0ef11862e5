"""How loosely an answer is read."""

import unicodedata

import pytest

from harness.metrics.readings import loosest_reading


def read(text, form, *, marks):
    return unicodedata.normalize(form, text if marks else text.replace("*", ""))


@pytest.mark.parametrize(
    ("texts", "text", "expected"),
    [
        (["x", "y"], "*x²*", "x2"),  # all are different anyhow
        (["x²", "x2"], "*x²*", "x²"),  # in one width they are the same
        (["*x*", "x"], "*x²*", "*x2*"),  # without marks they are the same
        (["*x²*", "x²", "x2"], "*x²*", "*x²*"),
        (["*", "x"], "*x²*", "*x2*"),  # nothing would be left of one
        (["x", "x"], "*x²*", "*x²*"),  # equal in any way
    ],
)
def test_as_loosely_as_the_texts_stay_different(texts, text, expected):
    assert loosest_reading(read, texts)(text) == expected


def test_what_is_compared_decides():
    assert loosest_reading(read, ["x", "X"], str.casefold)("*x²*") == "*x²*"
