"""Every kind of adapter trains, is saved, and loads back through the engine."""

from types import SimpleNamespace

import pytest

from harness.engines.base import CANDIDATE, GenerationRequest
from harness.engines.open import check_alive, choose_plan, describe_model, open_sides
from harness.types import GenerationSettings, Message
from trainers.config import PeftSettings
from trainers.run.adapters import adapter_config
from trainers.run.trained_weights import describe_trained

KINDS = {
    "lora": {"r": 4},
    "rslora": {"r": 4, "rslora": True, "init": "gaussian"},
    "dora": {"r": 4, "dora": True},
    "loha": {"method": "loha", "r": 4},
    "lokr": {"method": "lokr", "r": 4},
    "vera": {"method": "vera", "r": 16},
    "oft": {"method": "oft", "block_size": 8},
    "ia3": {"method": "ia3"},
    "prefix": {"method": "prefix", "virtual_tokens": 4},
    "prompt": {"method": "prompt", "virtual_tokens": 4},
    "full": {"method": "full"},
}


@pytest.mark.matrix
@pytest.mark.parametrize("kind", KINDS)
def test_it_trains_and_answers_through_the_gates_engine(make_project, kind):
    """Base and candidate answer side by side; the candidate is alive and says what it was taught."""
    rows = [{"prompt": f"what is w{i}", "completion": "one two three"} for i in range(12)]
    # Slow enough to learn the words in bfloat16 too, where a CPU computes in that.
    rate = {"full": 0.003, "ia3": 0.05, "prefix": 0.05, "prompt": 0.05}.get(kind, 0.02)
    project = make_project(
        "sft", rows, peft=KINDS[kind], quantization="none", max_steps=40, save_steps=100, learning_rate=rate
    )
    assert project.train() == 0
    candidate = describe_model(str(project.output))
    assert candidate.training.method == "sft"
    baseline = describe_model(str(project.settings["base"]))
    sides = {CANDIDATE: candidate, "baseline": baseline}
    plan = choose_plan("float32", "cpu", 512, list(sides.values()))
    engine = open_sides(sides, plan)
    assert engine.plan.mixed == (kind in {"lora", "rslora"})
    check_alive(engine, CANDIDATE, candidate)
    answers = {}
    requests = [
        GenerationRequest(
            key=f"{side}/{number}",
            side=side,
            messages=(Message(role="user", content=f"what is w{number}"),),
            settings=GenerationSettings(max_new_tokens=6),
        )
        for side in sides
        for number in (30, 31, 32)
    ]
    engine.generate(requests, answers.update)
    said = {request.key: answers[place].text for place, request in enumerate(requests)}
    before = {text for key, text in said.items() if key.startswith("baseline")}
    taught = sum(text.startswith("one two three") for key, text in said.items() if key.startswith(CANDIDATE))
    assert "one two three" not in before
    if kind in {"lora", "rslora", "dora", "full"}:
        assert taught >= 2, said
    else:
        assert {text for key, text in said.items() if key.startswith(CANDIDATE)} != before


@pytest.mark.parametrize("method", ["full", "loha", "lokr"])
def test_some_need_the_whole_weights(make_project, capsys, method):
    project = make_project("sft", [{"prompt": "a", "completion": "one"}], peft={"method": method})
    assert project.train() == 4
    assert f"peft.method: {method} needs quantization: none" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["vera", "oft", "ia3"])
def test_the_others_train_on_4_bits_in_bfloat16(make_project, kind):
    """TRL stores them in bfloat16 there."""
    from safetensors.torch import load_file

    rows = [{"prompt": f"what is w{i}", "completion": "one two three"} for i in range(12)]
    settings = {"peft": KINDS[kind], "dtype": "bfloat16", "learning_rate": 0.05}
    project = make_project("sft", rows, max_steps=6, save_steps=100, **settings)
    assert project.train() == 0
    losses = [entry["loss"] for entry in project.manifest["losses"]]
    assert losses[-1] < losses[0]
    assert all(
        tensor.isfinite().all() for tensor in load_file(project.output / "adapter_model.safetensors").values()
    )


@pytest.mark.parametrize(
    ("number", "told"),
    [(1_152, "1,152"), (99_999, "99,999"), (4_884_480, "4.88 million"), (8_030_261_248, "8.03 billion")],
)
def test_any_number_of_trained_parameters_can_be_read(number, told):
    class Model:
        def parameters(self):
            return [self]

        requires_grad = True

        def numel(self):
            return number

        active_peft_config = adapter_config(PeftSettings(method="prompt", virtual_tokens=4))

    assert describe_trained(Model()) == f"prompt of 4 virtual tokens, {told} trainable parameters"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"r": 8}, "LoRA r=8"),
        ({"r": 8, "dora": True}, "DoRA r=8"),
        ({"method": "loha", "r": 4}, "LoHa r=4"),
        ({"method": "lokr", "r": 4}, "LoKr r=4"),
        ({"method": "vera", "r": 4}, "VeRA r=4"),
        ({"method": "oft", "block_size": 8}, "OFT with blocks of 8"),
        ({"method": "ia3"}, "IA3"),
        ({"method": "prefix", "virtual_tokens": 4}, "prefix of 4 virtual tokens"),
    ],
)
def test_what_is_trained_is_said_of_the_adapter_itself(settings, said):
    """One that training starts from has a kind and shape of its own, which no key of the run names."""
    model = SimpleNamespace(parameters=list, active_peft_config=adapter_config(PeftSettings(**settings)))
    assert describe_trained(model) == f"{said}, 0 trainable parameters"


@pytest.fixture
def start_from(tiny_model_dir, tmp_path):
    """Makes an adapter of the tiny model, as another program would: ``start_from(tied=…, bias=…)``."""
    import json
    import shutil

    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    def make(tied=False, **settings):
        base = shutil.copytree(tiny_model_dir, tmp_path / "base")
        config = json.loads((base / "config.json").read_text())
        (base / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": tied}))
        model = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32)
        model.config.tie_word_embeddings = tied
        if not tied:
            model.lm_head.weight = torch.nn.Parameter(model.lm_head.weight.detach().clone())
        model.tie_weights()
        model.save_pretrained(base)
        settings = {"target_modules": ["q_proj", "v_proj"], "init_lora_weights": False, **settings}
        made = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", r=4, **settings))
        made.save_pretrained(tmp_path / "start")
        stored = json.loads((tmp_path / "start" / "adapter_config.json").read_text())
        stored["base_model_name_or_path"] = str(base)
        (tmp_path / "start" / "adapter_config.json").write_text(json.dumps(stored))
        return {"base": str(base), "adapter": "start", "quantization": "none", "max_steps": 2}

    return make


@pytest.mark.parametrize(
    ("method", "settings", "said"),
    [
        ("sft", {"target_modules": ["q_proj", "lm_head"]}, "adapts the output layer"),
        ("dpo", {"tied": True, "trainable_token_indices": {"embed_tokens": [5]}}, "adapts the output layer"),
        ("dpo", {"bias": "lora_only"}, "has biases, of which PEFT allows no second copy to compare with"),
    ],
)
def test_an_adapter_that_cannot_be_trained_further_is_one_line(
    make_project, start_from, pairs, capsys, method, settings, said
):
    rows = [{"prompt": "what is w1", "completion": "one"}] if method == "sft" else pairs
    assert make_project(method, rows, **start_from(**settings)).train() == 4
    line = capsys.readouterr().err.splitlines()[-1]
    assert f"start {said}" in line
    assert "merge it into its base" in line


@pytest.mark.parametrize("saved", [["lm_head"], ["embed_tokens"]])
def test_layers_that_an_adapter_holds_whole_are_learnt_from_there(make_project, start_from, pairs, saved):
    """Their copy is the reference too: the first loss is that of equal models, ln 2."""
    import math

    from safetensors.torch import load_file

    project = make_project("dpo", pairs, **start_from(modules_to_save=saved))
    before = load_file(project.path / "start" / "adapter_model.safetensors")
    assert project.train() == 0
    after = load_file(project.output / "adapter_model.safetensors")
    assert project.manifest["losses"][0]["loss"] == pytest.approx(math.log(2), abs=1e-4)
    held = [name for name in before if saved[0] in name]
    assert held
    assert all((before[name] != after[name]).any() for name in held)
