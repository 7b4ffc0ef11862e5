"""The limit on the processor time of patterns: in any thread, and of this match alone."""

import threading
import time

import pytest

from harness.metrics.text import PatternTime, TooSlowError

ENDLESS, ANSWER = "(a|aa)+$", "a" * 60 + "b"


@pytest.mark.parametrize("method", ["search", "fullmatch", "matches"])
def test_a_pattern_that_backtracks_is_stopped(method) -> None:
    started = time.thread_time()
    with pytest.raises(TooSlowError, match=r"this took more than 1 s of processor time .*: it backtracks"):
        getattr(PatternTime(what="this", seconds=0.05), method)(ENDLESS, ANSWER)
    assert time.thread_time() - started < 1


def test_a_pattern_is_stopped_in_another_thread_too() -> None:
    found = []

    def search() -> None:
        try:
            PatternTime(what="this", seconds=0.05).search(ENDLESS, ANSWER)
        except TooSlowError as error:
            found.append(error)

    thread = threading.Thread(target=search)
    thread.start()
    thread.join(timeout=30)
    assert len(found) == 1


def test_the_patterns_of_one_check_share_their_time() -> None:
    limit = PatternTime(what="these", seconds=0.2)
    slow_but_ends = "a" * 18 + "b"

    def search_often() -> None:
        for _ in range(10_000):
            limit.search(ENDLESS, slow_but_ends)

    assert limit.search(ENDLESS, slow_but_ends) is None
    with pytest.raises(TooSlowError):
        search_often()
    with pytest.raises(TooSlowError):
        limit.search("a", "a")
    assert PatternTime(what="another").search("a", "a")


def test_what_others_use_of_the_processor_is_not_counted(monkeypatch) -> None:
    """The library counts the whole process: a stop that came too early is no verdict on the pattern."""
    from harness.metrics import text

    timeouts = []

    class BusyPattern:
        def search(self, text, timeout):
            timeouts.append(timeout)
            if len(timeouts) < 4:
                raise TimeoutError
            return "a match"

    monkeypatch.setattr(text, "compiled", lambda _pattern, **_rest: BusyPattern())
    assert PatternTime(what="this").search("a", "a") == "a match"
    assert timeouts == [1.0, 2.0, 4.0, 8.0]


def test_a_match_says_what_and_where() -> None:
    match = PatternTime(what="this").search(r"b(\d)", "a b1 B2", ignore_case=True)
    assert (match.group(), match.start(), match.group(1)) == ("b1", 2, "1")
    matches = PatternTime(what="this").matches(r"b(\d)", "b1 B2 b3")
    assert [match.group(1) for match in matches] == ["1", "3"]
    assert PatternTime(what="this").fullmatch("b", "ab") is None
