"""A reward model scores on its base as it was trained."""

import json

import pytest

from trainers.rewards.model import model_reward
from trainers.run import base_model

PROMPT = [{"role": "user", "content": "what is w3"}]
ANSWERS = ["one two w3", "cat sat"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("quantization", ["nf4", "none"])
def test_the_base_is_stored_as_it_was_trained(make_project, pairs, monkeypatch, quantization, dtype):
    import torch

    project = make_project("reward", pairs, quantization=quantization, dtype=dtype)
    assert project.train() == 0
    asked = []
    plain = base_model.load_base

    def noting(directory, stored, numbers, **others):
        asked.append(stored)
        return plain(directory, stored, numbers, **others)

    monkeypatch.setattr(base_model, "load_base", noting)
    monkeypatch.setattr(base_model, "compute_dtype", lambda: getattr(torch, dtype))
    score, _ = model_reward(project.output, "reward_model")
    better, worse = score(ANSWERS, prompts=[PROMPT] * 2)
    assert asked == [quantization]
    assert better > worse


def test_one_without_a_manifest_has_its_base_whole(make_project, pairs, monkeypatch):
    """Such as one that another program trained."""
    project = make_project("reward", pairs, max_steps=1)
    assert project.train() == 0
    (project.output / "training_manifest.json").unlink()
    asked = []
    plain = base_model.load_base
    monkeypatch.setattr(
        base_model,
        "load_base",
        lambda directory, stored, *others, **named: (
            asked.append(stored) or plain(directory, stored, *others, **named)
        ),
    )
    score, _ = model_reward(project.output, "reward_model")
    assert len(score(ANSWERS, prompts=[PROMPT] * 2)) == 2
    assert asked == ["none"]
    assert json.loads((project.output / "adapter_config.json").read_text())["task_type"] == "SEQ_CLS"
