"""Gate and trainers choose the type of numbers by one rule, and batches are as large as the device likes."""

import dataclasses
import json

import pytest
import torch

from harness.engines import open as opening
from harness.engines import precision
from harness.engines.open import batch_budget, choose_plan, open_own
from harness.engines.precision import (
    dtype_of_capability,
    in_four_bits,
    memory_limits,
    refuse_missing_gpus,
)
from harness.errors import SettingsError
from harness.run.cache import completion_keys
from harness.types import GenerationSettings, ModelRef
from trainers.run.base_model import compute_dtype

GREEDY = GenerationSettings()
CAPABILITIES = {
    "GTX 1080": ((6, 1), "float32"),
    "V100": ((7, 0), "float32"),
    "T4": ((7, 5), "float32"),
    "A100": ((8, 0), "bfloat16"),
    "RTX 3090": ((8, 6), "bfloat16"),
    "L4": ((8, 9), "bfloat16"),
    "H100": ((9, 0), "bfloat16"),
    "B200": ((10, 0), "bfloat16"),
    "RTX 5090": ((12, 0), "bfloat16"),
}


@pytest.mark.parametrize("name", CAPABILITIES)
def test_gate_and_trainers_choose_the_same(monkeypatch, name):
    capability, expected = CAPABILITIES[name]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: capability)
    assert dtype_of_capability(capability) == expected
    assert choose_plan("auto", "cuda", 512, []).dtype == expected
    assert compute_dtype() == getattr(torch, expected)


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_what_is_asked_for_is_taken(monkeypatch, name):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (7, 5))
    assert choose_plan(name, "cuda", 512, []).dtype == name
    assert compute_dtype(name) == getattr(torch, name)


def test_a_gpus_own_number_is_asked_for(monkeypatch):
    """A machine may have GPUs of several kinds."""
    capabilities = {"cuda:0": (7, 5), "cuda:1": (9, 0)}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", capabilities.__getitem__)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(capabilities))
    assert [choose_plan("auto", device, 512, []).dtype for device in capabilities] == ["float32", "bfloat16"]


@pytest.mark.parametrize(
    ("device", "expected"),
    [
        ("split", "float32"),
        ("split:0=20GiB", "bfloat16"),
        ("split:1=20GiB", "float32"),
        ("split:2=20GiB,0=1MB,cpu=60GiB", "bfloat16"),
        ("split:0=20GiB,1=20GiB", "float32"),
        ("split:0=20GiB,1=0GiB,2=20GiB", "bfloat16"),
    ],
)
def test_a_split_model_has_a_type_that_all_its_gpus_have(monkeypatch, device, expected):
    capabilities = {"cuda:0": (9, 0), "cuda:1": (7, 5), "cuda:2": (8, 0)}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", capabilities.__getitem__)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
    monkeypatch.setattr("harness.engines.open._has_cuda", lambda: True)
    assert choose_plan("auto", device, 512, []).dtype == expected


def model_of(directory, config):
    """A reference to a model of which nothing but the configuration is there."""
    directory.mkdir()
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    (directory / "model.safetensors").touch()
    return ModelRef(label=directory.name, base_model=str(directory), base_sha256="0" * 64)


SMOL = {
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "hidden_size": 576,
}
LLAMA_8B = {"num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8, "hidden_size": 4096}
GROUPED_BY_NAME = {"n_layer": 12, "n_head": 12, "n_embd": 768}
MANY_HEADS = {"num_hidden_layers": 40, "num_attention_heads": 40, "hidden_size": 5120}


@pytest.mark.parametrize(
    ("config", "dtype", "expected"),
    [
        (SMOL, "float32", 32_768),  # 46 080 bytes a token
        (SMOL, "bfloat16", 65_536),
        (LLAMA_8B, "bfloat16", 16_384),  # 131 072 bytes a token: 2 GiB exactly
        (LLAMA_8B, "float32", 8192),
        ({**LLAMA_8B, "head_dim": 256}, "bfloat16", 8192),
        (GROUPED_BY_NAME, "float16", 32_768),
        (MANY_HEADS, "bfloat16", 4096),  # fewer would fit
        ({"text_config": LLAMA_8B, "hidden_size": 1}, "bfloat16", 16_384),
        ({"model_type": "unheard of"}, "bfloat16", 4096),
    ],
)
def test_on_a_gpu_as_many_tokens_share_a_batch_as_fit(tmp_path, config, dtype, expected):
    """With 4096 tokens a step of a GPU has few rows and takes as long: three to six times the seconds."""
    model = model_of(tmp_path / "model", config)
    assert batch_budget(dtype, [model], "cuda") == expected
    assert choose_plan(dtype, "cuda:1", None, [model]).batch_tokens == expected
    assert choose_plan(dtype, "cuda", 300, [model]).batch_tokens == 300


GIB = 2**30


@pytest.mark.parametrize(
    ("config", "free", "expected"),
    [
        (SMOL, None, 16_384),  # 46 080 bytes a token
        (SMOL, 8 * GIB, 16_384),
        (SMOL, 4 * GIB, 8192),
        (SMOL, 1 * GIB, 4096),
        (LLAMA_8B, 64 * GIB, 4096),  # 262 144 bytes a token: 1 GiB exactly
        ({**SMOL, "num_hidden_layers": 4}, 16 * GIB, 65_536),
        ({"model_type": "unheard of"}, None, 4096),
    ],
)
def test_on_a_processor_a_batch_is_as_large_as_memory_allows(monkeypatch, tmp_path, config, free, expected):
    """Long prompts and answers: with 4096 tokens ten rows were under way, which took 1.7 times the seconds."""
    monkeypatch.setattr(opening, "available_bytes", lambda: free)
    model = model_of(tmp_path / "model", config)
    assert choose_plan("float32", "cpu", None, [model]).batch_tokens == expected
    assert choose_plan("float32", "cpu", 300, [model]).batch_tokens == 300


def test_where_answers_depend_on_their_batch_a_processors_memory_has_no_say(tmp_path):
    model = model_of(tmp_path / "model", SMOL)
    assert choose_plan("bfloat16", "cpu", None, [model]).batch_tokens == 4096
    assert choose_plan("float32", "mps", None, [model]).batch_tokens == 4096


def test_the_larger_model_of_two_decides(tmp_path):
    models = [model_of(tmp_path / "small", SMOL), model_of(tmp_path / "large", LLAMA_8B)]
    both, larger = (batch_budget("bfloat16", each, "cuda") for each in (models, models[1:]))
    assert both == larger == 16_384
    assert choose_plan("bfloat16", "cuda", None, []).batch_tokens == 4096


def test_bases_in_four_bits(monkeypatch, tmp_path):
    plain, model = model_of(tmp_path / "plain", SMOL), choose_plan("float32", "cpu", 512, [])
    assert in_four_bits(model, [plain]).weights == "nf4"
    served = choose_plan("auto", "cpu", 512, [dataclasses.replace(plain, engine="openai")])
    assert in_four_bits(served, [plain]) == served
    stored = model_of(tmp_path / "stored", {**SMOL, "quantization_config": {"quant_method": "awq"}})
    with pytest.raises(SettingsError, match=r"stored: its weights are stored quantised \(awq\)"):
        in_four_bits(model, [plain, stored])
    with pytest.raises(SettingsError, match=r"^--plans nf4: .*stored quantised \(awq\); leave it out"):
        in_four_bits(model, [stored], "--plans nf4")
    monkeypatch.setattr(precision, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="bitsandbytes is not installed"):
        in_four_bits(model, [plain])


@pytest.mark.parametrize(
    ("given", "on_gpus", "without"),
    [
        ("auto", "cuda", "cpu"),
        ("cuda:1", "cuda:1", "cuda:1"),
        ("split", "cuda:split", "cpu:split"),
        ("split:cpu=60GiB", "cpu:split:cpu=60GiB", "cpu:split:cpu=60GiB"),
        ("split:0=0GiB,cpu=60GiB", "cpu:split:0=0GiB,cpu=60GiB", None),
        ("split:0=1.5GiB,cpu=2MB", "cuda:split:0=1.5GiB,cpu=2MB", None),
        ("split:1=1.5GiB", "cuda:split:1=1.5GiB", None),
    ],
)
def test_the_device_of_a_plan(monkeypatch, given, on_gpus, without):
    for has_gpu, expected in ((True, on_gpus), (False, without)):
        monkeypatch.setattr("harness.engines.open._has_cuda", lambda answer=has_gpu: answer)
        if expected is None:
            with pytest.raises(SettingsError, match=f"--gate-device {given}: no GPU . here: there is none"):
                choose_plan("float32", given, 512, [])
        else:
            assert choose_plan("float32", given, 512, []).device == expected


def test_what_the_processor_computes_has_its_plan_also_beside_a_gpu(monkeypatch, tmp_path):
    """Its numbers and batches, and so its stored answers, are not those of a GPU."""
    monkeypatch.setattr("harness.engines.open._has_cuda", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (9, 0))
    monkeypatch.setattr(opening, "available_bytes", lambda: None)
    models = [model_of(tmp_path / "model", SMOL)]
    plans = [choose_plan("auto", device, None, models) for device in ("split:cpu=60GiB", "cpu", "split")]
    assert [(plan.dtype, plan.batch_tokens) for plan in plans] == [
        ("float32", 4096),  # some of it is on a disk: there is no memory for large batches
        ("float32", 16_384),
        ("bfloat16", 65_536),
    ]
    assert completion_keys(models[0], plans[0])((), GREEDY, "", None) == completion_keys(models[0], plans[1])(
        (), GREEDY, "", None
    )


@pytest.mark.parametrize(
    ("device", "missing"),
    [
        ("split", None),
        ("split:0=1GiB,1=1GiB,cpu=1GiB", None),
        ("split:7=1GiB", "7"),
        ("split:cpu=1GiB,1=1GiB,2=1GiB", "2"),
        ("cuda", None),
        ("cuda:1", None),
        ("cuda:2", "2"),
    ],
)
def test_a_gpu_that_is_not_there_is_refused(monkeypatch, device, missing):
    """Where the type of numbers is chosen, and where another one was asked for, at the latest in loading."""
    monkeypatch.setattr("harness.engines.open._has_cuda", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device=None: (9, 0))
    plan = choose_plan("float32", device, 512, [])
    if missing is None:
        refuse_missing_gpus(plan.device)
        assert choose_plan("auto", device, 512, []).dtype == "bfloat16"
        return
    for refused in (
        lambda: choose_plan("auto", device, 512, []),
        lambda: refuse_missing_gpus(plan.device),
        lambda: open_own({}, plan),
    ):
        with pytest.raises(SettingsError, match=f"--gate-device {device}: no GPU {missing} here: .* sees 2,"):
            refused()


def test_without_cuda_no_gpu_is_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for device in ("cuda", "cuda:1", "cuda:split", "cuda:split:0=1GiB"):
        with pytest.raises(SettingsError, match=f"--gate-device {device}: torch sees no CUDA device"):
            refuse_missing_gpus(device)


def test_limits_of_memory():
    assert memory_limits("") == {}
    assert memory_limits("0=1.5GiB,1=2GB,cpu=3MB") == {0: 1610612736, 1: 2 * 10**9, "cpu": 3 * 10**6}
    for wrong in ("1", "0=", "0=5", "0=5TB", "disk=5GB", "0=5GB,", "=5GB"):
        with pytest.raises(
            SettingsError, match=f"--gate-device split:{wrong}: found .*allowed: a GPU's number"
        ):
            memory_limits(wrong)
    for twice, name in (("0=1GiB,0=2GiB", "0"), ("1=1GiB,01=1GiB", "1"), ("cpu=1GiB,0=1GiB,cpu=1GiB", "cpu")):
        with pytest.raises(
            SettingsError, match=f"--gate-device split:{twice}: the memory of {name} is named twice"
        ):
            memory_limits(twice)
