"""The limit on a pattern's processor time."""

import re
import signal
import threading

import pytest

from harness.metrics.time_limit import TooSlowError, processor_time_limit


def test_a_quick_block_runs_and_leaves_no_timer() -> None:
    before = signal.getsignal(signal.SIGVTALRM)
    with processor_time_limit("this"):
        assert re.search("a", "a")

    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) is before


def test_a_stopped_block_leaves_no_timer_either() -> None:
    before = signal.getsignal(signal.SIGVTALRM)
    with pytest.raises(TooSlowError, match="this took more than"), processor_time_limit("this", seconds=0.05):
        re.search("(a+)+$", "a" * 60 + "b")

    assert signal.getitimer(signal.ITIMER_VIRTUAL) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGVTALRM) is before


def test_outside_the_main_thread_the_block_runs_without_a_limit() -> None:
    """Signals only reach the main thread, so there is none to set; setting one would raise."""
    found = []

    def search() -> None:
        with processor_time_limit("this"):
            found.append(re.search("a", "a"))

    thread = threading.Thread(target=search)
    thread.start()
    thread.join()

    assert found[0]
