"""Fixtures that several packages' tests share."""

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import warnings
from contextlib import closing
from functools import lru_cache
from importlib import import_module
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import Phase, settings

# A process that a test starts elsewhere imports what the test itself imports, whatever tree the caller's path names.
_ROOT = str(Path(__file__).parents[1])
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [_ROOT, os.environ.get("PYTHONPATH", "")]))

# How long an example takes says something of the machine, not of the code.
settings.register_profile("tunegate", deadline=None)
# Thousands of runs that only have to say whether anything fails.
settings.register_profile(
    "mutation", deadline=None, max_examples=20, database=None, phases=(Phase.explicit, Phase.generate)
)
settings.load_profile("tunegate")

# The folders whose files take longest, in the order in which workers should begin them.
LONGEST = (
    *("tests/end_to_end/", "tests/reports/html/test_browser.py", "tests/conformance/"),
    *("tests/trainers/", "tests/plugin/", "tests/statistics/"),
)
# Tests that repeat what others reach once: tracing would take four times as long as they do, and find nothing new.
REPEATING = ("simulation", "browser", "matrix")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    """Marks what tells its tier itself; on several workers the longest files come first, so that all end together."""
    for item in items:
        if "installation" in getattr(item, "fixturenames", ()):
            item.add_marker("processes")
        if any(item.get_closest_marker(name) for name in REPEATING):
            item.add_marker("no_cover")
    if hasattr(config, "workerinput"):
        places = [*LONGEST, ""]
        items.sort(
            key=lambda item: next(n for n, place in enumerate(places) if item.nodeid.startswith(place))
        )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """A file's tests stay on one worker and share what they set up; those on the real model don't meet."""
    from xdist.scheduler.loadscope import LoadScopeScheduling

    class FileScheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            if "/test_matrix.py::" in nodeid and os.environ.get("TUNEGATE_CONFORMANCE") == "held":
                return nodeid
            return LONGEST[0] if nodeid.startswith(LONGEST[0]) else nodeid.partition("::")[0]

    config.option.loadscopereorder = False
    return FileScheduling(config, log)


# What a gate imports while it runs. Whatever a session inside a test is the first to import is dropped when the test
# ends, and the next one would import it anew: the client of judges alone takes a second.
IMPORTED_BY_GATES = (
    *("pydantic_settings", "openai", "openai.resources", "aiohttp", "tenacity", "jsonschema", "jinja2"),
    *("harness.plugin.hooks", "harness.settings.sources", "harness.judge.openai_engine"),
    *("harness.engines.served.engine", "reports.plugin", "reports.html.build", "reports.html.render"),
    *("harness.history.location", "reports.files", "rich._emoji_codes", "http.server", "tunegate.streams"),
)


@pytest.fixture(scope="session")
def gate_imports():
    """What a gate imports, loaded for all sessions inside tests. Tests of a lean start use other processes."""
    for name in IMPORTED_BY_GATES:
        import_module(name)


@pytest.fixture
def pytester(gate_imports, pytester):
    """The fixture of pytest itself, beside modules that stay loaded."""
    return pytester


CHAT_TEMPLATE = (
    "{% for message in messages %}<|{{ message['role'] }}|> {{ message['content'] }} <|end|> {% endfor %}"
    "{% if add_generation_prompt %}<|assistant|> {% endif %}"
)


def save_tiny_llama(directory, tokenizer, **sizes):
    """Save a random Llama and its tokenizer.

    Args:
        directory: Where to.
        tokenizer: Its vocabulary is the model's.
        sizes: Keys of its configuration, beside or in place of those of one layer of 32.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    one_layer = {
        "hidden_size": 32,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "max_position_embeddings": 4096,
    }
    config = LlamaConfig(vocab_size=len(tokenizer), **{**one_layer, **sizes})
    LlamaForCausalLM(config).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


@pytest.fixture(name="save_tiny_llama", scope="session")
def save_tiny_llama_fixture():
    """The function that saves random models."""
    return save_tiny_llama


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer Llama with a word tokenizer and a chat template: a real model, small and useless."""
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    directory = tmp_path_factory.mktemp("tiny_model")
    words = [
        *(f"w{i}" for i in range(50)),
        *("the", "a", "cat", "sat", "on", "mat", "what", "is", "one", "two", "three"),
    ]
    special = ["<pad>", "<unk>", "<bos>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
    vocabulary = {word: index for index, word in enumerate(special + words)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<bos>",
        eos_token="<|end|>",
        model_max_length=512,
    )
    fast.chat_template = CHAT_TEMPLATE
    return save_tiny_llama(
        directory,
        fast,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        pad_token_id=0,
        bos_token_id=2,
        eos_token_id=3,
        # Large weights make random logits differ clearly, so that greedy text varies with the prompt.
        initializer_range=0.5,
    )


@pytest.fixture(scope="session")
def tiny_adapter_dir(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A LoRA adapter of the tiny model whose B matrices are random, so that it changes answers."""
    return make_tiny_adapter(tiny_model_dir, tmp_path_factory.mktemp("tiny_adapter"), spread=0.5)


def make_tiny_adapter(base: Path, directory: Path, *, spread: float, seed: int = 1) -> Path:
    """Save a LoRA adapter of ``base`` with B drawn from a normal of the given spread; 0 leaves it dead."""
    for name, data in _tiny_adapter(base, spread, seed).items():
        directory.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(data)
    return directory


@lru_cache
def _tiny_adapter(base: Path, spread: float, seed: int) -> dict[str, bytes]:
    """The adapter's files by name: dozens of tests want the same one."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base),
        LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, spread) if spread else parameter.data.zero_()
    with TemporaryDirectory() as name:
        model.save_pretrained(name)
        files = {path.name: path.read_bytes() for path in Path(name).iterdir()}
    config = json.loads(files["adapter_config.json"])
    config["base_model_name_or_path"] = str(base)
    return files | {"adapter_config.json": json.dumps(config).encode()}


@pytest.fixture(name="make_tiny_adapter", scope="session")
def make_tiny_adapter_fixture():
    """The function that saves adapters of the tiny model."""
    return make_tiny_adapter


@pytest.fixture(scope="session")
def tiny_encoder_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random two-layer BERT whose tokenizer knows some words and spells all others letter by letter."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    directory = tmp_path_factory.mktemp("tiny_encoder")
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,?!-"
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "the", "in", "is", "who", "where", "lives", "call", "book"]
    pieces = [*words, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", 3), ("[CLS]", 2))
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_max_length=128,
    ).save_pretrained(directory)
    torch.manual_seed(0)
    BertModel(
        BertConfig(
            vocab_size=len(vocabulary),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=128,
            initializer_range=0.3,
        )
    ).save_pretrained(directory)
    return directory


@pytest.fixture(scope="session")
def tiny_bytes_dir(tmp_path_factory):
    """A random model of bytes, which can write any text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    directory = tmp_path_factory.mktemp("tiny_bytes")
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {text: index for index, text in enumerate(["<pad>", "<s>", "</s>", *alphabet])}
    inner = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    inner.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", bos_token="<s>", eos_token="</s>"
    )
    tokenizer.chat_template = (
        "{% for message in messages %}{{ message.role }}: {{ message.content }}\n{% endfor %}assistant: "
    )
    return save_tiny_llama(
        directory, tokenizer, max_position_embeddings=1024, initializer_range=0.5, eos_token_id=2
    )


@pytest.fixture(scope="session")
def tiny_multitask_dir(tiny_encoder_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A multi-task model with random heads on the tiny encoder: tasks ``intent``, ``names`` and ``answer``."""
    import shutil

    import torch
    from safetensors.torch import save_file

    from harness.models.resolve import model_sha256, tokenizer_sha256

    directory = tmp_path_factory.mktemp("tiny_multitask") / "model"
    shutil.copytree(tiny_encoder_dir, directory / "encoder")
    tasks = [
        {"name": "intent", "kind": "label", "labels": ["book", "call", "where"]},
        {"name": "names", "kind": "entities", "labels": ["O", "B-city", "I-city", "B-person", "I-person"]},
        {"name": "answer", "kind": "span", "labels": ["start", "end"]},
    ]
    random = torch.Generator().manual_seed(1)
    heads = {
        f"{task['name']}.{part}": torch.randn(shape, generator=random)
        for task in tasks
        for part, shape in (("weight", (len(task["labels"]), 32)), ("bias", (len(task["labels"]),)))
    }
    save_file(heads, directory / "heads.safetensors")
    config = {
        "schema_version": 1,
        "base": str(tiny_encoder_dir),
        "base_sha256": model_sha256(tiny_encoder_dir),
        "tokenizer_sha256": tokenizer_sha256(tiny_encoder_dir),
        "encoder": "full",
        "max_length": 128,
        "max_answer_tokens": 30,
        "tasks": tasks,
    }
    (directory / "multitask.json").write_text(json.dumps(config))
    return directory


def make_result(key, outcome=True, *, scores=(), tags=(), cluster=None, prompt="Say yes."):
    """One scored case, ``set/id``; the outcome may be a plain True (passed) or False (failed)."""
    from harness.types import CaseResult, Completion, GoldenCase, Message, Outcome, Score

    set_name, _, case_id = key.partition("/")
    plain = {True: Outcome.PASSED, False: Outcome.FAILED}
    return CaseResult(
        case=GoldenCase(
            id=case_id,
            set_name=set_name,
            messages=(Message(role="user", content=prompt),),
            tags=tuple(tags),
            cluster=cluster,
        ),
        completion=Completion(
            text="yes", stop_reason="stop", prompt_tokens=3, completion_tokens=1, latency_s=0.1
        ),
        scores=tuple(Score(metric=metric, value=value) for metric, value in scores),
        outcome=plain[outcome] if isinstance(outcome, bool) else outcome,
    )


def make_run(results, *, gates=None, probes=(), collected=None, losses=(), dtype="float32", run_id="now"):
    """A run of scored cases.

    ``gates`` maps a set's name to its GateSettings, ``probes`` names the sets that probe forgetting, and
    ``losses`` maps a passage to its nats per token.
    """
    from harness.comparison.pairing import scored_metrics
    from harness.golden.schema import CHECK_TYPES, base_type
    from harness.types import Environment, ExecutionPlan, GateSettings, GoldenSet, ModelRef, Run, TextLoss

    gates = gates or {}
    names = dict.fromkeys([*(result.case.set_name for result in results), *gates])
    return Run(
        id=run_id,
        started_at="2026-01-31T12:00:00+00:00",
        duration_s=1.0,
        model=ModelRef(label="adapter", base_model="tiny", base_sha256="0" * 64),
        plan=ExecutionPlan(engine="transformers", dtype=dtype, device="cpu", batch_tokens=2048),
        environment=Environment(python="3.11", platform="Linux", packages={}),
        golden_sets=tuple(
            GoldenSet(
                name=name,
                path=f"{name}.yaml",
                gate=gates.get(name, GateSettings()),
                probes_forgetting=name in probes,
            )
            for name in names
        ),
        collected=len(results) if collected is None else collected,
        results=tuple(results),
        text_losses=tuple(
            TextLoss(passage=passage, nats_per_token=nats, tokens=100)
            for passage, nats in dict(losses).items()
        ),
        metrics={name: CHECK_TYPES[base_type(name)].facts for name in scored_metrics(results)},
    )


@pytest.fixture(name="make_result", scope="session")
def make_result_fixture():
    """The function that makes a scored case."""
    return make_result


@pytest.fixture(name="make_run", scope="session")
def make_run_fixture():
    """The function that makes a run of scored cases."""
    return make_run


@pytest.fixture(name="run_of")
def run_of_fixture():
    """Makes a run from the number of passed answers of each case, of five."""
    from dataclasses import replace

    from harness.types import Outcome, Repeat

    def build(passed, answers=5, **settings):
        results = []
        for place, count in enumerate(passed):
            result = make_result(f"s/{place:03}", count == answers)
            repeats = tuple(
                Repeat(completion=result.completion, outcome=Outcome.PASSED if n < count else Outcome.FAILED)
                for n in range(answers)
            )
            results.append(replace(result, repeats=repeats if answers > 1 else ()))
        return make_run(results, **settings)

    return build


class ScriptedServer:
    """A real HTTP server on 127.0.0.1 that speaks the OpenAI protocol and answers as a test says.

    Attributes:
        answer: Gives the reply's text (or JSON as a mapping) for a request's body.
        faults: Faults of the next requests, in order; an empty name is none. One of FAULTS.
        fault_rate: Beyond those, the probability of a fault drawn at random.
        slow_s: How long a slow reply takes.
        bodies: The requests' bodies, faulty attempts included.
        keys: The Authorization headers that came.
        message: A whole message of a reply in place of ``answer``; None for none.
        finish_reason: Why each reply ended.
        most_at_once: Largest number of requests that were under way together.
    """

    FAULTS = ("429", "500", "slow", "half", "schema", "reset", "prose")

    def __init__(self):
        import random
        import threading
        from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

        self.answer = lambda body: {"reason": "scripted", "pass": True}
        self.faults, self.fault_rate, self.slow_s = [], 0.0, 1.0
        self.retry_after = "0.05"
        self.message, self.finish_reason = None, "stop"
        self.bodies, self.keys, self.sent_faults = [], [], []
        self.most_at_once = self._at_once = 0
        self._random, self._lock = random.Random(7), threading.Lock()
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.count(1)
                try:
                    outer.reply(self, body)
                finally:
                    outer.count(-1)

            def do_GET(self):
                outer._send(self, 404, '{"error": {"message": "there is no list"}}', {})

            def log_message(self, *arguments):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass  # a client that gave up on a slow reply

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    @property
    def spec(self):
        return f"openai:scripted@{self.url}"

    def count(self, change):
        with self._lock:
            self._at_once += change
            self.most_at_once = max(self.most_at_once, self._at_once)

    def _next_fault(self):
        with self._lock:
            if self.faults:
                fault = self.faults.pop(0)
            elif self._random.random() < self.fault_rate:
                fault = self._random.choice(self.FAULTS)
            else:
                fault = ""
            self.sent_faults.append(fault)
            return fault

    def reply(self, handler, body):
        import socket
        import struct
        import time

        with self._lock:
            self.bodies.append(body)
            self.keys.append(handler.headers.get("Authorization"))
        fault = self._next_fault()
        if fault == "reset":
            linger = struct.pack("ii", 1, 0)
            handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            handler.close_connection = True
            handler.connection.close()
            return
        if fault == "slow":
            time.sleep(self.slow_s)
        if fault in {"429", "500"} or (fault.isdecimal() and len(fault) == 3):
            error = {"error": {"message": f"scripted fault for {handler.headers.get('Authorization')}"}}
            self._send(
                handler,
                int(fault),
                json.dumps(error),
                {"Retry-After": self.retry_after} if fault == "429" else {},
            )
            return
        text = self.answer(body)
        text = text if isinstance(text, str) else json.dumps(text)
        if fault == "prose":
            text = "I would rather not say."
        reply = {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": body["model"],
            "choices": [
                {
                    "index": 0,
                    "finish_reason": self.finish_reason,
                    "message": {"role": "assistant", **(self.message or {"content": text})},
                }
            ],
            "usage": {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110},
        }
        if fault == "schema":
            reply = {"verdicts": "good"}
        written = json.dumps(reply)
        self._send(handler, 200, written[: len(written) // 2] if fault == "half" else written, {})

    @staticmethod
    def _send(handler, status, text, headers):
        data = text.encode()
        lines = {"Content-Type": "application/json", "Content-Length": str(len(data)), **headers}
        head = f"HTTP/1.1 {status} Scripted\r\n" + "".join(
            f"{name}: {value}\r\n" for name, value in lines.items()
        )
        # One write: two would wait for each other's acknowledgement.
        handler.wfile.write(head.encode() + b"\r\n" + data)

    def close(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def judge_server():
    """A scripted OpenAI-compatible server."""
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture
def second_server():
    """Another one."""
    server = ScriptedServer()
    yield server
    server.close()


# Special tokens as chat templates write them.
_MARK = re.compile(r"<\|[^|<>]+\|>|</?think>|<｜[^｜]+｜>|<(?:start|end)_of_turn>|<\|channel>|<channel\|>")


def shipped(name):
    """A real model's chat template, as TRL ships it."""
    return (files("trl") / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")


def letters(template=None, *, bos="<s>", eos="</s>", adds_bos=False, plain_marks=("<think>", "</think>")):
    """A tokenizer of single characters, with every mark that the template names as a token."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    characters = [chr(code) for code in range(32, 127)] + ["\n", "\t"]
    vocabulary = {text: index for index, text in enumerate(["<pad>", "<unk>", bos, eos, *characters])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    if adds_bos:
        inner.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, 2)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>", bos_token=bos, eos_token=eos
    )
    marks = sorted(set(_MARK.findall(template or "")) - {bos, eos})
    fast.add_tokens([AddedToken(mark, special=mark not in plain_marks, normalized=False) for mark in marks])
    fast.chat_template = template
    return fast


@pytest.fixture(name="letters", scope="session")
def letters_fixture():
    """The function that makes tokenizers."""
    return letters


@pytest.fixture(name="shipped", scope="session")
def shipped_fixture():
    """The function that reads shipped templates."""
    return shipped


@pytest.fixture
def start_app():
    """Serves a base and adapters; gives the address. What is passed is of ServedModels."""
    import threading
    import time

    uvicorn = pytest.importorskip("uvicorn")
    from harness.engines.open import choose_plan, open_sides
    from harness.serving.app import create_app
    from harness.serving.models import ServedModels, name_models

    started = []

    def start(base, adapters=(), *, key=None, wrap=lambda app: app, **options):
        models = name_models(str(base), [str(adapter) for adapter in adapters])
        plan = choose_plan("float32", "cpu", 4096, list(models.values()))
        served = ServedModels(open_sides(models, plan), models, plan, **options)
        app = wrap(create_app(served, {}, key=key))
        server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            time.sleep(0.01)
        started.append((server, thread))
        return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/v1"

    yield start
    for server, thread in started:
        server.should_exit = True
        thread.join()


def postgres_programs():
    """The folder of the server's programs."""
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    usable = [folder for folder in folders if (folder / "pg_ctl").exists()]
    if not usable:
        text = "no PostgreSQL server here, so shared histories are NOT TESTED: apt-get install postgresql"
        if os.environ.get("TUNEGATE_REQUIRE_POSTGRES"):
            pytest.fail(text)
        # A skip alone is one letter.
        warnings.warn(text, stacklevel=2)
        pytest.skip(text)
    return usable[-1]


POSTGRES_PASSWORD, POSTGRES_IN_URL = "p%s/w:rd@1", "p%25s%2Fw%3Ard%401"


class PostgresServer:
    """A running server with a database."""

    def __init__(self, folder, port):
        self.folder, self.port = folder, port

    def url(self, schema="", user="owner", password=POSTGRES_IN_URL, database="history", port=None):
        query = f"?schema={schema}" if schema else ""
        return f"postgresql://{user}:{password}@127.0.0.1:{port or self.port}/{database}{query}"

    def place(self, schema="", **rest):
        from harness.history.server import history_server

        return history_server(self.url(schema, **rest))

    def run(self, *statements, database="history"):
        import psycopg

        with psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user="owner",
            password=POSTGRES_PASSWORD,
            dbname=database,
            autocommit=True,
        ) as connection:
            return [connection.execute(each) for each in statements]


def as_unprivileged(folder):
    """The server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    shutil.chown(folder, "nobody")
    return {"user": "nobody", "group": "nogroup", "extra_groups": []}


@pytest.fixture(scope="session")
def postgres():
    """A PostgreSQL server of this session's own, with the password in forms that have to be escaped."""
    pytest.importorskip("psycopg", reason="pip install 'tunegate[postgres]'", exc_type=ImportError)
    bin_folder = postgres_programs()
    folder = Path(tempfile.mkdtemp(prefix="tg-pg-"))
    who = as_unprivileged(folder)
    (folder / "password").write_text(POSTGRES_PASSWORD)
    (folder / "password").chmod(0o644)
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    make = [
        bin_folder / "initdb",
        "-D",
        folder / "data",
        "-U",
        "owner",
        "-E",
        "UTF8",
        "--locale=C",
        "--no-sync",
    ]
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, **who}
    subprocess.run([*make, "--auth=scram-sha-256", f"--pwfile={folder / 'password'}"], check=True, **quiet)
    options = f"-F -p {port} -h 127.0.0.1 -k {folder} -c max_connections=30 -c shared_buffers=16MB"
    control = [bin_folder / "pg_ctl", "-D", folder / "data", "-l", folder / "log", "-w"]
    subprocess.run([*control, "-o", options, "start"], check=True, **quiet)
    started = PostgresServer(folder, port)
    try:
        started.run("CREATE DATABASE history", database="postgres")
        yield started
    finally:
        subprocess.run([*control, "-m", "immediate", "stop"], check=False, **quiet)
        shutil.rmtree(folder, ignore_errors=True)
