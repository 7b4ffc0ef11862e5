"""QLoRA SFT on a tiny random model: what is learnt, resumed, interrupted, written."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from harness.engines.open import describe_model
from harness.types.storage import plain
from trainers.config_file import load_config
from trainers.methods.sft import SftConfig, train
from trainers.run.entry import run_module

ROWS = [{"prompt": f"what is w{i}", "completion": f"one two w{i}"} for i in range(12)]


@pytest.fixture
def project(tiny_model_dir, tmp_path):
    """A configuration of the tiny model and twelve rows."""
    (tmp_path / "rows.jsonl").write_text("\n".join(json.dumps(row) for row in ROWS))
    settings = {
        "base": str(tiny_model_dir),
        "dtype": "float32",
        "data": "rows.jsonl",
        "output": "out",
        "peft": {"r": 4},
        "learning_rate": 0.02,
        "max_steps": 8,
        "batch_size": 4,
        "save_steps": 4,
    }
    return Project(tmp_path, settings)


class Project:
    def __init__(self, path: Path, settings: dict) -> None:
        self.path, self.settings = path, settings

    def config(self, **changes) -> Path:
        path = self.path / "sft.yaml"
        path.write_text(json.dumps({**self.settings, **changes}))
        return path

    def train(self, *arguments: str, **changes) -> int:
        return run_module("sft", SftConfig, train, [str(self.config(**changes)), *arguments])

    @property
    def manifest(self) -> dict:
        return json.loads((self.path / "out" / "training_manifest.json").read_text())


def test_training_writes_an_adapter_that_the_gate_accepts(project):
    """Loss falls; the directory is whole; base, data and adapter are identified by content."""
    assert project.train() == 0
    model = describe_model(str(project.path / "out"))
    manifest = project.manifest
    losses = [entry["loss"] for entry in manifest["losses"]]
    assert len(losses) == manifest["steps"] == 8
    assert losses[-1] < losses[0]
    assert manifest["adapter_sha256"] == model.adapter_sha256
    assert manifest["base_sha256"] == model.base_sha256
    assert manifest["data"]["rows"] == 12
    assert manifest["packages"]["trl"]
    assert plain(model.training) == manifest


def test_the_same_seed_gives_the_same_adapter(project):
    project.train()
    first = project.manifest["adapter_sha256"]
    project.train()
    assert project.manifest["adapter_sha256"] == first
    project.train(seed=1)
    assert project.manifest["adapter_sha256"] != first


def test_only_the_answers_tokens_carry_loss(project, tiny_model_dir):
    """Token by token through the collator that training really uses: prompt masked, answer and its end not."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import SFTConfig as TrlConfig
    from trl import SFTTrainer

    from trainers.data.conversations import load_examples
    from trainers.run.arguments import trl_arguments
    from trainers.run.training_run import TrainingRun

    config = load_config(project.config(), SftConfig)
    rows = load_examples(config.data).rows
    run = TrainingRun(
        method="sft",
        config=config,
        base_dir=tiny_model_dir,
        work=project.path / "work",
        checkpoint=None,
        console=None,
        watch=None,
        dtype=torch.float32,
        started_s=0.0,
    )
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    trainer = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(tiny_model_dir),
        args=trl_arguments(TrlConfig, run, completion_only_loss=True),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
    )
    batch = next(iter(trainer.get_train_dataloader()))
    for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        learnt = [token for token, label in zip(ids.tolist(), labels.tolist(), strict=True) if label != -100]
        prompt = [token for token, label in zip(ids.tolist(), labels.tolist(), strict=True) if label == -100]
        assert all(label in {token, -100} for token, label in zip(ids.tolist(), labels.tolist(), strict=True))
        words = tokenizer.decode(learnt).split()
        assert words[:2] == ["one", "two"]
        assert words[2].startswith("w")
        assert words[3:] == ["<|end|>"]
        text = tokenizer.decode([token for token in prompt if token != tokenizer.pad_token_id])
        assert text.split() == ["<|user|>", "what", "is", words[2], "<|end|>", "<|assistant|>"]


def test_resume_goes_on_from_the_last_checkpoint(project):
    """A run stopped after its first half and resumed has done as many steps, to the same loss but for rounding."""
    project.train()
    whole = project.manifest
    work = project.path / "out.work" / "checkpoints"
    for file in sorted((work / "checkpoint-8").iterdir()):
        file.unlink()
    (work / "checkpoint-8").rmdir()
    assert project.train("--resume") == 0
    resumed = project.manifest
    assert resumed["steps"] == 8
    assert [entry["step"] for entry in resumed["losses"]] == list(range(1, 9))
    assert resumed["losses"][-1]["loss"] == pytest.approx(whole["losses"][-1]["loss"], rel=1e-2)


def test_resume_refuses_a_changed_configuration(project, capsys):
    project.train()
    assert project.train("--resume", learning_rate=0.5) == 4
    assert "--resume: learning_rate changed since the checkpoint" in capsys.readouterr().err


def test_resume_without_a_checkpoint(project, capsys):
    assert project.train("--resume") == 4
    assert "no checkpoint in" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"data": "none.jsonl"}, "none.jsonl: can't be read"),
        ({"base": "no-such-base"}, "no model 'no-such-base'"),
        ({"max_length": 8}, r"tokens (allowed: max_length 8)"),
        ({"trl": {"packin": True}}, "trl.packin: not a key of TRL's SFTConfig"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_4(project, capsys, changes, message):
    assert project.train(**changes) == 4
    error = capsys.readouterr().err.strip()
    assert error.startswith("tunegate: ")
    assert message in error
    assert not (project.path / "out").exists()


def test_a_broken_loss_writes_no_adapter_and_keeps_the_old_one(project, capsys):
    """A rate that makes the loss NaN is named, and the last good adapter stays."""
    project.train()
    before = project.manifest["adapter_sha256"]
    status = project.train(trl={"weight_decay": 1e30})
    assert status == 4
    assert "learning_rate: the loss became nan" in capsys.readouterr().err
    assert project.manifest["adapter_sha256"] == before


@pytest.mark.processes
def test_ctrl_c_leaves_a_checkpoint_to_resume_from(project, start):
    """SIGINT ends training after its step with status 2; --resume then finishes it."""
    program = start("trainers.methods.sft", str(project.config(max_steps=4000, save_steps=4000)))
    said = []
    for line in program.output:
        said.append(line)
        if line.startswith("step 1/"):
            program.interrupt()
    assert program.wait() == 2, "".join(said)
    assert "continue with --resume" in "".join(said)
    checkpoints = list((project.path / "out.work" / "checkpoints").glob("checkpoint-*"))
    assert len(checkpoints) == 1
    assert not (project.path / "out").exists()


def test_help_imports_no_torch():
    code = "import sys, trainers.cli, trainers.methods.sft; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
