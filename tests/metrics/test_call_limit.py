"""A function that does not end: interrupted, else ended with the process, and named either way."""

import signal
import subprocess
import sys
import threading
import time
from collections import Counter

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
    with pytest.raises(OverdueError) as refused:
        limited_call(function, "a/b: checks.py:f", 0.1)
    assert str(refused.value) == "a/b: checks.py:f did not end within 0.1 s for one answer"
    time.sleep(2 * call_limit._STEP_S)  # no interrupt comes late


def test_what_ends_in_time_stays_as_it_is():
    assert limited_call(lambda: 3, "a/b: f", 60) == 3
    with pytest.raises(KeyError):
        limited_call(lambda: {}["x"], "a/b: f", 60)
    assert call_limit._calls == []


def test_a_slow_function_is_named_once(monkeypatch, capfd):
    monkeypatch.setattr(call_limit, "_SLOW_S", 0.0)
    limited_call(lambda: time.sleep(3 * call_limit._STEP_S), "a/b: f", 60)
    assert capfd.readouterr().err == "tunegate: a/b: f has been running for 0 s\n"


STUBBORN = """
import sys, time
from harness.metrics import call_limit
call_limit._MOST_INTERRUPTS = 2
def ignore(until_s):
    while time.monotonic() < until_s:
        try:
            time.sleep(0.1)
        except BaseException:
            pass
def call(for_s=60):
    call_limit.limited_call(lambda: ignore(time.monotonic() + for_s), "a/b: f", 0.1)
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
        limited_call(lambda: ended.wait(30), "a/b: g", 60)

    thread = threading.Thread(target=wait)
    thread.start()
    with pytest.raises(OverdueError, match="f did not end"):
        limited_call(spin, "a/b: f", 0.1)
    ended.set()
    thread.join()
    assert call_limit._calls == []


SPARED = """
with call_limit.spared_process():
    try:
        call(3)
    except call_limit.OverdueError as error:
        print(error)
"""


def test_a_process_that_holds_more_than_the_answers_is_not_ended():
    """A training that looks at itself waits for the check, says so once, and goes on."""
    done = subprocess.run(
        [sys.executable, "-c", STUBBORN + SPARED], capture_output=True, text=True, timeout=60, check=False
    )
    said = "a/b: f did not end within 0.1 s for one answer"
    assert (done.returncode, done.stdout) == (0, f"{said}\n")
    assert done.stderr == f"tunegate: {said}, nor when it was interrupted; this process waits for it\n"


def test_a_call_is_interrupted_before_the_process_ends_however_long_it_was_stopped():
    """After Ctrl-Z or a breakpoint the clock has gone on: the function has ignored nothing."""
    with pytest.raises(OverdueError):
        limited_call(spin, "a/b: f", -1e6)


def test_no_interrupt_comes_once_a_call_has_ended(monkeypatch):
    """Ends as its limit passes, with the watcher at work all the time: never a Ctrl-C of nobody's."""
    monkeypatch.setattr(call_limit, "_STEP_S", 0.01)
    outcomes = Counter()
    for number in range(100):
        ends_s = time.monotonic() + 0.015 + number % 20 * 1e-3
        try:
            limited_call(lambda until_s=ends_s: _spin_until(until_s), "a/b: f", 0.015)
            outcomes["in time"] += 1
        except OverdueError:
            outcomes["overdue"] += 1
    time.sleep(0.1)
    assert outcomes.total() == 100
    assert outcomes["overdue"]
    assert call_limit._calls == []


def _spin_until(until_s):
    while time.monotonic() < until_s:
        pass


def test_an_interrupt_is_sent_to_no_call_that_was_closed(monkeypatch):
    """The watcher had taken its list before the call ended."""
    call = call_limit._Call("a/b: f", 0.0)
    monkeypatch.setattr(signal, "pthread_kill", lambda *_: pytest.fail("interrupted"), raising=False)
    monkeypatch.setattr(signal, "raise_signal", lambda *_: pytest.fail("interrupted"))
    call.look()
    assert call.interrupts == 0


def test_a_call_is_closed_though_the_interrupt_comes_while_it_is_closed(monkeypatch):
    close, interrupted = call_limit._close, []

    def interrupt(call):
        if not interrupted:
            interrupted.append(call)
            call.interrupts += 1
            raise KeyboardInterrupt
        close(call)

    monkeypatch.setattr(call_limit, "_close", interrupt)
    with pytest.raises(OverdueError):
        limited_call(lambda: 3, "a/b: f", 60)
    assert call_limit._calls == []
