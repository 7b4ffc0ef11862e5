"""Earlier runs and the accepted run are read where they can be; what can't be read is named and stops nothing."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from harness.baselines.accept import accept_run
from harness.history.store import open_history
from harness.types import GateRecord
from reports.earlier_runs import earlier_runs_of
from reports.html import render_report

Invented = Callable[..., GateRecord]


def stored(record: GateRecord, number: int) -> GateRecord:
    """The record under ids of its own."""
    assert record.baseline is not None
    run = replace(record.run, id=f"2026010{number}-000000-cand")
    baseline = replace(record.baseline, id=f"2026010{number}-000000-base")
    return replace(record, run=run, baseline=baseline)


def test_earlier_runs_are_read_up_to_this_one(invented: Invented, tmp_path: Path) -> None:
    records = [stored(invented(lost=lost), number) for number, lost in enumerate((1, 2, 9), start=1)]
    with open_history(tmp_path / "history.sqlite") as history:
        for record in records:
            history.save(record)
    earlier = earlier_runs_of(records[1], tmp_path / "history.sqlite", tmp_path)
    runs = dict.fromkeys(point.run_id for point in earlier.metrics)
    assert list(runs) == [records[0].run.id, records[1].run.id]
    assert earlier.problems == ()
    page = render_report(records[1], earlier)
    assert "2 runs, from 92.5\u202f% to 90.0\u202f%" in page


def test_the_newest_accepted_run_is_found_unless_it_is_shown_already(
    invented: Invented, tmp_path: Path
) -> None:
    record = stored(invented(), 3)
    assert record.baseline is not None
    history = tmp_path / "history.sqlite"
    assert earlier_runs_of(record, history, tmp_path).accepted is None
    accept_run(record.run, "own", "it is this run", tmp_path, allow_dirty=True)
    assert earlier_runs_of(record, history, tmp_path).accepted is None
    accept_run(stored(invented(), 1).run, "main", "first", tmp_path, allow_dirty=True)
    accepted = earlier_runs_of(record, history, tmp_path).accepted
    assert accepted is not None
    assert accepted.name == "main"
    from_file = replace(record.baseline, id=f"{accepted.run_id}-kept-0123abcd")
    assert earlier_runs_of(replace(record, baseline=from_file), history, tmp_path).accepted is None


def test_what_cannot_be_read_is_named_in_the_page(invented: Invented, tmp_path: Path) -> None:
    (tmp_path / "history.sqlite").write_text("not a database, but long enough to look like one" * 50)
    (tmp_path / "baselines").mkdir()
    (tmp_path / "baselines" / "main.json").write_text("{")
    (tmp_path / "baselines" / "perf.json").write_text('{"benchmark": 3}')  # another tool's
    earlier = earlier_runs_of(invented(), tmp_path / "history.sqlite", tmp_path)
    assert [problem.partition(":")[0] for problem in earlier.problems] == [
        "earlier runs are not shown",
        "an accepted run is not shown",
    ]
    page = render_report(invented(), earlier)
    assert "Not everything is shown." in page
    assert "earlier runs are not shown" in page
