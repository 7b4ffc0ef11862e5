"""The answer's standard streams end where the tests look."""

import io

from harness.metrics.code_answer_side import NamesOfTests
from harness.metrics.code_streams import ReadLines, WrittenText


def test_what_is_printed_is_told_with_its_stream() -> None:
    told: list[tuple[str, str]] = []
    raw = WrittenText("stdout", lambda name, text: told.append((name, text)))
    stream = io.TextIOWrapper(raw, "utf-8", write_through=True)  # type: ignore[type-var]

    print("é", end="", file=stream)
    stream.buffer.write(b"\xff")

    assert told == [("stdout", "é"), ("stdout", "\ufffd")]


def test_lines_are_read_one_at_a_time_whatever_their_length() -> None:
    lines = iter(["1\n", "é" * 20_000 + "\n", "end"])
    stream = io.TextIOWrapper(ReadLines(lambda: next(lines, "")), "utf-8")  # type: ignore[type-var]

    assert stream.readline() == "1\n"
    assert stream.read() == "é" * 20_000 + "\nend"


def test_the_answer_finds_no_class_of_the_tests_before_they_run() -> None:
    names = NamesOfTests({"len": len})

    assert names["len"] is len
    assert "Node" not in names
