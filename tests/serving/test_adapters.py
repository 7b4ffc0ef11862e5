"""Adapters are loaded into a running server and taken out of it, as in vLLM."""

import asyncio
import json
import shutil
import threading
import weakref
from dataclasses import replace

import httpx
import openai
import pytest

import harness.serving.models as serving
from harness.engines.open import choose_plan, open_sides
from harness.errors import EngineError, ModelError
from harness.models.resolve import model_sha256
from harness.serving.checked_requests import chat_requests
from harness.serving.models import ServedModels, name_models
from harness.serving.protocol import ChatRequest
from harness.serving.streams import chat_stream
from harness.types import ExecutionPlan

PLAN = ExecutionPlan(engine="transformers", dtype="float32", device="cpu", batch_tokens=4096)


@pytest.fixture
def base(tiny_model_dir):
    """The served base alone."""
    return opened(name_models(str(tiny_model_dir), []))


def opened(models):
    return open_sides(models, choose_plan("float32", "cpu", 4096, list(models.values()))), models


def post(client, path, **body):
    return httpx.post(f"{str(client.base_url).rstrip('/')}/{path}", json=body, timeout=60)


def test_an_adapter_is_loaded_asked_and_unloaded(
    start_server, base, engine, models, tiny_adapter_dir, user, direct
):
    client, _ = start_server(*base, runtime_adapters=True)
    asked = {"messages": user("what is one"), "max_tokens": 12}
    assert (
        post(client, "load_lora_adapter", lora_name="abc", lora_path=str(tiny_adapter_dir)).status_code == 200
    )
    name = list(models)[1]
    said = client.chat.completions.create(model="abc", **asked).choices[0].message.content
    assert said == direct(engine, name, "what is one", max_new_tokens=12).text
    listed = {model.id: model for model in client.models.list()}
    assert listed["abc"].parent == next(iter(models))
    assert listed["abc"].content["adapter_sha256"] == models[name].adapter_sha256
    assert listed[next(iter(models))].parent is None
    again = post(client, "load_lora_adapter", lora_name="abc", lora_path=str(tiny_adapter_dir))
    assert (again.status_code, "already loaded" in again.text) == (400, True)
    assert post(client, "unload_lora_adapter", lora_name="abc").status_code == 200
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="abc", **asked)
    assert post(client, "unload_lora_adapter", lora_name="abc").status_code == 404
    assert post(client, "unload_lora_adapter", lora_name=next(iter(models))).status_code == 404


def test_what_is_no_adapter_of_the_base_is_refused(start_server, base, tiny_model_dir, tmp_path):
    client, _ = start_server(*base, runtime_adapters=True)
    for path, reason in ((tiny_model_dir, "not an adapter"), (tmp_path / "none", "none")):
        reply = post(client, "load_lora_adapter", lora_name="abc", lora_path=str(path))
        assert (reply.status_code, reason in reply.json()["error"]["message"]) == (400, True)
    assert len(list(client.models.list())) == 2  # with the encoder


def test_loading_is_off_unless_it_was_asked_for(serve, tiny_adapter_dir):
    client, _ = serve()
    for path in ("load_lora_adapter", "unload_lora_adapter"):
        reply = post(client, path, lora_name="abc", lora_path=str(tiny_adapter_dir))
        assert (reply.status_code, "--runtime-adapters" in reply.text) == (403, True)


def test_tokens_are_the_tokenizer_s(serve, models, tiny_model_dir):
    from transformers import AutoTokenizer

    client, _ = serve()
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    url = str(client.base_url).removesuffix("/v1/") + "/tokenize"
    text = httpx.post(url, json={"prompt": "the cat sat"}).json()
    assert text["tokens"] == tokenizer("the cat sat")["input_ids"]
    assert (text["count"], text["max_model_len"]) == (3, 512)
    turns = [{"role": "user", "content": "what is one"}]
    chat = httpx.post(url, json={"model": list(models)[1], "messages": turns}).json()
    expected = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    assert chat["tokens"] == tokenizer(expected, add_special_tokens=False)["input_ids"]
    assert httpx.post(url, json={"prompt": "a", "messages": turns}).status_code == 400
    url = url.replace("/tokenize", "/detokenize")
    asked = {"tokens": [tokenizer.eos_token_id, *text["tokens"]]}
    assert httpx.post(url, json=asked).json() == {"prompt": f"{tokenizer.eos_token} the cat sat"}
    assert httpx.post(url, json={"tokens": [-1]}).status_code == 400
    assert httpx.post(url, json={**asked, "model": "other"}).status_code == 404


@pytest.fixture
def copied(tiny_model_dir, tiny_adapter_dir, make_tiny_adapter, tmp_path):
    """A base, its adapter "mine" and another of its adapters, in directories that a test may change."""
    base = shutil.copytree(tiny_model_dir, tmp_path / "base")
    mine = make_tiny_adapter(base, tmp_path / "mine", spread=0.5, seed=5)
    return base, mine, make_tiny_adapter(base, tmp_path / "other", spread=0.5, seed=6)


@pytest.fixture
def train_anew(copied, make_tiny_adapter):
    """Trains "mine" once more, into its directory."""
    base, mine, _ = copied
    return lambda: make_tiny_adapter(base, mine, spread=0.5, seed=7)


def signed(client, text="what is one"):
    asked = {"messages": [{"role": "user", "content": text}], "max_tokens": 12}
    reply = client.chat.completions.create(model="mine", **asked)
    return reply.choices[0].message.content, reply.system_fingerprint


@pytest.mark.parametrize("path", ["load_lora_adapter", "unload_lora_adapter"])
def test_what_was_trained_anew_answers_under_its_new_hash(start_server, copied, train_anew, direct, path):
    """Whatever else is loaded or unloaded reads its files once more."""
    base, mine, other = copied
    adapters = [str(mine)] if path.startswith("load") else [str(mine), str(other)]
    client, _ = start_server(*opened(name_models(str(base), adapters)), runtime_adapters=True)
    before = signed(client)
    train_anew()
    assert signed(client) == before  # its weights are in memory
    assert post(client, path, lora_name="other", lora_path=str(other)).status_code == 200
    engine, models = opened(name_models(str(base), [str(mine)]))
    text, fingerprint = signed(client)
    assert text == direct(engine, "mine", "what is one", max_new_tokens=12).text != before[0]
    assert fingerprint != before[1]
    assert client.models.retrieve("mine").content["adapter_sha256"] == models["mine"].adapter_sha256


def test_a_base_that_was_written_anew_is_listed_by_its_new_hash(start_server, copied):
    base, mine, other = copied
    client, _ = start_server(*opened(name_models(str(base), [str(mine)])), runtime_adapters=True)
    before = signed(client)
    (base / "generation_config.json").write_text('{"eos_token_id": 5}')
    assert post(client, "load_lora_adapter", lora_name="other", lora_path=str(other)).status_code == 200
    contents = [client.models.retrieve(name).content for name in ("base", "mine", "other")]
    assert {content["base_sha256"] for content in contents} == {model_sha256(base)}
    assert signed(client)[1] != before[1]


def test_a_stream_of_weights_that_were_exchanged_meanwhile_ends_in_an_error(copied, train_anew, user):
    """It begins with the name of those that it was to have."""
    base, mine, other = copied
    engine, models = opened(name_models(str(base), [str(mine)]))
    loads, may_go_on = threading.Event(), threading.Event()

    def slowly(*given):
        loads.set()
        may_go_on.wait(60)
        return open_sides(*given)

    async def streamed():
        served = ServedModels(engine, models, engine.plan, open_engine=slowly)
        loading = asyncio.create_task(served.load("other", str(other)))
        await asyncio.to_thread(loads.wait, 60)
        body = ChatRequest(model="mine", messages=user("what is one"), max_tokens=12, stream=True)
        events = chat_stream(served, body, await chat_requests(served, body))
        may_go_on.set()
        said = [event async for event in events]
        await loading
        await served.batcher.close()
        return said

    train_anew()
    *_, last = asyncio.run(streamed())
    assert "mine was exchanged while it answered" in last


def test_adapters_of_a_base_of_the_hub_come_and_go(copied, tmp_path, monkeypatch):
    """Training writes its plain name, without hf:."""
    from huggingface_hub import constants

    base, mine, other = copied
    repository, revision = tmp_path / "hub" / "models--acme--base", "1" * 40
    shutil.copytree(base, repository / "snapshots" / revision)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(revision)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    for adapter in (mine, other):
        path = adapter / "adapter_config.json"
        path.write_text(path.read_text().replace(json.dumps(str(base)), '"acme/base"'))
    engine, models = opened(name_models(str(mine), []))
    served = ServedModels(engine, models, engine.plan)

    async def exchange():
        await served.load("other", str(other))
        await served.unload("mine")
        await served.batcher.close()

    asyncio.run(exchange())
    assert list(served.models) == ["acme/base", "other"]
    assert {model.base_model for model in served.models.values()} == {"acme/base"}


class Weights:
    """An engine that fills memory while it is there."""


@pytest.fixture
def crowded(copied):
    """Serves a base with "mine"; memory holds one engine, and never that of some adapters."""
    base, mine, other = copied
    models, opened, too_large = name_models(str(base), [str(mine)]), [], set()

    def open_engine(opening, plan):
        if any(one() is not None for one in opened) or too_large & {*opening}:
            raise ModelError("base: memory ran out: CUDA out of memory")
        engine = Weights()
        opened.append(weakref.ref(engine))
        engine.names = [*opening]
        return engine

    served = ServedModels(open_engine(models, PLAN), models, PLAN, open_engine=open_engine)
    return served, other, too_large


def test_where_memory_holds_one_engine_the_next_one_takes_its_place(crowded):
    """A base of more than half of a device's memory could get no adapter at all."""
    served, other, _ = crowded
    asyncio.run(served.load("more", str(other)))
    assert served.engine.names == [*served.models] == ["base", "mine", "more"]


@pytest.mark.parametrize(("spare_bytes", "beside"), [(-1, False), (1, True)])
def test_where_a_cpu_s_memory_holds_one_engine_no_second_one_is_tried(
    copied, monkeypatch, spare_bytes, beside
):
    """Linux promises more than there is, and ends the process that takes it."""
    base, mine, other = copied
    models, seen = name_models(str(base), [str(mine)]), []
    first = open_sides(models, PLAN)
    shared = {
        each.data_ptr(): each.nbytes for side in first.sides.values() for each in side.model.parameters()
    }
    monkeypatch.setattr(serving, "available_bytes", lambda: sum(shared.values()) + spare_bytes)

    def open_engine(opening, plan):
        seen.append(not isinstance(served.batcher.engine, serving._AbsentEngine))
        return open_sides(opening, plan)

    served = ServedModels(first, models, PLAN, open_engine=open_engine)
    asyncio.run(served.load("more", str(other)))
    assert (seen, list(served.models)) == ([beside], ["base", "mine", "more"])


def test_what_has_no_room_alone_either_leaves_the_models_that_were_served(crowded):
    served, other, too_large = crowded
    too_large.add("more")
    with pytest.raises(ModelError, match="memory ran out"):
        asyncio.run(served.load("more", str(other)))
    assert served.engine.names == [*served.models] == ["base", "mine"]


def test_meanwhile_requests_are_told_to_come_again(crowded):
    served, other, _ = crowded
    open_engine, said = served._open, []

    def watched(opening, plan):
        try:
            served.engine.names  # noqa: B018 # as each request looks at it
        except EngineError as error:
            said.append(str(error))
        return open_engine(opening, plan)

    served._open = watched
    asyncio.run(served.load("more", str(other)))
    assert said == ["models are being loaded; send the request once more"]


def test_what_computes_is_part_of_what_identifies_a_served_model(crowded, monkeypatch):
    """Another device or library rounds otherwise: answers of one are no answers of the other."""
    served, *_ = crowded
    content, said = served.content("base"), served.fingerprint("base")
    assert (content["device"], content["dtype"], "batch_tokens" in content) == ("cpu", "float32", False)
    assert {"torch", "transformers", "peft"} <= {*content["libraries"]}
    served.plan = replace(PLAN, device="cuda:1")
    assert served.content("base") == {**content, "device": "cuda"}
    assert served.fingerprint("base") != said
    served.plan = replace(PLAN, dtype="bfloat16", batch_tokens=64)
    assert served.content("base") == {**content, "dtype": "bfloat16", "batch_tokens": 64}
    served.plan = PLAN
    monkeypatch.setattr(serving, "_libraries", lambda: {**content["libraries"], "torch": "99"})
    assert served.fingerprint("base") != said
