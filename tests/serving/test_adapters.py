"""Adapters are loaded into a running server and taken out of it, as in vLLM."""

import httpx
import openai
import pytest


@pytest.fixture
def base(tiny_model_dir):
    """The served base alone."""
    from harness.engines.open import choose_plan, open_sides
    from harness.serving.models import name_models

    models = name_models(str(tiny_model_dir), [])
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
