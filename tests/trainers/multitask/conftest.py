"""A directory with data and a configuration for multi-head training on the tiny encoder."""

import json
from pathlib import Path

import pytest

from trainers.multitask.config import MultitaskConfig
from trainers.multitask.train import train
from trainers.run.entry import run_module

NAMES = ["anna", "bo", "cleo", "dan", "eva", "finn", "gus", "hal"]
CITIES = ["oslo", "rome", "kyiv", "lima", "bern", "nice"]


def intent_rows(numbers):
    verbs = [("book", "book the {}"), ("call", "call {}"), ("where", "where is {}")]
    for number in numbers:
        label, frame = verbs[number % 3]
        yield {"text": frame.format(f"{NAMES[number % 8]} {number}"), "label": label}


def entity_rows(numbers):
    for number in numbers:
        name, city = NAMES[number % 8], CITIES[number % 6]
        text = f"{name} lives in {city} {number}"
        begin = text.index(city)
        yield {
            "text": text,
            "entities": [
                {"type": "city", "start": begin, "end": begin + len(city)},
                {"type": "person", "start": 0, "end": len(name)},
            ],
        }


def span_rows(numbers):
    for number in numbers:
        name, city = NAMES[number % 8], CITIES[number % 6]
        yield {
            "question": "where is the call?" if number % 2 else "who is in?",
            "passage": f"{name} is in {city}, {number}.",
            "answer": city if number % 2 else name,
        }


ROWS = {"intent": intent_rows, "names": entity_rows, "answer": span_rows}
KINDS = {"intent": "label", "names": "entities", "answer": "span"}


class Project:
    """Trains on the tiny encoder, as the command line would."""

    def __init__(self, path: Path, base: Path) -> None:
        self.path = path
        for name, rows in ROWS.items():
            self.write(f"{name}.jsonl", rows(range(24)))
            self.write(f"{name}_held_out.jsonl", rows(range(30, 42)))
        self.settings = {
            "base": str(base),
            "tasks": [
                {"name": name, "kind": kind, "data": f"{name}.jsonl", "eval_data": f"{name}_held_out.jsonl"}
                for name, kind in KINDS.items()
            ],
            "output": "out",
            "learning_rate": 0.003,
            "max_steps": 12,
            "batch_size": 8,
            "warmup_steps": 2,
            "save_steps": 4,
            "interference": False,
        }

    def write(self, name: str, rows) -> Path:
        path = self.path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    @property
    def output(self) -> Path:
        return self.path / "out"

    @property
    def work(self) -> Path:
        return self.path / "out.work"

    def config(self, **changes) -> Path:
        path = self.path / "multitask.yaml"
        path.write_text(json.dumps({**self.settings, **changes}))
        return path

    def train(self, *arguments: str, **changes) -> int:
        return run_module("multitask", MultitaskConfig, train, [str(self.config(**changes)), *arguments])

    def weights(self) -> dict:
        """Every tensor of the output, by file and name."""
        from safetensors.torch import load_file

        return {
            f"{path.relative_to(self.output)}:{name}": tensor
            for path in sorted(self.output.rglob("*.safetensors"))
            for name, tensor in load_file(path).items()
        }

    @property
    def manifest(self) -> dict:
        return json.loads((self.output / "training_manifest.json").read_text())


@pytest.fixture
def project(tiny_encoder_dir, tmp_path, monkeypatch):
    """A project whose three tasks can be learnt in a few dozen steps."""
    monkeypatch.chdir(tmp_path)  # the checkout's own golden sets are none of its business
    return Project(tmp_path, tiny_encoder_dir)
