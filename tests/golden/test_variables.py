"""Lists under ``vars``: a case for each combination."""

import pytest

from harness.errors import GoldenError
from harness.golden.load import load_golden_set
from harness.golden.variables import MatrixError, combinations, fill


@pytest.mark.parametrize(
    ("variables", "ids"),
    [
        ({}, ["a"]),
        ({"who": "Bob"}, ["a"]),
        ({"who": ["Bob", "Ann"]}, ["a-Bob", "a-Ann"]),
        ({"who": ["Bob", "Ann"], "n": 3, "item": ["tea", "cup"]}, ["a-Bob-tea", "a-Bob-cup", "a-Ann-tea", "a-Ann-cup"]),
        ({"n": [1, 2.5, True]}, ["a-1", "a-2.5", "a-True"]),
        ({"n": [1, 1.0, True]}, ["a-1", "a-1.0", "a-True"]),
        ({"text": ["file://long text.txt", "!?"]}, ["a-1", "a-2"]),
        ({"text": ["a b", "a-b"]}, ["a-1", "a-2"]),
        ({"text": ["日本", "x"]}, ["a-1", "a-2"]),
        ({"text": ["x" * 31, "y"]}, ["a-1", "a-2"]),
        ({f"v{n}": ["x" * 30] for n in range(5)}, ["a-1"]),
    ],
)  # fmt: skip
def test_each_combination_has_an_id(variables, ids):
    made = combinations("a", variables)
    assert [one.case_id for one in made] == ids
    assert all(set(one.variables) == set(variables) for one in made)


@pytest.mark.parametrize(
    ("variables", "message"),
    [({"n": [1, 1]}, "n has a value twice"), ({"a": [*range(40)], "b": [*range(40)]}, "1600 combinations")],
)
def test_lists_that_are_refused(variables, message):
    with pytest.raises(MatrixError, match=message):
        combinations("a", variables)


def write(folder, text, name="set.yaml"):
    path = folder / name
    path.write_text(text)
    return path


def test_cases_of_a_matrix_share_a_cluster_and_have_their_own_texts(tmp_path):
    (tmp_path / "b.txt").write_text("a boat\n")
    text = (
        "name: x\ncases:\n  - id: buy\n    prompt: Buy {{what}} for {{who}}\n    references: ['{{who}}']\n"
        "    vars: {who: [Bob, Ann], what: [tea, 'file://b.txt']}\n    checks: [{type: contains, value: '{{what}}'}]\n"
    )
    cases = load_golden_set(write(tmp_path, text)).cases
    assert [(case.id, case.messages[0].content, case.checks[0].value) for case in cases] == [
        ("buy-Bob-tea", "Buy tea for Bob", "tea"),
        ("buy-Bob-b.txt", "Buy a boat for Bob", "a boat"),
        ("buy-Ann-tea", "Buy tea for Ann", "tea"),
        ("buy-Ann-b.txt", "Buy a boat for Ann", "a boat"),
    ]
    assert {case.cluster for case in cases} == {"buy"}
    assert {case.line for case in cases} == {3}
    assert len({case.content_sha256 for case in cases}) == 4


REST = "    prompt: p\n    checks: [{type: is-json}]\n"


@pytest.mark.parametrize(
    ("variables", "more", "message"),
    [
        ("{n: [1, 1]}", "", r"set.yaml:4: cases\[0\].vars: a: n has a value twice"),
        ("{n: []}", "", r"set.yaml:4: cases\[0\].vars.n: found \[\]"),
        ("{n: [[1]]}", "", r"set.yaml:4: cases\[0\].vars.n"),
        ("{n: [1, 2]}", "  - id: a-2\n" + REST, r"set.yaml:7: cases\[1\].id: 'a-2' is taken by line 3"),
    ],
)
def test_a_faulty_matrix_is_named(tmp_path, variables, more, message):
    text = f"name: x\ncases:\n  - id: a\n    vars: {variables}\n{REST}{more}"
    with pytest.raises(GoldenError, match=message):
        load_golden_set(write(tmp_path, text))


@pytest.mark.parametrize(
    ("check", "found"),
    [
        ("{type: multiple-choice, value: A, choices: {A: '{{v}}', B: x y}}", {"choices": {"A": "Oslo", "B": "x y"}}),
        ("{type: classification, value: '{{v}}', labels: ['{{v}}', other]}", {"labels": ["Oslo", "other"]}),
        ("{type: json-path, path: \"$['{{v}}']\"}", {"path": "$['Oslo']"}),
        ("{type: equals, value: x, transform: [{after: '{{v}}:'}]}", ({"after": "Oslo:"},)),
        ("{type: any-of, checks: [{type: multiple-choice, value: A, choices: ['{{v}}', x y]}]}", {"choices": ["Oslo", "x y"]}),
    ],
)  # fmt: skip
def test_all_keys_of_a_check_are_filled(tmp_path, check, found):
    """A label that stays {{v}} is in no answer, which nothing would tell."""
    path = tmp_path / "s.yaml"
    path.write_text(f"name: s\ncases:\n  - {{id: a, prompt: q, vars: {{v: Oslo}}, checks: [{check}]}}\n")
    (single,) = load_golden_set(path).cases[0].single_checks
    assert found in (dict(single.options), single.transform)


@pytest.mark.parametrize(
    ("check", "key"),
    [
        ("{type: multiple-choice, value: A, choices: ['{{w}}', x y]}", r"checks\[0\].choices"),
        ("{type: equals, value: x, transform: [{after: '{{w}}'}]}", r"checks\[0\].transform"),
        ("{type: any-of, checks: [{type: contains, value: '{{w}}'}]}", r"checks\[0\].checks\[0\].value"),
    ],
)
def test_a_variable_without_a_value_is_named_with_its_key(tmp_path, check, key):
    path = tmp_path / "s.yaml"
    path.write_text(f"name: s\ncases:\n  - {{id: a, prompt: q, vars: {{v: Oslo}}, checks: [{check}]}}\n")
    with pytest.raises(GoldenError, match=rf"{key}: {{{{w}}}} has no value .allowed: v."):
        load_golden_set(path)


def test_a_number_keeps_its_type_where_json_is_compared(tmp_path):
    """Alone in a JSON value or a key that is a number; in texts, lists of texts and beside other words it is text."""
    (tmp_path / "s.yaml").write_text(
        """name: s
cases:
  - id: a
    vars: {n: 3, s: "3", flag: true, word: red}
    messages:
      - {role: user, content: "{{n}} {{word}}"}
      - {role: assistant, content: "", tool_calls: [{name: f, arguments: {n: '{{n}}', t: 'a {{n}}'}}]}
      - {role: tool, name: f, content: "{{n}}"}
    checks:
      - {type: json-equals, value: {x: '{{n}}', y: ['{{n}}', '{{s}}', 'a {{n}}'], z: '{{flag}}'}}
      - {type: json-equals, value: '{{n}}'}
      - {type: json-path, path: $.x, value: '{{n}}'}
      - {type: contains, value: '{{n}}'}
      - {type: contains-any, value: ['{{n}}', '{{word}}']}
      - {type: length, max: '{{n}}'}
      - {type: any-of, checks: [{type: json-equals, value: {x: '{{n}}'}}, {type: contains, value: '{{n}}'}]}
      - {type: multiple-choice, choices: ['{{n}}', '4'], value: '{{n}}'}
"""
    )
    (case,) = load_golden_set(tmp_path / "s.yaml").cases
    assert [message.content for message in case.messages] == ["3 red", "", "3"]
    assert case.messages[1].tool_calls[0].arguments == {"n": 3, "t": "a 3"}
    values = [check.value for check in case.checks]
    assert values == [{"x": 3, "y": [3, "3", "a 3"], "z": True}, 3, 3, "3", ["3", "red"], None, None, "3"]
    assert [type(value) for value in (values[3], *values[4], values[7])] == [str] * 4
    assert case.checks[5].options == {"max": 3}
    assert [member.value for member in case.checks[6].checks] == [{"x": 3}, "3"]
    assert case.checks[7].options["choices"] == ["3", "4"]


CHECK = 'name: s\ncases: [{id: a, prompt: p, vars: {k: a}, checks: [{type: %s, value: "file://v.json"}]}]\n'


@pytest.mark.parametrize("kind", ["is-json", "contains-json", "json-equals"])
def test_a_file_of_json_is_json_where_a_value_is(tmp_path, kind):
    (tmp_path / "v.json").write_text('\ufeff{"type": "object", "required": ["{{k}}"]}\n', encoding="utf-8")
    (tmp_path / "s.yaml").write_text(CHECK % kind)
    (case,) = load_golden_set(tmp_path / "s.yaml").cases
    assert case.checks[0].value == {"type": "object", "required": ["a"]}
    (tmp_path / "s.yaml").write_text(CHECK % "contains")
    (case,) = load_golden_set(tmp_path / "s.yaml").cases
    assert case.checks[0].value == '{"type": "object", "required": ["a"]}'


@pytest.mark.parametrize("content", ["{a: 1}", "NaN", '{"a": 1, "a": 2}', "[" * 5000, "9" * 5000])
def test_a_file_that_is_no_json_is_refused(tmp_path, content):
    (tmp_path / "v.json").write_text(content)
    (tmp_path / "s.yaml").write_text(CHECK % "json-equals")
    with pytest.raises(GoldenError, match=r"file://v\.json is not JSON: "):
        load_golden_set(tmp_path / "s.yaml")


@pytest.mark.parametrize("name", ["名前", "हिन्दी", "ก่", "my-name", "a.b", "1a", "a b"])
def test_a_variable_has_any_name_and_other_braces_stay(tmp_path, name):
    text = f"{{{{ {name} }}}} {{{{名}}}} {{{{5 + 5}}}} {{{{}}}}"
    assert fill(text, {name: "x"}, tmp_path) == "x {{名}} {{5 + 5}} {{}}"
