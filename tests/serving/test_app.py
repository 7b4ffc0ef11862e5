"""The official client against the real server in front of a tiny real model."""

import json
import shutil

import openai
import pytest

from harness.errors import ModelError
from harness.registry import listeners
from harness.serving import telling
from harness.serving.models import name_models
from harness.types import Message

PROMPTS = ["what is one", "the cat sat on the mat", "w1 w2 w3 w4 w5 w6", "two"]


def test_base_and_adapters_are_served_by_name(serve, models):
    client, _ = serve()
    names = [model.id for model in client.models.list()]
    assert names == [*models, "enc"]
    assert len(models) == 2


def test_a_model_is_described_by_its_name(serve, models):
    client, _ = serve()
    for model in client.models.list():
        assert client.models.retrieve(model.id) == model
    with pytest.raises(openai.NotFoundError, match=next(iter(models))) as refused:
        client.models.retrieve("other")
    assert refused.value.code == "model_not_found"


def test_what_is_not_served_is_refused_in_the_protocol_s_form(serve, models):
    client, _ = serve()
    with pytest.raises(openai.NotFoundError, match="POST /v1/responses: Not Found"):
        client.responses.create(model=next(iter(models)), input="one")
    with pytest.raises(openai.BadRequestError, match="JSON") as refused:
        client.post("/completions", content=b"{", cast_to=object)
    assert refused.value.type == "invalid_request_error"


def test_an_answer_is_the_engine_s_own(serve, engine, models, user, direct):
    client, _ = serve()
    for name in models:
        reply = client.chat.completions.create(model=name, messages=user(PROMPTS[0]), max_tokens=12)
        expected = direct(engine, name, PROMPTS[0], max_new_tokens=12)
        assert reply.choices[0].message.content == expected.text
        assert reply.usage.completion_tokens == expected.completion_tokens
        assert reply.choices[0].finish_reason == expected.stop_reason


def test_listeners_are_told_of_each_answer(serve, models, user, monkeypatch):
    """Whole, streamed and traced ones, with the caller's trace; and of one that failed."""
    told = []
    monkeypatch.setattr(listeners, "LISTENERS", [told.append])
    monkeypatch.setattr(telling, "LISTENERS", listeners.LISTENERS)
    client, _ = serve()
    name = next(iter(models))
    asked = {"model": name, "messages": user(PROMPTS[0]), "max_tokens": 4}
    caller = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    whole = client.chat.completions.create(**asked, extra_headers={"traceparent": caller})
    list(client.chat.completions.create(**asked, stream=True))
    client.chat.completions.create(**asked, logprobs=True)
    with pytest.raises(openai.InternalServerError):
        client.chat.completions.create(**{**asked, "messages": user("break")})
    assert [work.parent for work in told] == [caller, "", "", ""]
    assert [work.error for work in told] == ["", "", "", "generation_failed"]
    assert {(work.name, work.is_served, work.key) for work in told} == {(name, True, "")}
    usage = whole.usage
    assert {(work.input_tokens, work.output_tokens) for work in told[:3]} == {
        (usage.prompt_tokens, usage.completion_tokens)
    }
    assert all(work.started_ns < work.ended_ns for work in told)


def test_a_stream_adds_up_to_the_whole_answer(serve, models, user):
    client, _ = serve()
    for name in models:
        asked = {"model": name, "messages": user(PROMPTS[1]), "max_tokens": 12}
        whole = client.chat.completions.create(**asked)
        chunks = list(
            client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True})
        )
        texts = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
        assert "".join(texts) == whole.choices[0].message.content
        assert sum(map(bool, texts)) > 3
        assert chunks[-1].usage == whole.usage
        assert chunks[-2].choices[0].finish_reason == whole.choices[0].finish_reason


def test_a_streamed_stop_string_is_never_shown(serve, engine, models, user, direct):
    client, _ = serve()
    name = next(iter(models))
    words = direct(engine, name, PROMPTS[0], max_new_tokens=12).text.split()
    stop = f"{words[4]} {words[5]}"
    asked = {"model": name, "messages": user(PROMPTS[0]), "max_tokens": 12, "stop": stop}
    whole = client.chat.completions.create(**asked).choices[0].message.content
    chunks = client.chat.completions.create(**asked, stream=True)
    streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert streamed == whole
    assert stop not in streamed


def test_questions_that_wait_together_are_one_batch(serve, models, user):
    from concurrent.futures import ThreadPoolExecutor

    client, watched = serve()
    names = [*models] * 8

    def ask(number):
        return client.chat.completions.create(
            model=names[number], messages=user(PROMPTS[number % 4]), max_tokens=12
        )

    with ThreadPoolExecutor(16) as pool:
        replies = list(pool.map(ask, range(16)))
    assert all(reply.choices[0].message.content for reply in replies)
    assert sum(watched.sizes) == 16
    assert max(watched.sizes) > 4


def test_a_question_that_breaks_the_engine_leaves_its_neighbours_alone(serve, models, user):
    from concurrent.futures import ThreadPoolExecutor

    client, _ = serve()
    name = next(iter(models))

    def ask(text):
        try:
            return client.chat.completions.create(model=name, messages=user(text), max_tokens=4)
        except openai.InternalServerError as error:
            return str(error)

    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(ask, ["one", "two", "break", "three"]))
    assert [isinstance(reply, str) for reply in replies] == [False, False, True, False]
    assert "broken on purpose" in replies[2]


@pytest.mark.parametrize(("fault", "status"), [(ModelError, 400), (RuntimeError, 500)])
def test_a_text_that_breaks_the_engine_leaves_its_neighbours_alone(
    serve, models, engine, monkeypatch, fault, status
):
    """Such as one with a token that the model has no embedding of, or one for which memory runs out."""
    from concurrent.futures import ThreadPoolExecutor

    trace, sizes = type(engine).trace, []

    def broken(self, requests, *rest, **more):
        sizes.append(len(requests))
        if any("w9" in request.prompt.text for request in requests):
            raise fault("broken on purpose")
        return trace(self, requests, *rest, **more)

    monkeypatch.setattr(type(engine), "trace", broken)
    client, _ = serve()
    name = next(iter(models))

    def ask(text):
        try:
            return client.completions.create(model=name, prompt=text, max_tokens=2)
        except openai.APIStatusError as error:
            return f"{error.status_code} {error}"

    with ThreadPoolExecutor(4) as pool:
        replies = list(pool.map(ask, ["w1", "w2", "w9", "w3"]))
    assert [isinstance(reply, str) for reply in replies] == [False, False, True, False]
    assert replies[2].startswith(f"{status} ")
    assert "broken on purpose" in replies[2]
    assert max(sizes) > 1


@pytest.mark.parametrize("form", ["float", "base64"])
def test_embeddings(serve, form):
    client, _ = serve()
    reply = client.embeddings.create(model="enc", input=["abc", "abcdef"], encoding_format=form)
    if form == "float":
        assert [entry.embedding for entry in reply.data] == [[3.0, 0.5], [6.0, 0.5]]
    else:
        assert all(isinstance(entry.embedding, str) for entry in reply.data)
    assert client.embeddings.create(model="enc", input="ab").data[0].embedding == [2.0, 0.5]


def test_an_unknown_model_is_named_with_those_that_are_served(serve, models, user):
    client, _ = serve()
    with pytest.raises(openai.NotFoundError, match=next(iter(models))):
        client.chat.completions.create(model="other", messages=user("x"))


@pytest.mark.parametrize(
    "asked",
    [
        {"n": 65},
        {"top_logprobs": 2},
        {"presence_penalty": 0.5},
        {"logit_bias": {"3": 1}},
        {"tool_choice": "required", "tools": []},
        {"response_format": {"type": "json_schema", "json_schema": {"name": "none"}}},
        {"extra_body": {"min_tokens": 4}},
        {"extra_body": {"guided_choice": ["yes", "no"]}},
        {"extra_body": {"stop_token_ids": [3]}},
        {"extra_body": {"continue_final_message": True}},
        {"extra_body": {"repeat_penalty": 1.3}},
        {"extra_body": {"thinking_token_budget": 8}},
        {"extra_body": {"anything_else": 1}},
        {"parallel_tool_calls": False},
        {"temperature": -1},
        {"max_tokens": 0},
        {"messages": []},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
    ],
    ids=str,
)
def test_what_is_not_supported_is_refused(serve, models, asked, user):
    client, watched = serve()
    with pytest.raises(openai.BadRequestError, match=next(iter(asked.get("extra_body", asked)))):
        client.chat.completions.create(**{"model": next(iter(models)), "messages": user("x"), **asked})
    assert watched.sizes == []
    long = client.chat.completions.create(
        model=next(iter(models)), messages=user("w1 " * 500), max_tokens=400
    )
    assert long.usage.total_tokens <= 512


def test_what_changes_no_answer_is_taken(serve, models, user, direct, engine):
    client, _ = serve()
    name = next(iter(models))
    neutral = {"repetition_penalty": 1.0, "top_k": -1, "min_p": 0.0, "n_predict": -1, "stop_regex": None}
    reply = client.chat.completions.create(
        model=name,
        messages=user("what is one"),
        max_tokens=12,
        user="me",
        metadata={"a": "b"},
        store=False,
        presence_penalty=0,
        parallel_tool_calls=True,
        extra_body={**neutral, "cache_prompt": True, "unknown": None},
    )
    assert reply.choices[0].message.content == direct(engine, name, "what is one", max_new_tokens=12).text


def test_a_multi_task_model_is_asked_by_the_name_of_a_task(serve_models, tiny_multitask_dir, user):
    """Else it was status 500, which clients repeat."""
    client, name = serve_models(tiny_multitask_dir)

    def said(text, **extra):
        reply = client.chat.completions.create(model=name, messages=user(text), extra_body=extra)
        return reply.choices[0].message.content

    assert said("book the room", task="intent") in {"book", "call", "where"}
    assert json.loads(said("call Anna Berg in Oslo", task="names")) is not None
    for text, extra, told in (
        ("book", {}, r"the request names no task \(allowed under task: intent, names, answer\)"),
        ("book", {"task": "mood"}, "the request asks for the task 'mood'"),
        ("book", {"task": "answer"}, "the request can't be put to the task answer"),
        ("book " * 200, {"task": "intent"}, "the request is too long: 202 tokens"),
    ):
        with pytest.raises(openai.BadRequestError, match=told):
            said(text, **extra)


def test_a_request_that_is_itself_at_fault_is_refused_and_not_repeated(
    serve_models, tiny_model_dir, tmp_path, user
):
    """A token that the tokenizer has and the model has not: status 500 is asked for again, six times by our client."""
    from transformers import AutoTokenizer

    directory = shutil.copytree(tiny_model_dir, tmp_path / "short")
    tokenizer = AutoTokenizer.from_pretrained(directory)
    tokenizer.add_tokens(["<|more|>"], special_tokens=True)
    tokenizer.save_pretrained(directory)
    client, name = serve_models(directory)
    asked = {"model": name, "messages": user("one <|more|>"), "max_tokens": 4}
    told = r"the prompt contains <\|more\|>, and the model has embeddings for 68"
    with pytest.raises(openai.BadRequestError, match=told):
        client.chat.completions.create(**asked)
    with pytest.raises(openai.BadRequestError, match=told):
        client.chat.completions.create(**asked, logprobs=True)
    with pytest.raises(openai.APIError, match=told) as caught:
        list(client.chat.completions.create(**asked, stream=True))
    assert caught.value.type == "invalid_request_error"
    assert client.chat.completions.create(**{**asked, "messages": user("one")}).choices


def test_a_sample_depends_on_its_seed_alone(serve, models, user):
    client, _ = serve()
    asked = {"model": next(iter(models)), "messages": user("one"), "max_tokens": 8, "temperature": 1.5}
    texts = [
        client.chat.completions.create(**asked, seed=seed).choices[0].message.content for seed in (1, 1, 2)
    ]
    assert texts[0] == texts[1] != texts[2]


def test_a_key_is_asked_for_where_one_is_set(serve):
    with pytest.raises(openai.AuthenticationError):
        list(serve(key="right", client_key="wrong")[0].models.list())
    assert list(serve(key="right", client_key="right")[0].models.list())


def test_two_models_of_one_name_are_refused(tiny_model_dir, tiny_adapter_dir):
    with pytest.raises(ModelError, match="taken"):
        name_models(str(tiny_model_dir), [str(tiny_adapter_dir), str(tiny_adapter_dir)])


def test_an_adapter_brings_its_base(tiny_model_dir, tiny_adapter_dir):
    assert list(name_models(str(tiny_adapter_dir), [])) == [tiny_model_dir.name, tiny_adapter_dir.name]


def test_a_base_that_is_elsewhere_is_named(tiny_model_dir, tiny_adapter_dir, tmp_path):
    adapter = shutil.copytree(tiny_adapter_dir, tmp_path / "adapter")
    config = json.loads((adapter / "adapter_config.json").read_text())
    moved = {**config, "base_model_name_or_path": "/elsewhere/base"}
    (adapter / "adapter_config.json").write_text(json.dumps(moved))
    with pytest.raises(ModelError, match="/elsewhere/base"):
        name_models(str(tiny_model_dir), [str(adapter)])
    names = [tiny_model_dir.name, "adapter"]
    assert list(name_models(str(tiny_model_dir), [str(adapter)], str(tiny_model_dir))) == names


def test_our_own_server_can_be_a_judge(serve, models):
    """It refuses response_format and is asked without; what a random model says is no verdict, and an error."""
    from harness.judge.open import open_judge
    from harness.judge.questions import single_request
    from harness.run.cache import Cache

    client, watched = serve()
    spec = f"openai:{next(iter(models))}@{str(client.base_url).rstrip('/')}"
    request = single_request("rubric", "s/c", (Message(role="user", content="one"),), "two", rubric="three")
    with Cache(None) as cache, open_judge(spec, cache, environment={}) as judge:
        (outcome,) = judge.ask_all([request])
    assert "no usable reply in 3" in str(outcome)
    assert sum(watched.sizes) == 3


def test_what_cannot_be_asked_is_refused_before_it_joins_a_batch(serve, models, user):
    client, watched = serve()
    with pytest.raises(openai.BadRequestError, match="fill the context of 512; shorten the prompt"):
        client.chat.completions.create(model=next(iter(models)), messages=user("w1 " * 600))
    with pytest.raises(openai.BadRequestError, match="tokenize is not a value of the template"):
        client.chat.completions.create(
            model=next(iter(models)),
            messages=user("two"),
            max_tokens=3,
            extra_body={"chat_template_kwargs": {"tokenize": False}},
        )
    assert watched.sizes == []


def test_reasoning_is_served_beside_the_answer(serve_models, reasoner, user):
    client, name = serve_models(reasoner)
    asked = {"model": name, "messages": user("two"), "max_tokens": 6}
    thought = client.chat.completions.create(**asked).choices[0]
    assert (thought.message.content, thought.finish_reason) == ("", "length")
    assert len(thought.message.reasoning_content) > 0
    off = {"chat_template_kwargs": {"enable_thinking": False}}
    said = client.chat.completions.create(**asked, extra_body=off).choices[0]
    assert len(said.message.content) > 0
    assert not hasattr(said.message, "reasoning_content")
    deltas = [
        event.choices[0].delta
        for event in client.chat.completions.create(**asked, stream=True)
        if event.choices
    ]
    assert "".join(delta.content or "" for delta in deltas) == ""
    streamed = "".join(getattr(delta, "reasoning_content", None) or "" for delta in deltas)
    assert streamed == thought.message.reasoning_content
