"""The settings that TRL gets on a GPU, tried on a CPU: what they train is what the CPU's own settings train."""

import pytest
from safetensors.torch import load_file

from trainers.run import arguments, trl_keys

CAT = "def reward(completions, **columns):\n    return [c[-1]['content'].count('w') for c in completions]\n"
SAMPLED = {
    "rewards": [{"type": "python", "path": "mine.py:reward"}],
    "num_generations": 4,
    "max_completion_length": 6,
}
OF_METHOD = {
    "continual": {"max_length": 32},
    "grpo": SAMPLED,
    "rloo": {**SAMPLED, "reward_model": "judge"},
    "ppo": {**SAMPLED, "reward_model": "judge"},
    "rft": {**SAMPLED, "rounds": 1, "threshold": 0},
}
KINDS = {
    "lora": {"r": 4},
    "dora": {"r": 4, "dora": True},
    "ia3": {"method": "ia3"},
    "prefix": {"method": "prefix", "virtual_tokens": 4},
    "prompt": {"method": "prompt", "virtual_tokens": 4},
    "full": {"method": "full"},
}
# All methods with an adapter, and all kinds of trained weights.
CASES = [
    *(
        (method, "lora")
        for method in ("dpo", "orpo", "kto", "reward", "continual", "grpo", "rloo", "ppo", "rft")
    ),
    *(("sft", kind) for kind in KINDS),
    *((method, "prefix") for method in ("dpo", "orpo", "kto", "continual", "grpo")),
]


@pytest.fixture
def on_a_gpu(monkeypatch):
    """Lets TRL have a GPU's settings; of these only the paged optimizer needs one."""
    plain, given = arguments._of_device, []

    def of_device(cuda, recompute):
        given.append(plain(True, recompute))
        return {**given[-1], "use_cpu": True, "optim": "adamw_torch", "dataloader_pin_memory": False}

    def switch():
        monkeypatch.setattr(arguments, "_of_device", of_device)
        return given

    return switch


def weights(project):
    return load_file(next(project.output.glob("*.safetensors")))


@pytest.mark.matrix
@pytest.mark.parametrize(("method", "kind"), CASES)
def test_a_gpus_settings_train_the_same(make_project, pairs, thumbs, texts, on_a_gpu, method, kind):
    answers = [{"prompt": pair["prompt"], "completion": pair["chosen"]} for pair in pairs]
    rows = {"kto": thumbs, "continual": texts, "sft": answers}.get(method, pairs)
    settings = {"peft": KINDS[kind], "quantization": "none", "max_steps": 2, **OF_METHOD.get(method, {})}
    if method in {"rloo", "ppo"}:
        assert make_project("reward", pairs, max_steps=1, output="judge", quantization="none").train() == 0
    project = make_project(method, rows, **settings)
    (project.path / "mine.py").write_text(CAT)
    assert project.train() == 0
    before = weights(project)
    given = on_a_gpu()
    assert project.train() == 0
    assert all(one["gradient_checkpointing"] == (kind != "prefix") for one in given)
    after = weights(project)
    assert before.keys() == after.keys()
    assert max(float((before[name] - after[name]).abs().max()) for name in before) < 1e-4


@pytest.mark.parametrize("key", ["gradient_checkpointing", "activation_checkpointing"])
def test_recomputing_for_a_prefix_is_refused(make_project, pairs, capsys, key):
    project = make_project("dpo", pairs, peft=KINDS["prefix"], trl={key: True})
    assert project.train() == 4
    assert f"trl.{key}: a prefix can't be trained with it" in capsys.readouterr().err


def test_a_metric_that_no_evaluation_has_is_one_line(make_project, capsys):
    """It is found before the first step."""
    chosen = {"load_best_model_at_end": True, "eval_strategy": "steps", "eval_steps": 1}
    rows = [{"prompt": "a", "completion": "b"}]
    trl = {"metric_for_best_model": "foo", **chosen}
    settings = {"eval_data": "rows.jsonl", "leakage": "allow", "save_steps": 1, "quantization": "none"}
    assert make_project("sft", rows, **settings, max_steps=1, trl=trl).train() == 4
    said = capsys.readouterr()
    assert "trl.metric_for_best_model: found 'foo' (allowed: eval_" in said.err
    assert "step 1" not in said.out + said.err


def test_a_gpus_optimizer_is_paged_and_a_cpus_is_not():
    """What only a GPU can run is at least what is documented."""
    assert arguments._of_device(True, True)["optim"] == "paged_adamw_8bit"
    assert arguments._of_device(False, True) == {
        "optim": "adamw_torch",
        "use_cpu": True,
        "gradient_checkpointing": False,
        "dataloader_pin_memory": False,
    }


@pytest.mark.parametrize(
    ("trl", "message"),
    [
        ({"max_length": 8}, "trl.max_length: set by max_length, next to base; give it there"),
        ({"per_device_train_batch_size": 1}, "trl.per_device_train_batch_size: set by batch_size"),
        ({"bf16": True}, "trl.bf16: set by dtype"),
        ({"max_grad_nrm": 1}, "trl.max_grad_nrm: not a key of TRL's DPOConfig"),
        ({"save_total_limit": 1}, "trl.save_total_limit: bisect and early_stop may need any checkpoint"),
        ({"truncation_mode": "keep_end"}, "trl.truncation_mode: rows are rendered, checked and cut"),
        ({"hub_token": "hf_x"}, "trl.hub_token: a secret, which the result would show"),
        ({"packing": True}, "trl.packing: sft has the key packing next to base"),
        ({"data_seed": 1}, "trl.data_seed: set by seed, next to base"),
        (
            {"save_only_model": True},
            "trl.save_only_model: a checkpoint without the optimizer can't be contin",
        ),
        ({"weight_decay": "x"}, "trl.weight_decay: found 'x' (allowed by TRL: float)"),
        ({"weight_decay": -1}, "trl.weight_decay: found -1 (allowed: 0 or more)"),
        ({"gradient_checkpointing": "x"}, "trl.gradient_checkpointing: found 'x' (allowed by TRL: bool)"),
        (
            {"train_sampling_strategy": "nope"},
            "trl.train_sampling_strategy: found 'nope' (allowed by TRL: random",
        ),
        ({"label_names": [5]}, "trl.label_names: found [5] (allowed by TRL: list[str] | None)"),
        # What only a library checks, at the trainer's beginning or in the first step.
        ({"adam_beta1": 2}, "trl: with adam_beta1: ValueError: Invalid beta parameter"),
        ({"loss_type": "nope"}, "trl: with loss_type: ValueError: Unknown loss type: nope"),
        ({"eval_on_start": True}, "trl: with eval_on_start: ValueError: Trainer: evaluation requires"),
        (
            {"load_best_model_at_end": True},
            "trl: --load_best_model_at_end requires the save and eval strategy",
        ),
    ],
)
def test_keys_that_are_not_trls_to_set_are_refused(make_project, pairs, capsys, trl, message):
    """In one line that begins with the file and the line of the key."""
    project = make_project("dpo", pairs, trl=trl, max_steps=1, quantization="none")
    assert project.train() == 4
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .startswith(f"tunegate: {project.path / 'config.yaml'}:1: {message}")
    )
    assert not project.output.exists()


def test_a_process_trains_on_one_gpu_however_many_it_sees():
    from trl import SFTConfig

    made = SFTConfig(use_cpu=True, bf16=False, per_device_train_batch_size=4)
    made._n_gpu = 2
    assert made.train_batch_size == 8
    assert arguments.on_one_gpu(made).train_batch_size == 4


def test_keys_that_are_refused_are_keys_of_trl():
    """One that TRL drops would be refused for a reason that is no longer true."""
    from trl import DPOConfig, GRPOConfig, KTOConfig, RewardConfig, SFTConfig
    from trl.experimental.orpo import ORPOConfig

    kinds = (DPOConfig, GRPOConfig, KTOConfig, RewardConfig, SFTConfig, ORPOConfig)
    known = {key for kind in kinds for key in kind.__dataclass_fields__}
    assert set(trl_keys._SET_HERE) - known == set()


def test_two_ways_to_choose_a_checkpoint_are_refused(make_project, pairs, tmp_path, capsys):
    case = "name: g\ncases:\n  - {id: a, prompt: say w9, checks: [{type: contains, value: x}]}\n"
    (tmp_path / "stop.yaml").write_text(case)
    settings = {"early_stop": {"golden": "stop.yaml"}, "trl": {"load_best_model_at_end": True}}
    assert make_project("dpo", pairs, **settings).train() == 4
    assert "trl.load_best_model_at_end: early_stop.golden chooses the checkpoint" in capsys.readouterr().err
