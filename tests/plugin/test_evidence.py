"""A gate's JSON file as evidence: replayed and accepted elsewhere, and the baseline of a later gate."""

import json

from typer.testing import CliRunner

from harness.cli.main import app


def test_a_gate_is_replayed_and_accepted_without_a_model(project):
    project.run("--gate-json=gate.json")
    root = project.pytester.path
    arguments = ["verify", "gate.json", "--root", str(root), "--model", str(project.adapter)]
    done = CliRunner().invoke(app, [*arguments, "--accept", "shipped", "--reason", "replayed"])
    assert done.exit_code == 0, done.output
    assert "20 scores recomputed, 0 differences; verdict inconclusive" in done.output
    assert "not verified" not in done.output
    assert (root / "baselines" / "shipped.json").is_file()
    result = project.run("--gate-baseline=shipped")
    assert result.ret == 0


def test_a_file_is_the_baseline_of_a_gate(project):
    project.run("--gate-json=gate.json")
    project.wrong["candidate"] = {"france", "italy", "spain", "norway", "peru", "japan", "kenya", "egypt"}
    result = project.run("--gate-baseline=gate.json", "--gate-no-cache", "--gate-json=next.json")
    assert result.ret == 1
    record = json.loads((project.pytester.path / "next.json").read_text())
    assert (
        record["baseline"]["id"] == json.loads((project.pytester.path / "gate.json").read_text())["run"]["id"]
    )


def test_rows_are_the_baseline_of_a_gate(project):
    rows = [
        {"id": f"capitals/{name}", "passed": True} for name in ("france", "italy", "spain", "norway", "peru")
    ]
    (project.pytester.path / "before.jsonl").write_text("\n".join(map(json.dumps, rows)))
    result = project.run("--gate-baseline=before.jsonl", "--gate-json=next.json")
    assert result.ret == 0
    (row,) = [
        row
        for row in json.loads((project.pytester.path / "next.json").read_text())["comparison"]["metrics"]
        if row["metric"] == "pass-rate"
    ]
    assert row["n"] == 5
    result = project.run("--gate-baseline=README.txt")
    assert result.ret == 4
