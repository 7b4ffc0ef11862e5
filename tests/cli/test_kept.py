"""What commands keep: said after Ctrl-C, and when the cache's file breaks."""

import sqlite3

import pytest

from harness.cli.kept import open_cache
from harness.errors import SettingsError


def test_after_an_interrupt_it_says_what_is_kept(tmp_path, capsys):
    with pytest.raises(KeyboardInterrupt), open_cache(tmp_path / "cache.sqlite"):
        raise KeyboardInterrupt
    assert (
        capsys.readouterr().err
        == "tunegate: finished answers are kept; the same command continues from them\n"
    )


def test_a_broken_file_is_a_warning(tmp_path, capsys, monkeypatch):
    def full(self, rows):
        raise sqlite3.OperationalError("disk full")

    with open_cache(tmp_path / "cache.sqlite") as cache:
        monkeypatch.setattr(cache, "_write", lambda rows: full(cache, rows))
        cache.put_finding("a")
    assert "tunegate: warning: " in (said := capsys.readouterr().err)
    assert "the cache broke (disk full)" in said


def test_the_folder_is_made_with_the_first_entry_and_ignores_itself(tmp_path):
    path = tmp_path / ".tunegate/cache.sqlite"
    with pytest.raises(SettingsError), open_cache(path):
        raise SettingsError("--judge nonsense")
    assert not path.parent.exists()
    with open_cache(path) as cache:
        cache.put_finding("a")
        assert (path.parent / ".gitignore").read_text().endswith("\n*\n")
    with open_cache(path) as cache:
        assert cache.has("a")
