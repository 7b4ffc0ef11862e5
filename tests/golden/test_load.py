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
from tests.golden.whole_set import GOOD, load


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
