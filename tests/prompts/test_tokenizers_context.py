"""A model's context, from its configuration."""

import json

import pytest

from harness.errors import ModelError
from harness.prompts.tokenizers import context_length

CONFIGS = {
    "llama": ({"model_type": "llama", "max_position_embeddings": 4096}, 4096),
    "gpt2": ({"model_type": "gpt2", "n_positions": 1024}, 1024),
    "opt": ({"model_type": "opt", "max_position_embeddings": 2048}, 2048),
    "bloom without positions": ({"model_type": "bloom"}, None),
    "mamba": ({"model_type": "mamba"}, None),
    "left out: the family's own": ({"model_type": "llama"}, 2048),
    "the text side of more": (
        {
            "model_type": "gemma3",
            "text_config": {"model_type": "gemma3_text", "max_position_embeddings": 777},
        },
        777,
    ),
    "stretched, told before": (
        {
            "model_type": "qwen2",
            "max_position_embeddings": 32768,
            "rope_scaling": {"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768},
        },
        131072,
    ),
    "stretched evenly": (
        {
            "model_type": "llama",
            "max_position_embeddings": 4096,
            "rope_scaling": {"type": "linear", "factor": 4.0},
        },
        16384,
    ),
    "stretched as needed": (
        {
            "model_type": "llama",
            "max_position_embeddings": 2048,
            "rope_scaling": {"type": "dynamic", "factor": 2.0},
        },
        4096,
    ),
    "stretched, told after": (
        {
            "model_type": "llama",
            "max_position_embeddings": 131072,
            "rope_scaling": {
                "rope_type": "llama3",
                "factor": 8.0,
                "low_freq_factor": 1.0,
                "high_freq_factor": 4.0,
                "original_max_position_embeddings": 8192,
            },
        },
        131072,
    ),
}


@pytest.mark.parametrize("name", CONFIGS)
def test_the_context(name, tmp_path):
    config, expected = CONFIGS[name]
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert context_length(tmp_path) == expected


def test_a_configuration_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "none-such"}')
    with pytest.raises(ModelError, match=r"config\.json: can't be read"):
        context_length(tmp_path)


def test_a_model_with_its_own_code_is_refused(tmp_path):
    own = {"auto_map": {"AutoConfig": "configuration_own.OwnConfig"}, "model_type": "own"}
    (tmp_path / "config.json").write_text(json.dumps(own))
    (tmp_path / "configuration_own.py").write_text("raise SystemExit('code of the model ran')")
    with pytest.raises(ModelError, match=r"config.json: it needs its own program code \(auto_map\)"):
        context_length(tmp_path)
