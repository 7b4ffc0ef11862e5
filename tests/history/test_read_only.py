"""A read-only history is listed, also one that an older version wrote, and whatever its folder allows."""

import os
import shutil
import sqlite3
import tempfile
from pathlib import Path

import pytest

from harness.errors import HistoryError
from harness.history.store import open_history
from harness.types import GateRecord

NOBODY = 65534


@pytest.fixture
def folder():
    """A folder in which somebody without rights can look."""
    path = Path(tempfile.mkdtemp(prefix="tunegate-test-"))
    path.chmod(0o755)
    yield path
    path.chmod(0o755)
    shutil.rmtree(path)


@pytest.fixture
def stored(folder, make_run):
    path = folder / "history.sqlite"
    with open_history(path) as history:
        history.save(GateRecord(run=make_run("now")))
    return path


@pytest.fixture
def as_nobody(monkeypatch, tmp_path_factory):
    """Without the rights of root, for which nothing is read-only."""
    if os.geteuid() != 0:
        yield
        return
    place = tempfile.mkdtemp(prefix="tunegate-tmp-")
    Path(place).chmod(0o777)
    monkeypatch.setattr(tempfile, "tempdir", place)
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
        shutil.rmtree(place, ignore_errors=True)


def make_read_only(path):
    for file in path.parent.iterdir():
        file.chmod(0o444)
    path.parent.chmod(0o555)


def listed(path):
    with open_history(path, to_read=True) as history:
        return [line.id for line in history.list_runs()]


def test_a_read_only_history_is_read(stored, request):
    make_read_only(stored)
    request.getfixturevalue("as_nobody")
    assert listed(stored) == ["now"]
    with (
        pytest.raises(HistoryError, match=r"history\.sqlite: .*make the file and its directory writable"),
        open_history(stored),
    ):
        pass


def test_what_was_written_lately_is_read_too(stored, request):
    """It is in SQLite's second file while another process has the history open."""
    writer = sqlite3.connect(stored, isolation_level=None)
    writer.execute("UPDATE runs SET model = 'renamed'")
    assert (stored.parent / "history.sqlite-wal").stat().st_size
    make_read_only(stored)
    request.getfixturevalue("as_nobody")
    with open_history(stored, to_read=True) as history:
        assert [line.model for line in history.list_runs()] == ["renamed"]
    writer.close()


def test_a_damaged_read_only_history_is_named_by_its_own_path(stored, request):
    stored.write_bytes(stored.read_bytes()[:100] + b"\xff" * 8000)
    make_read_only(stored)
    request.getfixturevalue("as_nobody")
    with pytest.raises(HistoryError) as raised:
        listed(stored)
    assert str(raised.value).startswith(f"{stored}: ")


def test_a_history_that_cannot_be_read_is_one_line(stored, request):
    stored.chmod(0o000)
    request.getfixturevalue("as_nobody")
    with pytest.raises(HistoryError) as raised:
        listed(stored)
    assert str(raised.value).startswith(f"{stored}: ")
    assert "\n" not in str(raised.value)
