"""The log reader ``tally``: lines such as ``opening-hours yes`` in ``*.tally``, for ``tunegate compare``."""

from pathlib import Path

from harness.errors import DataError
from harness.history.logs.log_cases import LogAnswer, LogCase, RunLog
from harness.history.logs.values import changed_at, read_text


def recognises(path: Path) -> bool:
    """By its name alone."""
    return path.suffix == ".tally"


def read(path: Path) -> RunLog:
    """Read the lines.

    Raises:
        DataError: A line says neither yes nor no.
    """
    cases = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        name, _, word = line.partition(" ")
        if word not in {"yes", "no"}:
            raise DataError(path, number, f"{word!r} is neither yes nor no")
        answer = LogAnswer(passed=word == "yes", line=number)
        cases.append(LogCase(set_name="tally", id=name, answers=(answer,)))
    return RunLog(
        path=path,
        tool="tally",
        model=path.stem,
        started_at=changed_at(path),
        cases=tuple(cases),
    )
