"""A metric along the runs; small steps in one direction are noted though each gate passes."""

import dataclasses

from typer.testing import CliRunner

from harness.cli.main import app
from harness.cli.trend import sparkline
from harness.comparison.gate import run_gate
from harness.history.store import open_history
from harness.studies.trend import trends_of
from harness.types import GateRecord


def record(make_run, make_result, number, passed, cases=100):
    results = [make_result(f"set/{n}", n < passed) for n in range(cases)]
    run = dataclasses.replace(
        make_run(results, run_id=f"202601{number:02}-000000-aaaa"),
        started_at=f"2026-01-{number:02}T00:00:00+00:00",
    )
    baseline = dataclasses.replace(
        make_run([make_result(f"set/{n}", n < 95) for n in range(cases)]), id="base"
    )
    comparison, verdict = run_gate(run, baseline)
    return GateRecord(run=run, baseline=baseline, comparison=comparison, verdict=verdict)


def test_a_slow_drift_is_noted(make_run, make_result):
    records = [record(make_run, make_result, n + 1, 95 - n) for n in range(6)]
    (trend,) = trends_of(records)
    assert [point.summary.mean.estimate for point in trend.points] == [0.95, 0.94, 0.93, 0.92, 0.91, 0.90]
    assert trend.note.startswith("drifts down (p=0.0028)")


def test_a_step_names_the_run(make_run, make_result):
    records = [record(make_run, make_result, n + 1, 95 if n < 7 else 80) for n in range(14)]
    (trend,) = trends_of(records)
    assert trend.note.startswith("changed with run 20260108-000000-aaaa: 0.95 before, 0.80 since")


def test_a_steady_metric_and_a_short_history_have_no_note(make_run, make_result):
    assert trends_of(record(make_run, make_result, n + 1, 95) for n in range(9))[0].note == ""
    assert trends_of(record(make_run, make_result, n + 1, 95 - 5 * n) for n in range(4))[0].note == ""


def test_the_command_shows_runs_with_intervals(make_run, make_result, tmp_path):
    with open_history(tmp_path / "h.sqlite") as history:
        for n in range(3):
            history.save(record(make_run, make_result, n + 1, 95 - n))
    result = CliRunner().invoke(app, ["runs", "trend", "--history", str(tmp_path / "h.sqlite")])
    assert result.exit_code == 0, result.output
    assert "set pass-rate  █▄▁" in result.output
    assert "0.950 [" in result.output
    assert (
        CliRunner()
        .invoke(app, ["runs", "trend", "--json", "--history", str(tmp_path / "h.sqlite")])
        .exit_code
        == 0
    )


def test_equal_values_are_bars_of_one_height():
    assert sparkline([1.0, 1.0]) == "▅▅"
