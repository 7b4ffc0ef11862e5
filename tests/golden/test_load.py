"""A golden set is read strictly: every fault is one line with file, line, key, found and allowed."""

import hashlib
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.errors import GoldenError
from harness.golden.load import load_golden_set
from harness.golden.variables import fill
from harness.metrics.definition import ScoringRequest, score_function
from harness.types import Check, Completion, GenerationSettings, Message

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
        ("threshold: 0.8", "threshold: .nan", r"set.yaml:17: .*threshold: YAML reads .nan as NaN .*as JSON writes it"),
        ("threshold: 0.8", "threshold: high", r"set.yaml:17: .*threshold: found \"high\" .*a number"),
        ("tolerance: 0.5", "threshold: 0.5", r"set.yaml:16: .*json-equals is true or false"),
        ("tolerance: 0.5", "tolerence: 0.5", r"set.yaml:16: .*unknown key of json-equals; did you mean tolerance"),
        ("tolerance: 0.5", "tolerance: -1", r"set.yaml:16: .*tolerance: found -1 .*greater than or equal to 0"),
        ("max_new_tokens: 8,", "max_new_tokens: 0,", r"set.yaml:20: .*max_new_tokens: found 0 .*greater than"),
        ("max_new_tokens: 8,", "max_tokens: 8,", r"set.yaml:20: .*max_tokens: unknown key; did you mean max_new"),
        ("{{name}} ordered", "{{nam}} ordered", r"bob: {{nam}} has no value \(allowed: name\)"),
        ("references: ['[]']", "references: ['file://../x']", "leaves the golden set's directory"),
        ("references: ['[]']", "references: ['file://x.txt']", "file://x.txt can't be read"),
        ("value: {type: array}", "value: {type: arry}", r"set.yaml:27: .*value: not a JSON Schema"),
        ("rouge-l: {margin", "rouge-2: {margin", r"set.yaml:30: gate.metrics.rouge-2: no case has this check"),
        ('quantity": 4}', 'quantity": }', r"set.yaml:16: .*checks\[0\]: the reference .* is not JSON"),
        ("    prompt: |", "    system: x\n    prmpt: |", r"cases\[0\]"),
        ("role: assistant", "role: robot", r"set.yaml:24: cases\[1\].messages\[1\].role: found \"robot\""),
        ("      - {role: user, content: Order}\n", "", "the last message must be the user's"),
        ("margin: 0.1", "margin: 1.1", r"set.yaml:29: gate.margin: found 1.1 .*less than or equal to 1"),
        ("tags: [number]", "tags: number", r"set.yaml:18: cases\[0\].tags: found \"number\" .*a list"),
        ("tags: [number]", "tags: [1]", r"cases\[0\].tags\[0\]: found 1 .*quote it"),
        ("gate:\n", "gate: {\n", r"set.yaml:\d+: not YAML"),
        ("    checks: [{type: is-json, value: {type: array}}]", "    checks: [{type: regex, value: '('}]", "not a regular"),
        ("    checks: [{type: is-json, value: {type: array}}]", "    checks: [{type: contains-any}]", "needs a value"),
        ("    checks: [{type: is-json, value: {type: array}}]", "    checks: [{type: length}]", "min, max or both"),
        ("max_new_tokens: 64", "max_new_tokens: '64'", r"set.yaml:3: .*max_new_tokens: found \"64\" .*a whole number"),
        ("max_new_tokens: 64", "seed: 99999999999", r"set.yaml:3: .*seed: found 99999999999 .*less than 4294967296"),
        ("threshold: 0.8", "threshold: true", r"set.yaml:17: .*threshold: found true .*a number"),
        ("threshold: 0.8", "threshold: '0.8'", r"set.yaml:17: .*threshold: found \"0.8\" .*a number"),
        ("tolerance: 0.5", "tolerance: '1'", r"set.yaml:16: .*tolerance: found \"1\" .*a number"),
        ("tolerance: 0.5", "ignore: name", r"set.yaml:16: .*ignore: found \"name\" .*a list"),
        ("{type: json-equals, t", "{type: not-rouge-2, t", r"set.yaml:16: .*type: rouge-2 can't be negated; it is a number"),
        ("tags: [number]", "tags: [two words]", r"set.yaml:18: cases\[0\].tags\[0\]: found \"two words\" .*letters, digits"),
        ("tags: [number]", "tags: [skip]", r"set.yaml:18: cases\[0\].tags\[0\]: 'skip' has a meaning in pytest"),
        ("name: orders", "name: xfail", r"set.yaml:1: name: 'xfail' has a meaning in pytest"),
        ("vars: {name: Bob}", "vars: {name: {a: Bob}}", r"set.yaml:13: cases\[0\].vars.name: found .* a text or"),
        ("vars: {name: Bob}", "vars: {name: 'file://no.txt'}", r"set.yaml:13: cases\[0\].vars.name: bob: file://no.txt can't"),
        ("vars: {name: Bob}", "vars: {name: Bob}\n    metadata: {a: [.inf]}", r"set.yaml:14: .*metadata.a\[0\]: YAML reads .inf as Infinity"),
        ("  system: Be short.", "  generation: {seed: 1}", r"set.yaml:5: defaults.generation: unknown key; it belongs at the top"),
        ("{role: assistant", "{role: system", r"set.yaml:21: cases\[1\]: a system message comes first"),
        ("content: Order", "content: ' '", r"set.yaml:25: cases\[1\].messages\[2\].content: ann: the prompt is empty"),
        ("value: {type: array}", "value: true", r"set.yaml:27: .*value: not a JSON Schema: that is a mapping"),
        ("value: {type: array}", "value: {pattern: '('}", r"set.yaml:27: .*value: not a JSON Schema: '\(' is not a 'regex' at \$.pattern"),
        ("value: {type: array}", "value: {$ref: '#/$defs/x'}", r"set.yaml:27: .*its \$ref '#/\$defs/x' is not in the schema"),
        ("value: {type: array}", "value: {items: {$ref: 'http://x.test/y'}}", r"set.yaml:27: .*its \$ref 'http://x.test/y' is not in the schema"),
        ("value: {type: array}", "value: {$schema: 'http://x.test/y'}", r"its \$schema 'http://x.test/y' is an unknown draft"),
        ("value: {type: array}", "value: {$schema: 4}", r"its \$schema 4 is an unknown draft"),
        ("is-json, value: {type: array}", "json-equals, value: '[1]'", r"set.yaml:27: .*value: JSON as quoted text"),
        ("is-json, value: {type: array}", "json-equals, value: [.nan]", r"set.yaml:27: .*value\[0\]: YAML reads .nan as NaN"),
        ("is-json, value: {type: array}", "contains, value: [a]", r"set.yaml:27: .*value: found \[\"a\"\] .*a text"),
        ("is-json, value: {type: array}", "contains-any, value: [no]", r"set.yaml:27: .*value\[0\]: YAML reads no as false .*'no' in quotes"),
        ("is-json, value: {type: array}", "regex, value: ''", r'set.yaml:27: .*value: found "" .*a regular expression'),
        ("is-json, value: {type: array}", "regex, value: 'a{99999999999}'", "not a regular expression: the repetition number"),
        ("is-json, value: {type: array}", "regex, value: '" + "(" * 2000 + ")" * 2000 + "'", "not a regular expression: nested"),
        ("is-json, value: {type: array}", "f1, value: a", r"set.yaml:27: .*value: f1 takes no value"),
        ("references: ['[]']", r'references: ["file://a\0b"]', r"set.yaml:26: cases\[1\].references\[0\]: ann: file://'a\\x00b'"),
        ("references: ['[]']", "references: ['file://.']", r"file://. is not a file"),
        ("references: ['[]']", "references: ['file:///etc/hostname']", "leaves the golden set's directory"),
        ("references: ['[]']", "references: []\n    must_pass: maybe", r"must_pass: found \"maybe\" .*true or false"),
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


def test_a_passage_and_a_variable_may_stand_in_files(tmp_path):
    (tmp_path / "article.txt").write_text("Long ago\n")
    text = (
        "name: x\ncases:\n  - {id: a, prompt: 'Sum up: {{text}}', vars: {text: 'file://article.txt'}, "
        "retrieved_context: ['file://article.txt'], checks: [{type: is-json}]}"
    )
    (case,) = load(tmp_path, text).cases
    assert case.messages[-1].content == "Sum up: Long ago"
    assert case.retrieved_context == ("Long ago",)


def test_a_file_reached_by_a_link_that_leads_out_is_refused(tmp_path):
    (tmp_path / "sets").mkdir()
    (tmp_path / "secret.txt").write_text("s")
    (tmp_path / "sets" / "link.txt").symlink_to(tmp_path / "secret.txt")
    text = "name: x\ncases: [{id: a, prompt: 'file://link.txt', checks: [{type: is-json}]}]"
    with pytest.raises(GoldenError, match="leaves the golden set's directory"):
        load(tmp_path / "sets", text)


@given(st.text(max_size=40).filter(lambda text: "{{" not in text and not text.startswith("file://")))
def test_braces_that_hold_no_name_stay(text):
    assert fill(f"{text} {{{{ {{x}} {{{{1}}}}", {}, Path()) == f"{text} {{{{ {{x}} {{{{1}}}}"


def test_what_a_variable_holds_is_not_filled_again():
    assert fill("{{a}}", {"a": "{{b}}", "b": "no"}, Path()) == "{{b}}"


def test_a_block_text_s_last_line_break_is_not_content(tmp_path):
    """Otherwise ``contains`` would look for it."""
    text = """\
name: x
cases:
  - id: a
    messages:
      - role: user
        content: |
          Hello
    references:
      - |
        Paris
    checks: [{type: contains}]
"""
    (case,) = load(tmp_path, text).cases
    assert case.messages == (Message(role="user", content="Hello"),)
    assert case.references == ("Paris",)


def test_a_json_value_may_be_a_plain_text(tmp_path):
    """An answer of a JSON string is compared with the text as it is written."""
    text = "name: x\ncases: [{id: a, prompt: p, checks: [{type: json-equals, value: hello}]}]"
    assert load(tmp_path, text).cases[0].checks[0].value == "hello"


def test_a_case_s_own_check_replaces_the_default_of_its_type_only(tmp_path):
    text = (
        "name: x\ndefaults: {checks: [{type: is-json}, {type: contains, value: d}, {type: not-contains, value: 'n'}]}\n"
        "cases: [{id: a, prompt: p, checks: [{type: contains, value: a}, {type: contains, value: b}]}]"
    )
    checks = load(tmp_path, text).cases[0].checks
    assert [(check.type, check.value) for check in checks] == [
        ("is-json", None), ("not-contains", "n"), ("contains", "a"), ("contains", "b"),
    ]  # fmt: skip


def test_the_set_is_known_by_its_bytes(tmp_path):
    golden_set = load(tmp_path, GOOD)
    assert golden_set.content_sha256 == hashlib.sha256(GOOD.encode()).hexdigest()


def test_a_default_schema_is_checked_once_for_all_cases(tmp_path, monkeypatch):
    """Checking a schema costs milliseconds, and a set may have a thousand cases."""
    checked = []
    check_schema = jsonschema.Draft202012Validator.check_schema
    monkeypatch.setattr(
        jsonschema.Draft202012Validator,
        "check_schema",
        lambda schema: checked.append(schema) or check_schema(schema),
    )
    head = "name: x\ndefaults: {checks: [{type: is-json, value: {type: object, minProperties: 3}}]}\ncases:\n"
    cases = "".join(f"  - {{id: c{number}, prompt: p}}\n" for number in range(50))
    assert len(load(tmp_path, head + cases).cases) == 50
    assert len(checked) == 1


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


def test_the_former_name_of_max_regressed_is_still_read(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(
        "name: s\ngate: {max_broken: 0.2}\ncases: [{id: a, prompt: p, checks: [{type: equals, value: x}]}]\n"
    )
    assert load_golden_set(path).gate.max_regressed == 0.2


def faults_of(tmp_path, text):
    with pytest.raises(GoldenError) as raised:
        load(tmp_path, text)
    return [str(fault).replace(str(tmp_path) + "/", "") for fault in raised.value.faults], str(raised.value)


def test_all_faults_of_a_file_are_told_together(tmp_path):
    """Of all stages: form, ids, variables, checks; a case with a wrong form hides no other case."""
    text = GOOD.replace("cluster: b", "clustr: b").replace("id: ann", "id: ann\n    tgs: [x]")
    text = text.replace("margin: 0.1", "margin: 7") + "margn: 3\n"
    text = text.replace(
        "gate:\n",
        """\
  - {id: ann2, prompt: 'Hi {{who}}', checks: [{type: contans, value: x}, {type: length}]}
  - {id: ann2, prompt: Q, checks: [{type: regex, value: '('}]}
  - {id: two, prompt: Q, checks: [{type: f1, value: 3}, {type: rouge-l, treshold: 1}], references: [a]}
gate:
""",
        1,
    )
    lines, whole = faults_of(tmp_path, text)
    assert lines == [
        "set.yaml:19: cases[0].clustr: unknown key; did you mean cluster?",
        "set.yaml:22: cases[1].tgs: unknown key; did you mean tags?",
        "set.yaml:29: cases[2].prompt: ann2: {{who}} has no value (allowed: none: write them under vars)",
        "set.yaml:29: cases[2].checks[0].type: unknown check type 'contans'; did you mean contains? (case ann2)",
        "set.yaml:29: cases[2].checks[1]: give min, max or both (case ann2)",
        "set.yaml:30: cases[3].id: 'ann2' is taken by line 29 (allowed: a new id)",
        "set.yaml:30: cases[3].checks[0].value: not a regular expression: missing ), unterminated subpattern at position 0 (case ann2)",
        "set.yaml:31: cases[4].checks[0].value: f1 takes no value (case two) (allowed: the case's references)",
        "set.yaml:31: cases[4].checks[1].treshold: unknown key of rouge-l; did you mean threshold? (case two)",
        "set.yaml:33: gate.margin: found 7 (allowed: less than or equal to 1)",
        "set.yaml:35: margn: unknown key (allowed: cases, defaults, description, gate, generation, include, name, probes_forgetting)",
    ]
    assert whole.splitlines() == [str(tmp_path / line) for line in lines]


def test_many_faults_are_counted(tmp_path):
    cases = "".join(f"  - {{id: c{n}, prompt: p, chcks: []}}\n" for n in range(30))
    lines, whole = faults_of(tmp_path, f"name: x\ncases:\n{cases}")
    assert len(lines) == 30
    assert whole.splitlines()[-1].endswith("set.yaml: and 10 more faults")


def test_a_fault_of_the_defaults_is_told_once(tmp_path):
    text = "name: x\ndefaults: {repeat: 3}\ncases:\n" + "".join(
        f"  - {{id: c{n}, prompt: p, checks: [{{type: is-json}}]}}\n" for n in range(3)
    )
    lines, _ = faults_of(tmp_path, text)
    assert len([line for line in lines if "defaults.repeat" in line]) == 1


@pytest.mark.parametrize("name", ["float", "str", "int", "JsonValue", "nullable", "a[b]"])
def test_an_unknown_key_may_have_the_name_of_a_type(tmp_path, name):
    lines, _ = faults_of(tmp_path, GOOD.replace("name: orders", f"name: orders\n'{name}': 3"))
    assert lines[0].startswith(f"set.yaml:2: {name}: unknown key")
    lines, _ = faults_of(tmp_path, GOOD.replace("cluster: b", f"'{name}': b"))
    assert lines[0].startswith(f"set.yaml:19: cases[0].{name}: unknown key")


def test_what_is_allowed_is_close_or_wrapped(tmp_path):
    (close,), _ = faults_of(tmp_path, GOOD.replace("type: rouge-l, ", "type: rogue-l, "))
    assert close.endswith("type: unknown check type 'rogue-l'; did you mean rouge-l? (case bob)")
    (far,), _ = faults_of(tmp_path, GOOD.replace("type: rouge-l, ", "type: xyzzy, "))
    first, *names = far.splitlines()
    assert "unknown check type 'xyzzy'" in first
    assert names[0].startswith("  allowed: equals, iequals, ")
    assert all(len(line) <= 96 for line in names)


@pytest.mark.parametrize(
    ("check", "problem"),
    [
        ("{type: contains}", "contains has nothing to compare with in an empty reference"),
        ("{type: rouge-l}", "rouge-l has nothing to compare with in an empty reference"),
        ("{type: factuality}", "factuality has nothing to compare with in an empty reference"),
        ("{type: starts-with, value: ' '}", "in which nothing can be seen"),
        ('{type: llm-rubric, value: "\\u200b"}', "in which nothing can be seen"),
        ("{type: json-equals, value: }", "nothing is written here .*null for the null of JSON"),
        ("{type: not-contains, value: }", "nothing is written here"),
        ("{type: any-of, checks: [{type: json-path, path: $, value: }]}", "nothing is written here"),
        ("{type: contains, value: null}", "null is no value of contains"),
    ],
)
@pytest.mark.parametrize("reference", ["''", '" \\u200b"'])
def test_what_has_nothing_to_compare_with_is_refused(tmp_path, check, problem, reference):
    path = tmp_path / "set.yaml"
    path.write_text(
        f"name: s\ncases:\n  - id: a\n    prompt: q\n    references: [{reference}]\n    checks: [{check}]\n"
    )
    with pytest.raises(GoldenError, match=problem):
        load_golden_set(path)


@pytest.mark.parametrize("kind", ["equals", "exact-match", "f1", "squad-em", "squad-f1"])
def test_an_empty_answer_may_be_the_right_one(tmp_path, kind):
    path = tmp_path / "set.yaml"
    path.write_text(
        f"name: s\ncases:\n  - {{id: a, prompt: q, references: ['', none], checks: [{{type: {kind}}}]}}\n"
    )
    assert load_golden_set(path).cases[0].references == ("", "none")


def test_a_byte_order_mark_in_a_file_is_no_part_of_its_text(tmp_path):
    (tmp_path / "answer.txt").write_bytes(b"\xef\xbb\xbfParis\n")
    path = tmp_path / "set.yaml"
    path.write_text(
        "name: s\ncases:\n  - {id: a, prompt: q, references: ['file://answer.txt'], checks: [{type: equals}]}\n"
    )
    assert load_golden_set(path).cases[0].references == ("Paris",)


def test_perplexity_has_a_usual_margin_and_other_scores_need_one(tmp_path):
    """0.10 nats, unless the set gives another one; a score without a margin is one line."""
    path = tmp_path / "set.yaml"
    cases = "cases: [{id: a, prompt: hi, references: [hello], checks: [{type: perplexity}, {type: rouge-l}]}]"
    path.write_text(f"name: s\n{cases}\ngate: {{metrics: {{perplexity: {{}}}}}}\n")
    assert load_golden_set(path).gate.metric_margins == {"perplexity": 0.10}
    path.write_text(f"name: s\n{cases}\ngate: {{metrics: {{perplexity: {{margin: 0.2}}}}}}\n")
    assert load_golden_set(path).gate.metric_margins == {"perplexity": 0.2}
    path.write_text(f"name: s\n{cases}\ngate: {{metrics: {{rouge-l: {{}}}}}}\n")
    with pytest.raises(GoldenError, match=r"gate.metrics.rouge-l: the gate of rouge-l needs a margin"):
        load_golden_set(path)


def test_a_description_is_read_and_changes_no_result(tmp_path):
    plain = load(tmp_path, GOOD).cases[0]
    described = load(
        tmp_path, GOOD.replace("  - id: bob\n", "  - id: bob\n    description: Numbers stay numbers\n")
    ).cases[0]
    assert described.description == "Numbers stay numbers"
    assert described.content_sha256 == plain.content_sha256


def test_null_is_a_value_where_json_is_compared(tmp_path):
    """It is not the same as no value, neither for the check nor for the case's content."""
    path = tmp_path / "set.yaml"
    keys = (
        "{type: json-path, path: $.a, value: null}",
        "{type: json-path, path: $.a}",
        "{type: json-equals, value: null}",
    )
    cases = [f"- {{id: c{n}, prompt: q, checks: [{key}]}}\n" for n, key in enumerate(keys)]
    path.write_text("name: s\ncases:\n" + "".join(cases))
    null, anything, equals = load_golden_set(path).cases
    answers = ['{"a": null}', '{"a": 1}', "{}", "null", "0"]
    found = [[scored(case, answer) for answer in answers] for case in (null, anything, equals)]
    assert found == [[1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [0, 0, 0, 1, 0]]
    assert null.content_sha256 != replace(anything, id=null.id).content_sha256


def scored(case, answer):
    (check,) = case.checks
    said = Completion(text=answer, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1)
    request = ScoringRequest(case=case, check=check, text=answer, completion=said)
    (score,) = score_function(check.type)([request])
    return score.value


def test_all_values_that_yaml_reads_otherwise_are_told_at_once(tmp_path):
    """With the set's other faults; what they explain is not told again."""
    path = tmp_path / "set.yaml"
    path.write_text(
        "name: s\nnam: x\ncases:\n- id: a\n  prompt: q\n  vars: {t: 12:30, n: 010}\n  checks: [{type: lengt}]\n"
        "- id: b\n  id: c\n  prompt: q\n  checks: [{type: rouge-l, threshold: 07}]\n"
        "  references: [2020-01-01]\n"
    )
    with pytest.raises(GoldenError) as caught:
        load_golden_set(path)
    assert [(fault.line, fault.key) for fault in caught.value.faults] == [
        (2, "nam"),
        (6, "cases[0].vars.t"),
        (6, "cases[0].vars.n"),
        (7, "cases[0].checks[0].type"),
        (9, "cases[1].id"),
        (11, "cases[1].checks[0].threshold"),
        (12, "cases[1].references[0]"),
    ]
