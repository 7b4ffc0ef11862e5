"""Every kind of adapter trains, is saved, and loads back through the engine."""

from types import SimpleNamespace

import pytest

from harness.engines.base import CANDIDATE, GenerationRequest
from harness.engines.open import check_alive, choose_plan, describe_model, open_sides
from harness.types import GenerationSettings, Message
from trainers.config import PeftSettings
from trainers.run.adapters import adapter_config, describe_trained

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
