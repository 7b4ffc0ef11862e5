"""A base whose tokenizer has no pad token, as Llama-3's and Mistral's, is trained by every method."""

import json
import shutil

import pytest

SAMPLED = {
    "rewards": [{"type": "regex", "pattern": "w[0-9] ", "full": False}],
    "num_generations": 2,
    "max_completion_length": 4,
}


@pytest.fixture(scope="module")
def base(tiny_model_dir, tmp_path_factory):
    """The tiny model without a pad token anywhere."""
    directory = shutil.copytree(tiny_model_dir, tmp_path_factory.mktemp("no-pad") / "base")
    for name, key in (
        ("tokenizer_config.json", "pad_token"),
        ("config.json", "pad_token_id"),
        ("generation_config.json", "pad_token_id"),
    ):
        content = json.loads((directory / name).read_text())
        content.pop(key)
        (directory / name).write_text(json.dumps(content))
    return directory


@pytest.mark.matrix
@pytest.mark.parametrize(
    "method", ["sft", "dpo", "orpo", "kto", "continual", "grpo", "rft", "rloo", "ppo", "rlhf"]
)
def test_every_method_trains(make_project, base, pairs, thumbs, texts, method):
    answers = [{"prompt": pair["prompt"], "completion": pair["chosen"]} for pair in pairs]
    rows = {"kto": thumbs, "continual": texts, "sft": answers}.get(method, pairs)
    settings = {"base": str(base), "max_steps": 1, "quantization": "none"}
    more = {
        "grpo": SAMPLED,
        "rft": {**SAMPLED, "threshold": 0, "rounds": 1},
        "dpo": {"eval_data": "held_out.jsonl"},
        "orpo": {"eval_data": "held_out.jsonl"},
        "rloo": {**SAMPLED, "reward_model": "judge"},
        "ppo": {**SAMPLED, "reward_model": "judge"},
    }
    if method in {"rloo", "ppo"}:  # and a reward model
        assert make_project("reward", pairs, **settings, output="judge").train() == 0
    project = make_project(method, rows, **settings, **more.get(method, {}))
    if method == "rlhf":
        project.settings = {key: project.settings[key] for key in ("base", "dtype", "output", "quantization")}
        project.settings |= _stages(project.path, answers)
    assert project.train() == 0


def _stages(path, answers):
    (path / "answers.jsonl").write_text("".join(json.dumps(row) + "\n" for row in answers))
    (path / "prompts.jsonl").write_text('{"prompt": "what is w1"}\n')
    short = {"data": "rows.jsonl", "max_steps": 1, "peft": {"r": 4}}
    rloo = {"data": "prompts.jsonl", "max_steps": 1, "num_generations": 2, "max_completion_length": 4}
    return {"sft": {**short, "data": "answers.jsonl"}, "reward": short, "rloo": rloo}
