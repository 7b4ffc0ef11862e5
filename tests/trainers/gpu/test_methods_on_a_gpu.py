"""Every method with the settings that it has on a GPU: 4-bit weights, a paged 8-bit optimizer, recomputing.

    python -m pytest tests/trainers/gpu

Skipped without CUDA. docs/testing.md says on which machines it passed.
"""

import json
import math
from importlib import import_module

import pytest

torch = pytest.importorskip("torch")
if not torch.cuda.is_available():
    pytest.skip("no GPU with CUDA: python -m pytest tests/trainers/gpu on one", allow_module_level=True)

PAIRS = [{"prompt": f"what is w{i}", "chosen": f"one two w{i}", "rejected": "cat sat"} for i in range(12)]
ROWS = {
    "continual": [{"text": "the cat sat on a mat " * 20}, {"text": "one two three " * 30}],
    "kto": [
        {"prompt": f"what is w{i}", "completion": "one two" if i % 2 else "cat sat", "label": bool(i % 2)}
        for i in range(16)
    ],
    "sft": [{"prompt": f"what is w{i}", "completion": "one two three"} for i in range(12)],
}
CATS = (
    "def reward(completions, **columns):\n    return [c[-1]['content'].count('cat') for c in completions]\n"
)
SAMPLED = {"num_generations": 4, "max_completion_length": 6}
REWARDED = {**SAMPLED, "rewards": [{"type": "python", "path": "cats.py:reward"}]}
OF_METHOD = {
    "continual": {"max_length": 32},
    "grpo": REWARDED,
    "rft": {**REWARDED, "rounds": 1, "threshold": 0},
    "ppo": {**SAMPLED, "batch_size": 8},
    "rloo": SAMPLED,
}
FULL = {"peft": {"method": "full"}, "learning_rate": 0.003}
KINDS = {
    "dora": {"peft": {"r": 4, "dora": True}},
    "vera": {"peft": {"method": "vera"}},
    "oft": {"peft": {"method": "oft", "block_size": 8}},
    "ia3": {"peft": {"method": "ia3"}},
    "prefix": {"peft": {"method": "prefix", "virtual_tokens": 4}},
    "prompt": {"peft": {"method": "prompt", "virtual_tokens": 4}},
    "loha": {"peft": {"method": "loha", "r": 4}, "quantization": "none"},
    "lokr": {"peft": {"method": "lokr", "r": 4}, "quantization": "none"},
    "full": {**FULL, "quantization": "none"},
    "float16": {"dtype": "float16"},
    "float16 and full": {**FULL, "quantization": "none", "dtype": "float16"},
}


@pytest.fixture(scope="module")
def train(tiny_model_dir, tmp_path_factory):
    """Runs a method as its command would; gives the directory, the status and the manifest."""
    from harness.registry import load_function
    from trainers.methods.catalogue import METHODS
    from trainers.run.entry import run_module

    folder = tmp_path_factory.mktemp("gpu")

    def run(name, method, arguments=(), **settings):
        path = folder / name
        path.mkdir(exist_ok=True)
        (path / "cats.py").write_text(CATS)
        (path / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in ROWS.get(method, PAIRS)))
        values = {
            "base": str(tiny_model_dir),
            "data": "rows.jsonl",
            "output": "out",
            "peft": {"r": 4},
            "learning_rate": 0.02,
            "max_steps": 4,
            "batch_size": 4,
            "save_steps": 2,
            **OF_METHOD.get(method, {}),
            **settings,
        }
        if method == "rft":
            del values["save_steps"]
        (path / "config.yaml").write_text(json.dumps(values))
        known = METHODS[method]
        function = import_module(known.train.partition(":")[0]).train
        kind = load_function(known.config, method)
        with pytest.MonkeyPatch.context() as patch:
            patch.chdir(path)
            status = run_module(method, kind, function, [str(path / "config.yaml"), *arguments])
        manifest = path / "out" / "training_manifest.json"
        return path / "out", status, json.loads(manifest.read_text()) if manifest.exists() else {}

    return run


@pytest.fixture(scope="module")
def reward_model(train):
    output, status, _ = train("a reward model", "reward")
    assert status == 0
    return str(output)


def weights(output):
    from safetensors.torch import load_file

    return {key: value for file in output.glob("*.safetensors") for key, value in load_file(file).items()}


def furthest(one, two):
    first, second = weights(one), weights(two)
    assert first.keys() == second.keys()
    return max((first[key].float() - second[key].float()).abs().max().item() for key in first)


def hold(output, status, manifest):
    assert status == 0
    assert manifest["device"].startswith("cuda")
    assert manifest["losses"]
    assert all(math.isfinite(each["loss"]) for each in manifest["losses"])
    assert all(value.isfinite().all() for value in weights(output).values())


@pytest.mark.parametrize(
    "method", ["sft", "dpo", "orpo", "kto", "reward", "continual", "grpo", "rft", "rloo", "ppo"]
)
def test_a_method_learns_on_4_bit_weights(train, reward_model, method):
    more = {"reward_model": reward_model} if method in {"rloo", "ppo"} else {}
    output, status, manifest = train(f"{method} on nf4", method, **more)
    hold(output, status, manifest)
    assert manifest["compute_dtype"] == (
        "bfloat16" if torch.cuda.get_device_capability() >= (8, 0) else "float32"
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_of_weights_learns(train, kind):
    hold(*train(f"sft {kind}", "sft", **KINDS[kind]))


def test_the_optimizer_is_paged_and_activations_are_recomputed(train, monkeypatch):
    from trl import SFTTrainer

    seen = []
    plain = SFTTrainer.train

    def noting(self, *arguments, **named):
        done = plain(self, *arguments, **named)
        place = str(next(self.model.parameters()).device)
        seen.append((self.args.optim.value, self.model.is_gradient_checkpointing, place))
        return done

    monkeypatch.setattr(SFTTrainer, "train", noting)
    train("settings", "sft")
    assert seen == [("paged_adamw_8bit", True, "cuda:0")]


def test_gradients_of_4_bit_weights_are_those_of_the_same_weights_in_full(tiny_model_dir, monkeypatch):
    import tests.trainers.run.test_base_model as on_a_cpu

    plain = on_a_cpu.lora_gradients
    monkeypatch.setattr(on_a_cpu, "lora_gradients", lambda model, ids: plain(model, ids.to(model.device)))
    ids = torch.randint(7, 60, (2, 12), generator=torch.Generator().manual_seed(0)).cuda()
    assert on_a_cpu.least_cosine(tiny_model_dir, ids) > 0.99


def test_paged_states_survive_a_checkpoint(train, monkeypatch):
    from trainers.run.progress import Watch

    whole, status, _ = train("whole", "sft", max_steps=6)
    assert status == 0
    plain = Watch.on_step_end

    def stop(self, args, state, control, **others):
        self.interrupted = state.global_step == 2
        plain(self, args, state, control, **others)

    with monkeypatch.context() as patch:
        patch.setattr(Watch, "on_step_end", stop)
        assert train("resumed", "sft", max_steps=6)[1] == 2
    resumed, status, _ = train("resumed", "sft", ["--resume"], max_steps=6)
    assert status == 0
    assert furthest(whole, resumed) < 1e-2


@pytest.mark.parametrize("method", ["sft", "dpo", "orpo", "kto", "grpo", "ppo"])
def test_recomputing_changes_nothing(train, reward_model, method):
    more = {"reward_model": reward_model} if method == "ppo" else {}
    given = {"quantization": "none", "dtype": "float32", "max_steps": 2, **more}
    outputs = [
        train(f"{method} recomputed {on}", method, **given, trl={"gradient_checkpointing": on})[0]
        for on in (True, False)
    ]
    assert furthest(*outputs) < 1e-3
