"""A golden set is read strictly: every fault is one line with file, line, key, found and allowed."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import GoldenError
from harness.golden.load import load_golden_set
from harness.golden.yaml_lines import parse_yaml_text
from harness.types import Check, GenerationSettings, Message

GOOD = """\
name: orders
description: Orders as JSON
generation: {max_new_tokens: 64}
defaults:
  system: Be short.
  tags: [extraction]
  checks: [{type: is-json}]
cases:
  - id: bob
    prompt: |
      Extract the order.
      {{name}} ordered 4 kettles, not {braces}.
    vars: {name: Bob}
    references: ['{"name": "{{name}}", "quantity": 4}']
    checks:
      - {type: json-equals, tolerance: 0.5}
      - {type: rouge-l, threshold: 0.8}
    tags: [number]
    cluster: b
    generation: {max_new_tokens: 8, stop: ["###"]}
  - id: ann
    messages:
      - {role: user, content: Hello}
      - {role: assistant, content: Hi}
      - {role: user, content: Order}
    references: ['[]']
    checks: [{type: is-json, value: {type: array}}]
gate:
  margin: 0.1
  metrics: {rouge-l: {margin: 0.05}}
"""


def load(tmp_path, text):
    path = tmp_path / "set.yaml"
    path.write_text(text, encoding="utf-8")
    return load_golden_set(path)


def test_a_whole_set(tmp_path):
    golden_set = load(tmp_path, GOOD)
    bob, ann = golden_set.cases
    assert bob.key == "orders/bob"
    assert bob.messages == (
        Message(role="system", content="Be short."),
        Message(role="user", content="Extract the order.\nBob ordered 4 kettles, not {braces}."),
    )
    assert bob.references == ('{"name": "Bob", "quantity": 4}',)
    assert [check.type for check in bob.checks] == ["is-json", "json-equals", "rouge-l"]
    assert bob.checks[1] == Check(type="json-equals", options={"tolerance": 0.5}, line=16)
    assert bob.tags == ("number", "extraction")
    assert bob.generation == GenerationSettings(max_new_tokens=8, stop=("###",))
    assert bob.line == 9
    assert [message.role for message in ann.messages] == ["user", "assistant", "user"]
    assert ann.checks == (Check(type="is-json", value={"type": "array"}, line=27),)
    assert ann.generation.max_new_tokens == 64
    assert golden_set.gate.margin == 0.1
    assert golden_set.gate.metric_margins == {"rouge-l": 0.05}


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("name: orders", "nme: orders", r"set.yaml:1: nme: unknown key; did you mean name\?"),
        ("name: orders", "name: 'a b'", r"set.yaml:1: name: found \"a b\" \(allowed: letters"),
        ("name: orders\n", "", r"set.yaml:1: name: the key is missing"),
        ("cluster: b", "clustr: b", r"set.yaml:19: cases\[0\].clustr: unknown key; did you mean cluster"),
        ("id: ann", "id: bob", r"set.yaml:21: cases\[1\].id: 'bob' is taken by line 9"),
        ("type: rouge-l, ", "type: rogue-l, ", r"set.yaml:17: .*type: unknown check type 'rogue-l'; did you mean"),
        ("threshold: 0.8", "threshold: 8", r"set.yaml:17: .*threshold: found 8 .*allowed: 0 to 1 for rouge-l"),
        ("threshold: 0.8", "threshold: .nan", r"set.yaml:17: .*threshold: found NaN .*a finite number"),
        ("threshold: 0.8", "threshold: high", r"set.yaml:17: .*threshold: found \"high\" .*a number"),
        ("tolerance: 0.5", "threshold: 0.5", r"set.yaml:16: .*json-equals is true or false"),
        ("tolerance: 0.5", "tolerence: 0.5", r"set.yaml:16: .*unknown key of json-equals; did you mean tolerance"),
        ("tolerance: 0.5", "tolerance: -1", r"set.yaml:16: .*tolerance: input should be greater than"),
        ("max_new_tokens: 8,", "max_new_tokens: 0,", r"set.yaml:20: .*max_new_tokens: found 0 .*greater than"),
        ("max_new_tokens: 8,", "max_tokens: 8,", r"set.yaml:20: .*max_tokens: unknown key; did you mean max_new"),
        ("{{name}} ordered", "{{nam}} ordered", r"bob: {{nam}} has no value \(allowed: name\)"),
        ("references: ['[]']", "references: ['file://../x']", "leaves the golden set's directory"),
        ("references: ['[]']", "references: ['file://x.txt']", "file://x.txt can't be read"),
        ("value: {type: array}", "value: {type: arry}", r"set.yaml:27: .*value: not a JSON Schema"),
        ("rouge-l: {margin", "rouge-2: {margin", r"set.yaml:30: gate.metrics.rouge-2: no case has this check"),
        ('quantity": 4}', 'quantity": }', r"the reference is not JSON"),
        ("    prompt: |", "    system: x\n    prmpt: |", r"cases\[0\]"),
        ("role: assistant", "role: robot", r"set.yaml:24: cases\[1\].messages\[1\].role: found \"robot\""),
        ("      - {role: user, content: Order}\n", "", "the last message must be the user's"),
        ("margin: 0.1", "margin: 1.1", r"set.yaml:29: gate.margin: found 1.1 .*less than or equal to 1"),
        ("tags: [number]", "tags: number", r"set.yaml:18: cases\[0\].tags: found \"number\" .*a list"),
        ("tags: [number]", "tags: [1]", r"cases\[0\].tags\[0\]: found 1 .*quote it"),
        ("tags: [number]", "tags: [number]\n    tags: [x]", r"set.yaml:19: .*tags: the key stands twice"),
        ("tags: [number]", "tags: &t [*t]", "an alias|not YAML"),
        ("gate:\n", "gate: {\n", r"set.yaml:\d+: not YAML"),
        ("    checks: [{type: is-json, value: {type: array}}]", "    checks: [{type: regex, value: '('}]", "not a regular"),
        ("    checks: [{type: is-json, value: {type: array}}]", "    checks: [{type: contains-any}]", "needs a value"),
        ("    checks: [{type: is-json, value: {type: array}}]", "    checks: [{type: length}]", "min, max or both"),
        ("references: ['[]']", "references: []\n    must_pass: maybe", r"must_pass: found \"maybe\" .*true, false"),
    ],
)  # fmt: skip
def test_a_fault_is_named_with_its_place(tmp_path, old, new, message):
    assert old in GOOD
    with pytest.raises(GoldenError, match=message):
        load(tmp_path, GOOD.replace(old, new, 1))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("- a", "found a list"),
        ("name: x\ncases: []", "cases: found"),
        ("name: x\ncases:\n  - {id: a, prompt: b}", "a: no check"),
        (
            "name: x\ncases:\n  - {id: a, prompt: b, checks: [{type: contains}]}",
            "needs references or a value",
        ),
        ("name: x\ncases:\n  - {id: a, prompt: ' ', checks: [{type: is-json}]}", "the prompt is empty"),
        ("\t", "set.yaml:1: not YAML"),
    ],
)
def test_a_set_that_is_none(tmp_path, text, message):
    with pytest.raises(GoldenError, match=message):
        load(tmp_path, text)


def test_files_beside_the_set_are_read(tmp_path):
    (tmp_path / "long.txt").write_text("Hello {{who}}\n")
    text = (
        "name: x\ncases:\n  - {id: a, prompt: 'file://long.txt', vars: {who: Bob}, checks: [{type: is-json}]}"
    )
    assert load(tmp_path, text).cases[0].messages[-1].content == "Hello Bob"


def test_bytes_that_are_no_utf8(tmp_path):
    (tmp_path / "set.yaml").write_bytes(b"name: \xff")
    with pytest.raises(GoldenError, match="not UTF-8: byte 6"):
        load_golden_set(tmp_path / "set.yaml")


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused_in_one_line(text):
    """No input makes the parser fail in another way."""
    with contextlib.suppress(GoldenError):
        parse_yaml_text(Path("x.yaml"), text)


def many(cases):
    rows = [
        f"  - id: case-{i}\n    prompt: What is {i} plus one?\n    references: ['{i + 1}']\n"
        f"    checks: [{{type: contains}}, {{type: length, max: 40}}, {{type: rouge-l, threshold: 0.5}}]\n"
        for i in range(cases)
    ]
    return "name: many\ncases:\n" + "".join(rows)


def test_loading_imports_nothing_heavy(tmp_path):
    (tmp_path / "set.yaml").write_text(many(3))
    code = (
        "import sys; from pathlib import Path; from harness.golden.load import load_golden_set; "
        f"load_golden_set(Path({str(tmp_path / 'set.yaml')!r})); "
        "print([m for m in ('torch', 'numpy', 'jsonschema') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
