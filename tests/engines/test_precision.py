"""Gate and trainers choose the type of numbers by one rule, and batches are as large as the device likes."""

import dataclasses
import json

import pytest
import torch

from harness.engines import precision
from harness.engines.open import choose_plan
from harness.engines.precision import (
    batch_budget,
    dtype_of_capability,
    in_four_bits,
    memory_limits,
)
from harness.errors import SettingsError
from harness.types import ModelRef
from trainers.run.base_model import compute_dtype

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
    assert [choose_plan("auto", device, 512, []).dtype for device in capabilities] == ["float32", "bfloat16"]


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
    assert batch_budget(dtype, [model]) == expected
    assert choose_plan(dtype, "cuda:1", None, [model]).batch_tokens == expected
    assert choose_plan(dtype, "cuda", 300, [model]).batch_tokens == 300
    assert choose_plan(dtype, "cpu", None, [model]).batch_tokens == 4096


def test_the_larger_model_of_two_decides(tmp_path):
    models = [model_of(tmp_path / "small", SMOL), model_of(tmp_path / "large", LLAMA_8B)]
    assert batch_budget("bfloat16", models) == batch_budget("bfloat16", models[1:]) == 16_384
    assert choose_plan("bfloat16", "cuda", None, []).batch_tokens == 4096


def test_bases_in_four_bits(monkeypatch, tmp_path):
    plain, model = model_of(tmp_path / "plain", SMOL), choose_plan("float32", "cpu", 512, [])
    assert in_four_bits(model, [plain]).weights == "nf4"
    served = choose_plan("auto", "cpu", 512, [dataclasses.replace(plain, engine="openai")])
    assert in_four_bits(served, [plain]) == served
    stored = model_of(tmp_path / "stored", {**SMOL, "quantization_config": {"quant_method": "awq"}})
    with pytest.raises(SettingsError, match=r"stored: its weights are stored quantised \(awq\)"):
        in_four_bits(model, [plain, stored])
    monkeypatch.setattr(precision, "find_spec", lambda name: None)
    with pytest.raises(SettingsError, match="bitsandbytes is not installed"):
        in_four_bits(model, [plain])


@pytest.mark.parametrize(
    ("given", "on_gpus", "without"),
    [
        ("auto", "cuda", "cpu"),
        ("cuda:1", "cuda:1", "cuda:1"),
        ("split", "cuda:split", "cpu:split"),
        ("split:0=1.5GiB,cpu=2MB", "cuda:split:0=1.5GiB,cpu=2MB", "cpu:split:0=1.5GiB,cpu=2MB"),
    ],
)
def test_the_device_of_a_plan(monkeypatch, given, on_gpus, without):
    for has_gpu, expected in ((True, on_gpus), (False, without)):
        monkeypatch.setattr("harness.engines.open._has_cuda", lambda answer=has_gpu: answer)
        assert choose_plan("float32", given, 512, []).device == expected


def test_a_split_models_numbers_are_those_of_the_first_gpu(monkeypatch):
    monkeypatch.setattr("harness.engines.open._has_cuda", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", {"cuda": (7, 5)}.__getitem__)
    assert choose_plan("auto", "split", 512, []).dtype == "float32"


def test_limits_of_memory():
    assert memory_limits("") == {}
    assert memory_limits("0=1.5GiB,1=2GB,cpu=3MB") == {0: 1610612736, 1: 2 * 10**9, "cpu": 3 * 10**6}
    for wrong in ("1", "0=", "0=5", "0=5TB", "disk=5GB", "0=5GB,", "=5GB"):
        with pytest.raises(
            SettingsError, match=f"--gate-device split:{wrong}: found .*allowed: a GPU's number"
        ):
            memory_limits(wrong)
