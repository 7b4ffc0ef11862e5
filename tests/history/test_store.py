"""A record is kept whole and comes back equal; a file that can't be used is named."""

import json
import re
import shutil
import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from harness.errors import BaselineError, HistoryError
from harness.history.database import SqliteDatabase
from harness.history.migrations import MIGRATIONS
from harness.history.store import check_history, open_history
from harness.presentation.sentences import sentence_of
from harness.types import GateRecord, GateVerdict, MetricFacts, Stability


def test_a_record_comes_back_equal(tmp_path, make_record):
    record = make_record()
    with open_history(tmp_path / "deep" / "history.sqlite") as history:
        history.save(record)
    with open_history(tmp_path / "deep" / "history.sqlite") as history:
        assert history.load_record(record.run.id) == record
        assert history.load_run("latest") == record.run
        assert history.load_run(record.baseline.id) == record.baseline


def test_a_run_without_a_gate_comes_back_equal(tmp_path, make_run):
    record = GateRecord(run=make_run())
    with open_history(tmp_path / "h.sqlite") as history:
        history.save(record)
        assert history.load_record("latest") == record


@pytest.mark.parametrize("least", [0, 0.0, True])
def test_a_baseline_of_several_models_is_stored_once_whatever_number_a_plug_in_gave(
    tmp_path, make_record, least
):
    """What it gave as 0 comes back as 0.0: still the same run. One with other facts isn't."""
    record = make_record()
    facts = MetricFacts(kind="graded", higher_is_better=False, least=least, most=None)
    baseline = replace(record.baseline, metrics={"wordiness": facts})
    other = replace(baseline, metrics={"wordiness": replace(facts, least=-1.0)})
    with open_history(tmp_path / "h.sqlite") as history:
        for name in ("first", "second"):
            history.save(replace(record, run=replace(record.run, id=name), baseline=baseline))
        assert history.load_run(baseline.id) == baseline
        with pytest.raises(HistoryError, match=f"another run is stored under the id {baseline.id}"):
            history.save(replace(record, run=replace(record.run, id="third"), baseline=other))


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=200))
def test_any_answer_survives(tmp_path_factory, make_record, answer):
    """Quotes, NUL, emoji: what the model said comes back, or is refused by no one."""
    record = make_record(answer=answer)
    with open_history(tmp_path_factory.mktemp("h") / "h.sqlite") as history:
        history.save(record)
        assert history.load_record("latest") == record


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_record_comes_back_equal(tmp_path_factory, records, data):
    """Whatever the types may hold: lone surrogates, infinities, integers as large as SQLite's."""
    record = data.draw(records)
    with open_history(tmp_path_factory.mktemp("h") / "h.sqlite") as history:
        history.save(record)
        assert history.load_record(record.run.id) == record


def test_another_programs_database_is_left_alone(tmp_path):
    path = tmp_path / "notes.sqlite"
    with closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE notes (text TEXT)")
    before = path.read_bytes()
    with pytest.raises(HistoryError, match="a database of another program"), open_history(path):
        pass
    assert path.read_bytes() == before


@pytest.mark.parametrize("damage", ["{", "[]", '{"id": 1}'])
def test_a_damaged_run_is_named(tmp_path, make_record, damage):
    path = tmp_path / "h.sqlite"
    with open_history(path) as history:
        history.save(make_record())
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE runs SET facts = ?", (damage,))
    with (
        pytest.raises(
            HistoryError, match=r"h.sqlite: run 20260101-000000-aaaa is damaged: .*; restore the file"
        ),
        open_history(path) as history,
    ):
        history.load_run("latest")


def test_pages_that_nobody_reads_before_the_answers_are_checked_too(tmp_path, make_record):
    """A gate would store its run beside them, and say that it is stored."""
    path = tmp_path / "h.sqlite"
    with open_history(path) as history:
        history.save(make_record(cases=300))
    check_history(path)
    with closing(sqlite3.connect(path)) as database:
        (root,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'answers'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    data = bytearray(path.read_bytes())
    page = slice((root - 1) * size, root * size)
    data[page] = bytes(byte ^ 0x5A for byte in data[page])
    path.write_bytes(data)
    with pytest.raises(HistoryError, match=r"^[^\n]*malformed[^\n]*; restore the file or move it away$"):
        check_history(path)


@pytest.mark.parametrize(
    ("change", "read"),
    [
        ("UPDATE runs SET started_at = 'soon'", "list_runs"),
        ("UPDATE gates SET verdict = 'splendid'", "list_runs"),
        ("UPDATE gates SET run_id = 'another'", "load_record"),
        ("UPDATE runs SET no = no + 100", "load_record"),
        ("UPDATE answers SET case_no = case_no + 100", "load_record"),
        ("UPDATE run_answers SET answer_no = answer_no + 100", "load_record"),
        ("UPDATE answers SET packed = x'00'", "load_record"),
        ("DELETE FROM answers WHERE no = 1", "load_record"),
        ("DELETE FROM run_answers WHERE place = 0", "load_record"),
        ("UPDATE gates SET facts = replace(facts, 'set/case-0', 'set/gone')", "load_record"),
    ],
)
def test_whatever_is_damaged_of_a_record_is_one_line(tmp_path, make_record, change, read):
    path = tmp_path / "h.sqlite"
    with open_history(path) as history:
        history.save(make_record())
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(change)
    with pytest.raises(HistoryError, match=r"^[^\n]* is damaged: [^\n]*$"), open_history(path) as history:
        history.list_runs() if read == "list_runs" else history.load_record("latest")


@pytest.mark.parametrize("run_id", ["../../elsewhere", "/tmp/x", "a\\b", "..", "", "a\0"])
def test_an_id_of_another_s_history_leads_to_no_other_directory(tmp_path, make_record, run_id):
    """A run's id is the name of its directory, where its report is written."""
    path = tmp_path / "h.sqlite"
    with open_history(path) as history:
        history.save(make_record())
    with closing(sqlite3.connect(path)) as database, database:
        facts = json.loads(database.execute("SELECT facts FROM runs").fetchone()[0]) | {"id": run_id}
        database.execute("UPDATE runs SET facts = ?", (json.dumps(facts),))
    with pytest.raises(HistoryError, match="is no name of a directory"), open_history(path) as history:
        history.load_record("latest")


def test_a_finding_of_a_later_version_is_not_called_damage(tmp_path, make_record):
    path = tmp_path / "h.sqlite"
    with open_history(path) as history:
        history.save(make_record())
        assert history.load_record("latest").verdict.findings
    with closing(sqlite3.connect(path)) as database, database:
        ((facts,),) = database.execute("SELECT facts FROM gates").fetchall()
        kind = json.loads(facts)["verdict"]["findings"][0]["data"]["kind"]
        database.execute(
            "UPDATE gates SET facts = replace(facts, ?, ?)", (f'"kind": "{kind}"', '"kind": "of-tomorrow"')
        )
    with (
        pytest.raises(
            HistoryError, match=r"h.sqlite: run 20260101-000000-aaaa: 'of-tomorrow' is unknown .*; upgrade"
        ),
        open_history(path) as history,
    ):
        history.load_record("latest")


def test_a_baseline_is_stored_once(tmp_path, make_record):
    first, second = make_record(), make_record(run_id="20260102-000000-cccc")
    with open_history(tmp_path / "h.sqlite") as history:
        history.save(first)
        history.save(second)
        assert [line.id for line in history.list_runs()] == [second.run.id, first.run.id]
        assert history.list_runs(limit=1)[0].outcomes == {"passed": 1, "failed": 1, "errored": 1}
        assert history.load_run("latest~1") == first.run
    count = sqlite3.connect(tmp_path / "h.sqlite").execute("SELECT count(*) FROM runs").fetchone()[0]
    assert count == 3


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("2026", "run '2026' is ambiguous: 20260102-000000-cccc, 20260101-000000-aaaa"),
        ("20260101-000000-aaab", r"no run .* \(allowed: latest, 20260101-000000-aaaa"),
        ("latest~7", r"no run latest~7: the history has 2 judged runs"),
        ("main", "no run 'main'"),
        (f"latest~{10**30}", "no run 'latest~1000"),
    ],
)
def test_a_reference_that_names_no_run(tmp_path, reference, message, make_record):
    with open_history(tmp_path / "h.sqlite") as history:
        history.save(make_record())
        history.save(make_record(run_id="20260102-000000-cccc"))
        assert history.resolve("20260102") == "20260102-000000-cccc"
        with pytest.raises(BaselineError, match=message):
            history.resolve(reference)


@pytest.mark.parametrize(
    "ending",
    ["kept-0a1b2c3d", "rescored-0a1b2c3d", "against-itself", "by-content-0a1b2c3d", "beside-a-1b2c3d"],
)
def test_a_runs_id_never_means_what_was_made_of_it(tmp_path, ending, make_run):
    """Of a run that is not here a part was: named by the run's id it was taken for all of it."""
    made = f"20260101-000000-aaaa-{ending}"
    with open_history(tmp_path / "h.sqlite") as history:
        history.save(GateRecord(run=make_run(made)))
        for start in ("20260101-000000-aaaa", "20260101"):
            with pytest.raises(BaselineError, match=rf"no run .* \(allowed: latest, {made}\)"):
                history.resolve(start)
        assert history.resolve(made[:-2]) == made
        history.save(GateRecord(run=make_run()))
        assert history.resolve("20260101") == "20260101-000000-aaaa"


def test_a_file_that_is_no_history(tmp_path):
    path = tmp_path / "h.sqlite"
    path.write_text("no database, but long enough to be taken for one" * 50)
    with pytest.raises(HistoryError, match=r"h.sqlite: file is not a database"), open_history(path):
        pass


def test_a_newer_file_is_not_touched(tmp_path):
    path = tmp_path / "h.sqlite"
    with open_history(path):
        pass
    database = sqlite3.connect(path)
    database.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    database.commit()
    with (
        pytest.raises(HistoryError, match=r"written by a newer tunegate .*: upgrade tunegate"),
        open_history(path),
    ):
        pass


def test_a_crash_while_saving_leaves_nothing_of_the_run(anywhere, make_record):
    record = make_record()
    twice = replace(record.run, results=(record.run.results[0], record.run.results[0]))
    with pytest.raises(HistoryError, match="twice"), open_history(anywhere) as history:
        history.save(replace(record, run=twice))
    with open_history(anywhere) as history:
        assert history.list_runs() == []


def test_many_writers_may_begin_at_once(anywhere, make_record):
    errors, start = [], threading.Barrier(5)

    def work(number):
        try:
            start.wait()
            with open_history(anywhere) as history:
                history.save(make_record(run_id=f"20260101-00000{number}-aaaa"))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with open_history(anywhere) as history:
        assert len(history.list_runs()) == 5


def test_a_file_of_schema_1_is_still_read(tmp_path, make_record, make_run):
    """A real file that the first schema wrote, kept as it was."""
    old = shutil.copy(Path(__file__).parent / "fixtures" / "schema_1.sqlite", tmp_path / "h.sqlite")
    with open_history(Path(old)) as history:
        record, expected = history.load_record("20260101-000000-aaaa"), make_record()
        assert replace(record, verdict=expected.verdict) == expected
        assert record.verdict.outcome is GateVerdict.INCONCLUSIVE
        # Its only sentence was about the gated metric, whose figures are in the comparison.
        (finding,) = record.verdict.findings
        assert (finding.verdict, finding.set_name, finding.metric) == ("inconclusive", "set", "pass-rate")
        assert finding.data.n == record.comparison.metrics[0].n
        assert sentence_of(finding).startswith("set pass-rate is inconclusive: ")
        assert history.load_record("latest") == GateRecord(run=make_run(run_id="20260102-000000-cccc"))
    with closing(sqlite3.connect(old)) as database:
        assert database.execute("SELECT count(*) FROM comparisons").fetchone() == (2,)
        assert database.execute("SELECT skill FROM retentions ORDER BY place").fetchall() == [
            ("arithmetic",),
            ("knowledge",),
        ]


def test_a_file_of_schema_6_is_still_read(tmp_path, make_record):
    """A real file with unpacked facts, kept as it was: the same answers of a later run are found in it."""
    old = Path(shutil.copy(Path(__file__).parent / "fixtures" / "schema_6.sqlite", tmp_path / "h.sqlite"))
    expected = make_record(answer='a "quoted", long\nansw\0er – ü')
    with open_history(old) as history:
        assert history.load_record("latest") == expected
        history.save(replace(expected, run=replace(expected.run, id="20260102-000000-bbbb")))
        assert history.load_run("latest").results == expected.run.results
    with closing(sqlite3.connect(old)) as database:
        assert database.execute("SELECT count(*) FROM answers WHERE packed IS NULL").fetchone() == (0,)
        stored = database.execute("SELECT count(*) FROM cases").fetchone()
    # The facts of a case have had further keys since; those of a third run are the second's.
    with open_history(old) as history:
        history.save(replace(expected, run=replace(expected.run, id="20260103-000000-cccc")))
    with closing(sqlite3.connect(old)) as database:
        assert database.execute("SELECT count(*) FROM cases").fetchone() == stored


def test_the_noise_records_of_the_seventh_schema_are_kept(tmp_path):
    """Of each case it has one; from now on one for each way in which the case is asked."""
    path = tmp_path / "h.sqlite"
    database = SqliteDatabase(sqlite3.connect(path, isolation_level=None))
    for step in MIGRATIONS[:7]:
        step(database)
    database.set_version(7)
    database.execute("INSERT INTO noise VALUES ('base', '', 'float32', 'set', 'a', 'plain', 2, 5, '2026')")
    kept = {("base", "", "float32", "set", "a", "plain"): Stability(passed=2, answers=5)}
    with open_history(path) as history:
        assert history.load_noise() == kept
        history.database.execute(
            "INSERT INTO noise VALUES ('base', '', 'float32', 'set', 'a', 'other', 3, 5, '2026')"
        )
        assert len(history.load_noise()) == 2
        assert history.database.tables().count("noise_before") == 0


SQL = re.findall(
    r"```sql\n(.*?)```", (Path(__file__).parents[2] / "docs" / "history.md").read_text(), re.DOTALL
)


@pytest.mark.parametrize("query", SQL)
def test_the_pages_queries_run(tmp_path, query, make_record):
    """Each SQL snippet of docs/history.md runs against a stored gate."""
    with open_history(tmp_path / "h.sqlite") as history:
        history.save(make_record())
    with closing(sqlite3.connect(tmp_path / "h.sqlite")) as database:
        rows = database.execute(query).fetchall()
    assert rows or "bob-kettles" in query


def test_the_page_has_every_column(tmp_path):
    """docs/history.md names the tables and views and their columns, in order, and no others."""
    page = (Path(__file__).parents[2] / "docs" / "history.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", page[page.index("## Tables") :], re.MULTILINE)
    documented = {table: re.findall(r"`(\w+)`", re.sub(r"\([^)]*\)", "", text)) for table, text in rows}
    with open_history(tmp_path / "h.sqlite"):
        pass
    with closing(sqlite3.connect(tmp_path / "h.sqlite")) as database:
        names = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type <> 'index'")]
        columns = {name: [row[1] for row in database.execute(f"PRAGMA table_info({name})")] for name in names}
    assert documented == columns


def test_answers_of_another_run_take_no_space_again(tmp_path, make_record):
    record = make_record()
    second = replace(record, run=replace(record.run, id="20260102-000000-bbbb"))
    with open_history(tmp_path / "h.sqlite") as history:
        history.save(record)
        history.save(second)
        assert history.load_record("latest") == second
    with closing(sqlite3.connect(tmp_path / "h.sqlite")) as database:
        counted = {
            table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
            for table in ("runs", "cases", "answers", "run_answers")
        }
    assert (counted["runs"], counted["run_answers"]) == (3, 9)
    assert (counted["cases"], counted["answers"]) == (
        3,
        len({*map(str, (*record.run.results, *record.baseline.results))}),
    )
