"""Gate and trainers choose the type of numbers by one rule, from the GPU's compute capability."""

import pytest
import torch

from harness.engines.open import choose_plan
from harness.engines.precision import dtype_of_capability
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
