"""JSON answers are compared value by value; what is not JSON is not."""

import pytest

from reports.html.json_diff import json_differences


def rows(*sides: str | None) -> list[tuple[str, str | None, str | None, str | None]]:
    return [(row.path, row.expected, row.baseline, row.candidate) for row in json_differences(*sides)]


def test_only_differing_values_are_listed_in_the_order_of_the_texts() -> None:
    expected = '{"name": "Bob", "quantity": 4, "items": [{"sku": 1}, {"sku": 2}], "note": null}'
    candidate = '{"quantity": "4", "name": "Bob", "items": [{"sku": 1}], "extra": {}, "note": null}'
    assert rows(expected, expected, candidate) == [
        ("quantity", "4", "4", '"4"'),
        ("items[1].sku", "2", "2", None),
        ("extra", None, None, "{}"),
    ]


def test_a_baseline_that_is_not_json_is_left_out() -> None:
    assert rows('{"a": 1}', "Sure!", '{"a": 2}') == [("a", "1", None, "2")]
    assert rows(None, '{"a": 1}', '{"a": 2}') == [("a", None, "1", "2")]


@pytest.mark.parametrize(
    "candidate",
    ["not JSON", "[" * 100_000, '{"a": ' + "9" * 5_000 + "}", '"a text"', "3", '{"a": 1}'],
)
def test_there_is_nothing_to_list(candidate: str) -> None:
    assert rows('{"a": 1}', '{"a": 1}', candidate) == []


def test_many_differences_are_cut() -> None:
    wide = "[" + ",".join(map(str, range(500))) + "]"
    other = "[" + ",".join(map(str, range(1, 501))) + "]"
    assert len(rows(None, wide, other)) == 30


def test_a_deep_answer_is_walked_without_recursion() -> None:
    deep = '{"a":' * 300 + "1" + "}" * 300
    assert len(rows(None, deep, deep.replace("1", "2"))) == 1
