"""Adapters on a server with vLLM's API. The server is ``tunegate serve``, which speaks it."""

import asyncio
import json
import time
from dataclasses import replace

import httpx
import pytest

from harness.engines.base import BASELINE, CANDIDATE, GenerationRequest, LossRequest
from harness.engines.open import base_of, check_alive, choose_plan, describe_model, open_sides
from harness.engines.served import adapters, describe
from harness.errors import AdapterError, EngineError, ModelError, SettingsError
from harness.types import GenerationSettings, Message, ServerUse

PROMPTS = ["what is one", "the cat sat on the mat", "w1 w2 w3 w4 w5 w6", "two"]


def open_on(url, adapter, **use):
    """A candidate and its base on a server."""
    model = describe_model(str(adapter))
    sides = {CANDIDATE: model, BASELINE: base_of(model)}
    plan = choose_plan("float32", "cpu", 4096, list(sides.values()))
    server = ServerUse(url=url, **use)
    return sides, open_sides(sides, replace(plan, engine="vllm", mixed=False, server=server))


def requests_of(sides, **settings):
    return [
        GenerationRequest(
            key=f"s/{place}",
            side=side,
            messages=(Message(role="user", content=prompt),),
            settings=GenerationSettings(max_new_tokens=12, **settings),
        )
        for side in sides
        for place, prompt in enumerate(PROMPTS)
    ]


# What follows the prompt with another space in front, and with one that it ends in already.
OPTIONS = ("w1 w2", " the cat", "\nw3")


def changing(change):
    """A wrapper of a server: requests for answers as a function changes them; other weights than ours are unknown.

    vLLM lists no hashes of weights, and says no fingerprints of them.
    """

    def wrap(app):
        async def wrapped(scope, receive, send):
            body, status, written = b"", None, b""
            while scope["method"] == "POST" and (message := await receive()):
                body += message["body"]
                if not message.get("more_body"):
                    break
            if scope["path"].endswith("/completions"):
                body = json.dumps(change(json.loads(body))).encode()

            async def given():
                return {"type": "http.request", "body": body}

            async def keep(message):
                nonlocal status, written
                status, written = message.get("status", status), written + message.get("body", b"")

            await app({**scope, "headers": with_length(scope["headers"], body)}, given, keep)
            if b'"system_fingerprint"' in written or b'"content": {' in written or b'"content":{' in written:
                reply = json.loads(written)
                reply.pop("system_fingerprint", None)
                for entry in reply.get("data", []):
                    entry.pop("content", None)
                written = json.dumps(reply).encode()
            headers = with_length([(b"content-type", b"application/json"), (b"content-length", b"")], written)
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": written})

        return wrapped

    return wrap


def with_length(headers, body):
    return [
        (name, str(len(body)).encode() if name == b"content-length" else value) for name, value in headers
    ]


def post(url, path, **body):
    return httpx.post(f"{url}/{path}", json=body, timeout=60).status_code


def names(url):
    return [entry["id"] for entry in httpx.get(f"{url}/models").json()["data"]]


@pytest.mark.parametrize(("fault", "kind", "attempts"), [("slow", ModelError, 2), ("500", EngineError, 3)])
def test_a_server_that_gives_no_answer_is_named_in_time(
    start_app, tiny_model_dir, tiny_adapter_dir, fault, kind, attempts
):
    """It lists its models, and then hangs, or has no memory left."""

    def wrap(app):
        async def wrapped(scope, receive, send):
            if not scope["path"].endswith("/completions"):
                await app(scope, receive, send)
                return
            await asyncio.sleep(2 if fault == "slow" else 0)
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b"out of memory"})

        return wrapped

    url = start_app(tiny_model_dir, runtime_adapters=True, wrap=wrap)
    begun = time.monotonic()
    with pytest.raises(kind, match=f"{url}: no reply in {attempts} attempts"):
        open_on(url, tiny_adapter_dir, timeout_s=0.3)[1].generate([], lambda found: None)
    assert time.monotonic() - begun < 30


def test_a_candidate_and_its_base_answer_as_here(start_app, tiny_model_dir, tiny_adapter_dir):
    url = start_app(tiny_model_dir, runtime_adapters=True)
    sides, engine = open_on(url, tiny_adapter_dir)
    own = open_sides(sides, choose_plan("float32", "cpu", 4096, list(sides.values())))
    for settings in ({}, {"stop": ("w7", "the")}, {"max_reasoning_tokens": 3}):
        found, expected = {}, {}
        engine.generate(requests_of(sides, **settings), found.update)
        own.generate(requests_of(sides, **settings), expected.update)
        for place, answer in expected.items():
            assert replace(found[place], latency_s=0) == replace(answer, latency_s=0)
    texts = [
        LossRequest(key=f"t/{n}", side=side, text="the cat sat on w1", messages=messages)
        for side in sides
        for n, messages in enumerate([(), (Message(role="user", content="two"),)])
    ] + [
        LossRequest(
            key="o", side=side, text=option, messages=(Message(role="user", content="two"),), options=OPTIONS
        )
        for side in sides
        for option in OPTIONS
    ]
    losses, expected = {}, {}
    engine.losses(texts, losses.update)
    own.losses(texts, expected.update)
    for place, loss in expected.items():
        assert losses[place].nats_per_token == pytest.approx(loss.nats_per_token, abs=1e-4)
        assert losses[place].tokens == loss.tokens
    assert names(url) == [tiny_model_dir.name, sides[CANDIDATE].adapter_sha256]
    check_alive(engine, CANDIDATE, sides[CANDIDATE])
    engine.close()
    assert names(url) == [tiny_model_dir.name]
    # It is loaded again where it is needed again.
    engine.generate(requests_of([CANDIDATE])[:1], found.update)
    assert len(names(url)) == 2


def test_the_sides_take_turns(start_app, tiny_model_dir, tiny_adapter_dir):
    asked = []

    def watching(app):
        async def watched(scope, receive, send):
            async def noting():
                message = await receive()
                if message.get("body") and scope["path"].endswith("/completions"):
                    asked.append(json.loads(message["body"])["model"])
                return message

            await app(scope, noting, send)

        return watched

    url = start_app(tiny_model_dir, runtime_adapters=True, wrap=watching)
    sides, engine = open_on(url, tiny_adapter_dir, concurrency=1)
    engine.generate(requests_of(sides), lambda batch: None)
    # First, whether it refuses a name that it doesn't have.
    assert asked.pop(0) not in sides
    assert asked == [sides[CANDIDATE].adapter_sha256, tiny_model_dir.name] * len(PROMPTS)


def test_an_adapter_that_the_server_does_not_apply_is_noticed(start_app, tiny_model_dir, tiny_adapter_dir):
    """A server that answers for every adapter with its base, as servers were seen to do."""
    name = describe_model(str(tiny_adapter_dir)).adapter_sha256
    instead = {name: tiny_model_dir.name}
    change = changing(lambda asked: {**asked, "model": instead.get(asked["model"], asked["model"])})
    sides, engine = open_on(start_app(tiny_model_dir, runtime_adapters=True, wrap=change), tiny_adapter_dir)
    with pytest.raises(
        AdapterError, match="as with its base alone: the adapter is dead, or the server does not"
    ):
        check_alive(engine, CANDIDATE, sides[CANDIDATE])
    engine.close()


def test_a_server_that_answers_for_any_name_is_refused(start_app, tiny_model_dir, tiny_adapter_dir):
    """What it loses would be answered for by the base."""
    known = {tiny_model_dir.name, describe_model(str(tiny_adapter_dir)).adapter_sha256}
    change = changing(
        lambda asked: asked if asked["model"] in known else {**asked, "model": tiny_model_dir.name}
    )
    with pytest.raises(ModelError, match="answers for names of models that it does not have"):
        open_on(start_app(tiny_model_dir, runtime_adapters=True, wrap=change), tiny_adapter_dir)


def test_what_another_session_unloads_is_loaded_again(start_app, tiny_model_dir, tiny_adapter_dir):
    url = start_app(tiny_model_dir, runtime_adapters=True)
    (sides, first), (_, second) = open_on(url, tiny_adapter_dir), open_on(url, tiny_adapter_dir)
    found, again = {}, {}
    first.generate(requests_of(sides), found.update)
    check_alive(second, CANDIDATE, sides[CANDIDATE])
    first.close()
    assert names(url) == [tiny_model_dir.name]
    second.generate(requests_of(sides), again.update)
    assert [each.text for each in again.values()] == [found[place].text for place in again]
    assert len(again) == len(found)
    second.close()
    assert names(url) == [tiny_model_dir.name]


def test_two_sessions_load_one_adapter_at_the_same_time(start_app, tiny_model_dir, tiny_adapter_dir):
    url = start_app(tiny_model_dir, runtime_adapters=True)
    sides, engine = open_on(url, tiny_adapter_dir)
    loaded, ask = engine.engine._loaded, engine.engine._loaded._ask
    name = sides[CANDIDATE].adapter_sha256

    def late(path, body):
        # Between the look at the list and the request, another session loads it.
        assert post(url, "load_lora_adapter", lora_name=name, lora_path=str(tiny_adapter_dir)) == 200
        ask(path, body)

    loaded._ask = late
    assert loaded.name_of(sides[CANDIDATE]) == name
    loaded._ask = ask
    engine.close()
    assert name in names(url)


def test_another_adapter_under_its_name_is_noticed(
    start_app, tiny_model_dir, tiny_adapter_dir, make_tiny_adapter, tmp_path
):
    other = make_tiny_adapter(tiny_model_dir, tmp_path / "other", spread=0.5, seed=9)
    url = start_app(tiny_model_dir, runtime_adapters=True)
    sides, engine = open_on(url, tiny_adapter_dir)
    name = sides[CANDIDATE].adapter_sha256
    engine.generate(requests_of(sides), lambda batch: None)
    assert post(url, "unload_lora_adapter", lora_name=name) == 200
    assert post(url, "load_lora_adapter", lora_name=name, lora_path=str(other)) == 200
    with pytest.raises(ModelError, match="other weights answered than before"):
        engine.generate(requests_of([CANDIDATE]), lambda batch: None)
    with pytest.raises(ModelError, match="has another adapter under its hash"):
        open_on(url, tiny_adapter_dir)[1].generate(requests_of([CANDIDATE]), lambda batch: None)


def test_files_that_change_while_a_server_uses_them_are_noticed(
    start_app, tiny_model_dir, make_tiny_adapter, tmp_path
):
    """A server reads them again where it had to make room."""
    adapter = make_tiny_adapter(tiny_model_dir, tmp_path / "mine", spread=0.5)
    sides, engine = open_on(start_app(tiny_model_dir, runtime_adapters=True, wrap=changing(dict)), adapter)
    engine.generate(requests_of(sides), lambda batch: None)
    make_tiny_adapter(tiny_model_dir, adapter, spread=0.5, seed=9)
    with pytest.raises(AdapterError, match="its files changed while"):
        engine.generate(requests_of([CANDIDATE]), lambda batch: None)
    engine.close()


def test_an_adapter_that_stays_loaded_is_said(start_app, tiny_model_dir, tiny_adapter_dir):
    engine = open_on(start_app(tiny_model_dir, runtime_adapters=True), tiny_adapter_dir)[1]
    engine.generate(requests_of([CANDIDATE]), lambda batch: None)
    loaded, ask = engine.engine._loaded, engine.engine._loaded._ask
    loaded._ask = lambda path, body, client: ask("no_such_path", body, client)
    with pytest.warns(UserWarning, match="does not unload the adapter"):
        engine.close()


@pytest.mark.parametrize(
    ("status", "said", "remedy"),
    [
        # As vLLM 0.32 writes it.
        (
            500,
            "Call to add_lora method failed: Worker failed with error 'LoRA rank 64 is greater than "
            "max_lora_rank 16.', please check the stack trace above for the root cause",
            "status 500: Call to add_lora .*larger --max-lora-rank",
        ),
        (404, "No adapter found for /elsewhere", "on a machine that has this path"),
        (500, "out of memory", "status 500: .*out of memory"),
    ],
)
def test_an_adapter_that_a_server_refuses_is_bad_input(
    start_app, tiny_model_dir, tiny_adapter_dir, monkeypatch, status, said, remedy
):
    def refusing(app):
        async def refused(scope, receive, send):
            if not scope["path"].endswith("load_lora_adapter"):
                await app(scope, receive, send)
                return
            written = json.dumps({"error": {"message": said}}).encode()
            headers = [
                (b"content-type", b"application/json"),
                (b"content-length", str(len(written)).encode()),
            ]
            await send({"type": "http.response.start", "status": status, "headers": headers})
            await send({"type": "http.response.body", "body": written})

        return refused

    monkeypatch.setitem(adapters._PATIENCE, "attempts", 1)
    sides, engine = open_on(start_app(tiny_model_dir, runtime_adapters=True, wrap=refusing), tiny_adapter_dir)
    with pytest.raises(ModelError, match=f"does not load it: .*{remedy}"):
        engine.generate(requests_of(sides), lambda batch: None)


def test_another_base_is_refused(start_app, tiny_bytes_dir, tiny_adapter_dir):
    url = start_app(tiny_bytes_dir, runtime_adapters=True)
    with pytest.raises(ModelError, match=r"serves .*tiny_bytes.*, and the base is .*tiny_model"):
        open_on(url, tiny_adapter_dir)


def test_a_server_that_loads_no_adapters_says_how_to_start_it(start_app, tiny_model_dir, tiny_adapter_dir):
    sides, engine = open_on(start_app(tiny_model_dir), tiny_adapter_dir)
    with pytest.raises(ModelError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"):
        engine.generate(requests_of(sides), lambda batch: None)


def test_what_is_loaded_already_stays_when_the_session_ends(start_app, tiny_model_dir, tiny_adapter_dir):
    url = start_app(tiny_model_dir, runtime_adapters=True)
    sides, engine = open_on(url, tiny_adapter_dir)
    name = sides[CANDIDATE].adapter_sha256
    body = {"lora_name": name, "lora_path": str(tiny_adapter_dir)}
    assert httpx.post(f"{url}/load_lora_adapter", json=body, timeout=60).status_code == 200
    engine.generate(requests_of(sides), lambda batch: None)
    engine.close()
    assert name in names(url)


def test_a_server_is_started_with_room_for_the_adapters(vllm_command, tiny_adapter_dir):
    sides, engine = open_on(None, tiny_adapter_dir, arguments="--tensor-parallel-size 2")
    found = {}
    engine.generate(requests_of(sides), found.update)
    assert len(found) == 2 * len(PROMPTS)
    arguments = json.loads(vllm_command.read_text())
    for flag, value in (("--max-lora-rank", "8"), ("--max-loras", "1"), ("--tensor-parallel-size", "2")):
        assert arguments[arguments.index(flag) + 1] == value
    assert "--enable-lora" in arguments
    again = open_on(None, tiny_adapter_dir, arguments="--tensor-parallel-size 2")[1]
    assert again.engine._loaded.url == engine.engine._loaded.url
    with pytest.raises(EngineError, match="ended with status 1: RuntimeError: no device"):
        open_on(None, tiny_adapter_dir, arguments="--broken")


def test_a_server_of_a_base_alone_needs_no_room_for_adapters(vllm_command, tiny_adapter_dir):
    """Some bases can't have any, and vLLM ends at its start."""
    model = describe_model(str(tiny_adapter_dir))
    base = base_of(model)
    plan = choose_plan("float32", "cpu", 4096, [base])
    plan = replace(plan, engine="vllm", mixed=False, server=ServerUse())
    found = {}
    alone = open_sides({CANDIDATE: base}, plan)
    alone.generate(requests_of([CANDIDATE]), found.update)
    assert len(found) == len(PROMPTS)
    assert not [word for word in json.loads(vllm_command.read_text()) if "lora" in word]
    # What is gated next needs another one, and a base is answered by that.
    sides, engine = open_on(None, tiny_adapter_dir)
    engine.generate(requests_of(sides)[:1], found.update)
    assert "--enable-lora" in json.loads(vllm_command.read_text())
    assert open_sides({CANDIDATE: base}, plan).engine._loaded.url == engine.engine._loaded.url
    assert alone.engine._loaded.url != engine.engine._loaded.url


def test_no_server_is_started_where_nothing_could_ask_it(vllm_command, tiny_adapter_dir, monkeypatch):
    monkeypatch.setattr(describe, "_LIBRARIES", ("openai", "not_there_at_all"))
    with pytest.raises(SettingsError, match=r"^not_there_at_all not installed: pip install"):
        open_on(None, tiny_adapter_dir)
    assert not vllm_command.exists()


def test_without_vllm_a_server_has_to_be_named(tiny_adapter_dir, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="vllm is not installed"):
        open_on(None, tiny_adapter_dir)
    with pytest.raises(SettingsError, match="give --model=adapters/mine --gate-engine vllm"):
        describe_model("vllm:adapters/mine")
