"""A short answer doesn't wait for the longest one of its batch."""

import asyncio
import threading

from harness.engines.base import GenerationRequest
from harness.serving.early_answers import EarlyAnswers
from harness.serving.telling import ToldBatcher
from harness.types import Completion, GenerationSettings, Message

SAID = Completion(text="4", stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0)
REQUEST = GenerationRequest(
    key="r", side="m", messages=(Message(role="user", content="x"),), settings=GenerationSettings()
)


class SlowEngine:
    """Its first answer ends before the others, which wait."""

    on_early = None

    def __init__(self):
        self.go = threading.Event()

    def generate(self, requests, on_batch, on_text=None):
        if self.on_early is not None:
            self.on_early({0: SAID})
        assert self.go.wait(60)
        on_batch(dict.fromkeys(range(len(requests)), SAID))


def test_an_answer_is_given_while_others_go_on():
    engine = SlowEngine()

    async def ask():
        batcher = ToldBatcher(EarlyAnswers(engine))
        short, long = (asyncio.create_task(batcher.generate(REQUEST)) for _ in range(2))
        found = await asyncio.wait_for(short, 30)
        is_alone = not long.done()
        engine.go.set()
        assert await long == found == SAID
        await batcher.close()
        return is_alone

    assert asyncio.run(ask())
    assert engine.on_early is None


def test_an_engine_without_early_answers_gives_its_own():
    class WholeEngine:
        name = "whole"

        def generate(self, requests, on_batch, on_text=None):
            on_batch({0: SAID})

    found = {}
    engine = EarlyAnswers(WholeEngine())
    engine.generate([REQUEST], found.update)
    assert (found, engine.name, hasattr(engine, "trace")) == ({0: SAID}, "whole", False)
