"""A file is written whole or stays what it was, and two writers of one file wait for each other."""

import os
import socket

import pytest

from harness.types.storage import one_writer, why_no_file, why_unwritable, write_whole


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


def test_what_a_killed_process_left_is_removed_by_the_next_write(tmp_path):
    old, new, another = (
        tmp_path / name for name in (f".tunegate-{'a' * 16}.part", f".tunegate-{'b' * 16}.part", ".mine.part")
    )
    for path in (old, new, another):
        path.write_text("{")
    for path in (old, another):
        os.utime(path, (0, 0))
    write_whole(tmp_path / "kept.json", "new")
    # The newer one may be another process's, which is writing it.
    assert {each.name for each in tmp_path.iterdir()} == {"kept.json", new.name, another.name}


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


def make_socket(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))


# What is at a path in place of a file, and how it is called.
NO_FILES = {
    "a directory": (lambda path: path.mkdir(), "is a directory"),
    "a pipe": (os.mkfifo, "is a named pipe, not a file"),
    "a socket": (make_socket, "is a socket, not a file"),
    "a device": (lambda path: path.symlink_to(os.devnull), "is a device, not a file"),
    "a loop": (
        lambda path: path.symlink_to(path.name),
        "leads to itself: it is, or is below, a link to itself",
    ),
}


@pytest.mark.parametrize("kind", NO_FILES)
def test_what_is_no_file_is_called_by_its_kind_and_never_replaced(tmp_path, monkeypatch, kind):
    # A socket's path may not be long.
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "x"
    make, called = NO_FILES[kind]
    make(path if kind != "a socket" else path.relative_to(tmp_path))
    before = path.lstat()
    assert why_no_file(path) == called
    assert why_unwritable(path) == called
    with pytest.raises(OSError, match=called):
        write_whole(path, "text")
    assert path.lstat() == before
    assert [each.name for each in tmp_path.iterdir()] == ["x"]


def test_a_file_below_a_file_is_none_and_a_link_to_a_file_to_be_made_may_be_written(tmp_path):
    assert why_no_file(tmp_path / "new/deep.txt") is None
    (tmp_path / "file").touch()
    assert why_no_file(tmp_path / "file") is None
    assert why_no_file(tmp_path / "file/a/b") == f"is below {tmp_path}/file, which is not a directory"
    (tmp_path / "link").symlink_to("later.txt")
    assert why_no_file(tmp_path / "link") == "is a link to later.txt, which does not exist"
    assert why_no_file(tmp_path / "link/b") == (
        f"is below {tmp_path}/link, a link to later.txt, which does not exist"
    )
    assert why_unwritable(tmp_path / "link") is None
    write_whole(tmp_path / "link", "text")
    assert (tmp_path / "later.txt").read_text() == "text"
