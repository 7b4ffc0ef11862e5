"""Adapters on a server with vLLM's API. The server is ``tunegate serve``, which speaks it; vLLM itself needs a GPU."""

import json
import stat
import sys
from dataclasses import replace

import httpx
import pytest

from harness.engines.base import BASELINE, CANDIDATE, GenerationRequest, LossRequest
from harness.engines.open import base_of, check_alive, choose_plan, describe_model, open_sides
from harness.engines.served import process
from harness.engines.served.adapters import refuse_unusual
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


def names(url):
    return [entry["id"] for entry in httpx.get(f"{url}/models").json()["data"]]


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
    assert asked == [sides[CANDIDATE].adapter_sha256, tiny_model_dir.name] * len(PROMPTS)


def test_an_adapter_that_the_server_does_not_apply_is_noticed(start_app, tiny_model_dir, tiny_adapter_dir):
    """A server that answers for every adapter with its base, as servers were seen to do."""

    def ignoring(app):
        async def ignored(scope, receive, send):
            async def with_base():
                message = await receive()
                if message.get("body") and scope["path"].endswith("/completions"):
                    body = {**json.loads(message["body"]), "model": tiny_model_dir.name}
                    message["body"] = json.dumps(body).encode()
                    scope["headers"] = [
                        (name, str(len(message["body"])).encode() if name == b"content-length" else value)
                        for name, value in scope["headers"]
                    ]
                return message

            await app(scope, with_base, send)

        return ignored

    url = start_app(tiny_model_dir, runtime_adapters=True, wrap=ignoring)
    sides, engine = open_on(url, tiny_adapter_dir)
    with pytest.raises(
        AdapterError, match="as with its base alone: the adapter is dead, or the server does not"
    ):
        check_alive(engine, CANDIDATE, sides[CANDIDATE])
    engine.close()


def test_another_base_is_refused(start_app, tiny_bytes_dir, tiny_adapter_dir):
    url = start_app(tiny_bytes_dir, runtime_adapters=True)
    with pytest.raises(ModelError, match=r"serves .*tiny_bytes.*, and the base is .*tiny_model"):
        open_on(url, tiny_adapter_dir)


def test_a_server_that_loads_no_adapters_says_how_to_start_it(start_app, tiny_model_dir, tiny_adapter_dir):
    sides, engine = open_on(start_app(tiny_model_dir), tiny_adapter_dir)
    with pytest.raises(EngineError, match="VLLM_ALLOW_RUNTIME_LORA_UPDATING=True"):
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


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"peft_type": "IA3"}, "IA3"),
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "bias: all"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"rank_pattern": {"q_proj": 600}}, "rank 600"),
    ],
    ids=str,
)
def test_kinds_that_vllm_would_ignore_are_refused(tiny_adapter_dir, tmp_path, change, reason):
    config = json.loads((tiny_adapter_dir / "adapter_config.json").read_text())
    (tmp_path / "adapter_config.json").write_text(json.dumps({**config, **change}))
    model = replace(describe_model(str(tiny_adapter_dir)), adapter_dir=str(tmp_path))
    with pytest.raises(AdapterError, match=f"vLLM runs plain LoRA up to rank 512, and this has {reason}"):
        refuse_unusual(model)


@pytest.fixture
def vllm_command(tmp_path, monkeypatch):
    """A command ``vllm`` that starts ``tunegate serve`` instead, and writes down its arguments."""
    command = tmp_path / "bin" / "vllm"
    command.parent.mkdir()
    command.write_text(
        f"""#!{sys.executable}
import json, os, sys
arguments = sys.argv[1:]
assert os.environ["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
open({str(tmp_path / "arguments.json")!r}, "w").write(json.dumps(arguments))
if "--broken" in arguments:
    sys.exit("RuntimeError: no device")
from harness.cli.main import main
port = arguments[arguments.index("--port") + 1]
sys.argv = ["tunegate", "serve", "--model", arguments[1], "--port", port, "--runtime-adapters"]
main()
"""
    )
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(command.parent), prepend=":")
    yield tmp_path / "arguments.json"
    for started in process._STARTED.values():
        process._end(started.process)
    process._STARTED.clear()


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


def test_without_vllm_a_server_has_to_be_named(tiny_adapter_dir, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SettingsError, match="vllm is not installed"):
        open_on(None, tiny_adapter_dir)
    with pytest.raises(SettingsError, match="give --model=adapters/mine --gate-engine vllm"):
        describe_model("vllm:adapters/mine")
