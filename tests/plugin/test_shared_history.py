"""A gate whose history is on a server: stored there, refused before a model is asked, and nothing lost if it goes."""

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.history.accepted_runs import note_accepted
from harness.history.migrations import write_answers
from harness.history.store import open_history

# As in the server's URL and as it is; neither may be printed or stored.
SECRETS = (b"p%25s%2Fw%3Ard%401", b"p%s/w:rd@1")


def assert_no_secret(project, result):
    said = (result.stdout.str() + result.stderr.str()).encode()
    written = [path.read_bytes() for path in project.pytester.path.rglob("*") if path.is_file()]
    assert written
    for secret in SECRETS:
        assert secret not in said
        assert not any(secret in content for content in written)


def test_a_gate_is_stored_on_the_server_and_is_a_baseline_there(project, postgres):
    url = postgres.url("of_gates")
    project.pytester.makeconftest("def pytest_configure(config): config.option.verbose = 3")
    result = project.run(f"--gate-history={url}", "--gate-json=g.json")
    assert result.ret == pytest.ExitCode.OK
    assert_no_secret(project, result)
    assert not (project.pytester.path / ".tunegate/history.sqlite").exists()
    with open_history(postgres.place("of_gates"), to_read=True) as history:
        (line,) = history.list_runs()
    again = project.run(f"--gate-history={url}", "--gate-baseline=latest")
    assert again.ret == pytest.ExitCode.OK
    again.stdout.fnmatch_lines([f"*against run {line.id}*"])
    page = next(project.pytester.path.glob(".tunegate/runs/*/report.html")).read_text()
    assert "earlier runs are not shown" not in page


@pytest.mark.parametrize("fault", ["password", "database", "url"])
def test_a_server_that_cannot_be_used_is_found_before_a_model_is_asked(project, postgres, fault):
    url = {
        "password": postgres.url(password="another"),
        "database": postgres.url(database="missing"),
        "url": postgres.url() + "#x",
    }[fault]
    result = project.run(f"--gate-history={url}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line.startswith("ERROR")]
    assert line.startswith("ERROR: postgresql://")
    assert "Traceback" not in result.stderr.str() + result.stdout.str()
    assert not project.opened
    assert "another" not in line
    assert_no_secret(project, result)


def test_a_database_that_goes_while_a_model_answers_loses_nothing(project, postgres, monkeypatch):
    postgres.run("CREATE DATABASE gone", database="postgres")
    url = postgres.url(database="gone")
    project.pytester.makeconftest(
        f"""
        import psycopg

        def pytest_runtest_logreport(report):
            with psycopg.connect({postgres.url(database="postgres")!r}, autocommit=True) as server:
                server.execute("DROP DATABASE IF EXISTS gone WITH (FORCE)")
        """
    )
    project.wrong["candidate"] = {"peru"}
    result = project.run(f"--gate-history={url}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(
        ["*INCONCLUSIVE*", 'ERROR: *database "gone" does not exist*: tunegate runs recover saves it']
    )
    # The page is written anyway.
    assert list(project.pytester.path.glob(".tunegate/runs/*/report.html"))
    postgres.run("CREATE DATABASE gone", database="postgres")
    monkeypatch.chdir(project.pytester.path)
    recovered = CliRunner().invoke(app, ["runs", "recover"], env={**os.environ, "TUNEGATE_HISTORY": url})
    assert recovered.output.startswith("saved run "), recovered.output
    with open_history(postgres.place(database="gone"), to_read=True) as history:
        (line,) = history.list_runs()
    assert (line.verdict, line.outcomes) == ("inconclusive", {"failed": 1, "passed": 9})


def recovered(url, project, monkeypatch):
    monkeypatch.chdir(project.pytester.path)
    done = CliRunner().invoke(app, ["runs", "recover"], env={**os.environ, "TUNEGATE_HISTORY": url})
    assert done.output.startswith("saved run "), done.output


def test_a_server_that_is_down_fails_no_gate(project, postgres, monkeypatch):
    url = postgres.url("down", port=1)
    result = project.run(f"--gate-history={url}")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*INCONCLUSIVE*", "WARNING: postgresql://*: tunegate runs recover saves it"])
    said = result.stdout.str() + result.stderr.str()
    assert "the gate goes on without its noise records" in said
    assert_no_secret(project, result)
    recovered(postgres.url("down"), project, monkeypatch)
    with open_history(postgres.place("down"), to_read=True) as history:
        assert len(history.list_runs()) == 1


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="the server's processes are found in /proc")
@pytest.mark.parametrize("when", ["while models answer", "while the run is saved"])
def test_a_server_that_is_killed_loses_nothing(project, postgres, monkeypatch, when):
    """SIGKILL of all its processes: the verdict stands, earlier runs are there, and the run is recovered."""
    url = postgres.url(f"killed_{len(when)}")
    assert project.run(f"--gate-history={url}").ret == pytest.ExitCode.OK
    if when == "while models answer":
        project.pytester.makeconftest(
            """
            killed = []

            def pytest_runtest_logreport(report):
                if not killed:
                    import builtins
                    killed.append(builtins.tunegate_kill())
            """
        )
        monkeypatch.setattr("builtins.tunegate_kill", postgres.kill, raising=False)
    else:

        def write_and_die(*arguments, **options):
            write_answers(*arguments, **options)
            postgres.kill()

        monkeypatch.setattr("harness.history.store.write_answers", write_and_die)
    try:
        result = project.run(f"--gate-history={url}", "--gate-baseline=base")
    finally:
        monkeypatch.undo()
        postgres.start()
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*INCONCLUSIVE*", "WARNING: postgresql://*: tunegate runs recover saves it"])
    with open_history(postgres.place(f"killed_{len(when)}"), to_read=True) as history:
        (before,) = history.list_runs()
        assert history.load_run(before.id).results
    recovered(url, project, monkeypatch)
    with open_history(postgres.place(f"killed_{len(when)}"), to_read=True) as history:
        now = history.list_runs()
        assert (len(now), now[1]) == (2, before)
        assert len(history.load_record("latest").run.results) == len(history.load_run(before.id).results)


def test_an_accepted_run_in_the_history_is_the_baseline_of_its_branch(project, postgres):
    def git(*words):
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        project.pytester.run("git", *identity, *words)

    git("init", "-q", "-b", "main")
    git("add", "golden_sets")
    git("commit", "-q", "-m", "one")
    url = postgres.url("of_branches")
    result = project.run(f"--gate-history={url}", "--gate-accept=shipped")
    assert result.ret == pytest.ExitCode.OK, result.stdout.str()
    with open_history(postgres.place("of_branches"), to_read=True) as history:
        (line,) = history.list_runs()
    assert line.branch == "main"
    (project.pytester.path / "baselines/shipped.json").unlink()
    git("checkout", "-q", "-b", "topic")
    gated = project.run(f"--gate-history={url}", "--gate-baseline=shipped")
    gated.stdout.fnmatch_lines([f"*against run {line.id}*"])


@pytest.mark.parametrize("is_server", [True, False])
def test_each_gate_removes_what_the_settings_do_not_keep(project, postgres, is_server):
    options = [f"--gate-history={postgres.url('kept')}"] if is_server else []
    place = postgres.place("kept") if is_server else project.pytester.path / ".tunegate" / "history.sqlite"
    assert project.run(*options).ret == pytest.ExitCode.OK
    with open_history(place) as history:
        (first,) = history.list_runs()
        note_accepted(history.database, first.id, "shipped", "good")
    # Other tools keep files of their own in a folder of this name.
    (project.pytester.path / "baselines").mkdir()
    (project.pytester.path / "baselines" / "perf.json").write_text('{"schema_version": 1, "benchmark": 3}')
    for _ in range(3):
        assert project.run(*options, "--gate-keep-runs=1").ret == pytest.ExitCode.OK
    with open_history(place, to_read=True) as history:
        left = history.list_runs()
    assert (len(left), left[-1].id) == (2, first.id)
