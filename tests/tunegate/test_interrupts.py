"""SIGTERM ends a command as Ctrl-C does, and only the process that asked for it."""

import os
import signal

import pytest

from harness.presentation.boundary import run_process
from tunegate.interrupts import interrupt_by_sigterm

pytestmark = pytest.mark.usefixtures("plain_signals")


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_stopped_command_ends_with_2_as_after_ctrl_c(capsys):
    assert run_process(terminate) == 2
    assert capsys.readouterr().err == "tunegate: interrupted\n"
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_a_handler_of_somebody_else_stays():
    seen = []
    signal.signal(signal.SIGTERM, lambda *_: seen.append("theirs"))
    try:
        assert run_process(terminate) == 0
        assert seen == ["theirs"]
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def test_a_forked_child_ends_by_the_signal():
    undo = interrupt_by_sigterm()
    try:
        if (child := os.fork()) == 0:
            terminate()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
        with pytest.raises(KeyboardInterrupt):
            terminate()
    finally:
        undo()
