"""An engine that is opened once for several parts of a session, and what it holds elsewhere meanwhile."""

from contextlib import closing

import pytest

from harness.engines.plugin_engine import PluginEngine
from harness.run.cache import Cache
from harness.run.generation import answer_cases
from harness.run.kept_engine import KeptEngine


@pytest.fixture
def held(engine_class):
    """An engine that counts how often it is closed."""

    class HeldEngine(engine_class):
        closed = 0

        def close(self):
            self.closed += 1

    return HeldEngine()


def around(engine):
    return lambda sides, plan: PluginEngine(place="engine 'x'", engine=engine, planned=plan)


def test_what_an_engine_holds_is_released_once_at_the_end(held, models, plan, case_of):
    with Cache(None) as cache, closing(KeptEngine(around(held))) as opened:
        for names in (["a"], ["b", "c"]):
            cases = [case_of(name) for name in names]
            sides = {"candidate": models["candidate"]}
            answer_cases(sides, plan, cases, cache, lambda *_: None, open_engine=opened)
        assert [key for _, key in held.asked] == ["s/a", "s/b", "s/c"]
        assert held.closed == 0
        # One that lacks a side makes room for the next.
        opened(models, plan)
        assert held.closed == 1
    assert held.closed == 2


def test_whoever_opens_an_engine_for_one_part_closes_it_then(held, models, plan, case_of):
    sides = {"candidate": models["candidate"]}
    with Cache(None) as cache:
        answer_cases(sides, plan, [case_of("a")], cache, lambda *_: None, open_engine=around(held))
    assert held.closed == 1


def test_an_engine_that_breaks_at_its_end_costs_no_answer(held, models, plan):
    def breaks():
        raise RuntimeError("no more")

    held.close = breaks
    warned = pytest.warns(RuntimeWarning, match="engine 'x': RuntimeError: no more")
    with warned, closing(KeptEngine(around(held))) as opened:
        opened(models, plan)
