"""A function that does not end: interrupted, else ended with the process, and named either way."""

import subprocess
import sys
import threading
import time

import pytest

from harness.errors import OverdueError
from harness.metrics import call_limit
from harness.metrics.call_limit import limited_call

# Of a process in the background, SIGINT is ignored.
pytestmark = pytest.mark.usefixtures("plain_signals")


def swallow():
    try:
        time.sleep(60)
    except BaseException:
        return


def wrap():
    try:
        time.sleep(60)
    except BaseException as error:
        raise ValueError("broke") from error


def spin():
    while True:
        pass


@pytest.mark.parametrize("function", [swallow, wrap, spin])
def test_an_overdue_function_is_interrupted_and_its_result_refused(function):
    with pytest.raises(OverdueError) as refused, limited_call("a/b: checks.py:f", 0.1):
        function()
    assert str(refused.value) == "a/b: checks.py:f did not end within 0.1 s for one answer"
    time.sleep(2 * call_limit._STEP_S)  # no interrupt comes late


def test_what_ends_in_time_stays_as_it_is():
    with limited_call("a/b: f", 60):
        pass
    with pytest.raises(KeyError), limited_call("a/b: f", 60):
        raise KeyError("x")
    assert call_limit._calls == []


def test_a_slow_function_is_named_once(monkeypatch, capfd):
    monkeypatch.setattr(call_limit, "_SLOW_S", 0.0)
    with limited_call("a/b: f", 60):
        time.sleep(3 * call_limit._STEP_S)
    assert capfd.readouterr().err == "tunegate: a/b: f has been running for 0 s\n"


STUBBORN = """
import sys, time
from harness.metrics import call_limit
call_limit._GRACE_S = 0.5
def call():
    with call_limit.limited_call("a/b: f", 0.1):
        while True:
            try:
                time.sleep(60)
            except BaseException:
                pass
"""
THREAD = "import threading; thread = threading.Thread(target=call); thread.start(); thread.join()"


@pytest.mark.parametrize("start", ["call()", THREAD])
def test_a_function_that_can_not_be_interrupted_ends_the_process(start):
    done = subprocess.run(
        [sys.executable, "-c", STUBBORN + start], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 4
    line = "tunegate: ERROR: a/b: f did not end within 0.1 s for one answer, nor when it was interrupted"
    assert done.stderr.splitlines() == [line]


def test_calls_in_several_threads_are_watched_at_once():
    ended = threading.Event()

    def wait():
        with limited_call("a/b: g", 60):
            ended.wait(30)

    thread = threading.Thread(target=wait)
    thread.start()
    with pytest.raises(OverdueError, match="f did not end"), limited_call("a/b: f", 0.1):
        spin()
    ended.set()
    thread.join()
    assert call_limit._calls == []
