"""Readers of plug-ins: found by their own word, checked, and never the cause of a traceback."""

import sys
from dataclasses import replace
from importlib import metadata

import pytest

from harness.errors import DataError
from harness.history.logs.kinds import read_log
from harness.history.logs.log_cases import LogAnswer, LogCase, RunLog
from harness.registry import Registry, RunReader, active, use_registry


def log_of(path, **answer):
    cases = (LogCase(set_name="s", id="a", answers=(LogAnswer(**{"passed": True, **answer}),)),)
    return RunLog(path=path, tool="tally", model="m", started_at="2026-01-31T12:00:00+00:00", cases=cases)


@pytest.fixture
def read(monkeypatch, tmp_path):
    """Reads a file with a plug-in's reader."""
    monkeypatch.setattr(metadata, "entry_points", lambda group: [])
    before = use_registry(None)
    path = tmp_path / "a.tally"
    path.write_text("a yes\n")

    def read(recognises=lambda path: path.suffix == ".tally", read=log_of):
        reader = RunReader(name="tally", summary="lines", recognises=recognises, read=read)
        registry = Registry()
        registry.register("test", lambda registrar: registrar.add(reader))
        use_registry(registry)
        return read_log(path)

    yield read
    use_registry(before)


def test_a_plug_in_s_reader_reads_what_it_recognises(read):
    assert [case.key for case in read().cases] == ["s/a"]


def test_one_that_breaks_while_it_looks_is_noted_and_recognises_nothing(read):
    with pytest.raises(DataError, match="no reader recognises it"):
        read(recognises=lambda path: 1 / 0)
    (warning,) = active().warnings
    assert warning.startswith("log reader 'tally' broke on ")
    assert warning.endswith("ZeroDivisionError: division by zero")


@pytest.mark.parametrize(
    ("gives", "told"),
    [
        (lambda path: None, "log reader 'tally' gave a NoneType .allowed: a RunLog"),
        (lambda path: log_of(path, passed="yes"), "gave a LogAnswer with passed: found 'yes'"),
        (lambda path: log_of(path, values={"f1": "high"}), "gave a LogAnswer with values: found"),
        (lambda path: log_of(path, text=5), "gave a LogAnswer with text: found 5"),
        (lambda path: log_of(None), "gave a RunLog with path: found None"),
        (
            lambda path: path.read_text().split()[9],
            "not as tally writes it, or of a version that is not read: IndexError",
        ),
        (lambda path: sys.exit(0), "log reader 'tally': SystemExit: 0"),
        (lambda path: pytest.skip("no"), "log reader 'tally': Skipped: no"),
        (
            lambda path: (_ for _ in ()).throw(RuntimeError("one\ntwo")),
            "log reader 'tally': RuntimeError: one$",
        ),
        (
            lambda path: replace(log_of(path), cases=log_of(path).cases * 2),
            "log reader 'tally' gave s/a twice",
        ),
        (
            lambda path: replace(log_of(path), cases=(replace(log_of(path).cases[0], answers=()),)),
            "log reader 'tally' gave no answer to s/a",
        ),
    ],
)
def test_what_it_gives_is_checked(read, gives, told):
    with pytest.raises(DataError, match=told):
        read(read=gives)
