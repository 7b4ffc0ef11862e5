"""A history that can't be written is found before a model is asked; if it breaks later, the verdict is said anyway."""

import errno
import os
import re
import shlex
import sqlite3
from functools import partial

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.errors import HistoryError
from harness.history.store import History, open_history
from harness.run import conclusion


def newer(path):
    with open_history(path):
        pass
    with sqlite3.connect(path) as database:
        database.execute("PRAGMA user_version = 9999")


def damaged(path):
    with open_history(path):
        pass
    path.write_bytes(b"SQLite format 3\x00" + b"\xff" * 4096)


def foreign(path):
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE mine (a)")


@pytest.mark.parametrize(
    ("spoil", "line"),
    [
        (newer, "*history.sqlite: written by a newer tunegate*"),
        (damaged, "*history.sqlite: *restore the file or move it away*"),
        (foreign, "*history.sqlite: a database of another program*"),
        (lambda path: path.write_bytes(b"x"), "*history.sqlite: too short to be a history; restore*"),
        (lambda path: path.mkdir(), "*history.sqlite: is a directory; move it away or name another history"),
        (os.mkfifo, "*history.sqlite: is a named pipe, not a file; move it away or name another history"),
    ],
    ids=["newer", "damaged", "foreign", "cut", "directory", "pipe"],
)
def test_a_history_that_cannot_be_written_is_found_before_a_model_is_asked(project, spoil, line):
    path = project.pytester.path / ".tunegate/history.sqlite"
    path.parent.mkdir()
    spoil(path)
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {line}"])
    assert not project.opened


@pytest.fixture
def full_disk(monkeypatch):
    """The history can be opened, and not saved to."""

    def save(self, record):
        raise HistoryError("history.sqlite: database or disk is full; free some space and run again")

    monkeypatch.setattr(History, "save", save)
    return monkeypatch


def test_the_verdict_is_said_though_it_cannot_be_saved_and_recover_saves_it(project, full_disk):
    project.wrong["candidate"] = {"peru"}
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(
        ["*INCONCLUSIVE*", "ERROR: *disk is full*unsaved.json: tunegate runs recover saves it"]
    )
    assert list(project.pytester.path.glob(".tunegate/runs/*/report.html"))
    full_disk.undo()
    history = project.pytester.path / ".tunegate/history.sqlite"
    recovered = CliRunner().invoke(app, ["runs", "recover", "--history", str(history)])
    assert recovered.exit_code == 0, recovered.output
    assert recovered.output.startswith("saved run ")
    with open_history(history) as stored:
        (line,) = stored.list_runs()
    assert (line.verdict, line.outcomes) == ("inconclusive", {"failed": 1, "passed": 9})
    again = CliRunner().invoke(app, ["runs", "recover", "--history", str(history)])
    assert again.output.startswith(f"no run of {history.parent} is waiting to be saved")


def test_a_regression_that_cannot_be_saved_is_a_regression(project, full_disk):
    project.wrong["candidate"] = {"france", "italy", "spain", "norway", "peru", "japan", "kenya", "egypt"}
    assert project.run().ret == pytest.ExitCode.TESTS_FAILED


SPOIL = {
    "damaged": "path.write_text('garbage' * 1000)",
    "newer": "c = sqlite3.connect(path); c.execute('PRAGMA user_version = 999'); c.close()",
    "a directory": "path.unlink(); path.mkdir()",
    "no rows": "c = sqlite3.connect(path); c.execute('DROP TABLE noise'); c.execute('DROP TABLE gates'); c.close()",
}


@pytest.fixture
def spoiled(project):
    """Gates while a hand-written test does something to the history, after the models have answered."""

    def gate(body, *arguments):
        project.pytester.makepyfile(
            test_hand=f"""
            import sqlite3, pathlib

            def test_spoils():
                path = pathlib.Path(".tunegate/history.sqlite")
                {body}
            """
        )
        return project.run(
            "golden_sets", "test_hand.py", "--gate-json=g.json", "--junitxml=j.xml", *arguments
        )

    return gate


@pytest.mark.parametrize("kind", SPOIL)
def test_a_history_that_breaks_during_the_session_costs_a_line_and_recover_saves_the_run(
    project, spoiled, kind
):
    result = spoiled(SPOIL[kind], "--gate-markdown=g.md")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.outlines if line.startswith("ERROR: ")]
    assert line.endswith("unsaved.json: tunegate runs recover saves it")
    result.stdout.fnmatch_lines(["*INCONCLUSIVE*", "report: *report.html", "report: *g.json"])
    assert 'name="tunegate.verdict" value="inconclusive"' in (project.pytester.path / "j.xml").read_text()
    history = project.pytester.path / ".tunegate/history.sqlite"
    (page,) = project.pytester.path.glob(".tunegate/runs/*/report.html")
    for text in (page.read_text(), (project.pytester.path / "g.md").read_text()):
        later = [line for line in text.splitlines() if re.search("tunegate runs (show|accept)", line)]
        assert later
        assert all("tunegate runs recover" in line for line in later)
    history.rename(history.with_name("broken"))
    recovered = CliRunner().invoke(app, ["runs", "recover", "--history", str(history)])
    assert recovered.output.startswith("saved run ")


def test_a_history_that_is_locked_for_long_costs_a_line_and_recover_saves_the_run(
    project, spoiled, monkeypatch
):
    """Another process writes for longer than is waited."""
    monkeypatch.setattr("harness.run.conclusion.open_history", partial(open_history, wait_s=0.01))
    project.wrong["candidate"] = {"france", "italy", "spain", "norway", "peru", "japan", "kenya", "egypt"}
    result = spoiled(
        "sqlite3.other = sqlite3.connect(path, isolation_level=None); sqlite3.other.execute('BEGIN EXCLUSIVE')"
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    (line,) = [line for line in result.outlines if line.startswith("ERROR: ")]
    assert "history.sqlite: locked by another process for more than 0.01 s; wait for it or end it" in line
    assert line.endswith("unsaved.json: tunegate runs recover saves it")
    result.stdout.fnmatch_lines(["*REGRESS*", "report: *report.html", "report: *g.json"])
    history = project.pytester.path / ".tunegate/history.sqlite"
    again = ["runs", "recover", "--history", str(history)]
    assert "locked by another process" in str(CliRunner().invoke(app, again).exception)
    sqlite3.other.close()
    assert CliRunner().invoke(app, again).output.startswith("saved run ")
    with open_history(history) as stored:
        (line,) = stored.list_runs()
    assert line.verdict == "regress"


def test_a_history_that_is_deleted_during_the_session_is_made_anew(project, spoiled):
    assert spoiled("path.unlink()").ret == pytest.ExitCode.OK
    with open_history(project.pytester.path / ".tunegate/history.sqlite") as stored:
        assert len(stored.list_runs()) == 1


def test_a_directory_that_breaks_during_the_session_takes_no_verdict_and_no_other_report(project, spoiled):
    """Its history, report and copy of the run can't be written; what is elsewhere can."""
    spoil = "import shutil; shutil.rmtree('.tunegate'); pathlib.Path('.tunegate').write_text('a file')"
    result = spoiled(spoil)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(
        ["*INCONCLUSIVE*", "report: *g.json", "ERROR: *.tunegate, which is not a directory; *"]
    )


def test_earlier_runs_that_cannot_be_read_are_named_in_the_report(project):
    project.run()
    with sqlite3.connect(project.pytester.path / ".tunegate/history.sqlite") as database:
        database.execute("UPDATE comparisons SET verdict = 'splendid'")
    assert project.run("--gate-margin=0.9").ret == pytest.ExitCode.OK
    # Two runs of one second are in no order by their ids.
    written = project.pytester.path.glob(".tunegate/runs/*/report.html")
    newest = max(written, key=lambda path: path.stat().st_mtime_ns)
    assert "earlier runs are not shown" in newest.read_text()


@pytest.mark.parametrize("how", ["raise KeyError('boom')", "raise SystemExit(7)", "pytest.exit('enough')"])
def test_a_report_that_breaks_stops_no_other_report(project, how):
    project.pytester.makeconftest(
        f"""
        import pytest

        @pytest.hookimpl(tryfirst=True)
        def pytest_tunegate_report(config, record, directory, label):
            {how}
        """
    )
    result = project.run("--gate-json=g.json")
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stdout.fnmatch_lines(
        [
            "*INCONCLUSIVE*",
            "report: *report.html",
            "report: *g.json",
            "ERROR: not every report was written: *",
        ]
    )


def test_a_saved_run_leaves_no_file_to_recover(project):
    project.run()
    assert not list(project.pytester.path.glob(".tunegate/runs/*/unsaved.json"))


@pytest.mark.parametrize("value", ["", "{", "[]", "null", '{"no": 1}', "[" * 10_000])
def test_a_damaged_cache_entry_is_asked_again(project, value):
    project.run()
    before = len(project.asked)
    with sqlite3.connect(project.pytester.path / ".tunegate/cache.sqlite") as database:
        database.execute("UPDATE entries SET value = ?", (value,))
    assert project.run().ret == pytest.ExitCode.OK
    assert len(project.asked) == 2 * before


def test_the_directory_of_runs_ignores_itself(project):
    import subprocess

    subprocess.run(["git", "init", "-q"], cwd=project.pytester.path, check=True)
    project.run()
    status = subprocess.run(
        ["git", "status", "--porcelain"],
        cwd=project.pytester.path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert ".tunegate" not in status


def test_a_directory_that_cannot_be_made_is_one_line(project):
    (project.pytester.path / ".tunegate").write_text("a file")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *.tunegate: can't be made: *; name another with --gate-directory"])


def test_a_cache_that_breaks_costs_a_line_and_no_answer(project, monkeypatch):
    def full(self, rows):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr("harness.run.cache.Cache._write", full)
    result = project.run()
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(
        [
            "*INCONCLUSIVE*",
            "WARNING: *cache.sqlite: the cache broke (database or disk is full): some answers are not stored*",
        ]
    )
    assert len(project.asked) == 20


@pytest.mark.parametrize(
    "body",
    ["raise ValueError('one\\ntwo')", "raise SystemExit(7)", "return 3.5", "import pytest; pytest.skip('x')"],
)
def test_a_sink_that_breaks_costs_a_line(project, pytester, body):
    pytester.makeconftest(
        f"""
        from harness.registry import Sink

        def send(record, directory):
            {body}

        def pytest_tunegate_register(registry):
            registry.add(Sink(name="mine", send=send))
        """
    )
    result = project.run()
    assert result.ret == pytest.ExitCode.OK
    (line,) = [line for line in result.outlines if "sink 'mine'" in line]
    assert "broke on run" in line
    assert "two" not in result.stdout.str()


def test_a_fault_of_ours_at_the_end_is_no_regression(project, monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("ours")

    monkeypatch.setattr("harness.plugin.session.conclude_session", broken)
    result = project.run("-k", "peru")
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stdout.fnmatch_lines(["INTERNALERROR> *ZeroDivisionError: ours"])


def test_a_small_set_of_which_each_case_is_gained_has_a_verdict(project):
    project.wrong["baseline"] = {"peru", "cuba", "iran"}
    result = project.run("-k", "peru or cuba or iran")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*INCONCLUSIVE*"])


def recover(*arguments):
    return CliRunner().invoke(app, ["runs", "recover", *arguments]).output


def without_room(monkeypatch, *folders):
    """No unsaved run can be written in these folders."""
    write = conclusion.write_whole

    def full(path, *rest):
        if path.name.endswith(".json") and any(folder in path.parents for folder in folders):
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(path, *rest)

    monkeypatch.setattr("harness.run.conclusion.write_whole", full)


def test_a_run_that_no_file_can_take_is_said_to_be_lost(project, full_disk):
    root = project.pytester.path
    full_disk.setenv("TUNEGATE_HOME", str(root / "home"))
    without_room(full_disk, root)
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*INCONCLUSIVE*", "ERROR: *full*; nor can *: the run is lost; make room*"])
    result.stdout.no_fnmatch_line("run: *")
    assert "is waiting to be saved; one that its gate said is lost" in recover()


def test_a_run_that_the_project_has_no_room_for_is_kept_in_the_users_cache(project, full_disk):
    root = project.pytester.path
    full_disk.setenv("TUNEGATE_HOME", str(root / "home"))
    without_room(full_disk, root / ".tunegate")
    result = project.run()
    result.stdout.fnmatch_lines(
        ["ERROR: *; the run is in */home/unsaved/*.json: tunegate runs recover saves it"]
    )
    result.stdout.no_fnmatch_line("run: *")
    full_disk.undo()
    project.pytester.chdir()
    full_disk.setenv("TUNEGATE_HOME", str(root / "home"))
    assert recover().startswith("saved run ")
    assert recover().startswith("no run of ")


def test_a_run_for_a_history_elsewhere_is_recovered_by_the_command_of_the_line(project, full_disk):
    place = project.pytester.path / "my runs" / "h.sqlite"
    line = project.run(f"--gate-history={place}").stdout.str().partition("saves it")[0]
    full_disk.undo()
    project.pytester.chdir()
    words = shlex.split(line.rpartition("tunegate runs recover")[2])
    assert words == ["--history", str(place)]
    assert recover(*words).startswith("saved run ")
    with open_history(place) as history:
        assert history.list_runs(9)


def test_an_encoder_that_is_not_here_is_named_with_its_case(project, write_golden):
    check = "{type: similar, threshold: 0.5, model: evil/encoder}"
    case = f"{{id: a, prompt: Say, references: [b], checks: [{check}]}}"
    write_golden(project.pytester, "capitals", f"name: capitals\ncases: [{case}]\n")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: capitals/a: similar: model: evil/encoder: no such directory*"])
