"""What commands keep: said after Ctrl-C, and when the cache's file breaks."""

import sqlite3
from dataclasses import replace

import pytest

from harness.cli.kept import open_cache
from harness.errors import SettingsError
from harness.run.cache import completion_keys
from harness.types import UNKNOWN_WEIGHTS, Completion, GenerationSettings


def test_after_an_interrupt_it_says_what_is_kept(tmp_path, capsys):
    with pytest.raises(KeyboardInterrupt), open_cache(tmp_path / "cache.sqlite"):
        raise KeyboardInterrupt
    assert (
        capsys.readouterr().err
        == "tunegate: finished answers are kept; the same command continues from them\n"
    )


def test_after_an_interrupt_it_does_not_promise_what_nobody_can_find_again(tmp_path, capsys, make_run):
    """A server's weights may be others the next time."""
    served = replace(make_run([]).model, base_sha256=f"{UNKNOWN_WEIGHTS}1")
    answer = Completion(text="a", stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1)
    key = completion_keys(served, make_run([]).plan)((), GenerationSettings(), "", None)

    def stop(cache):
        cache.put_all({key: answer})
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt), open_cache(tmp_path / "cache.sqlite") as cache:
        stop(cache)
    assert capsys.readouterr().err == (
        "tunegate: answers of servers whose weights nobody identifies are not kept (--gate-model-id)\n"
    )


def test_a_broken_file_is_a_warning(tmp_path, capsys, monkeypatch):
    def full(self, rows):
        raise sqlite3.OperationalError("disk full")

    with open_cache(tmp_path / "cache.sqlite") as cache:
        monkeypatch.setattr(cache, "_write", lambda rows: full(cache, rows))
        cache.put_context("a", 8)
    assert "tunegate: warning: " in (said := capsys.readouterr().err)
    assert "the cache broke (disk full)" in said


def test_the_folder_is_made_with_the_first_entry_and_ignores_itself(tmp_path):
    path = tmp_path / ".tunegate/cache.sqlite"
    with pytest.raises(SettingsError), open_cache(path):
        raise SettingsError("--judge nonsense")
    assert not path.parent.exists()
    with open_cache(path) as cache:
        cache.put_context("a", 8)
        assert (path.parent / ".gitignore").read_text().endswith("\n*\n")
    with open_cache(path) as cache:
        assert cache.get_context("a") == (8,)
