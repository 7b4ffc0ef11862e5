"""Answers that have ended are stored and handed on while their batch goes on, each once."""

from collections import Counter

import pytest

from harness.errors import CasesFailedError
from harness.registry.listeners import LISTENERS
from harness.run.cache import Cache
from harness.run.generation import answer_cases
from harness.types import Check

KEYS = ["s/a", "s/b", "s/c", "s/d"]


@pytest.fixture
def early_engine(engine_class):
    """Gives the first two answers early; then the batch ends, or with ``lost`` only its other answers come."""

    class EarlyEngine(engine_class):
        on_early, lost, fails = None, False, None

        def generate(self, requests, on_batch):
            def whole(found):
                first = {place: one for place, one in found.items() if place < 2}
                if self.on_early:
                    self.on_early(first)
                if self.fails:
                    raise self.fails
                on_batch({n: one for n, one in found.items() if n not in first} if self.lost else found)

            answers = {}
            super().generate(requests, answers.update)
            whole(answers)

    return EarlyEngine()


@pytest.fixture
def answered(models, plan):
    def answer(engine, cases, path=None, **rest):
        def open_engine(sides, wanted):
            engine.plan = wanted
            return engine

        with Cache(path) as cache:
            return answer_cases(
                {"candidate": models["candidate"]},
                plan,
                cases,
                cache,
                rest.pop("on_progress", lambda *_: None),
                open_engine=open_engine,
                **rest,
            )["candidate"]

    return answer


@pytest.mark.parametrize("lost", [False, True])
def test_each_answer_is_handed_on_and_told_once_and_progress_only_grows(
    answered, case_of, early_engine, lost
):
    handed, shown, told = [], [], []
    early_engine.lost = lost
    LISTENERS.append(told.append)
    try:
        found = answered(
            early_engine,
            [case_of(name) for name in "abcd"],
            on_answers=lambda side, answers: handed.append(sorted(answers)),
            on_progress=lambda stage, done, total: shown.append((stage, done, total)),
        )
    finally:
        LISTENERS.remove(told.append)
    assert sorted(found.completions) == KEYS
    assert [keys for keys in handed if keys] == [KEYS[:2], KEYS[2:]]
    assert [each for each in shown if each[0] == "answering"] == [
        ("answering", done, 4) for done in (0, 2, 4)
    ]
    assert Counter(work.key for work in told) == Counter(KEYS)


@pytest.mark.parametrize(
    "timed",
    [{"timeout_s": 5.0}, {"checks": (Check(type="latency", threshold=900.0),)}],
    ids=["limit", "check"],
)
def test_an_answer_whose_time_counts_waits_for_its_batch(answered, case_of, early_engine, timed):
    handed = []
    answered(
        early_engine,
        [case_of("a", **timed), *(case_of(name) for name in "bcd")],
        on_answers=lambda side, answers: handed.append(sorted(answers)),
    )
    assert early_engine.on_early is None
    assert [keys for keys in handed if keys] == [KEYS]


def test_the_time_of_an_answer_whose_batch_was_lost_decides_nothing_later(
    answered, case_of, early_engine, tmp_path
):
    """Told early, it is kept with a guess of its time: a set that checks times needs another answer."""
    path, early_engine.lost, shown = tmp_path / "cache.sqlite", True, []

    def show(stage, done, total):
        if stage == "answering":
            shown.append(done)

    answered(early_engine, [case_of(name) for name in "abcd"], path)
    early_engine.lost = False
    answered(early_engine, [case_of(name) for name in "abcd"], path, on_progress=show)
    assert shown == []
    for _ in range(2):
        answered(early_engine, [case_of(name, timeout_s=5.0) for name in "abcd"], path, on_progress=show)
    assert shown == [2, 4]


def test_whoever_breaks_when_told_early_ends_the_session_at_once(answered, case_of, early_engine):
    def full(side, answers):
        if answers:
            raise OSError("no space left on device")

    with pytest.raises(OSError, match="no space left"):
        answered(early_engine, [case_of(name) for name in "abcd"], on_answers=full)


def test_what_had_an_answer_before_its_batch_failed_keeps_it(answered, case_of, early_engine):
    early_engine.fails = CasesFailedError({1: "memory ran out", 2: "memory ran out", 3: "memory ran out"})
    found = answered(early_engine, [case_of(name) for name in "abcd"])
    assert sorted(found.completions) == KEYS[:2]
    assert sorted(found.failures) == KEYS[2:]
