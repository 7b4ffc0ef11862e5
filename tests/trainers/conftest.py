"""A directory with a configuration and data for a trainer on the tiny model."""

import gc
import json
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import jinja2
import pytest

from harness.golden.load import load_golden_set
from harness.registry import load_function
from trainers.data import leakage
from trainers.methods.catalogue import METHODS
from trainers.run.entry import run_module

PAIRS = [{"prompt": f"what is w{i}", "chosen": f"one two w{i}", "rejected": "cat sat"} for i in range(12)]
HELD_OUT = [
    {"prompt": f"what is w{i}", "chosen": f"one two w{i}", "rejected": "cat sat"} for i in range(20, 30)
]
THUMBS = [
    {"prompt": f"what is w{i}", "completion": "one two" if i % 2 else "cat sat", "label": bool(i % 2)}
    for i in range(16)
]
TEXTS = [{"text": "the cat sat on a mat " * 20}, {"text": "one two three " * 30}]


ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True, scope="session")
def nothing_is_compiled_twice():
    """Each save writes a model card and each run reads our golden sets: a third of the time of a short training.

    The templates of these cards are compiled once, and the sets of this checkout are read once.
    """
    compiled, read = lru_cache(jinja2.Template.__new__), lru_cache(load_golden_set)

    def ours_once(path):
        return (read if path.resolve().is_relative_to(ROOT) else load_golden_set)(path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(jinja2.Template, "__new__", compiled)
        patch.setattr(leakage, "load_golden_set", ours_once)
        yield


@pytest.fixture(autouse=True, scope="module")
def let_the_collector_see_all():
    """What a file's tests left behind is collected after its last one."""
    yield
    gc.unfreeze()


@pytest.fixture(autouse=True)
def spare_the_collector(let_the_collector_see_all):
    """Training collects garbage at every save: half a second each with all libraries in sight."""
    gc.freeze()


class Project:
    """Trains on the tiny model, as the command line would."""

    def __init__(self, path: Path, base: Path, method: str, rows: list[dict], settings: dict) -> None:
        self.path, self.method = path, method
        (path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (path / "held_out.jsonl").write_text("".join(json.dumps(row) + "\n" for row in HELD_OUT))
        self.settings = {
            "base": str(base),
            # What is learnt in so few steps must not depend on what this machine's CPU can do.
            "dtype": "float32",
            "data": "rows.jsonl",
            "output": "out",
            "peft": {"r": 4},
            "learning_rate": 0.02,
            "max_steps": 8,
            "batch_size": 4,
            "save_steps": 4,
            **settings,
        }

    @property
    def output(self) -> Path:
        return self.path / "out"

    def train(self, *arguments: str, **changes) -> int:
        config = self.path / "config.yaml"
        settings = {**self.settings, **changes}
        if settings.get("adapter"):
            settings.pop("peft")  # the adapter keeps its shape
        if self.method == "rft":
            settings.pop("save_steps")  # its rounds are its checkpoints
        config.write_text(json.dumps(settings))
        method = METHODS[self.method]
        module = import_module(str(method.train).partition(":")[0])
        kind = load_function(method.config, self.method)
        return run_module(self.method, kind, module.train, [str(config), *arguments])

    @property
    def manifest(self) -> dict:
        return json.loads((self.output / "training_manifest.json").read_text())


@pytest.fixture
def make_project(tiny_model_dir, tmp_path):
    """A project of any method: ``make_project("dpo", rows, **settings)``."""

    def make(method, rows, **settings):
        return Project(tmp_path, tiny_model_dir, method, rows, settings)

    return make


@pytest.fixture
def pairs():
    return list(PAIRS)


@pytest.fixture
def thumbs():
    return list(THUMBS)


@pytest.fixture
def texts():
    return list(TEXTS)
