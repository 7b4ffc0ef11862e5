"""``tunegate report`` finds a stored run, writes its page and says where."""

import json
import webbrowser
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from harness.errors import BaselineError, HistoryError, SettingsError
from harness.history.store import open_history
from harness.types import GateRecord
from harness.types.training import LOG_FILE
from reports.cli import app


@pytest.fixture
def history(tmp_path: Path, invented: Callable[..., GateRecord], monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project's history that holds one gated run; the test runs in a folder of that project."""
    path = tmp_path / ".tunegate" / "history.sqlite"
    with open_history(path) as stored:
        stored.save(invented(lost=2))
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "inside").mkdir()
    monkeypatch.chdir(tmp_path / "inside")
    return path


def call(*arguments: str) -> Result:
    """Run the command as the ``tunegate`` command mounts it."""
    root = typer.Typer()
    root.add_typer(app, name="report")
    root.command("other")(lambda: None)
    return CliRunner().invoke(root, ["report", *arguments])


def test_the_report_lands_beside_the_run_and_its_path_is_printed(history: Path) -> None:
    result = call("latest")
    path = history.parent / "runs" / "20260131-142501-7f3a" / "report.html"
    assert result.output.strip() == str(path)
    assert "<!doctype html>" in path.read_text(encoding="utf-8")


def test_options_may_follow_the_run(history: Path, tmp_path: Path) -> None:
    result = call(
        "20260131-142501-7", "--output", str(tmp_path / "new" / "mine.html"), "--history", str(history)
    )
    assert result.exit_code == 0
    page = (tmp_path / "new" / "mine.html").read_text(encoding="utf-8")
    # Its commands read the same history.
    assert f"tunegate runs show 20260131-142501-7f3a --history={history} --case SET/ID" in page


def test_open_shows_the_file_in_the_browser(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", lambda url: opened.append(url) or True)
    path = call("latest", "--open").output.strip()
    assert opened == [Path(path).as_uri()]


def test_without_a_browser_it_says_so(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda url: False)
    result = call("latest", "--open")
    assert result.exit_code == 0
    assert "open the file yourself" in result.output


def test_a_run_that_is_not_stored_is_named(history: Path) -> None:
    error = call("never").exception
    assert isinstance(error, BaselineError)
    assert "never" in str(error)


def test_a_missing_history_is_not_created(tmp_path: Path) -> None:
    missing = tmp_path / "none.sqlite"
    error = call("latest", "--history", str(missing)).exception
    assert isinstance(error, HistoryError)
    assert f"{missing}: no such history file" in str(error)
    assert not missing.exists()


def test_an_unwritable_output_is_refused_first(tmp_path: Path) -> None:
    error = call("latest", "--output", str(tmp_path), "--history", str(tmp_path / "none.sqlite")).exception
    assert isinstance(error, SettingsError)


def test_the_other_forms_are_written_where_they_are_named(
    history: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    names = ["--json-file", str(tmp_path / "gate.json"), "--markdown", str(tmp_path / "comment.md")]
    result = call("latest", *names, "--github")
    assert result.exit_code == 0
    assert json.loads((tmp_path / "gate.json").read_text())["schema_version"] == 2
    assert (tmp_path / "comment.md").read_text() in (tmp_path / "summary.md").read_text()
    assert "title=tunegate::" in result.output


def test_the_schema_needs_no_run() -> None:
    result = call("--json-schema")
    assert result.exit_code == 0
    assert json.loads(result.output)["properties"]["schema_version"] == {"const": 2}


def test_a_training_s_directory_has_a_page(tmp_path: Path) -> None:
    """Beside its log, in the work directory: an adapter is passed on, and samples are of the data."""
    work = tmp_path / "orders.work"
    work.mkdir()
    (work / LOG_FILE).write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": 1.0}\n')
    result = call(str(tmp_path / "orders"))
    assert result.output.strip() == str(work / "training.html")
    assert "Training orders" in (work / "training.html").read_text(encoding="utf-8")


def test_the_page_of_a_training_goes_where_it_is_asked_to(tmp_path: Path) -> None:
    (tmp_path / "orders").mkdir()
    (tmp_path / "orders" / LOG_FILE).write_text('{"step": 1, "loss": 2.0}\n')
    result = call(str(tmp_path / "orders"), "--output", str(tmp_path / "page.html"))
    assert result.exit_code == 0
    assert (tmp_path / "page.html").is_file()


@pytest.mark.parametrize("option", [["--json-file", "x.json"], ["--markdown", "x.md"], ["--github"]])
def test_a_training_has_a_page_only(tmp_path: Path, option: list[str]) -> None:
    (tmp_path / LOG_FILE).write_text('{"step": 1, "loss": 2.0}\n')
    error = call(str(tmp_path), *option).exception
    assert isinstance(error, SettingsError)
    assert "a training has a page only" in str(error)


@pytest.mark.parametrize("text", ["[" * 100_000, "1" * 5_001, "{"], ids=["deep", "long", "broken"])
def test_a_damaged_manifest_of_a_training_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "training_manifest.json").write_text(text)
    result = call(str(tmp_path))
    assert isinstance(result.exception, SettingsError)
    assert str(result.exception).startswith(f"{tmp_path}/training_manifest.json: can't be read: ")
    assert str(result.exception).endswith("; train again")
