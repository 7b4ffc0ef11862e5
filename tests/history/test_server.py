"""The URL of a server: what is connected to, and that nobody sees its password."""

import os
from pathlib import Path

import pytest

from harness.errors import HistoryError
from harness.history.location import find_history
from harness.history.server import FILE_NAME, history_server, place_of
from harness.history.store import open_history
from harness.settings import load_settings

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("url", "options", "schema", "shown"),
    [
        ("postgresql://db", {"host": "db"}, "tunegate", "postgresql://db/"),
        (
            "postgres://ci:s3cr3t@db:5433/runs?schema=mine&sslmode=require",
            {
                "host": "db",
                "port": "5433",
                "user": "ci",
                "password": SECRET,
                "dbname": "runs",
                "sslmode": "require",
            },
            "mine",
            "postgres://ci:***@db:5433/runs?schema=mine&sslmode=require",
        ),
        (
            "postgresql:///runs?host=/run/pg&password=s3cr3t",
            {"host": "/run/pg", "dbname": "runs", "password": SECRET},
            "tunegate",
            "postgresql:///runs?host=/run/pg&password=***",
        ),
        (
            "postgresql://ci:a%40%2Fb@[::1]:1,other/runs",
            {"host": "::1,other", "port": "1,", "user": "ci", "password": "a@/b", "dbname": "runs"},
            "tunegate",
            "postgresql://ci:***@[::1]:1,other/runs",
        ),
        (
            "postgresql://ci:p@w@db/runs",
            {"host": "db", "user": "ci", "password": "p@w", "dbname": "runs"},
            "tunegate",
            "postgresql://ci:***@db/runs",
        ),
    ],
)
def test_a_url_is_read(url, options, schema, shown):
    found = history_server(url)
    assert (found.options, found.schema, str(found)) == (options, schema, shown)
    assert SECRET not in repr(found)


@pytest.mark.parametrize(
    "url",
    [
        "mysql://ci:s3cr3t@db/runs",
        "postgresql://ci:s3cr3t/x@db/runs",
        "postgresql://ci:1/s3cr3t@db/runs",
        "postgresql://ci:1#s3cr3t@db/runs",
        "postgresql://ci:1?s3cr3t@db/runs",
        "postgresql://ci:s3cr3t@[db/runs",
        "postgresql://ci:s3cr3t@db/runs?schema=A-b",
        "postgresql://ci:s3cr3t@db/runs?nothing",
    ],
)
def test_a_url_that_cannot_be_read_is_one_line_without_its_password(url):
    with pytest.raises(HistoryError) as raised:
        history_server(url)
    assert SECRET not in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "(allowed: " in str(raised.value)


def test_a_path_is_a_file_or_the_folder_of_one(tmp_path):
    assert place_of("runs", tmp_path) == tmp_path / "runs" / FILE_NAME
    assert place_of("mine.sqlite", tmp_path) == tmp_path / "mine.sqlite"


def test_a_command_finds_the_history_of_the_settings(tmp_path):
    (tmp_path / "pyproject.toml").write_text(
        "[tool.tunegate]\nhistory = 'postgresql://ci@db/runs'\ndirectory = 'kept'\n"
    )
    (tmp_path / "deep").mkdir()
    found = find_history(here=tmp_path / "deep", environment={})
    assert (str(found.place), found.directory) == ("postgresql://ci@db/runs", tmp_path / "kept")
    url = "postgresql://ci:s3cr3t@db/others"
    found = find_history(here=tmp_path, environment={"TUNEGATE_HISTORY": url})
    assert str(found.place) == "postgresql://ci:***@db/others"
    settings = load_settings({"history": url}, tmp_path, {})
    assert SECRET not in repr(settings)
    found = find_history(tmp_path / "here.sqlite", here=tmp_path, to_write=True)
    assert found.directory == tmp_path
    assert isinstance(found.place, Path)


def test_a_path_of_the_variable_is_the_project_s_and_that_of_an_option_is_not(tmp_path, monkeypatch):
    """As in gates, wherever in the project either is started."""
    (tmp_path / "pyproject.toml").write_text("[tool.tunegate]\n")
    (tmp_path / "deep").mkdir()
    (tmp_path / "h.sqlite").write_text("")
    variables = {"TUNEGATE_HISTORY": "h.sqlite"}
    found = find_history(here=tmp_path / "deep", environment=variables)
    assert (found.place, found.directory) == (tmp_path / "h.sqlite", tmp_path / ".tunegate")
    monkeypatch.chdir(tmp_path / "deep")
    with pytest.raises(HistoryError, match=r"h\.sqlite: no such history file"):
        find_history("h.sqlite", environment=variables)


@pytest.mark.parametrize(
    ("make", "called"), [(os.mkfifo, "is a named pipe, not a file"), (os.mkdir, "is a directory")]
)
def test_a_history_that_is_no_file_is_called_by_its_kind(tmp_path, make, called):
    """Named on the command line, by a setting, or where runs are stored by default."""
    path = tmp_path / ".tunegate" / FILE_NAME
    path.parent.mkdir()
    make(path)
    folder = str(path.parent)
    for given, variables in ((folder, {}), (None, {"TUNEGATE_HISTORY": folder}), (None, {})):
        place = find_history(given, here=tmp_path, environment=variables).place
        with pytest.raises(HistoryError, match=called), open_history(place, to_read=True):
            pass
