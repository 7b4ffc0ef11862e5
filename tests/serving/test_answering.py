"""What happens to the requests of clients that give up."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from harness.registry import listeners
from harness.serving import telling


class HeldEngine:
    """An engine that answers when it is let go."""

    def __init__(self, engine):
        self.engine, self.begun, self.go = engine, threading.Event(), threading.Event()
        self.asked = []

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def generate(self, requests, on_batch, on_text=None):
        self._hold(requests)
        self.engine.generate(requests, on_batch, on_text)

    def trace(self, requests, most, *, with_prompts=False):
        self._hold(requests)
        return self.engine.trace(requests, most, with_prompts=with_prompts)

    def _hold(self, requests):
        self.asked += [request.prompt.text for request in requests]
        self.begun.set()
        assert self.go.wait(60)


@pytest.mark.parametrize("form", ["whole", "traced", "plain", "streamed"])
def test_nothing_is_computed_for_a_client_that_has_gone(serve, models, user, monkeypatch, form):
    """Its time limit is over before the batch is that it waits for."""
    told = []
    monkeypatch.setattr(telling, "LISTENERS", [told.append])
    monkeypatch.setattr(listeners, "LISTENERS", telling.LISTENERS)
    client, watched = serve()
    held = watched.engine = HeldEngine(watched.engine)
    name = next(iter(models))

    def ask(client, text):
        if form == "plain":
            return client.completions.create(model=name, prompt=text, max_tokens=2)
        extra = {"traced": {"logprobs": True}, "streamed": {"stream": True}}.get(form, {})
        found = client.chat.completions.create(model=name, messages=user(text), max_tokens=2, **extra)
        return list(found) if form == "streamed" else found

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(ask, client, "one")
        assert held.begun.wait(60)
        # A stream's own is the HTTP library's.
        with pytest.raises(Exception, match="timed out"):
            ask(client.with_options(timeout=openai.Timeout(60, read=1)), "two")
        end = time.monotonic() + 30
        while not told and time.monotonic() < end:
            time.sleep(0.01)
        held.go.set()
        assert first.result()
    assert ask(client, "three")
    asked = " ".join(held.asked)
    assert "one" in asked
    assert "three" in asked
    assert "two" not in asked
    assert [work.error for work in told] == ["cancelled", "", ""]
