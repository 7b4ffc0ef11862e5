"""The history's tables as files: the same rows in each format, and none for a file that can't be written."""

import csv
import json

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.errors import HistoryError
from harness.history.export import TABLES, export_table
from harness.history.store import open_history
from harness.types.storage import unpack


@pytest.fixture
def place(tmp_path, make_record):
    with open_history(tmp_path / "h.sqlite") as history:
        history.save(make_record(answer='a "quoted", long\nansw\0er – ü'))
        history.save(make_record(run_id="20260102-000000-cccc"))
    return tmp_path / "h.sqlite"


def unpacked(columns, rows):
    """The packed columns of the view ``results`` as the JSON that they hold."""
    if "packed" not in columns:
        return columns, [list(row) for row in rows]
    names = [*columns[: columns.index("case_packed")], "case_facts", "prompt_facts", "facts"]
    return names, [[*row[:-2], *unpack(row[-2]), *unpack(row[-1])] for row in rows]


@pytest.mark.parametrize("table", TABLES)
def test_all_formats_hold_the_table(place, tmp_path, table):
    import pandas
    from pyarrow import parquet

    with open_history(place, to_read=True) as history:
        cursor = history.database.execute(f"SELECT * FROM {table}")
        columns, rows = unpacked([column[0] for column in cursor.description], cursor.fetchall())
        for ending in ("csv", "jsonl", "parquet"):
            assert export_table(history.database, table, tmp_path / f"out.{ending}") == len(rows)
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        written = list(csv.reader(file))
    assert written == [columns, *([("" if value is None else str(value)) for value in row] for row in rows)]
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert lines == [dict(zip(columns, row, strict=True)) for row in rows]
    assert [list(row.values()) for row in parquet.read_table(tmp_path / "out.parquet").to_pylist()] == rows
    assert list(pandas.read_parquet(tmp_path / "out.parquet").columns) == columns
    assert not list(tmp_path.glob(".tunegate-*"))


def test_one_run_is_exported_by_any_reference(place, tmp_path):
    said = CliRunner().invoke(
        app, ["runs", "export", str(tmp_path / "o.jsonl"), "--run=latest~1", f"--history={place}"]
    )
    assert said.output.endswith("o.jsonl: 3 rows of results\n"), said.output
    found = {json.loads(line)["run_id"] for line in (tmp_path / "o.jsonl").read_text("utf-8").splitlines()}
    assert found == {"20260101-000000-aaaa"}


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("out.xlsx", r"out\.xlsx: \.xlsx \(allowed: \.csv, \.jsonl, \.parquet\)"),
        ("out", "no ending"),
        ("missing/out.csv", "can't be written: No such file"),
    ],
)
def test_a_file_that_cannot_be_written_is_one_line(place, tmp_path, name, line):
    with (
        open_history(place, to_read=True) as history,
        pytest.raises(HistoryError, match=line),
    ):
        export_table(history.database, "results", tmp_path / name)


def test_prune_says_what_it_removes_and_keeps_what_a_baseline_file_names(place, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def prune(*further):
        return CliRunner().invoke(app, ["runs", "prune", f"--history={place}", *further])

    refused = prune()
    assert refused.exit_code != 0
    tried = prune("--keep=1", "--dry-run")
    assert tried.output == "would remove run 20260101-000000-aaaa\n"
    assert prune("--keep=1").output == "removed run 20260101-000000-aaaa\n"
    assert prune("--keep=1").output == "no run is old by these rules\n"
    with open_history(place) as history:
        assert [line.id for line in history.list_runs()] == ["20260102-000000-cccc"]
