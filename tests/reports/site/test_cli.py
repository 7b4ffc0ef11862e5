"""``tunegate site`` writes pages, and refuses in one line what it can't write or read."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner, Result

from harness.errors import HistoryError, SettingsError
from reports.site.cli import site, ui
from reports.site.pages import PAGES


def call(*arguments: str) -> Result:
    root = typer.Typer()
    root.command("site")(site)
    root.command("ui")(ui)
    return CliRunner().invoke(root, list(arguments))


@pytest.fixture
def here(project: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(project)
    return project


def test_all_pages_are_written_and_the_first_is_named(here: Path, tmp_path: Path) -> None:
    for _ in range(2):  # its own pages are replaced
        result = call("site", str(tmp_path / "out"), "--limit", "5")
        assert result.exit_code == 0, result.output
        assert result.output.strip() == str(tmp_path / "out" / "index.html")
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(PAGES)
    assert (tmp_path / "out" / "index.html").read_text(encoding="utf-8").count('<tr role="row" id="run-') == 5


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        (["site", "out", "--history", "missing.sqlite"], HistoryError, "no such history file"),
        (["site", "out", "--model", "nobody"], HistoryError, "no judged run fits"),
        (["site", "out", "--training", "nowhere"], SettingsError, "--training nowhere: no training here"),
        (["site", "foreign"], SettingsError, "is not a page of tunegate"),
        (["site", "pyproject.toml"], SettingsError, "DIR: pyproject.toml"),
        (["ui", "--history", "missing.sqlite"], HistoryError, "no such history file"),
    ],
)
def test_what_does_not_work_is_told_in_one_line(
    here: Path, arguments: list[str], kind: type[Exception], words: str
) -> None:
    (here / "foreign").mkdir(exist_ok=True)
    (here / "foreign" / "index.html").write_text("<h1>mine</h1>")
    error = call(*arguments).exception
    assert isinstance(error, kind)
    assert words in str(error)
    assert "\n" not in str(error)
    assert not (here / "out").exists()
