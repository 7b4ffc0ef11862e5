"""Training configurations are strict: each fault is named with file, line, key and what is allowed."""

import json
from pathlib import Path

import pytest
import yaml

from harness.errors import InputError, SettingsError
from harness.registry import load_function
from trainers.config import PeftSettings
from trainers.config_file import example, load_config, located_faults
from trainers.methods.catalogue import METHODS
from trainers.methods.dpo import DpoConfig
from trainers.methods.rlhf import RlhfConfig
from trainers.methods.sft import SftConfig
from trainers.run.arguments import with_rate_of_adapter

GOOD = "base: smollm2\ndata: rows.jsonl\noutput: out\npeft: {r: 8}\n"


def load(tmp_path, text, **overrides):
    path = tmp_path / "sft.yaml"
    path.write_text(text)
    return load_config(path, SftConfig, overrides)


def test_paths_are_meant_from_the_file(tmp_path):
    config = load(tmp_path, GOOD)
    assert config.data == (tmp_path / "rows.jsonl",)
    assert config.output == tmp_path / "out"
    assert config.peft.r == 8
    assert config.quantization == "nf4"


def test_the_command_lines_output_wins_and_is_meant_from_there(tmp_path):
    assert load(tmp_path, GOOD, output=Path("elsewhere")).output == Path("elsewhere")


def test_only_what_the_file_says_counts_as_given(tmp_path):
    """With many rows the search for golden cases is slower only where that is asked for."""
    assert "embedding" not in load(tmp_path, GOOD).leakage.model_fields_set
    given = load(tmp_path, GOOD + "leakage: {embedding: 0.95}\n")
    assert "embedding" in given.leakage.model_fields_set


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "epochs: 2\nmax_steps: 5\n", "epochs: max_steps: 5 sets the length of training"),
        (GOOD + "adapter: start\n", "peft: an adapter that is trained further keeps its kind and shape"),
        (GOOD + "early_stop: {patience: 5}\n", "early_stop: patience is read only with golden"),
        (
            GOOD.replace("r: 8", "method: ia3, r: 8"),
            "peft: r is read by method: lora, loha, lokr, vera, not by ia3",
        ),
        (GOOD.replace("r: 8", "virtual_tokens: 8"), "virtual_tokens is read by method: prefix, prompt"),
    ],
)
def test_a_key_without_effect_is_refused(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        load(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD + "lr: 1\n", r"sft.yaml:5: lr: unknown key \(allowed: base, output"),
        (GOOD + "learning_rate: -1\n", r"sft.yaml:5: learning_rate: found -1 \(allowed: greater than 0\)"),
        (GOOD + "learning_rate: fast\n", r"sft.yaml:5: learning_rate: found 'fast' \(allowed: a number\)"),
        (GOOD + "learning_rate: '3'\n", r"sft.yaml:5: learning_rate: found '3' \(allowed: a number\)"),
        (GOOD + "learning_rate: true\n", r"sft.yaml:5: learning_rate: found True \(allowed: a number\)"),
        (GOOD + "learning_rate: 1e30\n", r"learning_rate: found 1e\+30 \(allowed: a number of at most"),
        (GOOD + "max_steps: 1e30\n", r"max_steps: found 1e\+30 \(allowed: a whole number of at most"),
        (GOOD + "epochs: 1e9\n", r"epochs: found 1000000000.0 \(allowed: less than or equal to 1000000\)"),
        (GOOD + "seed: 1e30\n", r"seed: found 1e\+30 \(allowed: a whole number of at most 4294967296\)"),
        (
            GOOD + "max_steps: 9\nwarmup_steps: 9\n",
            r"sft.yaml:6: warmup_steps: the rate rises for 9 of 9 steps, and never reaches its peak",
        ),
        (
            GOOD.replace("r: 8", "target_modules: lm_head"),
            r"target_modules: found 'lm_head' \(allowed: a list or 'all-linear'\)",
        ),
        (GOOD + "early_stop: 3\n", r"sft.yaml:5: early_stop: found 3 \(allowed: a mapping\)"),
        (GOOD + "chat_template: 3\n", r"sft.yaml:5: chat_template: found 3 \(allowed: a path or a text\)"),
        (GOOD + "packing: 1\n", r"sft.yaml:5: packing: found 1 \(allowed: true or false\)"),
        (GOOD.replace("r: 8", "dora: 'yes'"), r"peft.dora: found 'yes' \(allowed: true or false\)"),
        (GOOD.replace("r: 8", "r: true"), r"sft.yaml:4: peft.r: found True \(allowed: a whole number\)"),
        (GOOD.replace("r: 8", "r: 3, init: orthogonal"), "init: orthogonal needs an even r, not 3"),
        (GOOD + "epochs: inf\n", r"sft.yaml:5: epochs: found 'inf' \(allowed: a number\)"),
        (
            GOOD + "seed: 4294967296\n",
            r"sft.yaml:5: seed: found 4294967296 \(allowed: less than 4294967296\)",
        ),
        (GOOD.replace("r: 8", "rank: 8"), r"sft.yaml:4: peft.rank: unknown key \(allowed: method, r, alpha"),
        (GOOD.replace("base: smollm2\n", ""), r"sft.yaml: base: the key is missing"),
        (GOOD + "quantization: int3\n", r"quantization: found 'int3' \(allowed: 'nf4' or 'none'\)"),
        (GOOD + "base: twice\n", r"sft.yaml:5: base: the key occurs twice"),
        ("- a\n", "expected a mapping of settings, found list"),
        ("", "the file is empty"),
    ],
)
def test_a_fault_is_named(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        load(tmp_path, text)


@pytest.mark.parametrize("key", ["seed", "max_length", "quantization", "packing", "output"])
def test_a_long_value_is_not_told_whole(tmp_path, key):
    value = {"output": [3] * 3000}.get(key, "word " * 600)
    given = yaml.safe_load(GOOD) | {key: value}
    with pytest.raises(SettingsError, match=f"{key}: found .*…") as refused:
        load(tmp_path, yaml.safe_dump(given))
    assert len(str(refused.value)) < 300 + len(str(tmp_path))


@pytest.mark.parametrize(
    ("message", "place"),
    [
        ("learning_rate: the loss became nan", "sft.yaml:5: "),
        ("peft.r: too large", "sft.yaml:4: "),
        ("data[0] (python): no such file", "sft.yaml:2: "),
        ("max_steps: too few", "sft.yaml: "),
        ("rows.jsonl:3: a row", ""),
        ("sft: not a key of this one", ""),
    ],
)
def test_a_fault_that_is_found_while_training_has_its_place_too(tmp_path, message, place):
    path = tmp_path / "sft.yaml"
    path.write_text(GOOD + "learning_rate: 1\n")
    with pytest.raises(SettingsError) as found, located_faults(path, SftConfig):
        raise SettingsError(message)
    assert str(found.value) == (f"{tmp_path}/{place}{message}" if place else message)


def test_the_example_loads_and_names_every_key(tmp_path):
    """``tunegate train sft --init`` prints a configuration that works as it is, or with its comments taken off."""
    text = example(SftConfig, {"base": "smollm2", "data": "rows.jsonl", "output": "out"})
    assert load(tmp_path, text).base == "smollm2"
    assert all(f"{name}:" in text for name in SftConfig.model_fields)
    keys = [line.removeprefix("# ") for line in text.splitlines() if line.startswith("# ") and ": " in line]
    uncommented = yaml.safe_load(
        "\n".join(key for key in keys if key.split(":")[0] in SftConfig.model_fields)
    )
    assert uncommented["batch_size"] == 8


def test_every_key_is_documented():
    """docs/training.md, or the page of multi-head fine-tuning, has a row for each key."""
    docs = Path(__file__).parents[2] / "docs"
    page = (docs / "training.md").read_text() + (docs / "multitask.md").read_text()
    kinds = [load_function(method.config, method.name) for method in METHODS.values()]
    names = [
        *(name for kind in kinds for name in kind.model_fields),
        *(
            f"{section}.{name}"
            for section in ("peft", "early_stop")
            for name in SftConfig.model_fields[section].annotation.model_fields
        ),
    ]
    assert [name for name in names if f"`{name}`" not in page] == []


@pytest.mark.parametrize("name", sorted(METHODS))
def test_each_methods_example_loads(tmp_path, name):
    """``--init`` prints a configuration that is taken as it is, whatever the method."""
    method = METHODS[name]
    kind = load_function(method.config, method.name)
    path = tmp_path / "config.yaml"
    path.write_text(example(kind, method.example))
    assert isinstance(load_config(path, kind), kind)


@pytest.mark.parametrize(
    ("method", "given", "rate"),
    [
        (SftConfig, {}, 2e-4),
        (SftConfig, {"peft": {"method": "lora", "r": 4}}, 2e-4),
        (SftConfig, {"peft": {"method": "ia3"}}, 5e-3),
        (SftConfig, {"peft": PeftSettings(method="oft")}, 1e-4),
        (SftConfig, {"peft": {"method": "full"}}, 2e-5),
        (SftConfig, {"peft": {"method": "full"}, "learning_rate": 2e-4}, 2e-4),
        (DpoConfig, {"peft": {"method": "full"}}, 5e-6),
        (DpoConfig, {"peft": PeftSettings(method="full")}, 5e-6),
    ],
)
def test_each_kind_of_weights_has_its_own_rate(method, given, rate):
    """Schulman et al. 2025: LoRA's best rate is about ten times that of all weights."""
    usual = {"base": "b", "data": "d.jsonl", "output": "o", "quantization": "none"}
    assert method.model_validate({**usual, **given}).learning_rate == pytest.approx(rate)


BENCHMARKS = sorted((Path(__file__).parents[2] / "benchmarks" / "training").glob("[!.]*.yaml"))


@pytest.mark.parametrize("path", BENCHMARKS, ids=lambda path: path.stem)
def test_the_benchmarks_configurations_are_valid(path, tmp_path):
    """With the keys of the benchmark itself taken out, as it does."""
    settings = yaml.safe_load(path.read_text())
    name = settings.pop("method", path.stem)
    settings.pop("gate", None)
    (tmp_path / path.name).write_text(yaml.safe_dump(settings))
    assert load_config(tmp_path / path.name, load_function(METHODS[name].config, name)).base == "smollm2"


@pytest.mark.parametrize(("kind", "rate"), [("LORA", 5e-5), ("VERA", 5e-3), ("PREFIX_TUNING", 2.5e-3)])
def test_an_adapter_that_is_trained_further_has_its_kind_s_rate(tmp_path, kind, rate):
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": kind}))
    usual = {"base": "b", "data": "d", "output": "o", "adapter": tmp_path}
    assert with_rate_of_adapter(DpoConfig(**usual)).learning_rate == rate
    given = DpoConfig(**usual, learning_rate=1e-3)
    assert with_rate_of_adapter(given) is given
    new = DpoConfig(**{**usual, "adapter": None})
    assert with_rate_of_adapter(new) is new


def test_the_last_stage_has_the_rate_of_the_first_ones_adapter():
    stages = {
        "sft": {"data": "d", "peft": {"method": "vera"}},
        "reward": {"data": "d"},
        "rloo": {"data": "d"},
    }
    usual = {"base": "b", "output": "o"}
    found = RlhfConfig(**usual, **stages)
    assert found.sft.learning_rate == pytest.approx(2e-2)
    assert found.reward.learning_rate == 1e-4
    assert found.rloo.learning_rate == pytest.approx(5e-3)
    assert (
        RlhfConfig(**usual, **{**stages, "rloo": {"data": "d", "learning_rate": 1}}).rloo.learning_rate == 1
    )
    assert RlhfConfig(**usual, **{**stages, "sft": {"data": "d"}}).rloo.learning_rate == 5e-5
