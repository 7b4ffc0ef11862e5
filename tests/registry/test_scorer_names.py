"""A judge is the same as another if each of its panel shares a name with one of the other's."""

import pytest

from harness.registry.scorer_names import is_other, joined_names


@pytest.mark.parametrize(
    ("who", "then", "joined"),
    [
        ("one", "two", None),
        ("one, two", "two", "one, two"),
        ("two", "one, two", "one, two"),
        ("one, three", "three, two", "one, three, two"),
        ("one, two", "three, four", None),
        ("one + two", "one", None),
        ("one + two + three", "one + two + three", "one + three + two"),
        ("one + three, two", "one + two", "one + three, two"),
        ("one + three", "one + two", None),
        # Whatever the order of their names: the third deals the questions.
        ("a, z + b + c", "b + c + z", "a, z + b + c"),
        # The first two of the one are both the first of the other, but only one of them can be.
        ("a, b + a + c", "a + b + c", "a + a, b + c"),
        ("a + a + c", "a + b + c", None),
    ],
)
def test_judges_share_a_name_one_by_one(who, then, joined):
    assert is_other(who, then) is is_other(then, who) is (joined is None)
    assert joined_names(who, then) == (who if joined is None else joined)
