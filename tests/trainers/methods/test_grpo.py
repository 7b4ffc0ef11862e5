"""GRPO on a tiny model: reward rises, samples and rewards are kept, a broken reward ends in one line."""

import json
import shutil

import pytest

from harness.engines.open import describe_model
from trainers.measure.samples import read_samples

PROMPTS = [{"prompt": f"what is w{i}", "wanted": f"w{i}"} for i in range(12)]
SHORT = {
    "rewards": [{"type": "python", "path": "mine.py:reward"}],
    "num_generations": 4,
    "batch_size": 8,
    "max_completion_length": 6,
    "max_steps": 4,
    "save_steps": 2,
    "learning_rate": 0.02,
}
CAT = "def reward(completions, **columns):\n    return [c[-1]['content'].count('cat') for c in completions]\n"


@pytest.fixture
def project(make_project, tmp_path):
    def make(code=CAT, **settings):
        (tmp_path / "mine.py").write_text(code)
        return make_project("grpo", PROMPTS, **{**SHORT, **settings})

    return make


def test_the_reward_rises_and_everything_is_noted(project, tmp_path):
    """On a random model that is paid for one word, the word becomes frequent."""
    run = project(max_steps=20, eval_data="unseen.jsonl")
    unseen = [{"prompt": f"what is w{i}", "wanted": f"w{i}"} for i in range(20, 32)]
    (tmp_path / "unseen.jsonl").write_text("".join(json.dumps(row) + "\n" for row in unseen))
    assert run.train() == 0
    manifest = run.manifest
    held_out = manifest["held_out"]
    assert held_out["n"] == 12
    assert held_out["after"]["low"] > held_out["before"]["high"]
    assert held_out["p_no_better"] < 0.05
    assert manifest["method"] == "grpo"
    steps = manifest["rewards"]["steps"]
    assert [entry["step"] for entry in steps] == list(range(1, 21))
    assert all(entry["n"] == 8 and "kl" in entry for entry in steps)
    assert manifest["rewards"]["change"]["change"]["low"] > 0
    samples = read_samples(tmp_path / "out.work")
    assert len(samples) == 160
    assert {sample.place for sample in samples} <= {f"rows.jsonl:{line}" for line in range(1, 13)}
    assert manifest["rewards"]["files"]["reward"]["sha256"]
    assert manifest["canaries"]["drift"]["distinct_2"]["n_before"] > 0
    assert describe_model(str(run.output)).adapter_sha256 == manifest["adapter_sha256"]


def test_a_reward_that_breaks_midway_is_one_line_and_can_be_resumed(project, tmp_path, capsys):
    """The checkpoint before it stays, no adapter is written; once fixed, the run goes on where it was."""
    mark = tmp_path / "answered"
    mark.write_text("")
    counting = (
        "import pathlib\n"
        f"MARK = pathlib.Path({str(mark)!r})\n\n"
        "def reward(completions, **columns):\n"
        "    done = MARK.read_text()\n"
        "    if len(done) == 24: 1 / 0\n"
        "    MARK.write_text(done + 'x' * len(completions))\n"
        "    return [c[-1]['content'].count('cat') for c in completions]\n"
    )
    run = project(counting)
    assert run.train() == 4
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("tunegate: rewards[0] (python): broke on rows.jsonl:")
    assert "ZeroDivisionError: division by zero" in error
    assert not run.output.exists()
    assert [path.name for path in (tmp_path / "out.work" / "checkpoints").glob("checkpoint-*")] == [
        "checkpoint-2"
    ]
    (tmp_path / "mine.py").write_text(CAT)
    assert run.train("--resume") == 0
    assert [entry["step"] for entry in run.manifest["rewards"]["steps"]] == [1, 2, 3, 4]
    assert all(entry["n"] == 8 for entry in run.manifest["rewards"]["steps"])


def test_columns_reach_the_reward_as_they_stand_in_the_file(project, tmp_path):
    """Nested and missing values too: a table would have given every row the keys of all rows."""
    code = (
        "def reward(completions, prompts, wanted, info, **columns):\n"
        "    for prompt, want, each in zip(prompts, wanted, info, strict=True):\n"
        "        assert prompt[-1]['content'] == f'what is {want}', prompt\n"
        "        assert each == ({'only': want} if want == 'w3' else None), each\n"
        "    return [0.0] * len(completions)\n"
    )
    run = project(code, max_steps=2)
    rows = [{**row, **({"info": {"only": "w3"}} if row["wanted"] == "w3" else {})} for row in PROMPTS]
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert run.train() == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"num_generations": 3},
            "batch_size × gradient_accumulation is 8, not a multiple of num_generations 3",
        ),
        ({"max_length": 8}, "rows.jsonl:1: 6 tokens and 6 of the answer (allowed: max_length 8 together)"),
        ({"rewards": []}, "rewards: found []"),
        ({"trl": {"num_generation": 2}}, "trl.num_generation: not a key of TRL's GRPOConfig"),
    ],
)
def test_bad_input_is_one_line_and_exit_status_4(project, capsys, changes, message):
    run = project()
    assert run.train(**changes) == 4
    error = capsys.readouterr().err.strip()
    assert error.startswith("tunegate: ")
    assert message in error
    assert not run.output.exists()


def test_weights_that_became_nan_end_in_one_line(project, capsys):
    run = project(max_steps=20)
    assert run.train(trl={"weight_decay": 1e30}) == 4
    assert "learning_rate: the " in capsys.readouterr().err.strip().splitlines()[-1]
    assert not run.output.exists()


def test_4bit_layers_are_kept_from_repacking_while_it_samples(project, monkeypatch):
    """Sampling runs in eval mode before every backward pass: the switch is off on the model that TRL trains."""
    from bitsandbytes.nn import Linear4bit

    from trainers.shared import policy

    seen = []
    make_ready = policy.make_ready

    def note(run, trainer, tokenizer, data):
        seen.extend(m for m in trainer.model.modules() if isinstance(m, Linear4bit))
        make_ready(run, trainer, tokenizer, data)

    monkeypatch.setattr(policy, "make_ready", note)
    assert project(max_steps=1).train() == 0
    assert len(seen) == 14
    assert all(layer.support_avx512bf16_for_cpu is False for layer in seen)


def test_it_goes_on_from_an_sft_adapter(project, tmp_path, make_tiny_adapter, tiny_model_dir):
    """The KL divergence is then from that adapter: it begins at 0 though the adapter is far from the base."""
    make_tiny_adapter(tiny_model_dir, tmp_path / "start", spread=0.5)
    run = project(adapter=str(tmp_path / "start"), max_steps=2, learning_rate=1e-9)
    assert run.train() == 0
    assert run.manifest["started_from"]["path"] == str(tmp_path / "start")
    assert run.manifest["rewards"]["steps"][0]["kl"] == pytest.approx(0, abs=1e-3)


def test_a_golden_subset_can_stop_it(project, tmp_path):
    """Answering golden cases between sampling and learning leaves both as they were."""
    case = "name: g\ncases:\n  - {id: a, prompt: say w9, checks: [{type: contains, value: nothing}]}\n"
    (tmp_path / "stop.yaml").write_text(case)
    run = project(max_steps=12, early_stop={"golden": ["stop.yaml"], "patience": 1})
    assert run.train() == 0
    assert run.manifest["early_stop"]
    assert run.manifest["rewards"]["steps"][-1]["step"] < 12


def test_answers_are_sampled_and_end_as_at_the_gate(project, tmp_path, tiny_model_dir):
    """Every end token of the generation config ends an answer; its suppressed tokens are not suppressed."""
    base = shutil.copytree(tiny_model_dir, tmp_path / "base")
    path = base / "generation_config.json"
    ends = [3, *range(7, 32)]  # the words w0 to w24
    only = [token for token in range(68) if token not in {3, 59}]
    own = {**json.loads(path.read_text()), "eos_token_id": ends, "suppress_tokens": only}
    path.write_text(json.dumps(own))
    run = project(base=str(base), quantization="none", max_completion_length=12)
    assert run.train() == 0
    words = [word for sample in read_samples(tmp_path / "out.work") for word in sample.answer.split()]
    assert not {f"w{number}" for number in range(25)}.intersection(words)
    assert len(set(words)) > 5


def test_equal_rewards_teach_nothing_and_that_is_said(project, capsys):
    """The gate refuses the adapter; the training says why before."""
    run = project("def reward(completions, **columns):\n    return [1.0] * len(completions)\n", max_steps=1)
    assert run.train() == 0
    assert "learnt    nothing: every lora_B is still zero, and the gate refuses" in capsys.readouterr().err
