"""Old runs go, with what only they have; accepted ones stay, and are found by branch."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from harness.history.accepted_runs import accepted_run, note_accepted
from harness.history.retention import Retention, removable, remove
from harness.history.store import open_history

NOW = datetime(2026, 2, 1, tzinfo=UTC)
DAYS = (1, 10, 20, 30)


@pytest.fixture
def history(tmp_path, make_record):
    """Four gates against one base, one in ten days, on two branches."""
    with open_history(tmp_path / "h.sqlite") as opened:
        for day in DAYS:
            record = make_record(run_id=f"202601{day:02}-000000-aaaa", answer=f"answer of {day}")
            where = replace(record.run.environment, branch="main" if day in {1, 30} else "topic")
            started_at = f"2026-01-{day:02}T00:00:00+00:00"
            run = replace(record.run, environment=where, started_at=started_at)
            opened.save(replace(record, run=run))
        yield opened


def ids(*days):
    return [f"202601{day:02}-000000-aaaa" for day in days]


@pytest.mark.parametrize(
    ("rules", "removed"),
    [
        ({"newest": 1}, (20, 10, 1)),
        ({"younger_than_days": 15}, (10, 1)),
        ({"newest": 3, "younger_than_days": 5}, (1,)),
        ({"newest": 1, "younger_than_days": 25}, (1,)),
        ({"newest": 0, "branch": "topic"}, (20, 10)),
        ({"newest": 0, "also": ids(20)}, (30, 10, 1)),
        ({"newest": 9}, ()),
    ],
)
def test_a_run_goes_if_no_rule_keeps_it(history, rules, removed):
    assert removable(history.database, Retention(**rules), NOW) == ids(*removed)


def test_accepted_runs_stay_unless_asked(history):
    note_accepted(history.database, *ids(10), "shipped", "why")
    assert removable(history.database, Retention(newest=0), NOW) == ids(30, 20, 1)
    assert removable(history.database, Retention(newest=0, accepted=False), NOW) == ids(30, 20, 10, 1)


def test_what_only_removed_runs_have_goes_with_them(history, tmp_path):
    kept = history.load_record("latest")
    remove(history.database, ids(20, 10, 1))
    assert [line.id for line in history.list_runs()] == ids(30)
    assert history.load_record("latest") == kept
    with closing(sqlite3.connect(tmp_path / "h.sqlite")) as database:
        counted = {
            table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("runs", "gates", "run_answers", "run_outcomes", "answers", "cases")
        }
        texts = {text for (text,) in database.execute("SELECT answer FROM answers")}
    assert counted["runs"] == 2
    assert counted["gates"] == 1
    assert not {f"answer of {day}" for day in (1, 10, 20)} & texts
    remove(history.database, ids(30))
    with closing(sqlite3.connect(tmp_path / "h.sqlite")) as database:
        for table in ("runs", "gates", "comparisons", "run_answers", "answers", "answer_scores", "cases"):
            assert database.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,), table


def test_an_accepted_run_is_found_by_branch_then_on_the_main_one(history):
    for day in (1, 10):
        note_accepted(history.database, *ids(day), "shipped", "why")
    assert accepted_run(history.database, "shipped", ["topic", "main"]) == ids(10)[0]
    assert accepted_run(history.database, "shipped", ["other", "main"]) == ids(1)[0]
    assert accepted_run(history.database, "shipped", ["other"]) is None
    assert accepted_run(history.database, "elsewhere", ["topic", "main"]) is None
    note_accepted(history.database, *ids(30), "shipped", "again")
    assert accepted_run(history.database, "shipped", ["main"]) == ids(30)[0]
    note_accepted(history.database, "a run of another history", "shipped", "why")
    assert accepted_run(history.database, "shipped", ["main"]) == ids(30)[0]
    # Where nobody knew the branch: a CI service that checks out a bare commit.
    with history.database.writing():
        history.database.execute("UPDATE runs SET branch = NULL WHERE id = ?", (ids(20)[0],))
    note_accepted(history.database, ids(20)[0], "shipped", "why")
    assert accepted_run(history.database, "shipped", ["main"]) == ids(30)[0]
    assert accepted_run(history.database, "shipped", ["other"]) == ids(20)[0]
