"""A document's lines in little memory are those of its nodes."""

import weakref
from pathlib import Path

import pytest
import yaml

from harness.errors import GoldenError
from harness.golden import yaml_lines
from harness.golden.yaml_lines import parse_yaml_text
from tunegate.collector import making_lasting, unfreeze_objects
from tunegate.line_index import LineIndex

PATH = Path("set.yaml")
TEXT = """\
name: orders
defaults:
  checks: [{type: contains}, {type: regex,
    value: a}]
cases:
- id: first
  prompt: |
    one

    two
  checks:
  - type: equals
  - type: all-of
    checks:
      - {type: contains,
         value: b}
-
  id: second
  metadata: {}
  tags: [a,
    b]
- id: third
  turns:
    - user: "x
        y"
last: [1, 2]
"""


def by_nodes(node, path):
    """The line of a key, found among PyYAML's own nodes."""
    line = node.start_mark.line
    for step in path:
        if isinstance(node, yaml.MappingNode):
            key, node = next((key, value) for key, value in node.value if key.value == step)
            line = key.start_mark.line
        else:
            node = node.value[step]
            line = node.start_mark.line
    return line + 1


def paths_in(value, path=()):
    yield path
    for step, each in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(each, dict | list):
            yield from paths_in(each, (*path, step))
        else:
            yield (*path, step)


@pytest.mark.parametrize("text", [TEXT, TEXT + 'pair: "\\ud83d\\ude00"\n'], ids=["fast", "whole"])
def test_each_key_has_the_line_of_its_node(text):
    document, root = parse_yaml_text(PATH, text), yaml.compose(TEXT)
    paths = [path for path in paths_in(document.data) if path != ("pair",)]
    assert len(paths) > 30
    assert [document.line(path) for path in paths] == [by_nodes(root, path) for path in paths]


def test_a_key_that_is_not_there_has_the_line_of_what_is_around_it():
    document = parse_yaml_text(PATH, TEXT)
    assert document.line(("cases", 1, "prompt")) == document.line(("cases", 1)) == 18
    assert document.line(("cases", 9)) == document.line(("cases",)) == 5
    assert document.line(("cases", "first")) == 5
    assert document.line(("nowhere", 0)) == 1


def test_entries_of_long_lists_are_found():
    index = LineIndex()
    whole = index.begin(0, "cases")
    for number in range(40):
        place = index.begin(2 * number, None)
        index.begin(2 * number + 1, "id")
        index.end(place)
    index.end(whole)
    index.end(0)
    assert [index.line(("cases", number, "id")) for number in (0, 17, 39)] == [2, 36, 80]


def test_the_nodes_of_an_entry_are_dropped_when_the_next_one_begins(monkeypatch):
    left = []
    read = yaml_lines._Reader._list

    def noted(self, node, key):
        left.append((key, sum(child is not None for child in node.value)))
        return read(self, node, key)

    monkeypatch.setattr(yaml_lines._Reader, "_list", noted)
    entries = "\n".join(f"- {{id: c{number}, tags: [x]}}" for number in range(50))
    document = parse_yaml_text(PATH, f"name: a\ncases:\n{entries}\nlast: [1, 2, 3]\n")
    assert [each["id"] for each in document.data["cases"]] == [f"c{number}" for number in range(50)]
    assert dict(left)["cases",] == 1
    assert document.data["last"] == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("a: &x [1]\nb:\n- c: *x\n- 2\n", ["1: b[0].c"]),
        ("b:\n- c: &x [1]\n- d: *x\n- e: *x\n", ["2: b[1].d", "2: b[2].e"]),
        ("b: &x\n- 1\n- *x\n- 2\n", ["1: b[1]"]),
        ("b:\n- &x {c: 1}\n- 2\na: *x\n", ["2: a"]),
        ("b:\n- &x {c: 1}\n- *x\n", ["2: b[1]"]),
    ],
)
def test_an_alias_of_a_list_is_refused_where_it_is_written(text, places):
    with pytest.raises(GoldenError) as raised:
        parse_yaml_text(PATH, text)
    found = [f"{fault.line}: {fault.key}" for fault in raised.value.faults]
    assert found == places


def test_an_alias_of_a_text_is_read():
    assert parse_yaml_text(PATH, "b:\n- &x one\n- *x\n- {c: *x}\n").data == {
        "b": ["one", "one", {"c": "one"}]
    }


def test_nothing_of_a_document_stays_in_memory_without_the_collector_of_circles():
    with making_lasting():
        alive = weakref.ref(parse_yaml_text(PATH, TEXT + f"long: [{', '.join('x' * 20)}]\n").lines)
    assert alive() is None
    unfreeze_objects()
