"""Every kind of adapter trains, is saved, and loads back through the engine."""

import pytest

from harness.engines.base import CANDIDATE, GenerationRequest
from harness.engines.open import check_alive, choose_plan, describe_model, open_sides
from harness.types import GenerationSettings, Message

KINDS = {
    "lora": {"r": 4},
    "rslora": {"r": 4, "rslora": True, "init": "gaussian"},
    "dora": {"r": 4, "dora": True},
    "ia3": {"method": "ia3"},
    "prefix": {"method": "prefix", "virtual_tokens": 4},
    "prompt": {"method": "prompt", "virtual_tokens": 4},
    "full": {"method": "full"},
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_trains_and_answers_through_the_gates_engine(make_project, kind):
    """Base and candidate answer side by side; the candidate is alive and says what it was taught."""
    rows = [{"prompt": f"what is w{i}", "completion": "one two three"} for i in range(12)]
    # Slow enough to learn the words in bfloat16 too, where a CPU computes in that.
    rate = {"full": 0.003, "ia3": 0.05, "prefix": 0.05, "prompt": 0.05}.get(kind, 0.02)
    project = make_project(
        "sft", rows, peft=KINDS[kind], quantization="none", max_steps=40, learning_rate=rate
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


def test_full_needs_the_whole_weights(make_project, capsys):
    project = make_project("sft", [{"prompt": "a", "completion": "one"}], peft={"method": "full"})
    assert project.train() == 4
    assert "peft.method: full needs quantization: none" in capsys.readouterr().err
