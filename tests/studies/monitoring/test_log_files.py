"""Logs that grow, are rotated, compressed and cut."""

import gzip
import json
import shutil

import pytest

from harness.errors import DataError
from harness.studies.monitoring.log_files import log_files
from harness.studies.monitoring.production_log import read_answers, read_new_answers


def rows(*numbers, size=0):
    return "".join(
        json.dumps({"time": 1_728_000_000 + n, "id": f"r{n}", "answer": f"text {n}" + "x" * size}) + "\n"
        for n in numbers
    )


def look(folder, known=()):
    answers, known = read_new_answers([folder], known)
    return [int(each.id[1:]) for each in answers], known


def test_a_log_grows_and_is_rotated(tmp_path):
    log = tmp_path / "live.jsonl"
    log.write_text(rows(0, 1))
    found, known = look(tmp_path)
    assert found == [0, 1]
    assert look(tmp_path, known)[0] == []
    # The line that is being written is left for the next time.
    log.write_text(rows(0, 1, 2) + rows(3)[:20])
    found, known = look(tmp_path, known)
    assert found == [2]
    log.write_text(rows(0, 1, 2, 3))
    log.rename(tmp_path / "live.jsonl.1")
    log.write_text(rows(4))
    found, known = look(tmp_path, known)
    assert found == [3, 4]
    # Compressed, both forms there for a while, and with rows that came just before.
    (tmp_path / "live.jsonl.1").write_text(rows(0, 1, 2, 3, 5))
    (tmp_path / "live.jsonl.1.gz").write_bytes(gzip.compress(rows(0, 1, 2, 3, 5).encode()))
    found, known = look(tmp_path, known)
    assert found == [5]
    # Copied, and begun anew under the same name.
    shutil.copy(log, tmp_path / "live.jsonl.2")
    log.write_text(rows(6))
    assert look(tmp_path, known)[0] == [6]


def test_another_file_with_the_same_beginning_is_another(tmp_path):
    (tmp_path / "a.jsonl").write_text(rows(0, size=9000))
    found, known = look(tmp_path)
    other = rows(0, size=9000).replace("r0", "r1").replace("text 0", "text 1")
    (tmp_path / "b.jsonl").write_text(" " * 0 + other)
    assert (found, look(tmp_path, known)[0]) == ([0], [1])


def test_tables_are_read_on_by_row(tmp_path):
    log = tmp_path / "live.csv"
    log.write_text("id,time,answer\nr0,1728000000,a\n")
    found, known = look(tmp_path)
    log.write_text("id,time,answer\nr0,1728000000,a\nr1,1728000001,b\n")
    assert (found, look(tmp_path, known)[0]) == ([0], [1])


def test_directories_have_logs_only(tmp_path):
    for name in ("a.jsonl", "b.log.3", "c.jsonl-20260301.gz", ".d.jsonl", "e.txt", "f.html", "state.json"):
        (tmp_path / name).write_text("")
    found = [path.name for path in log_files([tmp_path], [tmp_path / "state.json"])]
    assert found == ["a.jsonl", "b.log.3", "c.jsonl-20260301.gz"]


def test_compressed_logs_are_read_at_once_too(tmp_path):
    path = tmp_path / "log.jsonl.gz"
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + rows(0, 1).encode()))
    assert len(read_answers([path])) == 2
    path.write_bytes(path.read_bytes()[:-9])
    for read in (lambda: read_answers([path]), lambda: read_new_answers([path], ())):
        with pytest.raises(DataError, match=r"log\.jsonl\.gz: .*cut off"):
            read()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b'{"a": 1}\n[1]\n', ":2: not an object"),
        (b'{"a": "\xff"}\n', ":1: not UTF-8"),
        (b"{\n", ":1: cut off"),
    ],
)
def test_a_bad_line_is_named(tmp_path, content, said):
    path = tmp_path / "log.jsonl"
    path.write_bytes(content)
    with pytest.raises(DataError, match=said):
        read_new_answers([path], ())


def test_a_directory_without_logs(tmp_path):
    with pytest.raises(DataError, match="no log is in it"):
        look(tmp_path)
