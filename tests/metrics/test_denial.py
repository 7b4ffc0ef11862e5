"""Words around a name that deny it."""

import pytest

from harness.metrics.denial import is_denied, is_in_longer_name


@pytest.mark.parametrize(
    ("text", "denied"),
    [
        ("not X", True), ("It isn't X", True), ("X is not right", True), ("X is ruled out", True), ("X?", True), ("non-X", True), ("all but X", True), ("It isn't, I think, X", True),
        ("X", False), ("not Y but X", False), ("It is not long. It is X", False), ("X, not Y", False), ("no doubt X", False), ("not only X", False), ("nothing but X", False),
        ("X because it is not Y", False), ("Without a doubt it is X", False), ("a " * 60 + "X", False), ("not " + "a " * 60 + "X", False), ("X with no complaints", False),
        ("nowhere near X", True), ("I disagree that it is X", True), ("It lacks X", True), ("the lack of delays makes it X", False), ("X would be a mistake", True), ("tout sauf X", True),
        ("It seems X but it isn't", True), ("X, however, it is not.", True), ("X (not)", True), ("X... said no one", True), ("Ich sage nicht, dass es X ist", True), ("if it were X", True),
        ("If I had to choose I would say X", False), ("X, but the delivery was not great", False), ("not just X", False), ("pretends to be X", True), ("I rule out X", True),
        ("X ではない", True), ("X가 아니다", True), ("不X", True), ("非常X", False), ("X değil", True), ("X не Y", False),
    ],
)  # fmt: skip
def test_a_name_in_a_clause_that_denies_it(text, denied):
    assert is_denied(text, text.index("X"), text.index("X") + 1) is denied


@pytest.mark.parametrize(
    ("text", "longer"),
    [
        ("New X", True), ("the X Bridge", True), ("North-X", True), ("St. X", True), ("X", False), ("renew X", False), ("X is a city", False), ("I knew X", False), ("in X, Bridge Street", False),
    ],
)  # fmt: skip
def test_a_name_in_a_longer_one(text, longer):
    assert is_in_longer_name(text, text.index("X"), text.index("X") + 1) is longer
