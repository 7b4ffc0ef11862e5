"""Reward-function fine-tuning: which answers are learnt, that learning them pays, and that rounds resume."""

import json

import pytest

from harness.engines.open import describe_model
from harness.types.training import LOG_FILE
from trainers.measure.samples import read_samples
from trainers.measure.training_log import read_log
from trainers.methods import rft
from trainers.methods.rft import RftConfig, best

pytestmark = pytest.mark.training

PROMPTS = [{"prompt": f"what is w{i}"} for i in range(12)]
CAT = "def reward(completions, **columns):\n    return [c[-1]['content'].count('cat') for c in completions]\n"
SETTINGS = {
    "rewards": [{"type": "python", "path": "mine.py:reward"}],
    "rounds": 3,
    "threshold": 1,
    "num_generations": 8,
    "max_completion_length": 6,
    "max_steps": 8,
    "learning_rate": 0.02,
}


@pytest.fixture
def project(make_project, tmp_path):
    (tmp_path / "mine.py").write_text(CAT)
    return lambda **settings: make_project("rft", PROMPTS, **{**SETTINGS, **settings})


def config(**settings):
    rewards = [{"type": "json-valid"}]
    return RftConfig(base="b", data="d", output="o", rewards=rewards, **settings)


@pytest.mark.parametrize(
    ("settings", "chosen"),
    [
        ({"threshold": 0.5}, [1, 5]),
        ({"threshold": 0.5, "keep": 2}, [1, 2, 5]),
        ({"threshold": 0.9, "keep": 2}, [5]),
        ({"threshold": 2.0}, []),
        ({"threshold": 0.0, "keep": 9}, [1, 2, 0, 5, 4]),
    ],
)
def test_the_best_of_each_prompt_that_reach_the_threshold(settings, chosen):
    """Two prompts with three answers each; equal answers count once, and empty ones never."""
    answers, totals = ["a", "b", "c", " ", "e", "f"], [0.1, 0.8, 0.5, 0.9, 0.4, 1.0]
    assert best(answers, totals, 3, config(**settings)) == chosen


def test_equal_answers_are_learnt_once():
    assert best(["a", "a ", "b"], [0.9, 0.9, 0.8], 3, config(keep=3)) == [0, 2]


def test_learning_the_best_answers_pays(project, tmp_path):
    """The mean reward of what is sampled rises from round to round."""
    run = project(eval_data="rows.jsonl")
    assert run.train() == 0
    manifest = run.manifest
    assert manifest["held_out"]["after"]["estimate"] > manifest["held_out"]["before"]["estimate"]
    means = [each["mean_reward"] for each in manifest["rounds"]]
    assert len(means) == 3
    assert means[2] > means[0]
    assert manifest["rewards"]["change"]["change"]["low"] > 0
    assert all(each["sampled"] == 96 and 0 < each["learnt"] <= 12 for each in manifest["rounds"])
    assert [loss["step"] for loss in manifest["losses"]] == list(range(1, 25))
    assert len(read_samples(tmp_path / "out.work")) == 3 * 96
    log = read_log(run.output / LOG_FILE)
    assert [entry["step"] for entry in log if "loss" in entry] == list(range(1, 25))
    assert [(entry["step"], entry["reward"]) for entry in log if "reward" in entry] == list(
        zip((0, 8, 16), means, strict=True)
    )
    assert describe_model(str(run.output)).adapter_sha256 == manifest["adapter_sha256"]


def test_finished_rounds_are_not_repeated(project, tmp_path, capsys):
    """A run that broke off after two rounds, or after all, ends like one that ran through."""
    run = project(eval_data="rows.jsonl")
    run.train()
    whole = run.manifest
    for file in (tmp_path / "out.work" / "checkpoints" / "checkpoint-3").iterdir():
        file.unlink()
    capsys.readouterr()
    assert run.train("--resume") == 0
    error = capsys.readouterr().err
    assert "round 3/3" in error
    assert "round 2/3" not in error
    assert run.manifest["rounds"][:2] == whole["rounds"][:2]
    assert run.manifest["rounds"][2]["mean_reward"] == pytest.approx(whole["rounds"][2]["mean_reward"])
    third = run.manifest["adapter_sha256"]
    assert run.manifest["held_out"]["before"] == whole["held_out"]["before"]
    assert run.train("--resume") == 0
    assert "/3  reward" not in capsys.readouterr().err
    assert run.manifest["adapter_sha256"] == third
    steps = [entry["step"] for entry in read_log(run.output / LOG_FILE) if "loss" in entry]
    assert steps == list(range(1, 25))


def test_each_round_goes_on_where_the_one_before_ended(
    make_project, make_tiny_adapter, tiny_model_dir, tmp_path, monkeypatch
):
    """Also from an adapter, whose weights are read only once, and where a run was resumed."""
    make_tiny_adapter(tiny_model_dir, tmp_path / "start", spread=0.5)
    ends, fit = [], rft.fit

    def weights(trainer):
        return next(
            each.detach().clone() for name, each in trainer.model.named_parameters() if "lora_B" in name
        )

    def watched(run, trainer):
        before = weights(trainer)
        finished = fit(run, trainer)
        ends.append((before, weights(trainer)))
        return finished

    monkeypatch.setattr(rft, "fit", watched)
    (tmp_path / "mine.py").write_text(CAT)
    settings = {"adapter": "start", "rounds": 2, "threshold": 0, "num_generations": 2, "max_steps": 1}
    run = make_project("rft", PROMPTS[:2], **{**SETTINGS, **settings})
    assert run.train() == 0
    assert not ends[0][0].equal(ends[0][1])
    assert ends[1][0].equal(ends[0][1])
    for file in (tmp_path / "out.work" / "checkpoints" / "checkpoint-2").iterdir():
        file.unlink()
    assert run.train("--resume") == 0
    assert ends[2][0].equal(ends[0][1])


def test_no_answer_worth_learning_is_one_line(project, capsys):
    assert project(threshold=100).train() == 4
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert "config.yaml:1: threshold: no answer of round 1 reaches 100 (best: " in error


def test_full_models_are_refused(project, capsys):
    assert project(quantization="none", peft={"method": "full"}).train() == 4
    assert "peft.method: rft trains lora, loha, lokr, vera, oft or ia3, not full" in capsys.readouterr().err


def test_several_processes_are_refused(project, capsys, monkeypatch):
    """Each would sample everything; nothing is touched."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    run = project()
    assert run.train() == 4
    assert "rft runs in one process, not in 2" in capsys.readouterr().err
    assert not run.output.with_name("out.work").exists()


def test_samples_are_json_lines(project, tmp_path):
    project(rounds=1).train()
    lines = (tmp_path / "out.work" / "samples.jsonl").read_text().splitlines()
    assert set(json.loads(lines[0])) == {"step", "place", "prompt", "answer", "reward", "rewards"}
