"""What is wrong with a golden set is told with its place, all of it at once."""

import pytest

from harness.errors import GoldenError
from harness.golden.load import load_golden_set
from tests.golden.whole_set import GOOD, load


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
        ("      - {role: user, content: Order}\n", "", r"cases\[1\].messages\[1\]: the last message must be the user's"),
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
        ("{role: assistant", "{role: system", r"set.yaml:24: cases\[1\].messages\[1\]: a system message comes first"),
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
        (
            "name: x\ndefaults: {checks: [{type: python, path: [a]}]}\ncases: [{id: a, prompt: b}]",
            r"set.yaml:2: defaults.checks\[0\].path: found \[\"a\"\] .*allowed: a text",
        ),
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
    cases = "".join(f"  - {{id: c{n}, prompt: p, chcks: []}}\n" for n in range(60))
    lines, whole = faults_of(tmp_path, f"name: x\ncases:\n{cases}")
    assert len(lines) == 60
    assert whole.splitlines()[-1].endswith("set.yaml: and 10 more faults")


def test_an_unknown_key_is_told_whatever_its_value(tmp_path):
    """A value that YAML reads as a boolean explains other faults of its key, but not this one."""
    lines, _ = faults_of(tmp_path, GOOD.replace("cluster: b", "clustr: yes"))
    assert lines == ["set.yaml:19: cases[0].clustr: unknown key; did you mean cluster?"]


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


@pytest.mark.parametrize(
    ("check", "is_refused"),
    [
        ('{type: not-contains, value: "secret\\n"}', True),
        ('{type: not-icontains, value: "\\r\\nsecret"}', True),
        ('{type: not-contains-any, value: [a, "secret\\n"]}', True),
        ('{type: not-regex, value: "secret\\n"}', True),
        ('{type: not-any-of, checks: [{type: contains, value: "secret\\n"}, {type: contains, value: b}]}', True),
        ('{type: not-any-of, checks: [{type: not-contains, value: "secret\\n"}]}', False),
        ('{type: contains, value: "secret\\n"}', False),
        ('{type: not-contains, value: "\\n\\n"}', False),
        ('{type: not-contains, value: "a\\nb"}', False),
        ('{type: not-equals, value: "secret\\n"}', False),
        ('{type: not-starts-with, value: "secret\\n"}', False),
    ],
)  # fmt: skip
def test_a_refused_text_may_not_end_in_a_line_break_that_the_answers_end_has_not(tmp_path, check, is_refused):
    path = tmp_path / "set.yaml"
    path.write_text(f"name: s\ncases:\n  - id: a\n    prompt: q\n    checks: [{check}]\n")
    if not is_refused:
        assert load_golden_set(path)
        return
    with pytest.raises(GoldenError, match=r"set.yaml:5: .*value: .* doesn't see .*at an answer's end"):
        load_golden_set(path)


@pytest.mark.parametrize("kind", ["equals", "exact-match", "f1", "squad-em", "squad-f1"])
def test_an_empty_answer_may_be_the_right_one(tmp_path, kind):
    path = tmp_path / "set.yaml"
    path.write_text(
        f"name: s\ncases:\n  - {{id: a, prompt: q, references: ['', none], checks: [{{type: {kind}}}]}}\n"
    )
    assert load_golden_set(path).cases[0].references == ("", "none")


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
