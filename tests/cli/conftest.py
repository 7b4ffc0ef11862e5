"""The command, run as its entry point runs it, without a process of its own for each line."""

import io
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from harness.cli.main import main


@dataclass(frozen=True, slots=True)
class Result:
    """What a finished command leaves, named as subprocess does."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def tunegate(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Result]:
    """Runs ``tunegate`` with arguments and an empty standard input, in another folder if one is given."""

    def run(*arguments: object, cwd: object = None) -> Result:
        monkeypatch.setattr(sys, "argv", ["tunegate", *map(str, arguments)])
        monkeypatch.setattr(sys, "stdin", io.StringIO())
        capfd.readouterr()
        with monkeypatch.context() as moved:
            if cwd is not None:
                moved.chdir(str(cwd))
            with pytest.raises(SystemExit) as ended:
                main()
        out, err = capfd.readouterr()
        return Result(int(ended.value.code or 0), out, err)

    return run
