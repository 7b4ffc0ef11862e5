"""Kinds of adapters that vLLM runs, and those that it would run otherwise than they were trained."""

import json
import shutil
import warnings
from dataclasses import replace

import pytest
from safetensors.torch import load_file, save_file

from harness.engines.open import describe_model
from harness.engines.served import adapters
from harness.engines.served.adapters import LoadedAdapters, refuse_unusual
from harness.engines.served.client import RefusedError
from harness.errors import AdapterError, ModelError


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"peft_type": "IA3"}, "IA3"),
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "bias: all"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"rank_pattern": {"q_proj": 600}}, "rank 600"),
    ],
    ids=str,
)
def test_kinds_that_vllm_would_ignore_are_refused(tiny_adapter_dir, tmp_path, change, reason):
    config = json.loads((tiny_adapter_dir / "adapter_config.json").read_text())
    shutil.copytree(tiny_adapter_dir, tmp_path, dirs_exist_ok=True)
    (tmp_path / "adapter_config.json").write_text(json.dumps({**config, **change}))
    model = replace(describe_model(str(tiny_adapter_dir)), adapter_dir=str(tmp_path))
    with pytest.raises(AdapterError, match=f"vLLM runs plain LoRA up to rank 512, and this has {reason}"):
        refuse_unusual(model)


def test_an_adapter_of_the_output_layer_is_refused(tiny_adapter_dir, tmp_path):
    """With one loaded, vLLM 0.32 gives other log-probabilities of prompts for the base, too."""
    shutil.copytree(tiny_adapter_dir, tmp_path, dirs_exist_ok=True)
    weights = load_file(tmp_path / "adapter_model.safetensors")
    name = next(name for name in weights if ".lora_B" in name)
    weights |= {f"base_model.model.lm_head.lora_{matrix}.weight": weights[name].clone() for matrix in "AB"}
    save_file(weights, tmp_path / "adapter_model.safetensors")
    model = replace(describe_model(str(tiny_adapter_dir)), adapter_dir=str(tmp_path))
    with pytest.raises(AdapterError, match=r"LoRA on lm_head.*or merge it"):
        refuse_unusual(model)


@pytest.mark.parametrize("listed", [True, False])
def test_a_server_that_ends_while_an_adapter_is_unloaded_costs_no_verdict(monkeypatch, listed):
    loaded = LoadedAdapters.__new__(LoadedAdapters)
    loaded.url, loaded._own, loaded._known, loaded._client = "http://127.0.0.1:1/v1", {"abc"}, {}, None

    def refuse(*_):
        raise RefusedError("status 500", 500)

    def entries(_):
        if not listed:
            raise ModelError("http://127.0.0.1:1/v1: no reply; is the server running?")
        return [{"id": "abc"}]

    loaded._ask = refuse
    monkeypatch.setattr(adapters, "list_models", entries)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        loaded.unload()
    assert ["does not unload the adapter abc" in str(each.message) for each in told] == [True] * listed
