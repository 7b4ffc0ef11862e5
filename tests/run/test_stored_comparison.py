"""Two stored runs are judged as a gate judged the new one of them, noise record included."""

from dataclasses import replace

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.comparison.gate import run_gate
from harness.errors import BaselineError
from harness.history.store import noted_stability, open_history
from harness.run.session import metric_facts
from harness.run.stored_comparison import compare_stored, noise_between
from harness.types import Check, GateRecord, GateSettings, GateVerdict, Stability


@pytest.fixture(name="stored")
def _stored(make_run, make_result, tmp_path):
    """A history of two runs of 54 cases in bfloat16, about exactly these, and a record of 20 reruns of the baseline."""
    gate = GateSettings(margin=0.1, population="cases")
    results = []
    for n in range(54):
        result = make_result(f"orders/{n:02}")
        results.append(
            replace(result, case=replace(result.case, checks=(Check(type="contains", value="yes"),)))
        )
    now = make_run(results, gates={"orders": gate}, dtype="bfloat16", run_id="now")
    then = replace(now, id="then", model=replace(now.model, label="base"))
    cases = [result.case for result in results]
    place = tmp_path / "history.sqlite"
    with open_history(place) as history:
        for run in (then, now):
            history.save(GateRecord(run=run))
        reruns = {case.key: Stability(passed=20, answers=20) for case in cases}
        history.save_noise(then.model, "bfloat16", cases, reruns, metric_facts)
    return place


@pytest.fixture(name="read")
def _read(stored):
    with open_history(stored, to_read=True) as history:
        return history.load_record("now"), history.load_record("then"), history.load_noise()


def test_a_comparison_uses_the_noise_record_as_a_gate_does(read):
    """54 single answers in bfloat16 leave a drop of 0.16 open, with 20 reruns of the baseline 0.08; the margin is 0.10."""
    now, then, noise = read
    assert compare_stored(now, then, {}).verdict.outcome is GateVerdict.INCONCLUSIVE
    found = compare_stored(now, then, noise)
    assert found.verdict.outcome is GateVerdict.PASS
    (row,) = found.comparison.metrics
    assert row.drop.high == pytest.approx(0.08, abs=0.005)
    cases = [result.case for result in now.run.results]
    stability = noted_stability(noise, then.run.model, then.run.plan, cases, metric_facts)
    assert run_gate(now.run, then.run, stability=stability) == (found.comparison, found.verdict)
    # A smaller margin is as for a gate, too.
    assert compare_stored(now, then, noise, 0.05).verdict.outcome is GateVerdict.INCONCLUSIVE


def test_a_record_is_of_the_baseline_s_model_in_its_precision_and_of_known_checks(read):
    now, then, noise = read
    assert len(noise_between(noise, now.run, then.run)) == 54
    logged = replace(then.run, model=replace(then.run.model, base_sha256=""))
    other = replace(then.run, plan=replace(then.run.plan, dtype="float32"))
    assert noise_between(noise, now.run, logged) == noise_between(noise, now.run, other) == {}
    unknown = [
        replace(each, case=replace(each.case, checks=(Check(type="of-a-plug-in"),)))
        for each in now.run.results
    ]
    assert noise_between(noise, replace(now.run, results=tuple(unknown)), then.run) == {}


def test_runs_without_a_common_case_are_refused(read):
    now, then, _ = read
    others = tuple(replace(each, case=replace(each.case, id=f"x{each.case.id}")) for each in then.run.results)
    with pytest.raises(BaselineError, match="no case can be compared"):
        compare_stored(now, replace(then, run=replace(then.run, results=others)), {})


@pytest.mark.parametrize(
    "words", [["runs", "compare", "now", "then"], ["compare", "then", "now", "--no-save"]]
)
def test_the_commands_read_the_history_s_records(stored, words):
    done = CliRunner().invoke(app, [*words, "--history", str(stored)])
    assert done.exit_code == 0, done.output
    assert "PASS" in done.stdout
    assert "tunegate noise" not in done.stdout
    apart = CliRunner().invoke(
        app, ["compare", "then", "now", "--no-save", "--pair-by=id", "--history", str(stored)]
    )
    assert "INCONCLUSIVE" in apart.stdout
