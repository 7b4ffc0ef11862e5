"""Lint finds cases that can't fail, can't pass, or say nothing, and nothing in sound sets."""

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.authoring.contradictions import contradictions
from harness.authoring.finding import Finding
from harness.authoring.lint import lint_golden_set
from harness.golden.load import LABELLED, load_golden_set
from harness.run.scoring import score_cases
from harness.types import Check, Completion, GoldenCase, Message, Outcome

SHIPPED = sorted(
    path
    for path in (Path(__file__).parents[2] / "golden_sets").rglob("*.yaml")
    if path.parent.name != LABELLED
)


def rules(tmp_path, cases):
    path = tmp_path / "set.yaml"
    path.write_text(f"name: x\ncases:\n{cases}")
    return [(finding.case_id, finding.rule) for finding in lint_golden_set(load_golden_set(path))]


@pytest.mark.parametrize(
    ("case", "rule"),
    [
        ("checks: [{type: not-contains, value: sorry}]", "passes-empty"),
        ("checks: [{type: length, max: 40}]", "passes-empty"),
        ("checks: [{type: not-contains, value: sorry}]\n    skip: later", "passes-empty"),
        ("references: ['']\n    checks: [{type: exact-match}]", "passes-empty"),
        ("references: [A]\n    checks: [{type: squad-em}]", "empty-reference"),
        ("references: [x, '%']\n    checks: [{type: squad-f1}]", "empty-reference"),
        ("references: ['?!']\n    checks: [{type: rouge-l, threshold: 0.5}]", "empty-reference"),
        ("checks: [{type: is-json, value: {items: {format: emial}}}]", "unchecked-format"),
        ("checks: [{type: icontains, value: question}]", "passes-echo"),
        ("checks: [{type: length, min: 3}]", "passes-echo"),
        ("references: [Paris]\n    checks: [{type: f1}]", "undecided"),
        ("checks: [{type: latency, threshold: 9}]", "passes-empty"),
        ("checks: [{type: tokens, threshold: 9}, {type: latency, threshold: 9}]", "passes-empty"),
        ("references: [Paris]\n    checks: [{type: similar, threshold: 0.8}]", "similar-alone"),
        ("references: [Paris]\n    checks: [{type: similar, threshold: 0.8}, {type: length, max: 9}]", "similar-alone"),
        ("references: [Paris]\n    checks: [{type: similar, threshold: 0.8}, {type: not-contains, value: x}]", "similar-alone"),
        ("references: [Paris]\n    checks: [{type: perplexity, threshold: 9}]", "perplexity-alone"),
        ("references: [Paris]\n    checks: [{type: contains, value: Rome}]", "unreachable"),
        ("references: [Paris]\n    checks: [{type: any-of, checks: [{type: contains, value: Rome}, {type: equals, value: Oslo}]}]", "unreachable"),
        ("references: [Paris]\n    checks: [{type: any-of, checks: [{type: similar, threshold: 0.8}]}]", "similar-alone"),
        ("checks: [{type: any-of, checks: [{type: length, max: 9}, {type: equals, value: x}]}]", "passes-empty"),
        ("references: [Paris, London]\n    checks: [{type: contains, value: Paris}]", "unreachable"),
        ("references: [Paris]\n    checks: [{type: equals}, {type: length, max: 3}]", "unreachable"),
        ("references: ['{\"a\": 1, \"a\": 2}']\n    checks: [{type: json-equals}]", "broken"),
        ("checks: [{type: contains, value: a}, {type: not-contains, value: a}]", "unreachable"),
        ("checks: [{type: contains, value: b}, {type: contains, value: a}, {type: not-contains, value: a}]", "unreachable"),
        ("checks: [{type: not-icontains, value: PAR}, {type: contains, value: Paris}]", "unreachable"),
        ("checks: [{type: contains-all, value: [a, bc]}, {type: not-contains-any, value: [x, b]}]", "unreachable"),
        ("checks: [{type: equals, value: a}, {type: contains, value: b}]", "unreachable"),
        ("checks: [{type: equals, value: a}, {type: is-json}]", "unreachable"),
        ("checks: [{type: contains, value: Paris}, {type: length, max: 4}]", "unreachable"),
        ("checks: [{type: contains, value: a}, {type: length, max: 4}, {type: length, min: 5}]", "unreachable"),
        ("checks: [{type: is-json}, {type: not-is-json}]", "unreachable"),
        ("checks: [{type: contains, value: a}, {type: contains, value: a}]", "duplicate"),
        ("checks: [{type: regex, value: 'a*'}]", "idle-regex"),
        ("checks: [{type: contains, value: b}, {type: not-regex, value: 'a?'}]", "idle-regex"),
        ('checks: [{type: contains, value: "yes\\n"}]', "line-end"),
        ('checks: [{type: contains-all, value: [a, "\\nb"]}]', "line-end"),
        ('checks: [{type: not-any-of, checks: [{type: not-regex, value: "a\\n"}]}, {type: contains, value: a}]', "line-end"),
    ],
)  # fmt: skip
def test_a_suspicious_case_is_found(tmp_path, case, rule):
    assert ("a", rule) in rules(tmp_path, f"  - id: a\n    prompt: Question\n    {case}\n")


@pytest.mark.parametrize(
    "case",
    [
        "references: [Paris, London]\n    checks: [{type: contains}]",
        "references: [Paris, The city of Paris]\n    checks: [{type: f1, threshold: 0.6}]",
        "references: [Paris]\n    checks: [{type: similar, threshold: 0.8}, {type: icontains}]",
        "references: [Paris]\n    checks: [{type: perplexity}, {type: icontains}]",
        "references: [Paris]\n    checks: [{type: rouge-l, threshold: 0.5}]",
        "checks: [{type: icontains, value: paris}, {type: not-contains, value: Par}]",
        "checks: [{type: contains, value: Paris}, {type: contains, value: London}, {type: length, max: 5, unit: words}]",
        "checks: [{type: contains, value: Paris}, {type: regex, value: '^(?!.*sorry)'}]",
        "checks: [{type: equals, value: ' Paris '}, {type: not-contains, value: ' '}, {type: length, max: 5}]",
        "references: [A]\n    checks: [{type: exact-match}, {type: f1}, {type: rouge-l}]",
        "references: ['-5']\n    checks: [{type: squad-em}]",
        "checks: [{type: is-json, value: {properties: {format: {format: date}}}}]",
        "references: ['{}']\n    checks: [{type: is-json}, {type: json-equals}]",
    ],
)  # fmt: skip
def test_a_sound_case_has_no_finding(tmp_path, case):
    assert rules(tmp_path, f"  - id: a\n    prompt: Question\n    {case}\n") == []


def test_a_prompt_that_stands_twice(tmp_path):
    case = "  - {{id: {}, prompt: Question, references: [a], checks: [{{type: contains, value: a}}]}}\n"
    assert rules(tmp_path, case.format("a") + case.format("b")) == [("b", "duplicate")]


def test_findings_stand_in_the_file_s_order(tmp_path):
    cases = "".join(
        f"  - {{id: c{n}, prompt: P{n}, checks: [{{type: length, max: 9}}]}}\n" for n in range(12)
    )
    assert rules(tmp_path, cases) == [(f"c{number}", "passes-empty") for number in range(12)]


def test_a_finding_is_a_line_with_its_place(tmp_path):
    path = tmp_path / "set.yaml"
    path.write_text("name: x\ncases:\n  - {id: a, prompt: Q, checks: [{type: length, max: 4}]}\n")
    (finding,) = lint_golden_set(load_golden_set(path))
    assert (
        str(finding)
        == f"{path}:3: error: a: an empty answer passes: add a check that it fails [passes-empty]"
    )


def test_a_finding_about_a_check_names_the_check_s_line(tmp_path):
    path = tmp_path / "set.yaml"
    checks = "      - {type: contains, value: a}\n      - {type: contains, value: a}\n"
    path.write_text(f"name: x\ncases:\n  - id: a\n    prompt: Q\n    checks:\n{checks}")
    (finding,) = lint_golden_set(load_golden_set(path))
    assert (finding.line, finding.message, finding.remedy) == (7, "contains occurs twice", "remove one")


WORD = st.text("aAb ", min_size=1, max_size=4).filter(str.strip)
CHECKS = st.builds(
    lambda name, value: Check(type=name, value=value),
    st.sampled_from(["equals", "iequals", "contains", "icontains", "starts-with", "not-contains", "not-icontains"]),
    WORD,
) | st.builds(lambda most: Check(type="length", options={"max": most}), st.integers(0, 4))  # fmt: skip


@given(checks=st.lists(CHECKS, min_size=2, max_size=3), answer=st.text("aAb ", max_size=8))
def test_no_answer_passes_what_is_called_a_contradiction(checks, answer):
    """The reasoning about texts agrees with the checks themselves."""
    case = GoldenCase(
        id="a", set_name="s", messages=(Message(role="user", content="Q"),), checks=tuple(checks)
    )
    completion = Completion(
        text=answer, stop_reason="stop", prompt_tokens=0, completion_tokens=0, latency_s=0.0
    )
    (result,) = score_cases([case], {case.key: completion})
    if result.outcome is Outcome.PASSED:
        assert list(contradictions(case)) == []


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_sets_are_clean(path):
    assert lint_golden_set(load_golden_set(path)) == []


@pytest.mark.parametrize(
    "case",
    [
        "checks: [{type: equals, value: a, transform: first-line}, {type: equals, value: b, transform: last-line}]",
        "references: [Paris]\n    checks: [{type: equals, transform: [{after: 'Answer:'}, strip]}]",
        "references: ['[1]']\n    checks: [{type: is-json, transform: code-block}, {type: json-equals, transform: code-block}]",
    ],
)
def test_checks_of_parts_of_an_answer_are_sound(tmp_path, case):
    """Two parts may differ, and a reference is like the part."""
    assert rules(tmp_path, f"  - id: a\n    prompt: A question?\n    {case}\n") == []


SWITCHED = """\
name: s
cases:
  - id: a
    prompt: Say hello
    checks: [{type: contains, value: hello}]  # lint: off passes-echo repeating is what is tested
  - id: b
    prompt: Say hello twice
    checks: [{type: contains, value: hello}]
"""


def found(tmp_path, text):
    path = tmp_path / "s.yaml"
    path.write_text(text)
    return [(each.line, each.case_id, each.rule) for each in lint_golden_set(load_golden_set(path))]


def test_a_comment_switches_a_rule_off_for_its_case(tmp_path):
    assert found(tmp_path, SWITCHED) == [(6, "b", "passes-echo")]


def test_a_comment_above_the_cases_is_for_the_whole_file(tmp_path):
    text = SWITCHED.replace("name: s\n", "name: s\n# lint: off passes-echo repeating is what is tested\n")
    assert found(tmp_path, text) == [(6, "", "lint-comment")]  # the case's own comment is idle now


@pytest.mark.parametrize(
    ("comment", "message"),
    [
        ("# lint: off passes-echo", "gives no reason"),
        ("# lint: off", "names no rule"),
        ("# lint: off passes-ehco because", "names no rule"),
        ("# lint: off broken because", "finds nothing of broken"),
    ],
)
def test_a_comment_that_is_wrong_is_found_and_switches_nothing_off(tmp_path, comment, message):
    path = tmp_path / "s.yaml"
    path.write_text(SWITCHED.replace("# lint: off passes-echo repeating is what is tested", comment))
    findings = lint_golden_set(load_golden_set(path))
    assert [each.rule for each in findings] == ["passes-echo", "passes-echo", "lint-comment"]
    assert message in str(findings[-1])


def test_errors_are_told_from_warnings(tmp_path):
    path = tmp_path / "s.yaml"
    path.write_text(
        SWITCHED.replace("checks: [{type: contains, value: hello}]\n", "checks: [{type: length, max: 9}]\n")
    )
    (finding,) = lint_golden_set(load_golden_set(path))
    assert str(finding).startswith(f"{path}:6: error: b: an empty answer passes")


def test_every_rule_may_be_switched_off_and_has_a_level():
    """The table of rules on the page is that of the code."""
    from harness.authoring.lint import RULES

    page = (Path(__file__).parents[2] / "docs" / "golden-sets.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w-]+)` \| (error|warning) \|", page, re.MULTILINE))
    levels = {
        rule: Finding(path="p", line=1, case_id="c", rule=rule, message="m", remedy="r").level
        for rule in {*RULES, "lint-comment"}
    }
    assert rows == levels


@pytest.mark.parametrize(
    ("first", "last", "found"),
    [
        ("checks: [{type: equals, value: b}]", "checks: [{type: equals, value: x}]", set()),
        ("checks: [{type: contains, value: b}]", "references: [x]\n    checks: [{type: not-contains, value: b}, {type: equals}]", set()),
        ("checks: [{type: length, max: 3}]", "checks: [{type: length, min: 5}, {type: contains, value: abcdef}]", set()),
        ("references: [b], checks: [{type: equals}]", "references: [x]\n    checks: [{type: equals}]", set()),
        ("checks: [{type: equals, value: b}, {type: equals, value: c}]", "checks: [{type: equals, value: x}]", {"unreachable"}),
        ("checks: [{type: contains, value: b}, {type: not-contains, value: b}]", "checks: [{type: equals, value: x}]", {"unreachable"}),
        ("references: [b], checks: [{type: equals, value: c}]", "checks: [{type: equals, value: x}]", {"unreachable"}),
        ("references: [A], checks: [{type: squad-em}]", "checks: [{type: equals, value: x}]", {"empty-reference"}),
        ("checks: [{type: equals, value: b}]", "references: [r]\n    checks: [{type: contains, value: x}]", {"unreachable"}),
    ],
)  # fmt: skip
def test_checks_are_compared_with_those_of_the_same_turn(tmp_path, first, last, found):
    case = f"  - id: a\n    turns: [{{user: Hi?, {first}}}, {{user: And now?}}]\n    {last}\n"
    assert {rule for _, rule in rules(tmp_path, case)} == found


def test_checks_of_the_last_turn_are_compared_with_those_of_the_case(tmp_path):
    turns = "[{user: Hi?}, {user: And now?, checks: [{type: equals, value: yy}]}]"
    case = f"  - id: a\n    turns: {turns}\n    checks: [{{type: equals, value: x}}]\n"
    assert ("a", "unreachable") in rules(tmp_path, case)


WEATHER = "{name: weather, parameters: {type: object, properties: {city: {type: string}}}}"
X, NOT_X, Y, Z = "{type: contains, value: xx}", "{type: not-contains, value: xx}", "{type: contains, value: yy}", "{type: contains, value: zz}"  # fmt: skip


@pytest.mark.parametrize(
    ("checks", "message"),
    [
        (f"{{type: all-of, checks: [{X}, {NOT_X}]}}", "contains and not-contains of the same value"),
        (f"{X}, {{type: not-any-of, checks: [{X}, {Y}]}}", "contains and not-contains of the same value"),
        (f"{X}, {{type: any-of, checks: [{NOT_X}]}}", "contains and not-contains of the same value"),
        (f"{X}, {{type: any-of, checks: [{NOT_X}, {Y}]}}", "a member of any-of never passes: contains and not-contains"),
        (f"{X}, {{type: any-of, checks: [{NOT_X}, {{type: all-of, checks: [{NOT_X}, {Y}]}}]}}", "contains and not-contains of the same value"),
        (f"{X}, {{type: all-of, threshold: 0.75, checks: [{NOT_X}, {{type: contains, value: yy}}]}}", "contains and not-contains"),
        (f"{X}, {{type: all-of, threshold: 0.5, checks: [{{type: not-contains, value: xx, weight: 3}}, {Y}]}}", "contains and not-contains"),
        (f"{{type: contains-all, value: [xx, yy]}}, {{type: not-all-of, checks: [{X}, {Y}]}}", "contains-all requires 'xx', not-contains refuses"),
        (f"{{type: any-of, checks: [{{type: all-of, checks: [{X}, {{type: length, max: 1}}]}}, {Y}]}}", "a member of any-of never passes: contains requires 'xx', length"),
        ("{type: all-of, checks: [{type: equals, value: xx}, {type: regex, value: ^z}]}", "the answer that equals requires, 'xx', fails all-of"),
        ("{type: any-of, checks: [{type: regex, value: .*}, {type: contains, value: b}]}", "the pattern '.*' matches anything"),
        ("{type: all-of, checks: [{type: tool-calls, value: []}, {type: is-valid-openai-tools-call}]}", "tool-calls expects no call, is-valid-openai-tools-call one"),
        ("{type: tool-calls, value: [{name: weather, arguments: {city: 5}}]}", "tool-calls expects value[0].arguments that weather forbids: $.city: 5 is not of type 'string'"),
        ("{type: any-of, checks: [{type: tool-calls, value: [{name: weather, arguments: {city: 5}}]}]}", "that weather forbids"),
        ("{type: is-json, value: {requried: [a]}}", "nothing checks the keyword 'requried' of its schema"),
        ("{type: all-of, checks: [{type: is-json, value: {format: dote}}]}", "nothing checks the format 'dote' of its schema"),
    ],
)  # fmt: skip
def test_groups_calls_options_and_schemas_are_looked_into(tmp_path, checks, message):
    path = tmp_path / "s.yaml"
    path.write_text(f"name: s\ncases:\n  - {{id: a, prompt: q, tools: [{WEATHER}], checks: [{checks}]}}\n")
    found = [finding for finding in lint_golden_set(load_golden_set(path)) if message in finding.message]
    assert len(found) >= 1
    assert {(finding.case_id, finding.line) for finding in found} == {("a", 3)}


@pytest.mark.parametrize(
    "checks",
    [
        f"{X}, {{type: all-of, threshold: 0.5, checks: [{NOT_X}, {Y}]}}",
        f"{X}, {{type: not-all-of, checks: [{X}, {Y}]}}",
        f"{{type: any-of, checks: [{X}, {Y}]}}, {{type: any-of, checks: [{NOT_X}, {Z}]}}",
        "{type: contains, value: a, transform: first-line}, {type: any-of, checks: [{type: not-contains, value: a}]}",
        "{type: tool-calls, value: [{name: weather, arguments: {city: Oslo}}]}",
        "{type: not-any-of, checks: [{type: tool-calls, value: [{name: weather, arguments: {city: 5}}]}]}, "
        + X,
        "{type: multiple-choice, value: A, choices: [x one, x two]}",
    ],
)
def test_what_can_be_passed_is_not_called_unreachable(tmp_path, checks):
    path = tmp_path / "s.yaml"
    path.write_text(f"name: s\ncases:\n  - {{id: a, prompt: q, tools: [{WEATHER}], checks: [{checks}]}}\n")
    assert [
        finding.rule for finding in lint_golden_set(load_golden_set(path)) if finding.level == "error"
    ] == []


def test_a_case_that_only_grades_is_none_where_its_grade_is_gated(tmp_path):
    case = "  - id: a\n    prompt: Question\n    references: [Paris]\n    checks: [{type: f1}]\n"
    gate = "gate: {metrics: {%s: {margin: 0.1}}}\n"
    assert ("a", "undecided") not in rules(tmp_path, case + gate % "f1")
    other = case.replace("id: a", "id: b").replace("Question", "Another").replace("f1", "bleu")
    assert ("a", "undecided") in rules(tmp_path, case + other + gate % "bleu")
