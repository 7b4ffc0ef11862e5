"""Weights and configuration keys that don't find their place are refused by name."""

import json

import pytest

from harness.engines.open import choose_plan, describe_model, open_sides
from harness.errors import AdapterError, ModelError


def opened(directory):
    model = describe_model(str(directory))
    return open_sides({"candidate": model}, choose_plan("float32", "cpu", 512, [model]))


def rewrite(file, change):
    """Write a safetensors file anew, with its tensors changed."""
    from safetensors.torch import load_file, save_file

    save_file(change(load_file(file)), file, metadata={"format": "pt"})


@pytest.fixture
def model_dir(tiny_model_dir, tmp_path):
    import shutil

    return shutil.copytree(tiny_model_dir, tmp_path / "model")


@pytest.fixture
def adapter_dir(make_adapter, lora):
    return make_adapter(lora())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda tensors: {name: t for name, t in tensors.items() if "layers.1.mlp" not in name},
            r"3 of its weights are missing and would be random: model\.layers\.1\.mlp\.down_proj\.weight",
        ),
        (
            lambda tensors: {f"_orig_mod.{name}": tensor for name, tensor in tensors.items()},
            r"missing .*'_orig_mod\.', left by a wrapper",
        ),
        (
            lambda tensors: {
                **tensors,
                "model.layers.7.mlp.up_proj.weight": tensors["lm_head.weight"].clone(),
            },
            r"belong nowhere in it: model\.layers\.7\.mlp\.up_proj\.weight",
        ),
        (
            lambda tensors: {**tensors, "lm_head.weight": tensors["lm_head.weight"] * float("nan")},
            r"hold NaN or infinity: lm_head\.weight",
        ),
        (
            lambda tensors: {**tensors, "lm_head.weight": tensors["lm_head.weight"][:, :32].clone()},
            r"another shape than its config says: lm_head\.weight",
        ),
    ],
    ids=["missing", "renamed", "unexpected", "nan", "shape"],
)
def test_a_model_whose_weights_do_not_fit(model_dir, change, problem):
    rewrite(model_dir / "model.safetensors", change)
    with pytest.raises(ModelError, match=problem):
        opened(model_dir)


def test_masks_of_an_older_version_beside_the_weights_are_no_fault(model_dir):
    """Files of GPT-2, GPT-J and GPT-Neo hold what each layer may see, and a large negative number."""

    def with_masks(tensors):
        import torch

        mask = torch.ones(1, 1, 8, 8, dtype=torch.uint8).tril()
        return {
            **tensors,
            **{f"model.layers.{n}.attn.masked_bias": torch.tensor(-1e4) for n in range(2)},
            **{f"model.layers.{n}.attn.attention.bias": mask.clone() for n in range(2)},
        }

    rewrite(model_dir / "model.safetensors", with_masks)
    assert opened(model_dir).plan.dtype == "float32"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (
            lambda tensors: {name: t for name, t in tensors.items() if "layers.1.mlp" not in name},
            r"6 of its weights are missing and would be random: .*layers\.1\.mlp",
        ),
        (
            lambda tensors: {
                name.replace("model.model", "model._orig_mod.model"): t for name, t in tensors.items()
            },
            r"another base: .* belong nowhere in it: .*'_orig_mod\.', left by a wrapper",
        ),
        (
            lambda tensors: {
                **tensors,
                "base_model.model.model.layers.9.mlp.up_proj.lora_A.weight": next(
                    iter(tensors.values())
                ).clone(),
            },
            r"another base: 1 of its weights belong nowhere in it: .*layers\.9",
        ),
        (
            lambda tensors: {name: t / 0 if "q_proj.lora_A" in name else t for name, t in tensors.items()},
            r"hold NaN or infinity: .*q_proj\.lora_A",
        ),
    ],
    ids=["missing", "renamed", "unexpected", "infinite"],
)
def test_an_adapter_whose_weights_do_not_fit(adapter_dir, change, problem):
    rewrite(adapter_dir / "adapter_model.safetensors", change)
    with pytest.raises(AdapterError, match=problem):
        opened(adapter_dir)


def test_a_model_that_continues_no_text_is_refused(model_dir):
    from transformers import T5Config, T5ForConditionalGeneration

    tiny = T5Config(vocab_size=68, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2)
    T5ForConditionalGeneration(tiny).save_pretrained(model_dir)
    with pytest.raises(ModelError, match="models of the kind t5 continue no text"):
        opened(model_dir)


def test_a_model_that_reads_another_encoder_is_refused(model_dir):
    config = json.loads((model_dir / "config.json").read_text())
    (model_dir / "config.json").write_text(json.dumps({**config, "is_encoder_decoder": True}))
    with pytest.raises(ModelError, match=r"config\.json: is_encoder_decoder: true, and .* give a causal"):
        opened(model_dir)


def set_config(directory, **changes):
    config = json.loads((directory / "adapter_config.json").read_text())
    (directory / "adapter_config.json").write_text(json.dumps({**config, **changes}))


def test_a_key_that_peft_does_not_know_is_refused(adapter_dir):
    """PEFT would drop it, and compute something else than what was trained."""
    set_config(adapter_dir, use_quantum=True, peft_version="9.9")
    with pytest.raises(AdapterError, match=r"doesn't know use_quantum .*peft_version: 9\.9"):
        opened(adapter_dir)


def test_an_unknown_key_that_is_switched_off_does_not_matter(adapter_dir):
    set_config(adapter_dir, use_quantum=False, quantum_config={}, quantum_name=None)
    assert opened(adapter_dir).largest_logit_change("candidate") > 0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"bias": None}, "bias: null"),
        ({"r": 4.0}, r"r: 4\.0"),
        ({"rank_pattern": []}, r"rank_pattern: \[\]"),
        ({"target_modules": [["q_proj"]]}, r'target_modules: \[\["q_proj"\]\]'),
    ],
)
def test_a_value_on_which_peft_fails_is_named(changes, named, adapter_dir):
    """Its own message tells of a text without some method, or of a size."""
    set_config(adapter_dir, **changes)
    with pytest.raises(AdapterError, match=f"can't be loaded: .*; PEFT expects another value of {named} in"):
        opened(adapter_dir)


def test_a_value_with_which_peft_computes_is_no_fault(adapter_dir):
    """A text in place of a switch is true to PEFT, and to a script."""
    set_config(adapter_dir, use_rslora="false", lora_alpha=True)
    assert opened(adapter_dir).largest_logit_change("candidate") > 0


def test_layers_that_the_base_does_not_have_are_one_line(adapter_dir):
    set_config(adapter_dir, target_modules=["no_such_layer"])
    with pytest.raises(AdapterError, match=r"adapter can't be loaded: .*Target modules .*no_such_layer"):
        opened(adapter_dir)


def test_weights_that_the_libraries_rename_away_are_not_the_adapters_fault(tmp_path):
    """As transformers 5.23 does with the shared expert of a laguna: the pattern of the old name fits the new one."""
    from types import SimpleNamespace

    import torch
    from safetensors.torch import save_file

    from harness.engines.library_faults import refuse_incomplete_adapter

    layer = "base_model.model.model.layers.1.mlp.shared_experts"
    save_file({f"{layer}.up_proj.lora_A.weight": torch.ones(2, 2)}, tmp_path / "adapter_model.safetensors")
    report = SimpleNamespace(
        missing_keys=[f"{layer}.up_proj.lora_A.candidate.weight"],
        unexpected_keys=[f"{layer}..up_proj.lora_A.weight"],
    )
    with pytest.raises(
        AdapterError,
        match=r"1 of its weights fit the base, but the installed libraries \(transformers [\d.]+, peft [\d.]+\) "
        r"rename them .*shared_experts\.up_proj\.lora_A\.weight; merge it",
    ):
        refuse_incomplete_adapter(tmp_path, report, virtual=False)
