"""Every key of multi-head fine-tuning does something: two values, two results."""

import json
from typing import Any

import pytest

from tests.trainers.keys.conftest import Run, Values, files, status, weights, with_keys
from tests.trainers.multitask.conftest import KINDS, ROWS
from trainers.multitask.config import LoraSettings, MultitaskConfig, TaskSettings
from trainers.multitask.train import train as train_multitask


def leaks(run: Run) -> list[Any]:
    """What was found in each task's rows, and what wasn't looked for; not the settings of the search."""
    assert run.status == 0
    found = [task["train"]["leakage"] for task in run.manifest["data"]["tasks"].values()]
    return [(one["found"], one["embedding_skipped"]) for one in found]


def held_out(run: Run) -> Any:
    return run.manifest["held_out"]


def compared(run: Run) -> Any:
    return run.manifest["interference"]


def description(run: Run) -> Any:
    """What the gate reads of the model."""
    assert run.status == 0
    return json.loads((run.output / "multitask.json").read_text())


def task(task: str, **changes: Any) -> dict[str, Any]:
    return {"name": task, "kind": KINDS[task], "data": f"{task}.jsonl", **changes}


def tasks(**changes: Any) -> list[dict[str, Any]]:
    """Two tasks, the first with some keys changed."""
    return [task("intent", **changes), task("answer")]


LORA = {"encoder": "lora"}
GOLDEN = {"golden": "golden.yaml", "leakage.embedding": None}
FOUND = {"seen": leaks, "why": "it searches the data"}
KEYS: dict[str, Values] = {
    "base": Values(one="base", two="other-base"),
    "output": Values(one="out", two="elsewhere", seen=files, why="it is a place"),
    "golden": Values(one=None, two="golden.yaml", given={"leakage.allow": True}, **FOUND),
    "leakage.allow": Values(one=False, two=True, given=GOLDEN, seen=status, why="it refuses"),
    "leakage.exact": Values(one=True, two=False, given={**GOLDEN, "leakage.allow": True}, **FOUND),
    "leakage.ngram": Values(
        one=13, two=5, given={**GOLDEN, "leakage.allow": True, "leakage.exact": False}, **FOUND
    ),
    "leakage.embedding": Values(
        one=None, two=0.9, given={"golden": "golden.yaml", "leakage.allow": True}, **FOUND
    ),
    "seed": Values(one=0, two=1),
    "tasks.name": Values(one=tasks(), two=tasks(name="other"), seen=description, why="it is a name"),
    "tasks.kind": Values(
        one=tasks(), two=tasks(kind="entities"), seen=status, why="rows of another kind are refused"
    ),
    "tasks.data": Values(one=tasks(), two=tasks(data="few.jsonl")),
    "tasks.eval_data": Values(
        one=tasks(), two=tasks(eval_data="new.jsonl"), seen=held_out, why="it measures"
    ),
    "tasks.weight": Values(one=tasks(), two=tasks(weight=3.0)),
    "tasks.head_learning_rate": Values(one=tasks(), two=tasks(head_learning_rate=0.1)),
    "mode": Values(one="joint", two="sequential"),
    "gradients": Values(one="sum", two="pcgrad"),
    "sampling": Values(one="balanced", two="proportional", given={"max_steps": 6}),
    "temperature": Values(one=1.0, two=9.0, given={"sampling": "temperature", "max_steps": 6}),
    "encoder": Values(one="full", two="lora"),
    "lora.r": Values(one=16, two=4, given=LORA),
    "lora.alpha": Values(one=32, two=8, given=LORA),
    "lora.dropout": Values(one=0.0, two=0.5, given=LORA),
    "learning_rate": Values(one=0.003, two=0.001),
    "max_steps": Values(one=4, two=5),
    "batch_size": Values(one=8, two=4),
    "warmup_steps": Values(one=1, two=2),
    "weight_decay": Values(one=0.01, two=0.5),
    "max_grad_norm": Values(one=1.0, two=0.001),
    "max_length": Values(one=64, two=8, seen=status, why="longer rows are refused"),
    "max_answer_tokens": Values(one=30, two=20, seen=description, why="the gate's answers keep to it"),
    "interference": Values(
        one=False, two=True, given={"tasks": tasks(eval_data="new.jsonl")}, seen=compared, why="it measures"
    ),
    "save_steps": Values(one=2, two=3, seen=status, why="checkpoints are removed at the end: read alone"),
}


@pytest.fixture(scope="module")
def bases(tiny_encoder_dir, tmp_path_factory):
    """Two encoders, by the names that settings give them."""
    import shutil

    import torch
    from transformers import AutoModel

    other = shutil.copytree(tiny_encoder_dir, tmp_path_factory.mktemp("bases") / "other")
    torch.manual_seed(1)
    AutoModel.from_config(AutoModel.from_pretrained(other).config).save_pretrained(other)
    return {"base": str(tiny_encoder_dir), "other-base": str(other)}


@pytest.fixture
def train(bases, run_once):
    """Trains with some keys changed."""
    lines = {name: [json.dumps(row) for row in rows(range(24))] for name, rows in ROWS.items()}
    files = {
        f"{name}.jsonl": "\n".join(rows[: 8 if name == "answer" else 24]) for name, rows in lines.items()
    }
    case = "  - {{id: {}, prompt: {}, checks: [{{type: contains, value: x}}]}}\n"
    golden = case.format("a", "book the anna 0") + case.format(
        "b", "w1 w2 w3 w4 where is cleo 2 w5 w6 w7 w8 w9"
    )
    files |= {"few.jsonl": "\n".join(lines["intent"][:12]), "golden.yaml": f"name: g\ncases:\n{golden}"}
    files["new.jsonl"] = "\n".join(json.dumps(row) for row in ROWS["intent"](range(30, 42)))
    usual = {
        "base": "base",
        "tasks": tasks(),
        "output": "out",
        "learning_rate": 0.003,
        "max_steps": 4,
        "batch_size": 8,
        "warmup_steps": 1,
        "interference": False,
    }

    def run(changes) -> Run:
        settings = with_keys(usual, changes)
        settings["base"] = bases[settings["base"]]
        return run_once("multitask", MultitaskConfig, train_multitask, settings, files)

    return run


def test_every_key_is_in_the_table():
    sections = {"tasks": TaskSettings, "lora": LoraSettings}
    fields = MultitaskConfig.model_fields
    sections["leakage"] = fields["leakage"].annotation
    inner = {f"{name}.{key}" for name, kind in sections.items() for key in kind.model_fields}
    assert set(KEYS) == (set(fields) - set(sections)) | inner
    assert [key for key, values in KEYS.items() if values.seen is not weights and not values.why] == []


@pytest.mark.matrix
@pytest.mark.parametrize("key", [key for key in KEYS if key != "save_steps"])
def test_two_values_give_two_results(train, key):
    values = KEYS[key]
    name = "tasks" if key.startswith("tasks.") else key
    one, two = (train({**values.given, name: value}) for value in (values.one, values.two))
    assert values.seen(one) != values.seen(two)


def test_the_same_values_give_the_same_result(train):
    """Else the weights would differ for any key."""
    first, again = train({}), train({"mode": "joint"})
    assert again.path != first.path
    assert weights(again) == weights(first)


def test_checkpoints_are_written_as_often_as_asked(train, monkeypatch):
    """They are gone at the end, so the writing is counted."""
    from trainers.multitask import steps

    counts = []
    plain = steps._save
    monkeypatch.setattr(steps, "_save", lambda *given: (counts.append(given[2]), plain(*given)))
    for every in (KEYS["save_steps"].one, KEYS["save_steps"].two):
        assert train({"save_steps": every}).status == 0
    assert counts == [2, 4, 3]
