"""A file is written whole or stays what it was, and two writers of one file wait for each other."""

import os

import pytest

from harness.types.storage import one_writer, write_whole


def test_it_writes_texts_and_bytes_and_makes_the_directory(tmp_path):
    assert write_whole(tmp_path / "a/b.txt", "ä\r\n").read_bytes() == "ä\r\n".encode()
    assert write_whole(tmp_path / "a/b.txt", b"\xff").read_bytes() == b"\xff"
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["b.txt"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_what_breaks_on_the_way_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch, step):
    path = write_whole(tmp_path / "kept.json", "old")

    def full(*arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync" if step == "fsync" else "pathlib.Path.replace", full)
    with pytest.raises(OSError, match="No space left"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [each.name for each in tmp_path.iterdir()] == ["kept.json"]


def test_a_link_stays_a_link_and_permissions_stay(tmp_path):
    target = write_whole(tmp_path / "target", "old")
    target.chmod(0o640)
    (tmp_path / "link").symlink_to(target)
    write_whole(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert target.read_text() == "new"
    assert target.stat().st_mode & 0o777 == 0o640


def test_processes_that_add_to_one_file_lose_nothing(tmp_path):
    path = tmp_path / "count"
    path.write_text("0")
    children = []
    for _ in range(4):
        child = os.fork()
        if child == 0:
            for _ in range(25):
                with one_writer(path):
                    write_whole(path, str(int(path.read_text()) + 1))
            os._exit(0)
        children.append(child)
    for child in children:
        os.waitpid(child, 0)
    assert path.read_text() == "100"
