"""RLHF on a tiny model: the reward model's reward rises, alone and as the recipe's last stage; stages resume."""

import json
import shutil
from pathlib import Path

import pytest

from harness.engines.open import describe_model
from trainers.measure.samples import read_samples
from trainers.methods.rlhf import RlhfConfig, train
from trainers.run.entry import run_module

pytestmark = pytest.mark.training

PROMPTS = [{"prompt": f"what is w{i}"} for i in range(12)]
SMALL = {"peft": {"r": 4}, "save_steps": 4}
ONLINE = {
    "num_generations": 4,
    "batch_size": 8,
    "max_completion_length": 6,
    "learning_rate": 0.02,
    "save_steps": 4,
}


def rows_of(path: Path, rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.name


@pytest.fixture
def recipe(tiny_model_dir, tmp_path, pairs):
    """Runs the recipe; the last stage has so many steps."""
    pair_file = rows_of(tmp_path / "pairs.jsonl", pairs)
    answers = [{"prompt": pair["prompt"], "completion": pair["chosen"]} for pair in pairs]
    settings = {
        "base": str(tiny_model_dir),
        "dtype": "float32",
        "output": "out",
        "sft": {
            "data": rows_of(tmp_path / "sft.jsonl", answers),
            "max_steps": 4,
            "learning_rate": 0.005,
            **SMALL,
        },
        "reward": {"data": pair_file, "max_steps": 12, "learning_rate": 0.02, "batch_size": 4, **SMALL},
        "rloo": {"data": rows_of(tmp_path / "prompts.jsonl", PROMPTS), "max_steps": 30, **ONLINE},
    }

    def run(*arguments, **changes):
        config = tmp_path / "rlhf.yaml"
        changed = {
            name: {**settings.get(name, {}), **value} if isinstance(value, dict) else value
            for name, value in changes.items()
        }
        config.write_text(json.dumps({**settings, **changed}))
        return run_module("rlhf", RlhfConfig, train, [str(config), *arguments])

    return run


def manifest(directory: Path) -> dict:
    return json.loads((directory / "training_manifest.json").read_text())


def test_three_stages_raise_the_reward_models_reward(recipe, tmp_path):
    """The policy starts from the SFT adapter, is scored by the reward adapter, and gets more of its reward."""
    assert recipe() == 0
    stages = tmp_path / "out.stages"
    last = manifest(tmp_path / "out")
    assert last["method"] == "rloo"
    assert last["started_from"]["sha256"] == manifest(stages / "sft")["adapter_sha256"]
    assert last["rewards"]["files"]["reward-model"]["sha256"] == manifest(stages / "reward")["adapter_sha256"]
    assert last["rewards"]["change"]["change"]["low"] > 0, [s["reward"] for s in last["rewards"]["steps"]]
    assert all("kl" in step for step in last["rewards"]["steps"])
    assert len(read_samples(tmp_path / "out.work")) == 240
    assert describe_model(str(tmp_path / "out")).adapter_sha256 == last["adapter_sha256"]


def test_ppo_may_be_the_last_stage(recipe, tmp_path, capsys):
    """From the same stages, which are kept when only the last one changes."""
    small = {"max_steps": 2}
    assert recipe(sft=small, reward=small, rloo=small) == 0
    capsys.readouterr()
    online = {**ONLINE, "data": "prompts.jsonl", "max_steps": 4}
    assert recipe("--resume", sft=small, reward=small, rloo=None, ppo=online) == 0
    error = capsys.readouterr().err
    assert "stage 2/3  reward: finished before" in error
    assert "stage 3/3  ppo\n" in error
    last = manifest(tmp_path / "out")
    assert last["method"] == "ppo"
    assert last["started_from"]["sha256"] == manifest(tmp_path / "out.stages" / "sft")["adapter_sha256"]


def test_finished_stages_are_not_repeated(recipe, tmp_path, capsys):
    """After a stage that broke, --resume leaves the finished ones as they are; a changed one is run again."""
    (tmp_path / "bad.py").write_text("def reward(**_):\n    raise ValueError('not yet')\n")
    broken = {"rewards": [{"type": "python", "path": "bad.py:reward"}], "max_steps": 4}
    assert recipe(rloo=broken) == 4
    assert "rewards[0] (python): broke on prompts.jsonl:" in capsys.readouterr().err
    before = {name: manifest(tmp_path / "out.stages" / name) for name in ("sft", "reward")}
    assert recipe("--resume", rloo={"max_steps": 4}) == 0
    error = capsys.readouterr().err
    assert "stage 1/3  sft: finished before" in error
    assert "stage 2/3  reward: finished before" in error
    assert {name: manifest(tmp_path / "out.stages" / name) for name in before} == before
    assert recipe("--resume", reward={"max_steps": 2}, rloo={"max_steps": 4}) == 0
    error = capsys.readouterr().err
    assert "stage 1/3  sft: finished before" in error
    assert "stage 2/3  reward\n" in error
    assert "stage 3/3  rloo\n" in error
    assert manifest(tmp_path / "out.stages" / "reward")["steps"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sft": {"base": "other"}}, "sft.base: found 'other'"),
        ({"sft": {"seed": 3}}, "sft.seed: give seed once, next to base"),
        ({"rloo": {"betta": 1}}, "rloo.betta: unknown key (allowed: base, output"),
        (
            {"rloo": {"rewards": [{"type": "length", "mix": 1}]}},
            "rloo.rewards.0.mix: unknown key (allowed: weight, type, min, max, unit)",
        ),
        ({"reward": {"data": "none.jsonl"}, "sft": {"max_steps": 1}}, "none.jsonl: can't be read"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_4(recipe, capsys, changes, message):
    assert recipe(**changes) == 4
    assert message in capsys.readouterr().err


def test_several_processes_are_refused(recipe, capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert recipe() == 4
    assert "rlhf runs in one process" in capsys.readouterr().err


def test_rloo_refuses_what_is_no_reward_model(
    make_project, make_tiny_adapter, tiny_model_dir, tmp_path, capsys
):
    """An adapter that answers is named as what it is not, before anything is trained."""
    make_tiny_adapter(tiny_model_dir, tmp_path / "answers", spread=0.5)
    run = make_project("rloo", PROMPTS, reward_model="answers", **ONLINE)
    assert run.train() == 4
    assert "reward_model: " in (error := capsys.readouterr().err)
    assert "answers: no reward model; train one with: tunegate train reward" in error


def test_leaks_stop_the_recipe_unless_they_are_allowed(recipe, tmp_path, capsys):
    """A golden case in the last stage's prompts; --allow-leakage holds for all stages."""
    case = "name: g\ncases:\n  - {id: a, prompt: what is w3, checks: [{type: contains, value: x}]}\n"
    (tmp_path / "golden.yaml").write_text(case)
    small = {"max_steps": 1}
    assert recipe(golden="golden.yaml", sft=small, reward=small, rloo=small) == 4
    assert "golden case g/a" in capsys.readouterr().err
    assert recipe("--allow-leakage", golden="golden.yaml", sft=small, reward=small, rloo=small) == 0
    assert manifest(tmp_path / "out")["data"]["leakage"]["found"]


def test_a_bare_base_has_one_template_in_all_stages(recipe, tiny_model_dir, tmp_path):
    """The reward model reads the answers in the form in which they are sampled."""
    base = shutil.copytree(tiny_model_dir, tmp_path / "bare")
    (base / "chat_template.jinja").unlink()
    stages = {name: {"max_steps": 1} for name in ("sft", "reward", "rloo")}
    assert recipe(base=str(base), chat_template="zephyr", **stages) == 0
    written = [tmp_path / "out.stages" / "sft", tmp_path / "out.stages" / "reward", tmp_path / "out"]
    templates = {(directory / "chat_template.jinja").read_text() for directory in written}
    assert len(templates) == 1
    assert read_samples(tmp_path / "out.work")[0].prompt.startswith("what is w")
