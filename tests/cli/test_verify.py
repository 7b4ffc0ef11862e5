"""``tunegate verify`` as a pipeline calls it."""

import json
from dataclasses import replace

import pytest

from harness.comparison.gate import run_gate
from harness.types import Check, GateRecord
from reports.json_file import render_json


@pytest.fixture
def evidence(tmp_path, make_run, make_result):
    path = tmp_path / "gate.json"
    path.write_text(render_json(GateRecord(run=make_run([make_result("s/a"), make_result("s/b")]))))
    return path


def test_evidence_that_fits_is_accepted(tunegate, evidence, tmp_path):
    arguments = ("verify", evidence, "--root", tmp_path, "--accept", "shipped", "--reason", "first")
    done = tunegate(*arguments)
    # A golden case without checks is unscored: these results say passed.
    assert done.returncode == 1
    assert "differs: candidate s/a: the outcome is passed, recomputed unscored" in done.stdout
    assert not (tmp_path / "baselines").exists()


@pytest.mark.parametrize(
    ("lost", "arguments", "status"),
    [
        (12, (), 1),
        (12, ("--accept", "shipped"), 1),
        (0, (), 0),
        (0, ("--accept", "shipped", "--reason", "first"), 0),
        (2, (), 0),
        (2, ("--fail-on", "inconclusive"), 1),
    ],
)
def test_a_pipeline_of_evidence_ends_as_the_gate_did(
    tunegate, tmp_path, make_run, make_result, lost, arguments, status
):
    """Who has only the file must not see green where the gate said regress."""

    def result(at, passed):
        made = make_result(f"s/{at}", passed, scores=[("contains", float(passed))])
        case = replace(made.case, checks=(Check(type="contains", value="yes"),))
        return replace(made, case=case, completion=replace(made.completion, text="yes" if passed else "no"))

    sides = [
        make_run([result(at, at >= fewer) for at in range(80)], run_id=f"r{fewer}") for fewer in (lost, 0)
    ]
    comparison, verdict = run_gate(*sides)
    record = GateRecord(run=sides[0], baseline=sides[1], comparison=comparison, verdict=verdict)
    path = tmp_path / "gate.json"
    path.write_text(render_json(record))
    done = tunegate("verify", path, "--root", tmp_path, *arguments)
    assert done.returncode == status, done.stdout + done.stderr
    assert f"0 differences; verdict {verdict.outcome}" in done.stdout
    assert (tmp_path / "baselines").exists() is (status == 0 and "--accept" in arguments)


def test_a_changed_file_fails(tunegate, evidence, tmp_path):
    evidence.write_text(evidence.read_text().replace('"label": "adapter"', '"label": "another"'))
    done = tunegate("verify", evidence, "--root", tmp_path)
    assert done.returncode == 1
    assert "differs: the file was changed after it was written" in done.stdout
    found = json.loads(tunegate("verify", evidence, "--root", tmp_path, "--json").stdout)
    assert found["intact"] is False


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{}", "not a gate's JSON file"),
        ('{"schema_version": 9, "run": {}}', "written in format 9"),
        ('{"schema_version": 2, "run": {}', ":1: "),
        (None, "no such file"),
    ],
)
def test_what_is_no_evidence_is_one_line(tunegate, tmp_path, text, message):
    path = tmp_path / "gate.json"
    if text is not None:
        path.write_text(text)
    done = tunegate("verify", path)
    assert done.returncode == 4
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_another_adapter_is_noticed(tunegate, evidence, tmp_path, tiny_adapter_dir):
    done = tunegate("verify", evidence, "--root", tmp_path, "--model", tiny_adapter_dir)
    assert done.returncode == 1
    assert "is not the adapter that was gated" in done.stdout
