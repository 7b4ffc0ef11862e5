"""Whatever a command raises becomes one line and an exit status; only a finding is 1."""

import errno

import pytest
import typer

from harness.errors import EngineError, ModelError
from harness.presentation.boundary import run_process


def ends(error):
    def work():
        raise error

    return run_process(work)


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ModelError("no model 'x'"), 4, "tunegate: no model 'x'\n"),
        (EngineError("out of memory"), 3, "tunegate: out of memory\n"),
        (KeyboardInterrupt(), 2, "tunegate: interrupted\n"),
        (typer.Abort(), 2, "tunegate: interrupted\n"),
        (OSError(errno.ENOSPC, "No space left on device", "a\x1b.json"), 4, "tunegate: a⟨ESC⟩.json: No space left on device\n"),
        (typer.BadParameter("it is\nempty"), 4, "tunegate: Invalid value: it is empty; see tunegate --help\n"),
        (SystemExit(0), 3, "tunegate: code that it called ended it by SystemExit(0)\n"),
        (ModelError("first\n  more\nsecond"), 4, "tunegate: first\n  more\ntunegate: second\n"),
    ],
)  # fmt: skip
def test_an_error_is_one_line_and_a_status(error, status, line, capsys):
    assert ends(error) == status
    assert capsys.readouterr() == ("", line)


def test_a_fault_of_ours_is_shown_with_its_place_and_is_never_a_regression(capsys):
    assert ends(ZeroDivisionError("division\x1b by zero")) == 3
    err = capsys.readouterr().err
    assert "test_boundary.py" in err
    assert err.endswith("tunegate: internal error: division⟨ESC⟩ by zero\n")


@pytest.mark.parametrize(("returned", "status"), [(None, 0), (1, 1), (0, 0), (130, 2)])
def test_a_status_is_passed_on(returned, status):
    assert run_process(lambda: returned) == status


def test_what_is_no_exception_of_python_s_tree_is_never_a_regression(capsys):
    """Pytest's skips, and tasks that are cancelled."""
    assert ends(pytest.skip.Exception("no")) == 3
    assert capsys.readouterr().err.endswith("tunegate: internal error: no\n")
