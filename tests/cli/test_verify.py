"""``tunegate verify`` as a pipeline calls it."""

import json

import pytest

from harness.types import GateRecord
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
