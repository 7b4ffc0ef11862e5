"""A large file is read again whenever its content may have changed, and not otherwise."""

import hashlib
import os
import time

import pytest

from harness.models import file_hashes, resolve
from harness.models.file_hashes import remembered_sha256

pytestmark = pytest.mark.skipif(os.name == "nt", reason="nothing is remembered on Windows")


@pytest.fixture
def reads(monkeypatch, tmp_path):
    """The files that are read, in order; every file counts as settled."""
    monkeypatch.setenv("TUNEGATE_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(file_hashes, "_SETTLED_S", -1.0)
    read, file_sha256 = [], file_hashes.file_sha256

    def note(file):
        read.append(file.name)
        return file_sha256(file)

    monkeypatch.setattr(file_hashes, "file_sha256", note)
    return read


def written(path, content):
    path.write_bytes(content)
    return path


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def test_an_unchanged_file_is_read_once(reads, tmp_path):
    file = written(tmp_path / "a", b"one")
    assert remembered_sha256(file) == remembered_sha256(file) == sha256(b"one")
    assert reads == ["a"]


@pytest.mark.parametrize("way", ["in place", "replaced", "by a link"])
def test_other_content_of_the_same_size_and_time_is_noticed(reads, tmp_path, way):
    """As rsync -t, cp -p or a restored backup leave it."""
    file, other = written(tmp_path / "a", b"one"), tmp_path / "b"
    before = file.stat()
    assert remembered_sha256(file) == sha256(b"one")
    time.sleep(0.02)  # a file system's time has steps
    if way == "in place":
        file.write_bytes(b"two")
    else:
        written(other, b"two")
        os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
        if way == "replaced":
            other.replace(file)
        else:
            file.unlink()
            file.symlink_to(other)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
    assert remembered_sha256(file) == sha256(b"two")


def test_a_file_that_was_just_written_is_not_remembered(reads, tmp_path, monkeypatch):
    monkeypatch.setattr(file_hashes, "_SETTLED_S", 2.0)
    file = written(tmp_path / "a", b"one")
    remembered_sha256(file)
    remembered_sha256(file)
    assert reads == ["a", "a"]


def test_a_file_that_changes_while_it_is_read_is_not_remembered(reads, tmp_path, monkeypatch):
    file, note = written(tmp_path / "a", b"one"), file_hashes.file_sha256

    def change(path):
        found = note(path)
        path.write_bytes(b"longer")
        return found

    monkeypatch.setattr(file_hashes, "file_sha256", change)
    assert remembered_sha256(file) == sha256(b"one")
    monkeypatch.setattr(file_hashes, "file_sha256", note)
    assert remembered_sha256(file) == sha256(b"longer")


@pytest.mark.parametrize("damage", ["{", "[1]", '{"PATH": 3}', '{"PATH": [1, 2]}', '{"PATH": []}'])
def test_a_damaged_memory_costs_only_time(reads, tmp_path, damage):
    file = written(tmp_path / "a", b"one")
    memory = tmp_path / "home" / "file_hashes.json"
    memory.parent.mkdir()
    memory.write_text(damage.replace("PATH", str(file)))
    assert remembered_sha256(file) == sha256(b"one")
    assert remembered_sha256(file) == sha256(b"one")
    assert reads == ["a"]


def test_a_home_that_cannot_be_written_costs_only_time(reads, tmp_path):
    file = written(tmp_path / "a", b"one")
    written(tmp_path / "home", b"a file")
    assert remembered_sha256(file) == remembered_sha256(file) == sha256(b"one")
    assert reads == ["a", "a"]


def test_a_model_s_hash_is_the_same_whether_its_files_are_remembered(reads, tmp_path, monkeypatch):
    directory = tmp_path / "model"
    directory.mkdir()
    written(directory / "model.safetensors", b"weights")
    plain = resolve.model_sha256(directory)
    monkeypatch.setattr(resolve, "_LARGE_BYTES", 1)
    assert resolve.model_sha256(directory) == resolve.model_sha256(directory) == plain
    assert reads == ["model.safetensors"]
