"""Answers of vLLM: what TRL's own classes are given, and a line where vLLM is missing. vLLM itself needs a GPU."""

import pytest

from harness.errors import SettingsError
from trainers.measure.samples import read_samples
from trainers.shared import rollouts

PROMPTS = [{"prompt": f"what is w{i}"} for i in range(4)]
SHORT = {
    "quantization": "none",
    "rewards": [{"type": "regex", "pattern": "w4[0-9]", "full": False}],
    "num_generations": 4,
    "max_completion_length": 6,
    "max_steps": 1,
}
OF_METHOD = {"grpo": {}, "rloo": {"reward_model": "judge"}, "rft": {"rounds": 2, "threshold": 0}}


@pytest.fixture
def installed(monkeypatch):
    """VLLM is there, as far as its name goes."""
    monkeypatch.setattr(rollouts, "find_spec", lambda name: object())


@pytest.mark.parametrize("method", OF_METHOD)
def test_vllm_that_is_not_installed_is_one_line(make_project, capsys, monkeypatch, method):
    monkeypatch.setattr(rollouts, "find_spec", lambda name: None)
    project = make_project(
        method, PROMPTS, **SHORT, **OF_METHOD[method], generation="vllm", data="not-there.jsonl"
    )
    assert project.train() == 4
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert "generation: vllm needs the package vllm (pip install 'trl[vllm]')" in line


@pytest.mark.parametrize(
    ("vllm", "given"),
    [
        ({}, ("colocate", None, 0.3, 1024)),
        ({"gpu_memory": 0.5}, ("colocate", None, 0.5, 1024)),
        ({"server": "http://localhost:8000"}, ("server", "http://localhost:8000", 0.3, None)),
    ],
)
@pytest.mark.parametrize("method", ["grpo", "rloo"])
def test_trl_gets_its_own_keys(make_project, pairs, installed, monkeypatch, method, vllm, given):
    import trl

    seen = []

    class Trainer:
        def __init__(self, args, **_):
            seen.append(args)
            raise SettingsError("seen")

    if method == "rloo":
        assert make_project("reward", pairs, max_steps=1, output="judge", quantization="none").train() == 0
    monkeypatch.setattr(trl, f"{method.upper()}Trainer", Trainer)
    project = make_project(method, PROMPTS, **SHORT, **OF_METHOD[method], generation="vllm", vllm=vllm)
    assert project.train() == 4
    (args,) = seen
    assert args.use_vllm
    found = (
        args.vllm_mode,
        args.vllm_server_base_url,
        args.vllm_gpu_memory_utilization,
        args.vllm_max_model_length,
    )
    assert found == given


def test_rft_learns_what_vllm_answered(make_project, installed, monkeypatch, tmp_path):
    """With the weights of each round, and prompts in the order in which TRL's class takes them."""
    from trl.generation import vllm_generation

    made = []

    class Engine:
        def __init__(self, **settings):
            self.settings, self.synced, self.asked = settings, 0, []
            made.append(self)

        def sync_weights(self):
            self.synced += 1

        def generate(self, *, prompts, images, num_generations):
            assert self.synced
            self.asked.append((prompts, num_generations))
            # "one w40" and an end token, "two" and what comes after the end.
            return (
                prompts,
                [[65, 47, 3] if place % 2 else [66, 3, 9] for place, _ in enumerate(prompts)],
                None,
                None,
            )

    monkeypatch.setattr(vllm_generation, "VLLMGeneration", Engine)
    project = make_project(
        "rft", PROMPTS, **SHORT, **OF_METHOD["rft"], generation="vllm", vllm={"gpu_memory": 0.4}
    )
    assert project.train() == 0
    (engine,) = made
    assert engine.settings["mode"] == "colocate"
    assert (engine.settings["gpu_memory_utilization"], engine.settings["max_completion_length"]) == (0.4, 6)
    assert engine.synced == len(engine.asked) == 2
    prompts, each = engine.asked[0]
    assert each == 4
    assert [prompts.index(prompt) for prompt in prompts] == [4 * (place // 4) for place in range(16)]
    answers = {sample.answer for sample in read_samples(tmp_path / "out.work")}
    assert answers == {"one w40", "two"}
    assert len(project.manifest["rounds"]) == 2


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"vllm": {"gpu_memory": 0.5}}, "vllm.gpu_memory is read only with generation: vllm"),
        ({"generation": "vllm", "quantization": "nf4"}, "generation: vllm needs quantization: none"),
        ({"generation": "vllm", "peft": {"method": "prompt"}}, "generation: vllm takes merged weights"),
        (
            {"generation": "vllm", "vllm": {"server": "http://x", "gpu_memory": 0.5}},
            "gpu_memory: a server has its own",
        ),
        ({"generation": "sglang"}, "generation: found 'sglang'"),
        ({"trl": {"use_vllm": True}}, "trl.use_vllm: set by generation, next to base"),
    ],
)
def test_settings_that_do_not_agree_are_one_line(make_project, capsys, settings, message):
    project = make_project("grpo", PROMPTS, **{**SHORT, **settings})
    assert project.train() == 4
    assert message in capsys.readouterr().err.strip().splitlines()[-1]
