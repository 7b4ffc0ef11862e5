"""The history's tables as files: the same rows in each format, and none for a file that can't be written."""

import csv
import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.errors import HistoryError
from harness.history.export import TABLES, export_table
from harness.history.store import open_history
from harness.types import (
    Finding,
    GateRecord,
    GateVerdict,
    NoteFinding,
    NoVerdictFinding,
    Outcome,
    Repeat,
)
from harness.types.storage import unpack


@pytest.fixture
def place(tmp_path, make_record):
    with open_history(tmp_path / "h.sqlite") as history:
        history.save(make_record(answer='a "quoted", long\nansw\0er – ü'))
        history.save(make_record(run_id="20260102-000000-cccc"))
    return tmp_path / "h.sqlite"


# What a file has beside the columns of its table.
EVIDENCE = ["high_unseen", "high_at_best", "missing", "missing_unlimited", "nothing_to_lose", "population"]
FURTHER = {
    "results": (["number"], [1]),
    "scores": (["number"], [1]),
    "comparisons": (
        ["run_verdict", "confidence", *EVIDENCE, "held_back"],
        ["inconclusive", 0.9, None, None, 0, 0, 0, "sample", ""],
    ),
}


def unpacked(columns, rows):
    """The packed columns of the view ``results`` as the JSON that they hold."""
    if "packed" not in columns:
        return columns, [list(row) for row in rows]
    names = [*columns[: columns.index("case_packed")], "case_facts", "prompt_facts", "facts"]
    return names, [[*row[:-2], *unpack(row[-2]), *unpack(row[-1])] for row in rows]


def by_text(rows):
    """Rows in an order that does not depend on the query."""
    return sorted(rows, key=str)


@pytest.mark.parametrize("table", TABLES)
def test_all_formats_hold_the_table(place, tmp_path, table):
    import pandas
    from pyarrow import parquet

    with open_history(place, to_read=True) as history:
        cursor = history.database.execute(f"SELECT * FROM {table}")
        columns, rows = unpacked([column[0] for column in cursor.description], cursor.fetchall())
        further, values = FURTHER.get(table, ([], []))
        columns, rows = [*columns, *further], [[*row, *values] for row in rows]
        for ending in ("csv", "jsonl", "parquet"):
            assert export_table(history.database, table, tmp_path / f"out.{ending}") == len(rows)
    with (tmp_path / "out.csv").open(newline="", encoding="utf-8") as file:
        written = list(csv.reader(file))
    told = [[("" if value is None else str(value)) for value in row] for row in rows]
    assert (written[0], sorted(written[1:])) == (columns, sorted(told))
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    assert by_text(lines) == by_text(dict(zip(columns, row, strict=True)) for row in rows)
    stored = parquet.read_table(tmp_path / "out.parquet").to_pylist()
    assert by_text(list(row.values()) for row in stored) == by_text(rows)
    assert list(pandas.read_parquet(tmp_path / "out.parquet").columns) == columns
    assert not list(tmp_path.glob(".tunegate-*"))


def exported(path, folder, table):
    with open_history(path, to_read=True) as history:
        export_table(history.database, table, folder / "out.jsonl")
    return [json.loads(line) for line in (folder / "out.jsonl").read_text("utf-8").splitlines()]


def test_a_file_has_all_answers_to_a_case(tmp_path, make_run):
    """It had the worst of five, so that means were those of failures: .08 where the gate said .60."""
    run = make_run(cases=2)
    result, other = run.results
    answers = [
        Repeat(
            completion=replace(result.completion, text=text),
            scores=(replace(result.scores[0], value=value, passed=value > 0.4),),
            outcome=Outcome.PASSED if value > 0.4 else Outcome.FAILED,
        )
        for text, value in (("one", 0.75), ("t\0wo", 0.25), ("three", 0.5))
    ]
    shown = {"completion": answers[1].completion, "scores": answers[1].scores, "outcome": Outcome.FAILED}
    several = replace(result, **shown, repeats=tuple(answers))
    with open_history(tmp_path / "h.sqlite") as history:
        history.save(GateRecord(run=replace(run, results=(several, other))))
    rows = exported(tmp_path / "h.sqlite", tmp_path, "results")
    assert [(row["case_id"], row["number"], row["outcome"], row["answer"]) for row in rows] == [
        ("case-0", 1, "passed", "one"),
        ("case-0", 2, "failed", "t\u2400wo"),
        ("case-0", 3, "passed", "three"),
        ("case-1", 1, "failed", "an answer"),
    ]
    assert [json.loads(row["facts"])["completion"].get("text") for row in rows] == [
        *("one", "t\0wo", "three"),
        None,
    ]
    scores = exported(tmp_path / "h.sqlite", tmp_path, "scores")
    assert [(row["case_id"], row["number"], row["value"], row["passed"]) for row in scores] == [
        ("case-0", 1, 0.75, 1),
        ("case-0", 2, 0.25, 0),
        ("case-0", 3, 0.5, 1),
        ("case-1", 1, 0.5, 0),
    ]


def test_a_verdict_can_be_checked_by_its_row(tmp_path, make_record):
    """Of 300 cases that fell 20 were told, and a pass of a run that was none had nothing beside it."""
    record = make_record()
    rate, graded = record.comparison.metrics
    keys = tuple(f"set/case-{number}" for number in range(20))
    passed = replace(
        rate, verdict=GateVerdict.PASS, high_unseen=0.03, missing=2, population="cases", lost=keys
    )
    comparison = replace(record.comparison, metrics=(passed, replace(graded, lost=keys)))
    lacking = NoVerdictFinding(side="candidate", outcome=Outcome.ERRORED, cases=5, n=6, tolerated=0.0)
    findings = (
        *(Finding(set_name=name, verdict=GateVerdict.INCONCLUSIVE, data=lacking) for name in ("set", "b")),
        Finding(set_name="set", data=NoteFinding(text="for information")),
    )
    verdict = replace(record.verdict, findings=findings)
    with open_history(tmp_path / "h.sqlite") as history:
        history.save(replace(record, comparison=comparison, verdict=verdict))
    first, second = exported(tmp_path / "h.sqlite", tmp_path, "comparisons")
    told = ("verdict", "run_verdict", "held_back", "high_unseen", "missing", "population", "confidence")
    assert [first[name] for name in told] == ["pass", "inconclusive", "no-verdict", 0.03, 2, "cases", 0.9]
    assert [(row["lost"], row["gained"]) for row in (first, second)] == [(20, 1), (None, 1)]


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
