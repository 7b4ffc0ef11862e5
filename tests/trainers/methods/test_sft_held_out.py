"""Held-out answers while answers are learnt: losses, the best checkpoint, answers, the page's data."""

import json

import pytest
import torch
from peft import load_peft_weights

from harness.types.training import HELD_OUT_ANSWERS_FILE, LOG_FILE
from trainers.measure.training_log import read_log

pytestmark = pytest.mark.training

ROWS = [{"prompt": f"what is w{i}", "completion": f"one two w{i}"} for i in range(16)]
HELD_OUT = [{"prompt": f"what is w{i}", "completion": f"one two w{i}"} for i in range(20, 26)]


@pytest.fixture
def project(make_project, tmp_path):
    def make(held_out, **settings):
        made = make_project("sft", ROWS, eval_data="eval.jsonl", save_steps=3, **settings)
        (tmp_path / "eval.jsonl").write_text("".join(json.dumps(row) + "\n" for row in held_out))
        return made

    return make


def saved(project, step):
    return load_peft_weights(
        str(project.output.with_name("out.work") / "checkpoints" / f"checkpoint-{step}"), device="cpu"
    )


def same(one, two):
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


def test_the_loss_is_measured_at_each_checkpoint_and_at_the_end(project, capsys):
    made = project(HELD_OUT)
    assert made.train() == 0
    noted = made.manifest["held_out"]
    assert [entry["step"] for entry in noted["losses"]] == [3, 6, 8]
    assert noted["n"] == 6
    assert noted["losses"][-1]["loss"] < noted["losses"][0]["loss"]
    assert noted["best_step"] == 8
    assert "held-out loss" in capsys.readouterr().err
    logged = read_log(made.output / LOG_FILE)
    assert [entry["step"] for entry in logged if "eval_loss" in entry] == [3, 6, 8]


@pytest.fixture
def best_at_three(monkeypatch):
    """The library sees a lower loss at step 3 than later."""
    import trl

    evaluate = trl.SFTTrainer.evaluate

    def as_told(self, *arguments, **options):
        found = evaluate(self, *arguments, **options)
        found["eval_loss"] = 1.0 if self.state.global_step == 3 else 2.0
        return found

    monkeypatch.setattr(trl.SFTTrainer, "evaluate", as_told)


@pytest.mark.parametrize("peft", [{"r": 4}, {"method": "ia3"}, {"method": "prompt"}, {"method": "prefix"}])
def test_the_checkpoint_with_the_lowest_loss_is_kept(project, best_at_three, peft, capsys):
    made = project(HELD_OUT, peft=peft)
    assert made.train() == 0
    assert made.manifest["held_out"]["best_step"] == 3
    written = load_peft_weights(str(made.output), device="cpu")
    assert same(written, saved(made, 3))
    assert not same(written, saved(made, 8))
    assert "the checkpoint of step 3, held-out loss" in capsys.readouterr().err


def test_all_weights_have_a_best_checkpoint_too(project, best_at_three):
    from safetensors.torch import load_file

    made = project(HELD_OUT, peft={"method": "full"}, quantization="none", learning_rate=0.01)
    assert made.train() == 0
    work = made.output.with_name("out.work") / "checkpoints" / "checkpoint-3"
    assert same(load_file(made.output / "model.safetensors"), load_file(work / "model.safetensors"))


def test_with_golden_cases_these_choose(project, tmp_path):
    """The share that passes is one of the library's metrics, and is logged."""
    case = "{id: a, prompt: what is w3, references: [one two w3], checks: [{type: equals}]}"
    (tmp_path / "stop.yaml").write_text(f"name: stop\ngeneration: {{max_new_tokens: 8}}\ncases: [{case}]\n")
    made = project(HELD_OUT, early_stop={"golden": "stop.yaml", "patience": 9}, leakage="allow")
    assert made.train() == 0
    scores = {entry["step"]: entry["passed"] for entry in made.manifest["early_stop"]["scores"]}
    assert list(scores) == [3, 6, 8]
    best = max(scores, key=lambda step: (scores[step], -step))
    assert made.manifest["early_stop"]["best_step"] == made.manifest["held_out"]["best_step"] == best
    logged = [entry for entry in read_log(made.output / LOG_FILE) if "eval_golden_passed" in entry]
    assert [entry["eval_golden_passed"] for entry in logged] == [float(scores[step]) for step in scores]


def test_some_held_out_prompts_are_answered(project):
    made = project(HELD_OUT)
    assert made.train() == 0
    answers = read_log(made.output.with_name("out.work") / HELD_OUT_ANSWERS_FILE)
    assert [entry["step"] for entry in answers] == [3] * 4 + [6] * 4 + [8] * 4
    assert answers[0]["prompt"] == "what is w20"
    assert answers[0]["reference"] == "one two w20"


def test_rows_in_both_files_are_said(project, capsys):
    made = project([*HELD_OUT, ROWS[0]])
    assert made.train() == 0
    assert "1 of 7 rows of eval_data are in data too" in capsys.readouterr().err


@pytest.mark.parametrize("tracker", ["tensorboard", "trackio"])
def test_a_tracker_that_is_not_installed_is_one_line(project, capsys, monkeypatch, tracker):
    monkeypatch.setattr("trainers.run.arguments.find_spec", lambda name: None)
    assert project(HELD_OUT, report_to=tracker).train() == 4
    assert f"report_to: {tracker} is not installed: pip install {tracker}" in capsys.readouterr().err


def test_a_tracker_gets_losses_and_golden_cases(project, monkeypatch):
    from transformers import TrainerCallback
    from transformers.integrations import integration_utils

    seen: list[dict] = []

    class Tracker(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **_):
            seen.append(dict(logs))

    monkeypatch.setattr("trainers.run.arguments.find_spec", lambda name: True)
    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "tensorboard", Tracker)
    assert project(HELD_OUT, report_to="tensorboard").train() == 0
    assert sum("loss" in logs for logs in seen) == 8
    assert sum("eval_loss" in logs for logs in seen) == 3
