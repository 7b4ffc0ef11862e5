"""Lint finds cases that can't fail, can't pass, or repeat each other, and nothing in sound sets."""

from pathlib import Path

import pytest

from harness.authoring.lint import lint_golden_set
from harness.golden.load import load_golden_set

SHIPPED = sorted((Path(__file__).parents[2] / "golden_sets").rglob("*.yaml"))


def rules(tmp_path, cases):
    path = tmp_path / "set.yaml"
    path.write_text(f"name: x\ncases:\n{cases}")
    return [(finding.case_id, finding.rule) for finding in lint_golden_set(load_golden_set(path))]


@pytest.mark.parametrize(
    ("case", "rule"),
    [
        ("checks: [{type: not-contains, value: sorry}]", "passes-empty"),
        ("checks: [{type: regex, value: 'a*'}]", "passes-empty"),
        ("checks: [{type: length, max: 40}]", "passes-empty"),
        ("references: [Paris]\n    checks: [{type: f1}]", "undecided"),
        ("references: [Paris]\n    checks: [{type: similar, threshold: 0.8}]", "similar-alone"),
        ("references: [Paris]\n    checks: [{type: contains, value: Rome}]", "unreachable"),
        ("references: [Paris]\n    checks: [{type: equals}, {type: length, max: 3}]", "unreachable"),
        ("checks: [{type: contains, value: a}, {type: not-contains, value: a}]", "unreachable"),
        ("checks: [{type: contains, value: a}, {type: contains, value: a}]", "duplicate"),
        ("checks: [{type: json-equals, value: '{\"a\": 1}'}]", "json-text"),
    ],
)
def test_a_suspicious_case_is_found(tmp_path, case, rule):
    assert ("a", rule) in rules(tmp_path, f"  - id: a\n    prompt: Question\n    {case}\n")


def test_a_prompt_that_stands_twice(tmp_path):
    case = "  - {{id: {}, prompt: Question, references: [a], checks: [{{type: contains}}]}}\n"
    assert rules(tmp_path, case.format("a") + case.format("b")) == [("b", "duplicate")]


def test_a_sound_case_has_no_finding(tmp_path):
    assert (
        rules(tmp_path, "  - {id: a, prompt: Q, references: [Paris, London], checks: [{type: contains}]}\n")
        == []
    )


def test_a_finding_is_a_line_with_its_place(tmp_path):
    path = tmp_path / "set.yaml"
    path.write_text("name: x\ncases:\n  - {id: a, prompt: Q, checks: [{type: length, max: 4}]}\n")
    (finding,) = lint_golden_set(load_golden_set(path))
    assert str(finding) == f"{path}:3: a: an empty answer passes: add a check that it fails [passes-empty]"


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_sets_are_clean(path):
    assert lint_golden_set(load_golden_set(path)) == []
