"""``tunegate verify`` as a pipeline calls it."""

import json
from dataclasses import replace

import pytest

from harness.comparison.gate import run_gate
from harness.models.resolve import model_sha256
from harness.types import Check, GateRecord, GoldenSet
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


def test_another_adapter_is_noticed(tunegate, tmp_path, make_run, make_result, tiny_adapter_dir):
    run = make_run([make_result("s/a")])
    evidence = tmp_path / "gate.json"
    gated = replace(run, model=replace(run.model, adapter_sha256="0" * 64))
    evidence.write_text(render_json(GateRecord(run=gated)))
    done = tunegate("verify", evidence, "--root", tmp_path, "--model", tiny_adapter_dir)
    assert done.returncode == 1
    assert "is not the adapter that was gated" in done.stdout


def test_a_set_that_this_project_weakened_is_noticed_wherever_the_gate_ran(
    tunegate, tmp_path, make_run, make_result
):
    """The path in the file is that of the machine with the GPU."""
    golden = tmp_path / "golden_sets"
    golden.mkdir()
    (golden / "s.yaml").write_text(
        "name: s\ncases: [{id: a, prompt: Hi, checks: [{type: contains, value: yes}]}]"
    )
    gated = GoldenSet(name="s", path="/home/gpu/project/golden_sets/s.yaml", content_sha256="0" * 64)
    run = replace(make_run([make_result("s/a")]), golden_sets=(gated,))
    (tmp_path / "gate.json").write_text(render_json(GateRecord(run=run)))
    done = tunegate("verify", tmp_path / "gate.json", "--root", tmp_path, "--accept", "shipped")
    assert done.returncode == 1
    assert (
        "differs: /home/gpu/project/golden_sets/s.yaml differs from the golden set of the run" in done.stdout
    )
    assert not (tmp_path / "baselines").exists()


@pytest.mark.parametrize(
    ("passed", "arguments", "status", "said"),
    [
        (False, (), 1, "verdict none"),
        (
            False,
            ("--accept", "shipped", "--reason", "x"),
            1,
            "not accepted as shipped: s/a must pass and did not",
        ),
        (True, ("--accept", "shipped", "--reason", "x"), 0, "compare with it by --gate-baseline=shipped"),
    ],
)
def test_without_a_baseline_the_cases_that_must_pass_decide(
    tunegate, tmp_path, make_run, make_result, passed, arguments, status, said
):
    made = make_result("s/a", passed, scores=[("contains", float(passed))])
    case = replace(made.case, checks=(Check(type="contains", value="yes"),), must_pass=True)
    answer = replace(made.completion, text="yes" if passed else "no")
    run = make_run([replace(made, case=case, completion=answer)])
    (tmp_path / "gate.json").write_text(render_json(GateRecord(run=run)))
    done = tunegate("verify", tmp_path / "gate.json", "--root", tmp_path, *arguments)
    assert (done.returncode, said in done.stdout) == (status, True), done.stdout + done.stderr
    assert (tmp_path / "baselines").exists() is (status == 0)


def test_a_whole_model_is_known_by_its_content(tunegate, tmp_path, make_run, make_result, tiny_model_dir):
    run = make_run([make_result("s/a")])
    model = replace(
        run.model, adapter_sha256=None, adapter_dir=None, base_sha256=model_sha256(tiny_model_dir)
    )
    (tmp_path / "gate.json").write_text(render_json(GateRecord(run=replace(run, model=model))))
    arguments = ("verify", tmp_path / "gate.json", "--root", tmp_path, "--model")
    assert "is not the model" not in tunegate(*arguments, tiny_model_dir).stdout
    assert "is not the model that was gated" in tunegate(*arguments, tmp_path).stdout
