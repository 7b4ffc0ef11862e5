"""DPO, ORPO, KTO and the reward model learn on a tiny model what their data prefers."""

import pytest

from harness.engines.open import describe_model
from harness.errors import AdapterError

pytestmark = pytest.mark.training


@pytest.mark.parametrize("method", ["dpo", "orpo", "kto", "reward"])
def test_it_learns_to_prefer_the_chosen_answer(make_project, pairs, thumbs, method):
    """The loss falls, and on held-out pairs the chosen answer is preferred more often than before."""
    project = make_project(
        method, thumbs if method == "kto" else pairs, eval_data="held_out.jsonl", max_steps=16
    )
    assert project.train() == 0
    manifest = project.manifest
    assert manifest["method"] == method
    losses = [entry["loss"] for entry in manifest["losses"]]
    assert losses[-1] < losses[0]
    held_out = manifest["held_out"]
    assert held_out["n"] == 10
    assert held_out["after"]["estimate"] > held_out["before"]["estimate"]
    assert held_out["after"]["low"] <= held_out["after"]["estimate"] <= held_out["after"]["high"]
    # The reward model prefers six of ten before it has learnt anything: four can still be won.
    assert held_out["p_no_better"] < (0.07 if method == "reward" else 0.05)


@pytest.mark.parametrize("method", ["dpo", "orpo", "kto"])
def test_the_gate_accepts_the_adapter(make_project, pairs, thumbs, method):
    project = make_project(method, thumbs if method == "kto" else pairs)
    assert project.train() == 0
    assert describe_model(str(project.output)).adapter_sha256 == project.manifest["adapter_sha256"]


def test_a_reward_model_is_refused_as_a_candidate(make_project, pairs):
    """It scores answers and gives none: the message says what it is for."""
    project = make_project("reward", pairs)
    assert project.train() == 0
    with pytest.raises(AdapterError, match="a reward model: it scores answers and gives none"):
        describe_model(str(project.output))


def test_dpo_goes_on_from_an_sft_adapter(make_project, pairs, tmp_path):
    """The reference is the adapter that training began with; what is written is one adapter, changed."""
    first = make_project("sft", [{"prompt": row["prompt"], "completion": row["chosen"]} for row in pairs])
    assert first.train(output="sft_out") == 0
    project = make_project("dpo", pairs, adapter="sft_out", eval_data="held_out.jsonl")
    assert project.train() == 0
    start = project.manifest["started_from"]
    assert start["sha256"] == describe_model(str(tmp_path / "sft_out")).adapter_sha256
    assert project.manifest["adapter_sha256"] != start["sha256"]
    assert sorted(path.name for path in project.output.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
        "training_log.jsonl",
        "training_manifest.json",
    ]


def test_the_adapter_that_training_starts_from_is_not_rounded(make_project, pairs, tmp_path):
    """At a rate of nearly nothing what comes out is what went in, to float32's digits and not bfloat16's."""
    from safetensors.torch import load_file

    first = make_project("sft", [{"prompt": row["prompt"], "completion": row["chosen"]} for row in pairs])
    assert first.train(output="sft_out") == 0
    project = make_project("dpo", pairs, adapter="sft_out", learning_rate=1e-12, max_steps=1)
    assert project.train() == 0
    before, after = (load_file(tmp_path / name / "adapter_model.safetensors") for name in ("sft_out", "out"))
    assert before.keys() == after.keys()
    assert max(float((before[name] - after[name]).abs().max()) for name in before) < 1e-6


@pytest.mark.parametrize("method", ["dpo", "reward"])
def test_resume_goes_on(make_project, pairs, method):
    project = make_project(method, pairs)
    assert project.train() == 0
    for file in (project.path / "out.work" / "checkpoints" / "checkpoint-8").iterdir():
        file.unlink()
    assert project.train("--resume") == 0
    assert project.manifest["steps"] == 8
    assert len(project.manifest["losses"]) == 8


def test_the_same_seed_gives_the_same_adapter(make_project, pairs):
    project = make_project("dpo", pairs)
    project.train()
    first = project.manifest["adapter_sha256"]
    project.train()
    assert project.manifest["adapter_sha256"] == first
