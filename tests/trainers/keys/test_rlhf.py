"""Every key of the RLHF recipe reaches a stage: two values, two plans of stages. Nothing is trained here."""

import gc
import json
import weakref

import pytest

from tests.trainers.keys.conftest import with_keys
from trainers.config import StrictModel
from trainers.methods import ppo, reward, rlhf, rloo, sft
from trainers.run.entry import run_module

USUAL = {
    "base": "one",
    "output": "out",
    "sft": {"data": "sft.jsonl"},
    "reward": {"data": "pairs.jsonl"},
    "rloo": {"data": "prompts.jsonl"},
}
KEYS = {
    "base": ("one", "two"),
    "output": ("out", "elsewhere"),
    "golden": (None, "golden.yaml"),
    "leakage.allow": (False, True),
    "leakage.exact": (True, False),
    "leakage.ngram": (13, 5),
    "leakage.embedding": (0.95, 0.9),
    "quantization": ("nf4", "none"),
    "dtype": ("float32", "bfloat16"),
    "seed": (0, 1),
    "chat_template": (None, "zephyr"),
    "sft": ({"data": "sft.jsonl"}, {"data": "sft.jsonl", "peft": {"r": 4}}),
    "reward": ({"data": "pairs.jsonl"}, {"data": "pairs.jsonl", "center_rewards": 0.1}),
    "rloo": ({"data": "prompts.jsonl"}, {"data": "prompts.jsonl", "beta": 0.1}),
    "ppo": ({"data": "prompts.jsonl"}, {"data": "prompts.jsonl", "passes": 2}),
}


@pytest.fixture
def plan(tmp_path, monkeypatch):
    """The stages' configurations, for changed keys."""

    def made(changes):
        stages = []

        def note(config, *, resume=False):
            stages.append(config.model_dump(mode="json"))
            return 0

        for stage in (sft, reward, rloo, ppo):
            monkeypatch.setattr(stage, "train", note)
            monkeypatch.setattr(stage, "read_data", lambda stage: None)
        (tmp_path / "rlhf.yaml").write_text(json.dumps(with_keys(USUAL, changes)))
        assert run_module("rlhf", rlhf.RlhfConfig, rlhf.train, [str(tmp_path / "rlhf.yaml")]) == 0
        assert len(stages) == 3
        return stages

    return made


def test_every_key_is_in_the_table():
    fields = rlhf.RlhfConfig.model_fields
    sections = {name for name in fields if name == "leakage"}
    inner = {
        f"{section}.{name}"
        for section in sections
        for name in fields[section].annotation.model_fields
        if issubclass(fields[section].annotation, StrictModel)
    }
    assert set(KEYS) == (set(fields) - sections) | inner


@pytest.mark.parametrize("key", KEYS)
def test_two_values_give_two_plans(plan, key):
    # PPO is the last stage in place of RLOO.
    without = {"rloo": None} if key == "ppo" else {}
    one, two = (plan({**without, key: value}) for value in KEYS[key])
    assert one != two


def test_a_stages_models_are_gone_before_the_next_stage(tmp_path, monkeypatch):
    """On a GPU three stages' models would not fit."""
    before = []

    class Model:
        def __init__(self):
            self.trainer = self  # trainers refer to themselves

    def stage(config, *, resume=False):
        assert [reference for reference in before if reference() is not None] == []
        before.append(weakref.ref(Model()))
        return 0

    for module in (sft, reward, rloo):
        monkeypatch.setattr(module, "train", stage)
        monkeypatch.setattr(module, "read_data", lambda stage: None)
    gc.disable()
    try:
        assert rlhf.train(rlhf.RlhfConfig.model_validate({**USUAL, "output": str(tmp_path / "out")})) == 0
    finally:
        gc.enable()
    assert len(before) == 3


@pytest.mark.parametrize("last", [{"rloo": None}, {"ppo": {"data": "prompts.jsonl"}}])
def test_there_is_one_last_stage(tmp_path, capsys, last):
    (tmp_path / "rlhf.yaml").write_text(json.dumps(with_keys(USUAL, last)))
    assert run_module("rlhf", rlhf.RlhfConfig, rlhf.train, [str(tmp_path / "rlhf.yaml")]) == 4
    assert "the last stage is rloo or ppo: give one of them" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["quantization", "dtype", "seed", "leakage.ngram", "base", "chat_template"])
def test_a_common_key_reaches_all_stages(plan, key):
    one, two = (plan({key: value}) for value in KEYS[key])
    assert all(before != after for before, after in zip(one, two, strict=True))


def test_the_last_stages_own_adapter_has_no_effect(tmp_path, capsys):
    """It trains the first stage's further, which keeps its shape."""
    settings = with_keys(USUAL, {"rloo.peft.r": 4})
    (tmp_path / "rlhf.yaml").write_text(json.dumps(settings))
    assert run_module("rlhf", rlhf.RlhfConfig, rlhf.train, [str(tmp_path / "rlhf.yaml")]) == 4
    assert "rloo.peft: the adapter of sft is trained further" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sft.peft": {"method": "loha"}}, None),
        ({"rloo.generation": "vllm"}, None),
        ({"sft.peft": {"method": "prefix"}}, "adapter of sft further, and virtual tokens can't be trained"),
        ({"sft.peft": {"method": "full"}}, "sft.peft.method: the last stage trains the adapter of sft"),
        (
            {"sft.peft": {"method": "prompt"}, "rloo": None, "ppo": {"data": "prompts.jsonl"}},
            "adapter of sft further, and virtual tokens can't be trained",
        ),
        (
            {"sft.peft": {"dropout": 0.1}, "rloo": None, "ppo": {"data": "prompts.jsonl"}},
            "sft.peft.dropout: ppo compares probabilities",
        ),
        ({"rloo.quantization": "none"}, "rloo.quantization: give quantization once, next to base"),
        ({"seed": 2**32}, "seed: found 4294967296 (allowed: less than 4294967296)"),
    ],
)
def test_stages_agree_with_the_recipe_and_with_each_other(tmp_path, capsys, monkeypatch, changes, message):
    """A stage has the recipe's quantization; what the last stage can't train is refused before the first."""
    for module in (sft, reward, rloo, ppo):
        monkeypatch.setattr(module, "read_data", lambda stage: None)
        monkeypatch.setattr(module, "train", lambda stage, *, resume: 0)
    (tmp_path / "rlhf.yaml").write_text(json.dumps(with_keys({**USUAL, "quantization": "none"}, changes)))
    status = run_module("rlhf", rlhf.RlhfConfig, rlhf.train, [str(tmp_path / "rlhf.yaml")])
    error = capsys.readouterr().err
    assert status == (0 if message is None else 4), error
    assert message is None or message in error


@pytest.mark.parametrize(
    ("broken", "message"),
    [
        ("prompts.jsonl", "prompts.jsonl: can't be read"),
        ("out.stages/notes.txt", "out.stages has files that no recipe wrote"),
        ("out/notes.txt", "out has files that no training wrote"),
        ("trl", "trl.no_such_key: not a key of TRL's RLOOConfig"),
    ],
)
def test_faults_of_later_stages_are_found_before_the_first(tmp_path, capsys, monkeypatch, broken, message):
    """Nothing is trained, and the stages of an earlier recipe stay."""
    rows = {
        "sft.jsonl": {"prompt": "a", "completion": "b"},
        "pairs.jsonl": {"prompt": "a", "chosen": "b", "rejected": "c"},
        "prompts.jsonl": {"prompt": "a"},
    }
    for name, row in rows.items():
        if name != broken:
            (tmp_path / name).write_text(json.dumps(row) + "\n")
    if broken.startswith("out"):
        (tmp_path / broken).parent.mkdir()
        (tmp_path / broken).write_text("mine")
    earlier = tmp_path / "out.stages" / "sft" / "training_manifest.json"
    earlier.parent.mkdir(parents=True)
    earlier.write_text("{}")
    for module in (sft, reward, rloo):
        monkeypatch.setattr(module, "train", lambda stage, *, resume: pytest.fail("trained"))
    changes = {"rloo.trl": {"no_such_key": 1}} if broken == "trl" else {}
    (tmp_path / "rlhf.yaml").write_text(json.dumps(with_keys({**USUAL, "golden": []}, changes)))
    assert run_module("rlhf", rlhf.RlhfConfig, rlhf.train, [str(tmp_path / "rlhf.yaml")]) == 4
    assert message in capsys.readouterr().err
    assert earlier.exists()
