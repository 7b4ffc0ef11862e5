"""Kinds of adapters that vLLM runs, and those that it would run otherwise than they were trained."""

import json
import shutil
from dataclasses import replace

import pytest
from safetensors.torch import load_file, save_file

from harness.engines.open import describe_model
from harness.engines.served.plain_lora import refuse_unusual
from harness.errors import AdapterError

FIRST = "model.layers.0.self_attn.q_proj"


@pytest.fixture
def changed(tiny_adapter_dir, tmp_path):
    """A copy of an adapter with r = 4 and alpha = 8 whose configuration or weights are others."""
    shutil.copytree(tiny_adapter_dir, tmp_path, dirs_exist_ok=True)

    def change(config=None, weights=lambda tensors: tensors):
        path, file = tmp_path / "adapter_config.json", tmp_path / "adapter_model.safetensors"
        path.write_text(json.dumps({**json.loads(path.read_text()), **(config or {})}))
        save_file(weights(load_file(file)), file)
        return replace(describe_model(str(tiny_adapter_dir)), adapter_dir=str(tmp_path))

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"peft_type": "IA3"}, "IA3"),
        ({"use_dora": True}, "DoRA"),
        ({"bias": "all"}, "bias: all"),
        ({"modules_to_save": ["lm_head"]}, "modules_to_save"),
        ({"rank_pattern": {"q_proj": 600}}, "rank 600"),
        # The base is not the base: PEFT subtracts from it what the matrices begin with.
        ({"init_lora_weights": "pissa_niter_16"}, "init_lora_weights: pissa_niter_16"),
        ({"init_lora_weights": "olora"}, "init_lora_weights: olora"),
        ({"lora_bias": True}, "lora_bias"),
        ({"layer_replication": [[0, 1]]}, "layer_replication"),
        ({"target_parameters": ["mlp.experts"]}, "target_parameters"),
        ({"alora_invocation_tokens": [3]}, "alora_invocation_tokens"),
        ({"alpha_pattern": {"q_proj": 32}}, f"a scale of its own on {FIRST} .rank_pattern or alpha_pattern"),
        ({"alpha_pattern": {"layers.0.self_attn.q_proj": 4}}, f"a scale of its own on {FIRST}"),
        ({"use_rslora": True, "alpha_pattern": {"k_proj": 9}}, "a scale of its own on .*k_proj"),
    ],
    ids=str,
)
def test_kinds_that_vllm_would_ignore_are_refused(changed, change, reason):
    with pytest.raises(AdapterError, match=f"vLLM runs plain LoRA up to rank 512, and this has {reason}"):
        refuse_unusual(changed(change))


def wider(tensors):
    """The first layers' query matrices have twice the rank."""
    return {
        name: tensor.repeat((2, 1) if ".lora_A" in name else (1, 2)) if "q_proj" in name else tensor
        for name, tensor in tensors.items()
    }


def test_layers_of_another_rank_need_the_same_scale(changed):
    """PEFT divides each layer's alpha by its own rank, vLLM the adapter's alpha by its rank."""
    with pytest.raises(AdapterError, match=f"a scale of its own on {FIRST}"):
        refuse_unusual(changed({"lora_alpha": 8, "rank_pattern": {"q_proj": 8}}, wider))
    refuse_unusual(changed({"alpha_pattern": {"q_proj": 16}}))


def test_patterns_that_change_no_scale_are_plain(changed):
    refuse_unusual(changed({"lora_alpha": 8, "rank_pattern": {"q_proj": 4}, "alpha_pattern": {"q_proj": 8}}))


@pytest.mark.parametrize("patterns", [["q_proj"], {"q_(proj": 3}, {"q_proj": "3"}])
def test_patterns_that_can_not_be_read_are_one_line(changed, patterns):
    with pytest.raises(AdapterError, match=r"adapter_config.json: its ranks and scales can't be read: \w+"):
        refuse_unusual(changed({"alpha_pattern": patterns}))


def test_an_adapter_of_the_output_layer_is_refused(changed):
    """With one loaded, vLLM 0.32 gives other log-probabilities of prompts for the base, too."""

    def more(tensors):
        name = next(name for name in tensors if ".lora_B" in name)
        added = {f"base_model.model.lm_head.lora_{matrix}.weight": tensors[name].clone() for matrix in "AB"}
        return tensors | added

    with pytest.raises(AdapterError, match=r"LoRA on lm_head.*or merge it"):
        refuse_unusual(changed(weights=more))


def test_embeddings_beside_the_matrices_are_refused(changed):
    """PEFT saves them after new tokens were added; vLLM has no place for them."""

    def more(tensors):
        rows = next(iter(tensors.values())).clone()
        return tensors | {"base_model.model.model.embed_tokens.weight": rows}

    with pytest.raises(AdapterError, match=r"a tensor \S+embed_tokens.weight, which vLLM leaves out"):
        refuse_unusual(changed(weights=more))
