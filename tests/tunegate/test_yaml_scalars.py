"""Scalars are read as they look, or refused with the spelling to use."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import GoldenError
from harness.golden.load import load_golden_set
from harness.golden.yaml_lines import parse_yaml_text

PATH = Path("set.yaml")


def free(text: str) -> object:
    """What is read where any JSON is allowed."""
    return parse_yaml_text(PATH, f"value: {{x: {text}}}\n").data["value"]["x"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("12:30", "750"),
        ("1:30.5", "90.5"),
        ("010", "8"),
        ("0x1F", "31"),
        ("0b11", "3"),
        ("1_000", "1000"),
        ("+5", "5"),
        (".5", "0.5"),
        ("5.", "5.0"),
        (".inf", "Infinity"),
        ("yes", "true"),
        ("Off", "false"),
        ("True", "true"),
        ("NULL", "null"),
        ("~", "null"),
    ],
)
@pytest.mark.parametrize("key", ["value", "threshold"])
def test_what_yaml_reads_otherwise_than_it_looks_is_refused_with_the_quotes_to_add(
    key: str, text: str, shown: str
) -> None:
    with pytest.raises(GoldenError) as caught:
        parse_yaml_text(PATH, f"{key}: {text}\n")

    assert str(caught.value).startswith(f"set.yaml:1: {key}: YAML reads {text} as {shown} (allowed: ")
    assert f"'{text}' in quotes" in str(caught.value)
    assert parse_yaml_text(PATH, f"{key}: '{text}'\n").data == {key: text}


OTHER_SPELLINGS = [
    *("0o17", "-0o17", "0O17", "08", "0089", "-09", ".5e3", "5.e3", "+1e3", "+1.5e3", "01e3", "0X1F", "0B1"),
    *("1_000e3", "!!float 08", "!!int 010", "!!float .nan", "!!bool yes", "!!null ~", "&a 08", "&a\n  0o17"),
]


@pytest.mark.parametrize("text", OTHER_SPELLINGS)
@pytest.mark.parametrize(
    "place", ["value: {}", "threshold: {}", "vars: {{x: [{}]}}", "stop: [{}]", "cases: [{{id: {}}}]"]
)
def test_a_number_of_another_version_of_yaml_is_refused_with_the_quotes_to_add(place: str, text: str) -> None:
    with pytest.raises(GoldenError, match="in quotes for a text"):
        parse_yaml_text(PATH, place.replace("{}", text).replace("{{", "{").replace("}}", "}"))


@pytest.mark.parametrize("text", ["y", "N"])
def test_a_letter_that_is_a_boolean_of_yaml_1_1_is_refused_but_as_a_key(text: str) -> None:
    with pytest.raises(
        GoldenError,
        match=f"{text} is a boolean to some readers of YAML .allowed: true or false, or '{text}' in",
    ):
        free(text)

    assert parse_yaml_text(PATH, f"value: {{{text}: 1}}").data == {"value": {text: 1}}


@pytest.mark.parametrize(
    "text", ["08", "1e3", "0o17", "+1", "1", "~", "yes", ".5", "2024-01-01", "=", "!!int '1'"]
)
def test_a_key_that_some_read_as_no_text_is_refused(text: str) -> None:
    with pytest.raises(GoldenError, match=r"is not a text .allowed: a text: put it in quotes"):
        parse_yaml_text(PATH, f"value: {{{text}: 1}}")

    if not text.startswith("!"):
        assert parse_yaml_text(PATH, f"value: {{'{text}': 1, !!str {text}x: 2}}").data["value"] == {
            text: 1,
            f"{text}x": 2,
        }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("value: {a:1}", "value.a:1: nothing is written here"),
        ("value: {a, b}", "value.a: nothing is written here"),
        ("metadata:\n  a:\n  b: 1", "metadata.a: nothing is written here"),
        ("cases:\n  - id: a\n    skip:\n    prompt: p", r"cases\[0\].skip: nothing is written here"),
        ("value: ! 5", "a tag without a name"),
        ("value: = ", "a YAML value .allowed: a text: put it in quotes"),
        ("value: <<", "a YAML merge"),
        ("value: !!set {a, b}", "a YAML set"),
        ("value: !!binary aGk=", "a YAML binary"),
        ("prompt: Solve issue #5", "YAML cuts #5 off as a comment .allowed: the text in quotes"),
        ("prompt: a\u2028b", r"set.yaml:1: the character U\+2028, which ends a line of YAML 1.1"),
        (
            'x: 1\nprompt: "a\x85b"',
            r'set.yaml:2: the character U\+0085, .*allowed: "\\u0085" in double quotes',
        ),
        ("a: 1\n---\nb: 2", "a second document"),
    ],
)
def test_what_would_be_lost_is_refused(text: str, message: str) -> None:
    with pytest.raises(GoldenError, match=message):
        parse_yaml_text(PATH, text)


def test_an_anchor_before_a_tag_changes_nothing_and_comments_are_comments() -> None:
    text = "a: &x !!str 1e3\nb: *x\nc: C#  # sharp\nd: 'issue #5'\ne: 5 #five\nf: '\u00e9' #!\ncases:\n"
    assert parse_yaml_text(PATH, text).data == {
        "a": "1e3",
        "b": "1e3",
        "c": "C#",
        "d": "issue #5",
        "e": 5,
        "f": "é",
        "cases": None,
    }


@pytest.mark.parametrize("text", ["1.10", "1e3", "1.5E2", "-0", "0.12345678901234567890", "2.50"])
def test_a_number_with_several_spellings_is_refused_where_it_may_be_a_text(text: str) -> None:
    with pytest.raises(GoldenError, match="in quotes for a text"):
        free(text)

    assert parse_yaml_text(PATH, f"threshold: {text}\n").data == {"threshold": float(text)}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("-5", -5),
        ("1.5", 1.5),
        ("5.0", 5.0),
        ("true", True),
        ("false", False),
        ("null", None),
    ],
)
def test_json_s_own_spelling_is_read(text: str, value: object) -> None:
    assert free(text) == value
    assert type(free(text)) is type(value)


@given(st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | st.none())
def test_what_json_writes_is_read_as_json_reads_it(value: object) -> None:
    import json

    assert free(json.dumps(value)) == value


@pytest.mark.parametrize("text", ["!!str 1e3", "!!str yes", "'1e3'", '"1e3"', "v1.10", "12:30 Uhr", "1.2.3"])
def test_what_can_only_be_a_text_is_one(text: str) -> None:
    assert free(text) == text.removeprefix("!!str ").strip("'\"")


SET = """\
name: s
cases:
  - id: a
    prompt: q
    vars: {{city: {city}}}
    checks: [{{type: equals, value: "{{{{city}}}}"}}]
"""


def test_a_variable_is_filled_in_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SET.format(city="'1.10'"))
    assert load_golden_set(path).cases[0].checks[0].value == "1.10"

    path.write_text(SET.format(city="1.10"))
    with pytest.raises(GoldenError, match=r"1\.1, or '1.10' in quotes"):
        load_golden_set(path)


@pytest.mark.parametrize(
    ("block", "text"),
    [
        ("|\n  é😀\n", "é😀"),
        ("|-\n  a\n", "a"),
        ("|+\n  a\n\n", "a\n\n"),
        (">\n  a\n  b\n", "a b"),
        (">+\n  a\n", "a\n"),
        ("|2\n   a\n", " a"),
        ("&anchor |\n  a\n", "a"),
        ("!!str |\n  a\n", "a"),
        ("!!str |+\n  a\n", "a\n"),
        ("|\n  a\n\n  b\n\n\n", "a\n\nb"),
        ('"a\\n"', "a\n"),
    ],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_a_block_text_loses_the_line_break_that_yaml_adds(mark: str, block: str, text: str) -> None:
    assert parse_yaml_text(PATH, f"{mark}# é😀\nvalue: {block}").data["value"] == text


@pytest.mark.parametrize(
    ("check", "value"),
    [
        ("type: not-contains\n        value: |\n          SECRET-1\n", "SECRET-1"),
        ("type: contains-any\n        value:\n          - |\n            a\n          - b\n", ["a", "b"]),
        ("type: regex\n        value: |\n          ^\\d+$\n", "^\\d+$"),
        (
            "type: json-equals\n        value:\n          note: |\n            two\n            lines\n",
            {"note": "two\nlines"},
        ),
    ],
)
def test_every_text_under_a_check_s_value_is_one_without_it(
    tmp_path: Path, check: str, value: object
) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(f"name: s\ncases:\n  - id: a\n    prompt: q\n    checks:\n      - {check}")

    assert load_golden_set(path).cases[0].checks[0].value == value


def test_stop_texts_too_but_a_line_break_that_is_written_out_stops(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    text = 'name: s\ngeneration:\n  stop:\n    - |\n      END\n    - "\\n"\ncases:\n  - {id: a, prompt: q, checks: [{type: is-json}]}\n'
    path.write_text(text)

    assert load_golden_set(path).cases[0].generation.stop == ("END", "\n")


def test_a_boolean_variable_is_filled_in_as_yaml_and_json_write_it(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_text(SET.format(city="true"))

    assert load_golden_set(path).cases[0].checks[0].value == "true"


def test_two_escapes_of_one_character_are_that_character():
    """As JSON writes it; elsewhere than in double quotes they are what they look like."""
    text = 'a: "\\ud83d\\uDE00!"\n"\\ud83d\\ude00": 1\nb: \'\\ud83d\\ude00\'\nc: |\n  \\ud83d\\ude00\nd: "\\\\ud83d\\\\ude00"\n'
    written = "\\ud83d\\ude00"
    assert parse_yaml_text(PATH, text).data == {"a": "😀!", "😀": 1, "b": written, "c": written, "d": written}
    for half in ('a: "\\ud83d"\n', 'a: "\\ud83d\\ude00"\nb: "\\ud83d"\n'):
        with pytest.raises(GoldenError):
            parse_yaml_text(PATH, half)
