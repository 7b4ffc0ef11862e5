"""The lint for code hosts."""

import json

import pytest
from typer.testing import CliRunner

from harness.authoring.finding import Finding
from harness.authoring.sarif import render_sarif
from harness.cli.main import app
from harness.errors import GoldenError

SET = "name: s\ncases:\n  - id: a\n    prompt: Say hello.\n    references: [hello]\n    checks: [{type: regex, value: '.*'}]\n"


def test_findings_and_faults_have_rule_level_and_place():
    finding = Finding(path="g/s.yaml", line=4, case_id="a", rule="passes-empty", message="m", remedy="r")
    log = json.loads(render_sarif([finding], [GoldenError("g/t.yaml", 2, "cases", "found 1", "a list")]))
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    first, second = run["results"]
    assert (first["ruleId"], first["level"], first["message"]["text"]) == ("passes-empty", "error", "a: m: r")
    assert first["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "g/s.yaml"},
        "region": {"startLine": 4},
    }
    assert (second["ruleId"], second["level"]) == ("not-valid", "error")
    assert {rule["id"] for rule in run["tool"]["driver"]["rules"]} == {"passes-empty", "not-valid"}


def test_the_lint_writes_it_beside_its_lines(tmp_path):
    golden, sarif = tmp_path / "s.yaml", tmp_path / "out" / "lint.sarif"
    golden.write_text(SET)
    done = CliRunner().invoke(app, ["golden", "lint", str(golden), "--sarif", str(sarif)])
    assert done.exit_code == 1
    results = json.loads(sarif.read_text())["runs"][0]["results"]
    assert {result["ruleId"] for result in results} >= {"passes-empty"}
    assert all(
        result["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == str(golden)
        for result in results
    )


def test_a_file_that_is_no_golden_set_is_in_it(tmp_path):
    golden, sarif = tmp_path / "s.yaml", tmp_path / "lint.sarif"
    golden.write_text("cases: 3\n")
    done = CliRunner().invoke(app, ["golden", "lint", str(golden), "--sarif", str(sarif)])
    assert done.exit_code != 0
    assert {result["ruleId"] for result in json.loads(sarif.read_text())["runs"][0]["results"]} == {
        "not-valid"
    }


@pytest.mark.parametrize("arguments", [["lint", "--sarif"], ["schema", "--write"]])
def test_an_output_replaces_nothing_but_an_earlier_one(tmp_path, monkeypatch, arguments):
    """The path of a golden set in its place is a usual slip."""
    monkeypatch.chdir(tmp_path)
    golden = tmp_path / "golden_sets" / "s.yaml"
    golden.parent.mkdir()
    golden.write_text(SET)
    done = CliRunner().invoke(app, ["golden", *arguments, str(golden)])
    assert f"{arguments[1]}: {golden} holds something else: name another file" in str(done.exception)
    assert golden.read_text() == SET
    for _ in range(2):
        done = CliRunner().invoke(app, ["golden", *arguments, "out.json"])
        assert "holds" not in str(done.exception)
