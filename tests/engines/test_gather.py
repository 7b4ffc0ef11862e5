"""Questions that wait together are computed together."""

import asyncio
import time

import pytest

from harness.engines.gather import Gatherer


def run(main):
    return asyncio.run(main())


def test_what_waits_together_is_one_call():
    sizes = []

    def double(items):
        sizes.append(len(items))
        return [2 * item for item in items]

    async def main():
        gatherer = Gatherer(double, 100)
        answers = await asyncio.gather(*(gatherer.ask(number) for number in range(20)))
        await gatherer.close()
        return answers

    assert run(main) == [2 * number for number in range(20)]
    assert sizes == [20]


def test_no_call_holds_more_than_the_most():
    sizes = []

    def count(items):
        sizes.append(len(items))
        return list(items)

    async def main():
        gatherer = Gatherer(count, 8)
        await asyncio.gather(*(gatherer.ask(number) for number in range(20)))
        await gatherer.close()

    run(main)
    assert sizes == [8, 8, 4]


def test_a_failure_is_told_to_all_who_asked_and_the_next_call_works():
    def fragile(items):
        if "break" in items:
            raise ValueError("broken on purpose")
        return list(items)

    async def main():
        gatherer = Gatherer(fragile, 8)
        broken = await asyncio.gather(gatherer.ask("a"), gatherer.ask("break"), return_exceptions=True)
        whole = await gatherer.ask("b")
        await gatherer.close()
        return broken, whole

    broken, whole = run(main)
    assert [str(error) for error in broken] == ["broken on purpose"] * 2
    assert whole == "b"


def test_the_event_loop_goes_on_while_it_computes():
    def slow(items):
        time.sleep(0.3)
        return list(items)

    async def main():
        gatherer = Gatherer(slow, 8)
        asked = asyncio.ensure_future(gatherer.ask("x"))
        turns = 0
        while not asked.done():
            await asyncio.sleep(0.01)
            turns += 1
        await gatherer.close()
        return turns

    assert run(main) > 3


def test_closing_an_unused_gatherer_is_no_fault():
    async def main():
        await Gatherer(list, 1).close()

    run(main)
    with pytest.raises(TypeError):
        Gatherer(list)


def test_a_function_that_finds_nothing_leaves_nobody_waiting():
    """A StopIteration in a thread never reaches the future that waits for it."""

    async def asked():
        gatherer = Gatherer(lambda items: [next(iter(())) for _ in items], 4)
        try:
            await asyncio.wait_for(gatherer.ask("a"), 5)
        finally:
            await gatherer.close()

    with pytest.raises(RuntimeError, match="nothing was found"):
        asyncio.run(asked())
