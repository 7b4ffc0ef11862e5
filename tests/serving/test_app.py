"""The official client against the real server in front of a tiny real model."""

import json
import shutil
import threading
import time

import pytest

from harness.engines.base import GenerationRequest
from harness.engines.open import choose_plan, open_sides
from harness.errors import EngineError, ModelError
from harness.serving.app import create_app
from harness.serving.models import name_models
from harness.types import GenerationSettings, Message

openai = pytest.importorskip("openai")
uvicorn = pytest.importorskip("uvicorn")

PROMPTS = ["what is one", "the cat sat on the mat", "w1 w2 w3 w4 w5 w6", "two"]


@pytest.fixture(scope="module")
def models(tiny_model_dir, tiny_adapter_dir):
    return name_models(str(tiny_model_dir), [str(tiny_adapter_dir)])


@pytest.fixture(scope="module")
def engine(models):
    return open_sides(models, choose_plan("float32", "cpu", 4096, list(models.values())))


class Watched:
    """The engine with a count of its calls, and a word that breaks it."""

    def __init__(self, engine):
        self.engine, self.sizes = engine, []
        self.render, self.context = engine.render, engine.context

    def generate(self, requests, on_batch, on_text=None):
        self.sizes.append(len(requests))
        if any("break" in one.messages[-1].content for one in requests):
            raise EngineError("broken on purpose")
        self.engine.generate(requests, on_batch, on_text)


@pytest.fixture
def serve_models(start_server):
    """Starts a server for a model directory; gives a client and the model's name."""

    def start(directory):
        models = name_models(str(directory), [])
        engine = open_sides(models, choose_plan("float32", "cpu", 4096, list(models.values())))
        client, _ = start_server(engine, models)
        return client, next(iter(models))

    return start


@pytest.fixture
def serve(engine, models, start_server):
    """Starts a server for the shared engine."""
    return lambda **options: start_server(engine, models, **options)


@pytest.fixture
def start_server():
    """Starts a server; gives a client and the watched engine."""
    started = []

    def start(engine, models, *, key=None, client_key="none"):
        watched = Watched(engine)
        encoders = {"enc": lambda texts: [[float(len(text)), 0.5] for text in texts]}
        app = create_app(watched, list(models), encoders, key=key)
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        client = openai.OpenAI(base_url=f"http://127.0.0.1:{port}/v1", api_key=client_key, max_retries=0)
        started.append((server, thread, client))
        return client, watched

    yield start
    for server, thread, client in started:
        client.close()
        server.should_exit = True
        thread.join()


def user(text):
    return [{"role": "user", "content": text}]


def direct(engine, side, text, **settings):
    request = GenerationRequest(
        key="request",
        side=side,
        messages=(Message(role="user", content=text),),
        settings=GenerationSettings(**settings),
    )
    found = {}
    engine.generate([request], found.update)
    return found[0]


def test_base_and_adapters_are_served_by_name(serve, models):
    client, _ = serve()
    names = [model.id for model in client.models.list()]
    assert names == [*models, "enc"]
    assert len(models) == 2


def test_an_answer_is_the_engine_s_own(serve, engine, models):
    client, _ = serve()
    for name in models:
        reply = client.chat.completions.create(model=name, messages=user(PROMPTS[0]), max_tokens=12)
        expected = direct(engine, name, PROMPTS[0], max_new_tokens=12)
        assert reply.choices[0].message.content == expected.text
        assert reply.usage.completion_tokens == expected.completion_tokens
        assert reply.choices[0].finish_reason == expected.stop_reason


def test_a_stream_adds_up_to_the_whole_answer(serve, models):
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


def test_a_streamed_stop_string_is_never_shown(serve, engine, models):
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


def test_questions_that_wait_together_are_one_batch(serve, models):
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


def test_a_question_that_breaks_the_engine_leaves_its_neighbours_alone(serve, models):
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
    assert "broken on purpose" in replies[2]
    assert [isinstance(reply, str) for reply in replies] == [False, False, True, False]


@pytest.mark.parametrize("form", ["float", "base64"])
def test_embeddings(serve, form):
    client, _ = serve()
    reply = client.embeddings.create(model="enc", input=["abc", "abcdef"], encoding_format=form)
    if form == "float":
        assert [entry.embedding for entry in reply.data] == [[3.0, 0.5], [6.0, 0.5]]
    else:
        assert all(isinstance(entry.embedding, str) for entry in reply.data)
    assert client.embeddings.create(model="enc", input="ab").data[0].embedding == [2.0, 0.5]


def test_an_unknown_model_is_named_with_those_that_are_served(serve, models):
    client, _ = serve()
    with pytest.raises(openai.NotFoundError, match=next(iter(models))):
        client.chat.completions.create(model="other", messages=user("x"))


@pytest.mark.parametrize(
    "asked",
    [
        {"n": 2},
        {"response_format": {"type": "json_object"}},
        {"logprobs": True},
        {"temperature": -1},
        {"max_tokens": 0},
        {"messages": []},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
    ],
    ids=str,
)
def test_what_is_not_supported_is_refused(serve, models, asked):
    client, watched = serve()
    with pytest.raises(openai.BadRequestError, match=next(iter(asked))):
        client.chat.completions.create(**{"model": next(iter(models)), "messages": user("x"), **asked})
    assert watched.sizes == []
    long = client.chat.completions.create(
        model=next(iter(models)), messages=user("w1 " * 500), max_tokens=400
    )
    assert long.usage.total_tokens <= 512


def test_a_sample_depends_on_its_seed_alone(serve, models):
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


def test_what_cannot_be_asked_is_refused_before_it_joins_a_batch(serve, models):
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


@pytest.fixture
def reasoner(letters, shipped, tmp_path):
    """A model that thinks, in any words, behind a template that opens its reasoning."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = letters(shipped("qwen3_5_think"), eos="<|im_end|>")
    tokenizer.save_pretrained(tmp_path)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=4096,
    )
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    return tmp_path


def test_reasoning_is_served_beside_the_answer(serve_models, reasoner):
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
