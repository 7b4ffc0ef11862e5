"""Multi-head training on a tiny encoder: what is learnt, resumed, interrupted, compared, written."""

import json
import os
import signal
import time

import pytest
import torch

from harness.engines.base import CANDIDATE, GenerationRequest
from harness.engines.multitask.directory import read_multitask
from harness.engines.open import choose_plan, describe_model, open_sides
from harness.types import GenerationSettings, Message
from trainers.multitask import steps
from trainers.run.progress import Watch

pytestmark = pytest.mark.training


def same(left, right):
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


def test_the_heads_learn_and_the_gate_reads_what_was_written(project):
    """Held-out rows are answered, by the engine exactly as training measured them."""
    assert project.train(max_steps=240, learning_rate=0.002) == 0
    manifest = project.manifest
    held_out = manifest["held_out"]
    assert held_out["intent"]["accuracy"]["estimate"] >= 0.9
    assert held_out["names"]["entity-f1"]["estimate"] >= 0.6
    assert held_out["intent"]["n"] == 12
    assert {"low", "high", "confidence", "method"} <= set(held_out["answer"]["squad-f1"])

    model = describe_model(str(project.output))
    engine = open_sides({CANDIDATE: model}, choose_plan("float32", "cpu", 512, [model]))
    rows = [json.loads(line) for line in (project.path / "intent_held_out.jsonl").read_text().splitlines()]
    said = {}
    engine.generate(
        [
            GenerationRequest(
                key=f"set/{number}",
                side=CANDIDATE,
                messages=(Message(role="user", content=row["text"]),),
                settings=GenerationSettings(task="intent"),
            )
            for number, row in enumerate(rows)
        ],
        said.update,
    )
    right = [said[number].text == row["label"] for number, row in enumerate(rows)]
    assert sum(right) / len(right) == held_out["intent"]["accuracy"]["estimate"]


def test_the_manifest_names_everything_by_content(project):
    assert project.train() == 0
    manifest, model = project.manifest, read_multitask(project.output)
    assert manifest["method"] == "multitask"
    assert manifest["base_sha256"] == model.config.base_sha256
    assert manifest["steps"] == 12
    assert [entry["step"] for entry in manifest["losses"]] == list(range(1, 13))
    assert {entry["task"] for entry in manifest["losses_by_task"]} == {"intent", "names", "answer"}
    assert manifest["data"]["tasks"]["intent"]["train"]["rows"] == 24
    assert manifest["data"]["tasks"]["intent"]["batches"] == 4
    assert manifest["interference"] == {"rows": [], "reason": "interference: false"}
    assert not any(project.output.rglob("*.bin"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"encoder": "lora", "lora": {"r": 2, "dropout": 0.1}},
        {"gradients": "pcgrad", "max_steps": 4},
        {"mode": "sequential"},
        {"mode": "per-task", "encoder": "lora"},
    ],
    ids=["joint", "lora", "pcgrad", "sequential", "per-task"],
)
def test_the_same_seed_gives_the_same_weights_and_another_one_others(project, changes):
    """Bit by bit; and every head, and every part of the encoder that is trained, has moved."""
    assert project.train(**changes) == 0
    first = project.weights()
    assert project.train(**changes) == 0
    assert same(project.weights(), first)
    assert project.train(**changes, seed=1) == 0
    assert not same(project.weights(), first)
    describe_model(str(project.output))


@pytest.mark.parametrize(
    "changes",
    [{}, {"mode": "sequential", "encoder": "lora"}, {"gradients": "pcgrad"}],
    ids=["joint", "sequential", "pcgrad"],
)
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(project, monkeypatch, changes):
    """Stopped after the sixth step, in the middle of a phase, and gone on with: the same weights, bit by bit."""
    assert project.train(**changes) == 0
    whole, losses = project.weights(), project.manifest["losses_by_task"]

    show = Watch.show

    def press(watch, *, step, total, loss):
        show(watch, step=step, total=total, loss=loss)
        if step == 6:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Watch, "show", press)
    before = {path.name: path.stat().st_mtime_ns for path in project.output.iterdir()}
    assert project.train(**changes) == 2
    assert {path.name: path.stat().st_mtime_ns for path in project.output.iterdir()} == before
    monkeypatch.setattr(Watch, "show", show)
    assert project.train("--resume", **changes) == 0
    assert same(project.weights(), whole)
    assert project.manifest["losses_by_task"] == losses


def test_it_goes_on_in_the_comparison_when_it_was_stopped_there(project, monkeypatch):
    """What is finished, the main training among it, is not done again."""
    chosen = {"interference": True}
    assert project.train(**chosen) == 0
    whole, report = project.weights(), project.manifest["interference"]
    show, taken = Watch.show, []

    def press(watch, *, step, total, loss):
        show(watch, step=step, total=total, loss=loss)
        taken.append(step)
        if step == 18:
            os.kill(os.getpid(), signal.SIGINT)

    monkeypatch.setattr(Watch, "show", press)
    assert project.train(**chosen) == 2
    assert taken == list(range(1, 19))
    assert project.train("--resume", **chosen) == 0
    assert taken[18:] == list(range(19, 25))
    assert same(project.weights(), whole)
    assert project.manifest["interference"] == report


def test_ctrl_c_at_a_terminal_stops_after_the_step(project, start):
    """The real program, the real signal: exit status 2, and --resume finishes it."""
    program = start("trainers.multitask", str(project.config(max_steps=4000)), folder=project.path)
    deadline = time.monotonic() + 60
    while not any(project.work.glob("checkpoints/*/trainer_state.json")) and time.monotonic() < deadline:
        time.sleep(0.05)
    program.interrupt()
    said = program.output.read()
    assert program.wait() == 2, said
    assert "continue with --resume" in said
    assert not project.output.exists()


def test_the_interference_report_compares_each_task_with_itself_alone(project):
    """On the same held-out rows, each figure with n and interval; printed, in a file, and in the manifest."""
    assert project.train(interference=True, max_steps=30) == 0
    report = json.loads((project.output / "interference.json").read_text())
    assert report == project.manifest["interference"]
    assert [(row["task"], row["metric"], row["n"]) for row in report["rows"]] == [
        ("intent", "accuracy", 12),
        ("names", "entity-f1", 12),
        ("answer", "squad-em", 12),
        ("answer", "squad-f1", 12),
    ]
    for row in report["rows"]:
        assert row["drop"]["estimate"] == pytest.approx(
            row["alone"]["estimate"] - row["together"]["estimate"]
        )
        assert row["drop"]["low"] < row["drop"]["high"]
        assert row["finding"] in {"harmed", "helped", "no difference shown"}
    together = {row["task"]: row["together"]["estimate"] for row in report["rows"]}
    assert together["names"] == project.manifest["held_out"]["names"]["entity-f1"]["estimate"]


def test_alone_is_what_a_run_with_that_task_only_gives(project):
    """The comparison's side of one task is a training of its own, reproduced by a configuration without the others."""
    assert project.train(interference=True, max_steps=30) == 0
    rows = {row["task"]: row for row in project.manifest["interference"]["rows"]}
    (intent,) = [task for task in project.settings["tasks"] if task["name"] == "intent"]
    assert project.train(tasks=[intent], max_steps=10) == 0
    alone = project.manifest["held_out"]["intent"]["accuracy"]
    assert rows["intent"]["alone"]["estimate"] == alone["estimate"]
    assert project.manifest["interference"]["reason"] == "there is one task only"


def test_tasks_with_adapters_of_their_own_cannot_interfere(project):
    """Trained beside others or not, a task's adapter and head are the same, bit by bit."""
    chosen = {"mode": "per-task", "encoder": "lora", "interference": True}
    assert project.train(**chosen) == 0
    beside, manifest = project.weights(), project.manifest
    assert "can't interfere" in manifest["interference"]["reason"]
    (intent,) = [task for task in project.settings["tasks"] if task["name"] == "intent"]
    mine = {"tasks": [intent], "max_steps": 4}
    assert project.train(**{**chosen, **mine}) == 0
    alone = project.weights()
    assert alone
    assert all(torch.equal(tensor, beside[name]) for name, tensor in alone.items())


def test_gradient_surgery_notes_in_how_many_steps_tasks_conflicted(project):
    assert project.train(gradients="pcgrad", max_steps=6) == 0
    noted = project.manifest["conflicting_steps"]
    pairs = {"intent and names", "intent and answer", "names and answer"}
    assert set(noted) <= pairs
    assert all(1 <= count <= 6 for count in noted.values())


def test_surgery_leaves_one_task_alone(project):
    """With nothing to conflict with, PCGrad learns what the sum learns."""
    (intent,) = [task for task in project.settings["tasks"] if task["name"] == "intent"]
    assert project.train(tasks=[intent], gradients="sum", max_steps=3) == 0
    plain = project.weights()
    assert project.train(tasks=[intent], gradients="pcgrad", max_steps=3) == 0
    assert all(torch.allclose(tensor, plain[name], atol=1e-7) for name, tensor in project.weights().items())


def test_shared_parameters_get_the_sum_of_the_projected_gradients():
    """Over all of them as one vector, as the definition has it; what no task reads gets none."""
    shared = [
        torch.nn.Parameter(torch.zeros(1, 2)),
        torch.nn.Parameter(torch.zeros(3)),
        torch.nn.Parameter(torch.zeros(1)),
    ]
    of_tasks = [
        [torch.tensor([[1.0, 0.0]]), None, None],
        [torch.tensor([[-1.0, 1.0]]), torch.tensor([0.0, 0.0, 0.0]), None],
    ]
    progress = steps.Progress(total=1)
    steps._surgery(shared, of_tasks, ["a", "b"], "0", progress)
    assert shared[0].grad.tolist() == [[0.5, 1.5]]
    assert shared[1].grad.tolist() == [0.0, 0.0, 0.0]
    assert shared[2].grad is None
    assert progress.conflicting == {"a and b": 1}


def test_a_heads_own_rate_and_a_tasks_weight_reach_only_it(project):
    """Another rate for one head, with the encoder all but still: the other heads end as they did."""
    assert project.train(learning_rate=1e-12) == 0
    before = project.weights()
    tasks = [dict(task) for task in project.settings["tasks"]]
    tasks[0]["head_learning_rate"] = 0.05
    assert project.train(learning_rate=1e-12, tasks=tasks) == 0
    after = project.weights()
    assert not torch.equal(
        after["heads.safetensors:intent.weight"], before["heads.safetensors:intent.weight"]
    )
    assert torch.allclose(
        after["heads.safetensors:names.weight"], before["heads.safetensors:names.weight"], atol=1e-6
    )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weight_decay": 1e9}, "learning_rate: the loss of "),
        ({"max_length": 512}, "max_length: found 512 (allowed: up to the encoder's 128)"),
        ({"base": "/no/such/model"}, "/no/such/model: no such directory"),
    ],
)
def test_bad_input_is_one_line_and_leaves_the_old_model(project, capsys, changes, message):
    assert project.train() == 0
    whole = project.weights()
    assert project.train(**changes) == 4
    said = capsys.readouterr().err.strip().splitlines()[-1]
    assert said.startswith("tunegate: ")
    assert message in said
    assert same(project.weights(), whole)


def test_a_row_that_the_encoder_cannot_take_is_named_before_training(project, capsys):
    rows = [json.loads(line) for line in (project.path / "names.jsonl").read_text().splitlines()]
    rows[4]["entities"][0]["start"] += 1
    project.write("names.jsonl", rows)
    assert project.train() == 4
    assert "names.jsonl:5: city from" in capsys.readouterr().err


def test_resuming_without_a_checkpoint_is_refused(project, capsys):
    assert project.train("--resume") == 4
    assert "--resume: no checkpoint" in capsys.readouterr().err


def test_a_generating_model_is_no_encoder(project, tiny_model_dir, capsys):
    assert project.train(base=str(tiny_model_dir)) == 4
    assert "is not an encoder" in capsys.readouterr().err
