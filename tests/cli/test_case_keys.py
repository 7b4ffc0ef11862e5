"""``tunegate golden new`` knows every key of a case and every check: what it writes loads, and is as it was given."""

import pytest
from typer.testing import CliRunner

from harness.authoring.append import append_case
from harness.authoring.lint import lint_golden_set
from harness.cli.case_keys import FURTHER_KEYS, read_checks, read_value
from harness.cli.main import app
from harness.errors import SettingsError
from harness.golden.load import load_golden_set
from harness.golden.schema import CaseYaml, base_type
from harness.golden.yaml_lines import parse_yaml
from harness.registry.builtin_metrics import BUILTIN_METRICS

RUNNER = CliRunner()
TOOLS = (
    "[{name: weather, description: Weather, parameters: {type: object, properties: {city: {type: string}}}}]"
)
# Keys of a case, each with a value and with the lines that are typed for it.
KEYS = {
    "description": ("Says hello", ["Says hello"]),
    "messages": ("[{role: user, content: Hi}, {role: assistant, tool_calls: [{name: weather, arguments: {city: Oslo}}]}, {role: tool, name: weather, content: '{}'}]", ["user", "Hi", "", "", "assistant", "", "weather", "{city: Oslo}", "", "", "tool", "{}", "", "weather", ""]),
    "turns": ("[{user: And?, checks: [{type: contains, value: yy}], references: [yy it is]}]", ["And?", "contains", "yy", "", "", "yy it is", "", ""]),
    "examples": ("[{user: Two?, assistant: two}, {user: Three?, assistant: three}]", ["Two?", "two", "Three?", "three", ""]),
    "tools": (TOOLS, ["weather", "Weather", "{type: object, properties: {city: {type: string}}}", ""]),
    "vars": ("{who: [Bob, Ann], n: 3}", ["{who: [Bob, Ann], n: 3}"]),
    "checks": ("[{type: regex, value: Paris, ignore_case: true}]", ["regex", "Paris", "true", "", ""]),
    "retrieved_context": ("[one, two]", ["one", "two", ""]),
    "metadata": ('{a: [1, null], b: "08"}', ['{a: [1, null], b: "08"}']),
    "generation": ("{max_new_tokens: 9, temperature: 0.5, stop: [x]}", ["{max_new_tokens: 9, temperature: 0.5, stop: [x]}"]),
    "must_pass": ("true", ["yes", "true"]),
    "repeat": ("1", ["1"]),
    "timeout": ("20", ["08", "20"]),
    "skip": ("not yet", ["not yet"]),
    "xfail": ("known", ["known"]),
}  # fmt: skip
BY_OPTION = {
    **{key: text for key, (text, _) in KEYS.items() if key != "turns"},
    "turns": "[{user: Hi}, {user: And?, checks: [{type: contains, value: yy}]}]",
    "references": "[It is Paris]",
    "system": "Be short.",
    "tags": "[geo]",
    "cluster": "capitals",
}


def new(path, *arguments, text=""):
    return RUNNER.invoke(app, ["golden", "new", str(path), *arguments], input=text)


def written(path):
    return parse_yaml(path).data["cases"][-1]


def test_every_key_has_an_option_or_a_question():
    assert set(KEYS) == set(FURTHER_KEYS)
    assert {*BY_OPTION, "id", "prompt"} == set(CaseYaml.model_fields)


@pytest.mark.parametrize("key", BY_OPTION)
def test_every_key_is_written_as_it_is_given(tmp_path, key):
    path = tmp_path / "s.yaml"
    asked = [] if key in {"messages", "turns"} else ["--prompt", "Capital of France?"]
    result = new(
        path, *asked, "--answer", "Paris", "--checks", "1", "--id", "a", "--set", f"{key}={BY_OPTION[key]}"
    )
    assert result.exit_code == 0, result.output
    value = read_value(key, BY_OPTION[key])
    found = written(path)[key]
    assert found == (
        ["Paris", *value]
        if key == "references"
        else [*value, {"type": "equals"}]
        if key == "checks"
        else value
    )
    golden_set = load_golden_set(path)
    errors = [each for each in lint_golden_set(golden_set) if each.level == "error"]
    assert errors == [] or key == "references"  # another reference does not equal the answer


@pytest.mark.parametrize("key", FURTHER_KEYS)
def test_every_key_is_asked_for_in_a_dialogue(tmp_path, key):
    path = tmp_path / "s.yaml"
    lines = [
        "Capital of France?",
        key,
        *KEYS[key][1],
        "",
        "Paris",
        *([] if key == "checks" else ["1"]),
        "a",
        "",
        "",
        "",
        "",
    ]
    result = new(path, text="\n".join(lines) + "\n")
    assert result.exit_code == 0, result.output
    value = read_value(key, KEYS[key][0])
    if key == "turns":
        value = [{"user": "Capital of France?"}, *value]
    if key == "messages":
        value = [{"role": "user", "content": "Hi"}, {"role": "assistant", "tool_calls": [{"name": "weather", "arguments": {"city": "Oslo"}}]}, {"role": "tool", "content": "{}", "name": "weather"}, {"role": "user", "content": "Capital of France?"}]  # fmt: skip
    assert written(path)[key] == value
    assert load_golden_set(path).cases[-1].references == ("Paris",)


def test_questions_list_what_there_is_and_ask_again(tmp_path):
    path = tmp_path / "s.yaml"
    lines = ["Q?", "?", "tmeout", "timeout", "-1", "5", "checks", "?", "any-off", "all-of", "0.5", "contains", "xx", "", "2", "not-is-json", "{}", "", "", "", "", "", "xx it is", "a", "", "", "", ""]  # fmt: skip
    result = new(path, text="\n".join(lines) + "\n")
    assert result.exit_code == 0, result.output
    for told in ("timeout: Most seconds for an answer", "tmeout is no key; did you mean timeout?", "greater than 0", "did you mean any-of?"):  # fmt: skip
        assert told in result.output
    members = [{"type": "contains", "value": "xx", "weight": 2}, {"type": "not-is-json", "value": {}}]
    assert written(path)["checks"] == [{"type": "all-of", "threshold": 0.5, "checks": members}]
    assert written(path)["timeout"] == 5


CHECKS = {
    **{name: f"{{type: {name}, value: Paris it is}}" for name in ("equals", "iequals", "contains", "icontains", "starts-with", "llm-rubric", "tone")},
    **{name: f"{{type: {name}}}" for name in ("exact-match", "squad-em", "is-refusal", "is-xml", "factuality", "is-valid-openai-tools-call", "pairwise")},
    **{name: f"{{type: {name}, threshold: 0.5}}" for name in ("f1", "squad-f1", "entity-f1", "bleu", "chrf", "rouge-1", "rouge-2", "rouge-l", "rouge-lsum", "bertscore", "similar", "gleu", "meteor", "repetition", "faithfulness", "context-recall", "context-precision", "answer-relevancy")},
    **{name: f"{{type: {name}, threshold: 3}}" for name in ("perplexity", "llm-reference", "latency", "throughput", "tokens", "levenshtein")},
    **{name: f"{{type: {name}, value: [one, two]}}" for name in ("contains-any", "contains-all", "word-list")},
    **{name: f"{{type: {name}, value: [one], threshold: 0.5}}" for name in ("string-context-recall", "string-context-precision")},
    "regex": "{type: regex, value: '^\\d{2}:30$', ignore_case: true, transform: [strip, {after: 'at'}]}",
    "is-json": "{type: is-json, value: {type: object, properties: {n: {multipleOf: 0.01}}}}",
    "contains-json": "{type: contains-json}",
    "json-equals": "{type: json-equals, value: {zip: '01234', n: 5}, ignore: [id], tolerance: 0.1}",
    "json-path": "{type: json-path, path: '$.items[0]', value: null}",
    "length": "{type: length, max: 400, unit: words}",
    "is-sql": "{type: is-sql, dialect: sqlite, statements: [select], tables: [orders]}",
    "numeric": "{type: numeric, value: 5 km, relative: 0.01, pick: last}",
    "multiple-choice": "{type: multiple-choice, value: B, choices: {A: Oslo, B: '$5'}}",
    "choice-likelihood": "{type: choice-likelihood, value: ' Oslo', choices: [' Oslo', ' Rome'], normalise: bytes}",
    "classification": "{type: classification, value: 'no', labels: ['no', 'yes']}",
    "code": '{type: code, value: "assert f(1) == 2\\nassert f(2) == 3", timeout: 5, transform: code-block}',
    "tool-calls": "{type: tool-calls, value: [{name: weather, arguments: {city: Oslo}}], ordered: true}",
    "tool-call-f1": "{type: tool-call-f1, value: [weather], threshold: 1}",
    "python": "{type: python, path: checks.py:polite}",
    "cost": "{type: cost, prompt_price: 1, completion_price: 2.5, threshold: 0.01}",
    "any-of": "{type: any-of, checks: [{type: not-contains, value: xx}, {type: all-of, checks: [{type: contains, value: yy}]}]}",
    "all-of": "{type: all-of, threshold: 0.5, checks: [{type: contains, value: xx, weight: 3}, {type: f1, threshold: 0.5}]}",
    "not-any-of": "{type: not-any-of, checks: [{type: contains, value: zz}]}",
}  # fmt: skip


def test_every_check_is_in_this_table():
    assert {base_type(name) for name in CHECKS} == set(BUILTIN_METRICS)


@pytest.mark.parametrize("name", CHECKS)
def test_every_check_is_written_as_it_is_given(tmp_path, name):
    (tmp_path / "checks.py").write_text("def polite(answer):\n    return True\n")
    (check,) = read_checks([CHECKS[name]])
    case = {
        "id": "a",
        "prompt": "Q?",
        "references": ['[{"type": "city", "text": "Oslo"}]'],
        "checks": [check],
        "tools": read_value("tools", TOOLS),
        "retrieved_context": ["one"],
    }
    append_case(tmp_path / "s.yaml", case)
    assert written(tmp_path / "s.yaml") == case


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--set", "timeout"], '--set: found "timeout" (allowed: NAME=VALUE'),
        (["--set", "tmeout=3"], "--set: tmeout is no key; did you mean timeout?"),
        (["--set", "include=[_a.yaml]"], "include is no key of a case: write it into the file"),
        (["--set", "id=a"], "--set id: write --id"),
        (["--set", "timeout=08"], "--set timeout: 08 is a number to some readers of YAML"),
        (["--set", "tools=[{name: a"], "--set tools: not YAML"),
        (["--set", "timeout=-3"], "cases[0].timeout: found -3"),
        (
            ["--set", "messages=[{role: user, content: u}]"],
            "--prompt: messages or turns are given with --set",
        ),
        (["--check", "is-json"], '--check: found "is-json" (allowed: a mapping such as {type: is-json})'),
        (["--check", "{type: is-jsn}"], "unknown check type 'is-jsn'; did you mean is-json"),
    ],
)
def test_what_is_given_wrong_is_one_line_and_nothing_is_written(tmp_path, arguments, message):
    path = tmp_path / "s.yaml"
    result = new(path, "--prompt", "Q?", "--answer", "A b", "--checks", "1", "--id", "b", *arguments)
    assert message in (
        str(result.exception) if not isinstance(result.exception, SystemExit) else result.output
    )
    assert not path.exists()


def test_a_value_may_have_several_lines():
    assert read_value("x", "- a\n- b: 1") == ["a", {"b": 1}]
    with pytest.raises(SettingsError, match="--set x: YAML reads yes as true"):
        read_value("--set x", "yes")
