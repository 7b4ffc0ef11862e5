"""A history on a real PostgreSQL server, which is started here, behaves as one in a file."""

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from harness.cli.main import app
from harness.errors import HistoryError
from harness.history.database import open_database
from harness.history.migrations import MIGRATIONS
from harness.history.store import check_history, open_history
from harness.types import GateRecord
from reports.metric_history import past_metrics

PASSWORD, IN_URL = "p%s/w:rd@1", "p%25s%2Fw%3Ard%401"
SQL = re.findall(
    r"```sql\n(.*?)```", (Path(__file__).parents[2] / "docs" / "history.md").read_text(), re.DOTALL
)


@pytest.fixture
def server(postgres):
    return postgres


def test_a_record_comes_back_equal(place, make_record):
    record, second = make_record(), make_record(run_id="20260102-000000-cccc")
    with open_history(place) as history:
        history.save(record)
        history.save(second)
        history.save(second)
    with open_history(place, to_read=True) as history:
        assert history.load_record(record.run.id) == record
        assert history.load_run("latest~1") == record.run
        assert [line.id for line in history.list_runs()] == [second.run.id, record.run.id]
        assert past_metrics(history, record.run.id)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_record_comes_back_equal(postgres, records, data):
    record = data.draw(records)
    with open_history(postgres.place("any_record")) as history:
        history.save(record)
        assert history.load_record(record.run.id) == record
    postgres.run("TRUNCATE any_record.runs, any_record.cases CASCADE")


def test_both_kinds_of_history_hold_the_same_rows(place, tmp_path, make_record):
    """Every table and view, row by row: what is documented of one is true of the other."""
    record = make_record()
    found = {}
    for name, where in (("file", tmp_path / "h.sqlite"), ("server", place)):
        with open_history(where) as history:
            history.save(record)
        with open_database(where, 5) as database:
            tables = [*database.tables(), "results", "scores"]
            found[name] = {
                table: sorted(map(str, database.execute(f"SELECT * FROM {table}").fetchall()))
                for table in tables
                if table != "schema_version"
            }
    assert found["server"] == found["file"]
    assert found["file"]["results"]


@pytest.mark.parametrize("query", SQL)
def test_the_pages_queries_run(server, query, make_record):
    with open_history(server.place("pages")) as history:
        history.save(make_record())
    *_, rows = server.run("SET search_path = pages", query)
    assert rows.fetchall() or "bob-kettles" in query


def test_a_writer_that_holds_the_lock_is_waited_for_and_then_named(server, place, make_record):
    with open_history(place) as holder, holder.database.writing():
        with (
            pytest.raises(HistoryError, match=r"locked by another process for more than 0\.1 s"),
            open_history(place, wait_s=0.1) as history,
        ):
            history.save(make_record())
        # Another history on the same server is no business of theirs.
        with open_history(server.place("elsewhere"), wait_s=0.1) as history:
            history.save(make_record())


def read_only(server, schema):
    server.run(
        "DROP ROLE IF EXISTS reader",
        f"CREATE ROLE reader LOGIN PASSWORD '{PASSWORD}'",
        f"GRANT USAGE ON SCHEMA {schema} TO reader",
        f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO reader",
    )
    return server.place(schema, user="reader")


def test_a_role_that_only_reads_lists_and_is_refused_before_a_gate(server, make_record):
    with open_history(server.place("readable")) as history:
        history.save(make_record())
    reader = read_only(server, "readable")
    with open_history(reader, to_read=True) as history:
        assert len(history.list_runs()) == 1
    with pytest.raises(HistoryError, match=r"the role may not write to readable\.\w+; grant"):
        check_history(reader)
    with pytest.raises(HistoryError, match=r"permission denied for database.*; grant the role CREATE"):
        check_history(server.place("nowhere", user="reader"))
    server.run("DROP SCHEMA readable CASCADE", "DROP ROLE reader")


def newer(server):
    with open_history(server.place("newer")):
        pass
    server.run(f"UPDATE newer.schema_version SET version = {len(MIGRATIONS) + 1}")
    return server.place("newer")


def foreign(server):
    server.run("CREATE SCHEMA foreign_one", "CREATE TABLE foreign_one.notes (text TEXT)")
    return server.place("foreign_one")


def latin(server):
    server.run("CREATE DATABASE old ENCODING 'LATIN1' TEMPLATE template0", database="postgres")
    return server.place(database="old")


BAD = {
    "unreachable": (lambda server: server.place(port=1), "onnection refused"),
    "password": (lambda server: server.place(password="no-s3cret"), "password authentication failed"),
    "database": (lambda server: server.place(database="missing"), 'database "missing" does not exist'),
    "newer": (newer, "written by a newer tunegate .*: upgrade tunegate"),
    "foreign": (foreign, "a database of another program .*'notes'.*; name another one"),
    "encoding": (latin, "the database is in LATIN1"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_used_is_one_line_without_the_password(server, kind):
    make, line = BAD[kind]
    place = make(server)
    for to_read in (True, False):
        with pytest.raises(HistoryError, match=line) as raised, open_history(place, to_read=to_read):
            pass
        told = str(raised.value)
        assert told.startswith(f"{place}: ")
        assert "\n" not in told
        for secret in (*place.secrets, PASSWORD, IN_URL, "no-s3cret"):
            assert secret not in told + repr(place)


def test_a_history_that_was_never_written_is_not_made_by_a_reader(server):
    with (
        pytest.raises(HistoryError, match="no history here"),
        open_history(server.place("unseen"), to_read=True),
    ):
        pass
    ((found,),) = server.run("SELECT count(*) FROM pg_namespace WHERE nspname = 'unseen'")[0].fetchall()
    assert found == 0


def test_a_server_that_ends_a_connection_costs_the_save_alone(server, place, make_record):
    """Killed in the middle: nothing of the run is there, and the next connection stores it."""
    record = make_record()
    end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tunegate'"

    def save_until_it_ends():
        with open_history(place) as history, history.database.writing():
            history._save_run(record.run)
            server.run(end)
            history.list_runs()

    with pytest.raises(HistoryError) as raised:
        save_until_it_ends()
    assert "\n" not in str(raised.value)
    with open_history(place) as history:
        assert history.list_runs() == []
        history.save(record)
        assert history.load_record("latest") == record


def test_commands_read_a_server(server, place, make_record):
    with open_history(place) as history:
        history.save(make_record())
    url = server.url(place.schema)
    listed = CliRunner().invoke(app, ["runs", "list", "--history", url])
    assert listed.exit_code == 0, listed.output
    shown = CliRunner().invoke(app, ["runs", "show", "latest"], env={"TUNEGATE_HISTORY": url})
    assert shown.exit_code == 0, shown.output
    assert IN_URL not in listed.output + shown.output


def test_an_answer_with_a_nul_is_kept(place, make_record):
    record = make_record(answer="a\0b\ud800")
    with open_history(place) as history:
        history.save(record)
        assert history.load_record("latest") == record


def test_a_file_and_a_server_say_the_same_of_a_run_without_a_gate(place, make_run):
    record = GateRecord(run=make_run())
    with open_history(place) as history:
        history.save(record)
        assert history.load_record("latest") == record
