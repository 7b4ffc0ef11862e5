"""YAML is read with its lines, and whatever would be read otherwise than it looks is refused."""

import contextlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import GoldenError
from harness.golden.yaml_lines import MAX_BYTES, MAX_DEPTH, dotted, parse_yaml, parse_yaml_text

PATH = Path("set.yaml")
# PyYAML writes the texts 1e3 and y without quotes; to others they are a number and a boolean.
TEXTS = st.text(max_size=8).filter(
    lambda text: not re.fullmatch(r"[-+]?[0-9._]+(?:[eE][-+]?[0-9_]+)?|0[oObBxX].*|[yYnN]", text)
)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


def test_each_key_knows_its_line():
    document = parse_yaml_text(PATH, "# top\na:\n  - b: 1\n    c: 2\n  - d\n")
    assert document.data == {"a": [{"b": 1, "c": 2}, "d"]}
    assert [document.line(key) for key in [(), ("a",), ("a", 0), ("a", 0, "c"), ("a", 1)]] == [2, 2, 3, 4, 5]


def test_a_key_that_is_not_there_is_placed_at_what_surrounds_it():
    document = parse_yaml_text(PATH, "a:\n  - b: 1\n")
    assert document.line(("a", 0, "z", 4)) == 2
    assert document.line(("a", 7)) == 1


def test_a_path_reads_as_a_person_writes_it():
    assert dotted(("cases", 3, "checks", 0, "type")) == "cases[3].checks[0].type"


@given(st.dictionaries(TEXTS, PLAIN, min_size=1, max_size=4))
def test_plain_data_reads_back_as_written(data):
    assert parse_yaml_text(PATH, yaml.safe_dump(data)).data == data


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_in_one_line(text):
    """No input makes the parser fail in another way."""
    with contextlib.suppress(GoldenError):
        parse_yaml_text(PATH, text)


@given(st.text(alphabet="a:-[]{}#&*!|>'\"%@`, \n\t\r\x85\u2028", max_size=40))
def test_a_refusal_is_one_line(text):
    """Whatever is in the text, since continuous integration shows one line."""
    messages = []
    try:
        parse_yaml_text(PATH, text)
    except GoldenError as error:
        messages.append(str(error))
    assert all(len(message.splitlines()) == 1 for message in messages)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "set.yaml: the file is empty"),
        ("# nothing", "the file is empty"),
        ("a: 1\nb: 2\na: 3", "set.yaml:3: a: the key occurs twice"),
        ("a:\n  - {b: 1, 'b': 2}", r"set.yaml:2: a\[0\].b: the key occurs twice"),
        ("a: &x [1]\nb: *x", r"set.yaml:1: b: an alias \(\*name\)"),
        ("a: &x [*x]", "an alias"),
        ("a:\n  <<: {b: 1}", r"set.yaml:2: a.<<: a merge \(<<\)"),
        ("a: 2024-01-01", r"set.yaml:1: a: a date \(allowed: a text: put it in quotes\)"),
        ("a: !!binary aGVsbG8=", "a: a YAML binary"),
        ("a: !!set {x}", "a: a YAML set"),
        ("a: !!python/object/apply:os.system [ls]", "a: a YAML python/object/apply:os.system"),
        ("a: !mine b", "a: a YAML !mine"),
        ("yes: 1", "set.yaml:1: the key yes is not a text"),
        ("a:\n  1: b", "set.yaml:2: a: the key 1 is not a text"),
        ("? [a]\n: b", "the key .a list or mapping. is not a text"),
        ("a: 1\n---\nb: 2", "set.yaml:2: not YAML: a second document .---.: one a file"),
        ("a:\n\tb: 1", "set.yaml:2: not YAML: a tab: indent with spaces"),
        ("a: @b", "set.yaml:1: not YAML: @ at a text's start: put it in quotes"),
        ("a: 1\nb: 'x\0'", "set.yaml:2: not YAML: unacceptable character #x0000|set.yaml: not YAML: .*control"),
        ("a: {b\nc: d", r"set.yaml:\d: not YAML"),
    ],
)  # fmt: skip
def test_what_yaml_would_read_in_silence_is_refused(text, message):
    with pytest.raises(GoldenError, match=message):
        parse_yaml_text(PATH, text)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 200_000,
        "a: " + "[" * 3000 + "]" * 3000,
        "a: " + "{a: " * 3000 + "}" * 3000,
        "- " * 20_000 + "a",
        "\n".join(" " * level + "a:" for level in range(300)),
    ],
    ids=["open", "lists", "mappings", "one-line", "indented"],
)
def test_deep_nesting_is_refused_and_never_ends_the_process(text, tmp_path):
    """In a process of its own: libyaml's composer overflows the stack instead of raising."""
    (tmp_path / "deep.yaml").write_text(text)
    code = (
        "from pathlib import Path\n"
        "from harness.errors import GoldenError\n"
        "from harness.golden.yaml_lines import parse_yaml\n"
        "try: parse_yaml(Path('deep.yaml'))\n"
        "except GoldenError as error: print(error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    # PyYAML 6.0.4 has a limit of its own, which some of these reach first.
    assert any(
        words in done.stdout for words in (f"nested deeper than {MAX_DEPTH} levels", "maximum nesting depth")
    )


def test_nesting_that_people_write_is_read():
    assert parse_yaml_text(PATH, "a: " + "[" * 90 + "]" * 90).line(("a",)) == 1


def test_many_brackets_are_not_depth():
    """Ten thousand short lists are no deeper than one."""
    assert len(parse_yaml_text(PATH, "a:\n" + "  - [x]\n" * 10_000).data["a"]) == 10_000


def test_a_byte_order_mark_is_left_out():
    assert parse_yaml_text(PATH, "\ufeffa: 1\n").data == {"a": 1}


def test_bytes_that_are_no_utf8(tmp_path):
    (tmp_path / "set.yaml").write_bytes(b"name: \xff")
    with pytest.raises(GoldenError, match="not UTF-8: byte 6"):
        parse_yaml(tmp_path / "set.yaml")


def test_what_is_no_readable_file_is_refused(tmp_path):
    """A pipe would be waited for, and a device never ends."""
    os.mkfifo(tmp_path / "pipe.yaml")
    for name, message in [
        ("none.yaml", "can't be read: No such file"),
        ("pipe.yaml", "not a file"),
        (".", "not a file"),
    ]:
        with pytest.raises(GoldenError, match=message):
            parse_yaml(tmp_path / name)


def test_a_file_too_large_to_be_meant_is_not_read(tmp_path):
    path = tmp_path / "large.yaml"
    with path.open("wb") as file, contextlib.suppress(OSError):
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(GoldenError, match=f"allowed: at most {MAX_BYTES} bytes"):
        parse_yaml(path)


@pytest.mark.parametrize("number", ["9" * 5000, "-" + "9" * 301, "0x" + "f" * 4000, "1." + "3" * 400])
@pytest.mark.parametrize("place", ["metadata: {a: %s}", "vars: {a: %s}", "repeat: %s"])
def test_a_number_of_thousands_of_digits_is_named_with_its_line(tmp_path, number, place):
    path = tmp_path / "s.yaml"
    case = f"- id: a\n  prompt: Q\n  {place % number}\n  checks: [{{type: is-json}}]\n"
    path.write_text(f"name: s\ncases:\n{case}")
    with pytest.raises(
        GoldenError,
        match=r"s\.yaml:5: cases\[0\]\.\S+: a number of \d+ characters \(allowed: at most 300, or",
    ):
        parse_yaml(path)
