"""Every trainer computes in the type of numbers that is asked for; in 16 bits its parts have to fit together."""

import math
import shutil

import pytest

CAT = "def reward(completions, **columns):\n    return [c[-1]['content'].count('cat') for c in completions]\n"
SAMPLING = {
    "rewards": [{"type": "python", "path": "mine.py:reward"}],
    "num_generations": 4,
    "batch_size": 4,
    "max_completion_length": 6,
}


@pytest.mark.parametrize("method", ["sft", "dpo", "orpo", "kto", "reward", "continual", "grpo"])
def test_it_trains_in_bfloat16_on_a_base_in_4_bits(make_project, pairs, thumbs, texts, method):
    """Held-out pairs are judged before and after, with and without gradients, and the adapter is written."""
    answers = [{"prompt": pair["prompt"], "completion": pair["chosen"]} for pair in pairs]
    rows = {"kto": thumbs, "continual": texts, "sft": answers}.get(method, pairs)
    of_method = {"grpo": SAMPLING, "continual": {"max_length": 32}}.get(method, {})
    if method in {"dpo", "orpo", "kto", "reward"}:
        of_method = {"eval_data": "held_out.jsonl"}
    project = make_project(method, rows, dtype="bfloat16", max_steps=2, save_steps=2, **of_method)
    (project.path / "mine.py").write_text(CAT)
    assert project.train() == 0
    manifest = project.manifest
    assert manifest["compute_dtype"] == "bfloat16"
    assert manifest["config"]["dtype"] == "bfloat16"
    assert len(manifest["losses"]) == 2
    assert all(math.isfinite(entry["loss"]) for entry in manifest["losses"])
    assert manifest["adapter_sha256"]


@pytest.mark.parametrize(
    ("quantization", "peft"),
    [("nf4", {"r": 4}), ("none", {"r": 4}), ("none", {"method": "full"})],
    ids=["nf4", "lora", "full"],
)
def test_float16_trains_weights_of_32_bits(make_project, pairs, monkeypatch, quantization, peft):
    """What scales the gradients of float16 takes no trained weights in 16 bits, of either kind."""
    import torch

    from trainers.methods import sft

    types = set()
    fit = sft.fit

    def noting(run, trainer):
        types.update(p.dtype for p in trainer.model.parameters() if p.requires_grad)
        return fit(run, trainer)

    monkeypatch.setattr(sft, "fit", noting)
    rows = [{"prompt": pair["prompt"], "completion": pair["chosen"]} for pair in pairs]
    project = make_project("sft", rows, dtype="float16", quantization=quantization, peft=peft, max_steps=3)
    assert project.train() == 0
    assert types == {torch.float32}
    losses = [entry["loss"] for entry in project.manifest["losses"]]
    assert losses[-1] < losses[0]


def test_float32_is_taken_where_the_device_has_less(make_project, pairs):
    project = make_project("dpo", pairs, dtype="float32", max_steps=1)
    assert project.train() == 0
    assert project.manifest["compute_dtype"] == "float32"


def test_another_name_is_refused_with_what_is_allowed(make_project, pairs, capsys):
    project = make_project("dpo", pairs, dtype="int8")
    assert project.train() == 4
    assert "dtype: found 'int8'" in capsys.readouterr().err


def test_what_a_launcher_starts_again_goes_on(make_project, monkeypatch):
    """Its line has no ``--resume``: the checkpoints were deleted that it should go on from."""
    monkeypatch.setenv("TORCHELASTIC_RESTART_COUNT", "1")
    project = make_project("sft", [{"prompt": f"what is w{i}", "completion": "one"} for i in range(16)])
    assert project.train() == 0  # it failed before its first checkpoint
    checkpoints = project.path / "out.work" / "checkpoints"
    shutil.rmtree(checkpoints / "checkpoint-8")
    (checkpoints / "checkpoint-4" / "kept").touch()
    assert project.train() == 0
    assert (checkpoints / "checkpoint-4" / "kept").exists()
    assert project.manifest["steps"] == 8
    assert project.train(seed=1) == 0  # another training
    assert not (checkpoints / "checkpoint-4" / "kept").exists()
