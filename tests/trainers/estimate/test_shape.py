"""A model's dimensions, from its config.json or a figure; what is no trainable decoder is one line."""

import json

import pytest

from harness.errors import ModelError, SettingsError
from trainers.estimate.shape import TYPICAL, read_shape, shape_of_model, shape_of_size

INNER = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9}


def test_the_shape_of_a_tiny_model_counts_its_parameters(tiny_model_dir):
    """Against the model itself, tied head and grouped queries included."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    assert shape_of_model(str(tiny_model_dir)).parameters == sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("size", ["8B", "7.2b", "360M", "1.1B", "123B"])
def test_a_figure_gets_a_shape_of_nearly_that_size(size):
    shape, like = shape_of_size(size)
    wanted = float(size[:-1]) * {"M": 1e6, "B": 1e9}[size[-1].upper()]
    assert shape.parameters == pytest.approx(wanted, rel=0.05)
    assert like in TYPICAL


@pytest.mark.parametrize("size", ["8", "B", "", "-8B", "nanB", "infB", "8K", "0.1M", "1e30B"])
def test_other_figures_are_refused(size):
    with pytest.raises(SettingsError, match="--params: found"):
        shape_of_size(size)


def test_experts_count_in_weights_and_the_active_ones_in_activations():
    config = {
        "model_type": "mixtral",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "vocab_size": 100,
        "num_local_experts": 8,
        "num_experts_per_tok": 2,
    }
    mixture, dense = read_shape(config, "x"), read_shape({**config, "num_local_experts": 1}, "x")
    assert mixture.linear_parameters - dense.linear_parameters == 2 * 7 * 3 * 64 * 128
    assert mixture.active_experts == 2


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"quant_method": "gptq", "bits": 4}, "stored in gptq"),
        ({"quant_method": "awq"}, "stored in awq"),
        ({"quant_method": "mxfp4"}, "stored in mxfp4"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "stored in bitsandbytes in 8 bits"),
        ({"bits": 4}, "stored in an unknown form"),
    ],
)
def test_weights_that_the_trainers_refuse_are_not_estimated(stored, said):
    with pytest.raises(ModelError, match=f"^x: its weights are {said}.*give the model that it was made from"):
        read_shape({**INNER, "quantization_config": stored}, "x")
    with pytest.raises(ModelError, match=said):
        read_shape({"text_config": {**INNER, "quantization_config": stored}}, "x")


def test_a_key_that_is_there_without_a_value_has_its_default():
    """As transformers 5 stores Mixtral's head_dim."""
    assert read_shape({**INNER, "head_dim": None}, "x").head_dim == 4


def test_falcon_has_one_head_of_keys_and_no_gate():
    config = {"model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32, "vocab_size": 65_024}
    shape = read_shape({**config, "num_attention_heads": 71, "num_kv_heads": 71, "multi_query": True}, "x")
    assert shape.parameters == pytest.approx(6.92e9, rel=0.01)


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ([1], "expected a JSON object"),
        ({"text_config": 5}, "expected a JSON object"),
        ({**INNER, "hidden_size": -4}, "hidden_size: found -4 .allowed: a whole number from 1"),
        ({**INNER, "num_attention_heads": 0}, "num_attention_heads: found 0"),
        ({**INNER, "num_hidden_layers": True}, "num_hidden_layers: found True"),
        ({**INNER, "vocab_size": 10**30}, "vocab_size: found 10+"),
        ({**INNER, "intermediate_size": [5, 5]}, r"intermediate_size: found \[5, 5\]"),
        ({"model_type": "t5", "is_encoder_decoder": True}, "t5 is no causal language model"),
        ({**INNER, "model_type": "bert", "architectures": ["BertModel"]}, "BertModel is no causal language"),
    ],
)
def test_a_configuration_that_is_no_decoders_is_one_line(config, said):
    with pytest.raises(ModelError, match=f"x: .*{said}"):
        read_shape(config, "x")


def test_a_hub_id_may_be_written_as_a_base_is(monkeypatch, tmp_path):
    """``hf:org/name`` is the spelling of configurations."""
    (tmp_path / "config.json").write_text(json.dumps(INNER))
    asked = []
    monkeypatch.setattr(
        "huggingface_hub.hf_hub_download", lambda *given: asked.append(given) or str(tmp_path / given[1])
    )
    assert shape_of_model("hf:org/name").hidden == 8
    assert asked == [("org/name", "config.json")]


def test_the_text_part_of_a_multimodal_model_is_taken():
    inner = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9}
    assert read_shape({"text_config": inner}, "x").hidden == 8


def test_a_configuration_of_something_else_is_refused_by_key(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"hidden_size": 4}))
    with pytest.raises(ModelError, match=r"config.json: num_attention_heads is missing"):
        shape_of_model(str(tmp_path))
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelError, match="not JSON"):
        shape_of_model(str(tmp_path))
    with pytest.raises(ModelError, match=r"neither a directory with config.json"):
        shape_of_model("nothing")


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_base_that_is_stored_in_4_bits_has_no_figure_of_whole_weights(tmp_path, method):
    """As the trainers refuse it; the others keep their figure."""
    from typer.testing import CliRunner

    from trainers.estimate.cli import app

    config = {**INNER, "quantization_config": {"quant_method": "bitsandbytes", "load_in_4bit": True}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    found = CliRunner().invoke(app, [str(tmp_path), "--method", method])
    assert isinstance(found.exception, SettingsError)
    assert f"--method {method}" in str(found.exception)
    assert "is stored in 4 bits; give quantization: nf4, or the model that" in str(found.exception)
    assert CliRunner().invoke(app, [str(tmp_path), "--method", "qlora"]).exit_code == 0
