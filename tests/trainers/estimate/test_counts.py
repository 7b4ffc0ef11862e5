"""Parameters are counted on the model's own class: published numbers, and what PEFT puts on it."""

from dataclasses import replace

import pytest

from trainers.estimate.memory import lora_parameters
from trainers.estimate.shape import shape_of_model


def meta_counts(tmp_path, config):
    """What is counted of a transformers configuration that is stored as it stores it."""
    config.architectures = [f"{type(config).__name__.removesuffix('Config')}ForCausalLM"]
    config.save_pretrained(tmp_path)
    return shape_of_model(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "dimensions", "published"),
    [
        # Its defaults are those of Qwen1.5-MoE-A2.7B: 60 experts, and one that all tokens share.
        ("Qwen2MoeConfig", {}, 14_315_784_192),
        (
            "DeepseekV2Config",
            {
                "hidden_size": 2048,
                "intermediate_size": 10_944,
                "moe_intermediate_size": 1408,
                "num_hidden_layers": 27,
                "num_attention_heads": 16,
                "num_key_value_heads": 16,
                "n_routed_experts": 64,
                "n_shared_experts": 2,
                "kv_lora_rank": 512,
                "q_lora_rank": None,
                "first_k_dense_replace": 1,
                "vocab_size": 102_400,
            },
            15_706_484_224,
        ),
        pytest.param("MixtralConfig", {}, 46_702_792_704, marks=pytest.mark.matrix),
        pytest.param("OlmoeConfig", {"intermediate_size": 1024}, 6_919_161_856, marks=pytest.mark.matrix),
        pytest.param(
            "GptOssConfig",
            {"num_hidden_layers": 24, "num_local_experts": 32},
            20_914_757_184,
            marks=pytest.mark.matrix,
        ),
        pytest.param(
            "FalconConfig",
            {"hidden_size": 4544, "num_attention_heads": 71},
            6_921_720_704,
            marks=pytest.mark.matrix,
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_published_models_have_all_their_parameters(tmp_path, name, dimensions, published):
    """Experts that are shared, layers without experts, compressed keys: counted on the model's own class."""
    import transformers

    shape = meta_counts(tmp_path, getattr(transformers, name)(**dimensions))
    assert shape.parameters == published
    # Falcon's linear layers are no plain ones, and bitsandbytes leaves them.
    assert (shape.quantised_parameters == 0) == (name == "FalconConfig")
    # What the dimensions alone give is near it, for classes that transformers doesn't have.
    assert replace(shape, counts=None).parameters == pytest.approx(published, rel=0.03)


def test_lora_on_a_mixture_has_what_peft_puts_on_it(tmp_path):
    """PEFT leaves Qwen's experts and their router, and adapts what all tokens pass."""
    import transformers

    small = {"hidden_size": 64, "num_hidden_layers": 1, "num_attention_heads": 4, "vocab_size": 128}
    experts = {"num_experts": 4, "moe_intermediate_size": 32, "shared_expert_intermediate_size": 32}
    shape = meta_counts(tmp_path, transformers.Qwen2MoeConfig(**small, **experts, num_key_value_heads=2))
    passed = (*shape.attention, *shape.shared_expert, (64, 1))
    assert lora_parameters(shape, 4) == 4 * sum(inputs + outputs for inputs, outputs in passed)
