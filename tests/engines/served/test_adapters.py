"""Adapters on a server: which are joined, loaded and unloaded."""

import asyncio
import time
import warnings

import pytest

from harness.engines.open import describe_model
from harness.engines.served import adapters, describe
from harness.engines.served.adapters import LoadedAdapters
from harness.engines.served.client import RefusedError
from harness.errors import ModelError
from tests.engines.served.test_vllm import names, open_on, requests_of


@pytest.mark.parametrize("listed", [True, False])
def test_a_server_that_ends_while_an_adapter_is_unloaded_costs_no_verdict(monkeypatch, listed):
    loaded = LoadedAdapters.__new__(LoadedAdapters)
    loaded.url, loaded._own, loaded._known, loaded._client = "http://127.0.0.1:1/v1", {"abc"}, {}, None

    def refuse(*_):
        raise RefusedError("status 500", 500)

    def entries(_):
        if not listed:
            raise ModelError("http://127.0.0.1:1/v1: no reply; is the server running?")
        return [{"id": "abc"}]

    loaded._ask = refuse
    monkeypatch.setattr(adapters, "list_models", entries)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        loaded.unload()
    assert ["does not unload the adapter abc" in str(each.message) for each in told] == [True] * listed


@pytest.fixture
def two_loaded(start_app, tiny_model_dir, tiny_adapter_dir, make_tiny_adapter, tmp_path, monkeypatch):
    """An engine with two adapters on a server that lets each request to unload one wait, and these requests."""
    asked = []

    def hanging(app):
        async def wrapped(scope, receive, send):
            if not scope["path"].endswith("unload_lora_adapter"):
                await app(scope, receive, send)
                return
            asked.append(time.monotonic())
            await asyncio.sleep(3)
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"late"})

        return wrapped

    monkeypatch.setitem(adapters._PATIENCE, "timeout_s", 60.0)
    url = start_app(tiny_model_dir, runtime_adapters=True, wrap=hanging)
    sides, engine = open_on(url, tiny_adapter_dir)
    other = make_tiny_adapter(tiny_model_dir, tmp_path / "other", spread=0.5, seed=9)
    engine.generate(requests_of(sides)[:1], lambda batch: None)
    loaded = engine.engine._loaded
    loaded.name_of(describe_model(str(other)))
    assert len(names(url)) == 3
    loaded._client = describe.open_client(url, timeout_s=1.0, attempts=3, first_wait_s=0.01)
    return engine, asked


def test_a_silent_server_is_not_waited_for_once_for_each_adapter(two_loaded):
    """All is said then, and a session that was interrupted ends."""
    engine, asked = two_loaded
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        engine.close()
    assert len(asked) == 2
    assert asked[1] - asked[0] < 2.9


def test_a_server_that_gave_no_reply_to_requests_is_not_asked_to_unload(two_loaded):
    engine, asked = two_loaded
    engine.engine._pool.clients[0]._silence.is_over = True
    engine.close()
    assert asked == []
    assert engine.engine._loaded._known == {}
