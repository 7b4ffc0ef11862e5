"""Whether a server that speaks vLLM's API fails at some requests, or answers nothing."""

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from harness.engines.base import BASELINE, CANDIDATE, LossRequest
from harness.engines.open import check_alive, describe_model
from harness.engines.served import describe
from harness.engines.served.describe import UnreachableError
from harness.errors import (
    AdapterError,
    AllFailedError,
    CasesFailedError,
    EngineError,
    ModelError,
    NoneAnsweredError,
    TextsUnmeasuredError,
)
from tests.engines.served.test_vllm import changing, names, open_on, post, requests_of


def refusing(status_of):
    """A wrapper of a server: requests have the status that a function gives for their body, if it gives one."""

    def wrap(app):
        async def wrapped(scope, receive, send):
            said = b""
            while scope["method"] == "POST" and (message := await receive()):
                said += message["body"]
                if not message.get("more_body"):
                    break
            status = status_of(said)
            if status is None:

                async def given():
                    return {"type": "http.request", "body": said}

                await app(scope, given, send)
                return
            await send({"type": "http.response.start", "status": status, "headers": []})
            await send({"type": "http.response.body", "body": b"broken"})

        return wrapped

    return wrap


def test_a_server_that_fails_at_some_requests_is_told_from_one_that_answers_nothing(
    start_app, tiny_model_dir, tiny_adapter_dir
):
    failing = set()

    def status_of(said):
        return 500 if any(part in said for part in failing) else None

    wrap = refusing(status_of)
    sides, engine = open_on(start_app(tiny_model_dir, runtime_adapters=True, wrap=wrap), tiny_adapter_dir)
    engine.engine._pool.clients[0]._first_wait_s = 0.01
    failing.add(b"return_token_ids")
    with pytest.raises(EngineError, match="s/0: no reply") as raised:
        engine.generate(requests_of(sides)[:2], lambda _: None)
    assert [reason.partition(":")[0] for _, reason in sorted(raised.value.failures.items())] == ["s/0", "s/1"]
    engine.engine.require_reply()
    failing.add(b"echo")
    with pytest.raises(EngineError, match=r"its server answers nothing: no reply in .*500"):
        engine.engine.require_reply()


def text_of(words, **rest):
    return LossRequest(key=f"t/{words}", side=CANDIDATE, text="w1 " * words, **rest)


@pytest.mark.parametrize(
    ("refused", "raised"),
    [((), CasesFailedError), ((2,), TextsUnmeasuredError), ((2, 4), TextsUnmeasuredError)],
)
def test_each_text_is_measured_or_has_its_reason(
    start_app, tiny_model_dir, tiny_adapter_dir, refused, raised
):
    """One that fails hides neither those that the server refuses nor those that it measures."""
    statuses = {3: 500, **dict.fromkeys(refused, 400)}

    def status_of(said):
        body = json.loads(said or b"{}")
        return statuses.get(len(body["prompt"]) - 1) if body.get("echo") else None

    url = start_app(tiny_model_dir, runtime_adapters=True, wrap=refusing(status_of))
    _, engine = open_on(url, tiny_adapter_dir)
    engine.engine._pool.clients[0]._first_wait_s = 0.01
    texts = [text_of(words) for words in (1, 2, 3, 4)]
    found = {}
    with pytest.raises(raised) as error:
        engine.losses(texts, found.update)
    assert {text.key for place, text in enumerate(texts) if place in found} == {
        f"t/{words}" for words in {1, 2, 4} - {*refused}
    }
    assert set(error.value.failures) == {2}
    assert error.value.failures[2].startswith("t/3: no reply in")
    if refused:
        assert set(error.value.reasons) == {words - 1 for words in refused}
        assert "status 400" in engine.plan.server.unmeasured
    else:
        assert engine.plan.server.unmeasured == ""


def test_a_server_that_measures_no_text_that_it_is_asked_for_is_told_so(
    start_app, tiny_model_dir, tiny_adapter_dir
):
    """A divergence, which no server is asked for, says nothing of it."""
    url = start_app(
        tiny_model_dir, runtime_adapters=True, wrap=refusing(lambda said: 500 if b"echo" in said else None)
    )
    _, engine = open_on(url, tiny_adapter_dir)
    engine.engine._pool.clients[0]._first_wait_s = 0.01
    texts = [text_of(1), text_of(2), text_of(3, against=BASELINE)]
    with pytest.raises(AllFailedError, match=r"^t/1: no reply in .*500") as error:
        engine.losses(texts, lambda batch: None)
    assert set(error.value.failures) == {0, 1}
    with pytest.raises(TextsUnmeasuredError, match="needs all of a model's probabilities") as error:
        engine.losses(texts[2:], lambda batch: None)
    assert (set(error.value.reasons), error.value.failures) == ({0}, {})


def root_of(url, name):
    return next(entry["root"] for entry in httpx.get(f"{url}/models").json()["data"] if entry["id"] == name)


@dataclass
class JoinedAdapter:
    """An adapter that another session has loaded from a copy, and that answers in ours."""

    own: Path
    other: Path
    url: str
    name: str
    engine: Any
    requests: list[Any]

    def answer(self):
        self.engine.generate(self.requests, lambda _: None)


@pytest.fixture
def joined(start_app, tiny_model_dir, make_tiny_adapter, tmp_path):
    adapter = make_tiny_adapter(tiny_model_dir, tmp_path / "mine", spread=0.5)
    other = shutil.copytree(adapter, tmp_path / "last")
    url = start_app(tiny_model_dir, runtime_adapters=True, wrap=changing(dict))
    name = describe_model(str(adapter)).adapter_sha256
    assert post(url, "load_lora_adapter", lora_name=name, lora_path=str(other)) == 200
    sides, engine = open_on(url, adapter)
    found = JoinedAdapter(adapter, other, url, name, engine, requests_of(sides)[:1])
    found.answer()
    return found


def test_what_a_crashed_session_left_is_read_from_our_files_where_its_own_are_others(
    joined, tiny_model_dir, make_tiny_adapter
):
    """A server that had to make room reads them again, as they are then."""
    joined.engine.close()
    # The same content may be anywhere, and stays another session's.
    assert root_of(joined.url, joined.name) == str(joined.other)
    make_tiny_adapter(tiny_model_dir, joined.other, spread=0.5, seed=9)
    joined.answer()
    assert root_of(joined.url, joined.name) == str(joined.own)
    joined.engine.close()
    assert joined.name not in names(joined.url)


def test_another_root_that_changes_meanwhile_is_noticed(joined, tiny_model_dir, make_tiny_adapter):
    make_tiny_adapter(tiny_model_dir, joined.other, spread=0.5, seed=9)
    with pytest.raises(AdapterError, match="its files changed while"):
        joined.answer()


def test_an_adapter_that_is_unloaded_while_it_is_checked_is_loaded_again(
    start_app, tiny_model_dir, tiny_adapter_dir
):
    """By another session, which ends just then."""
    url = start_app(tiny_model_dir, runtime_adapters=True)
    sides, engine = open_on(url, tiny_adapter_dir)
    probed, asked = engine.engine._probed, []

    def late(side, name, rows):
        asked.append(name)
        if len(asked) == 2:
            assert post(url, "unload_lora_adapter", lora_name=name) == 200
        return probed(side, name, rows)

    engine.engine._probed = late
    check_alive(engine, CANDIDATE, sides[CANDIDATE])
    assert len(asked) == 2 + 4
    loaded, looks = engine.engine._loaded, []
    loaded.unload()
    listed = loaded._listed

    def unloaded_at_the_second_look():
        looks.append(1)
        return {} if len(looks) == 2 else listed()

    loaded._listed = unloaded_at_the_second_look
    assert loaded.name_of(sides[CANDIDATE]) == sides[CANDIDATE].adapter_sha256
    loaded._listed = dict
    loaded._known.clear()
    loaded._load = lambda name, model: None
    with pytest.raises(ModelError, match="says that it loaded it, and does not list it"):
        loaded.name_of(sides[CANDIDATE])


def test_a_server_that_has_gone_is_told_so_before_anything_is_asked(
    start_app, tiny_model_dir, tiny_adapter_dir
):
    """What holds for all requests is no fault of one: a session keeps what it has."""
    failing = set()
    wrap = refusing(lambda said: 500 if any(part in said for part in failing) else None)
    sides, engine = open_on(start_app(tiny_model_dir, runtime_adapters=True, wrap=wrap), tiny_adapter_dir)
    loaded = engine.engine._loaded
    engine.engine._pool.clients[0]._first_wait_s = loaded._pool.clients[0]._first_wait_s = 0.01
    failing.add(b"echo")
    with pytest.raises(AllFailedError, match=r"whether it applies adapters can't be checked: .*500") as error:
        check_alive(engine, CANDIDATE, sides[CANDIDATE])
    assert error.value.failures == {}
    engine.close()
    failing.add(b"lora_path")
    with pytest.raises(NoneAnsweredError, match=r"does not load it: .*500"):
        engine.generate(requests_of(sides), lambda _: None)
    loaded._client = describe.open_client("http://127.0.0.1:9/v1", attempts=1)
    with pytest.raises(
        UnreachableError, match=r"127.0.0.1:9/v1: .*connection failed.*; is the server running\?$"
    ):
        engine.generate(requests_of(sides), lambda _: None)


def test_answers_outlast_a_server_that_goes_while_an_adapter_is_loaded_again(
    start_app, tiny_model_dir, tiny_adapter_dir
):
    url = start_app(tiny_model_dir, runtime_adapters=True)
    sides, engine = open_on(url, tiny_adapter_dir)
    loaded, found = engine.engine._loaded, {}
    assert loaded.name_of(sides[CANDIDATE])
    assert post(url, "unload_lora_adapter", lora_name=sides[CANDIDATE].adapter_sha256) == 200
    loaded._client = describe.open_client("http://127.0.0.1:9/v1", attempts=1)
    requests = requests_of(sides)
    with pytest.raises(CasesFailedError) as error:
        engine.generate(requests, found.update)
    lost = {place for place, request in enumerate(requests) if request.side == CANDIDATE}
    assert set(error.value.failures) == lost
    assert set(found) == {*range(len(requests))} - lost
    assert all("127.0.0.1:9/v1" in reason for reason in error.value.failures.values())
