"""Words around a name that deny it."""

import pytest

from harness.metrics.denial import is_denied


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("not X", True), ("It isn't X", True), ("X is not right", True), ("X is ruled out", True), ("X?", True), ("non-X", True), ("all but X", True), ("It isn't, I think, X", True),
        ("X", False), ("not Y but X", False), ("It is not long. It is X", False), ("X, not Y", False), ("no doubt X", False), ("not only X", False), ("nothing but X", False),
        ("X because it is not Y", False), ("Without a doubt it is X", False), ("a " * 60 + "X", False), ("not " + "a " * 60 + "X", False), ("X with no complaints", False),
        ("X ではない", True), ("X가 아니다", True), ("不X", True), ("非常X", False), ("X değil", True), ("X не Y", False),
    ],
)  # fmt: skip
def test_a_name_in_a_clause_that_denies_it(text, denied):
    assert is_denied(text, text.index("X"), text.index("X") + 1) is denied
