"""A real server in front of a tiny real model, and the official client."""

import threading
import time

import pytest

from harness.engines.base import GenerationRequest
from harness.engines.open import choose_plan, open_sides
from harness.errors import EngineError
from harness.serving.app import create_app
from harness.serving.models import ServedModels, name_models
from harness.types import ExecutionPlan, GenerationSettings, Message

PLAN = ExecutionPlan(engine="transformers", dtype="float32", device="cpu", batch_tokens=4096)


@pytest.fixture(scope="module")
def models(tiny_model_dir, tiny_adapter_dir):
    return name_models(str(tiny_model_dir), [str(tiny_adapter_dir)])


@pytest.fixture(scope="module")
def engine(models):
    return open_sides(models, choose_plan("float32", "cpu", 4096, list(models.values())))


class WatchedEngine:
    """The engine with a count of its calls, and a word that breaks it."""

    def __init__(self, engine):
        self.engine, self.sizes = engine, []

    def __getattr__(self, name):
        return getattr(self.engine, name)

    def generate(self, requests, on_batch, on_text=None):
        self.sizes.append(len(requests))
        if any("break" in turn.content for one in requests for turn in one.messages[-1:]):
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
    openai, uvicorn = pytest.importorskip("openai"), pytest.importorskip("uvicorn")
    started = []

    def start(engine, models, *, key=None, client_key="none", **options):
        watched = WatchedEngine(engine)
        encoders = {"enc": lambda texts: [[float(len(text)), 0.5] for text in texts]}
        served = ServedModels(watched, models, PLAN, **options)
        app = create_app(served, encoders, key=key)
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


@pytest.fixture(name="user")
def user_fixture():
    """A conversation of one turn."""
    return lambda text: [{"role": "user", "content": text}]


@pytest.fixture(name="direct")
def direct_fixture():
    """The engine's own answer."""
    return direct


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


@pytest.fixture
def reasoner(letters, shipped, save_tiny_llama, tmp_path):
    """A model that thinks, in any words, behind a template that opens its reasoning."""
    return save_tiny_llama(tmp_path, letters(shipped("qwen3_5_think"), eos="<|im_end|>"))
