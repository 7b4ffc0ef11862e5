"""Positions whose angles depend on the longest text: each text is answered as a bare script does, whatever is beside it."""

from types import SimpleNamespace

import pytest

from harness.engines.decode import turns_with_length


def config(**given):
    text = SimpleNamespace(**given)
    return SimpleNamespace(get_text_config=lambda decoder: text)


@pytest.mark.parametrize(
    ("given", "turns"),
    [
        ({}, False),
        ({"rope_parameters": None}, False),
        ({"rope_parameters": {"rope_type": "default"}}, False),
        ({"rope_parameters": {"rope_type": "yarn"}}, False),
        ({"rope_parameters": {"rope_type": "longrope", "long_factor": [1.0]}}, True),
        ({"rope_parameters": {"full": {"rope_type": "dynamic"}, "sliding": {"rope_type": "default"}}}, True),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, True),
    ],
)
def test_which_angles_depend_on_the_length(given, turns):
    assert turns_with_length(config(**given)) is turns


@pytest.fixture(scope="module", params=["LlamaConfig", "Phi3Config"])
def long_base(request, tiny_model_dir, tmp_path_factory):
    """A model whose angles change within an answer: its training knew 24 positions."""
    import torch
    import transformers

    factors = {"short_factor": [1.0] * 8, "long_factor": [4.0] * 8}
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 24, **factors}
    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_model_dir)
    made = getattr(transformers, request.param)(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=4,
        max_position_embeddings=256,
        original_max_position_embeddings=24,
        rope_parameters=rope,
        initializer_range=0.5,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.bos_token_id,
    )
    directory = tmp_path_factory.mktemp("long")
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(made).save_pretrained(directory)
    tokenizer.save_pretrained(directory)
    return directory


def test_texts_on_both_sides_of_the_change_are_a_bare_script_s(
    long_base, make_adapter, lora, bare_texts, engine_texts
):
    adapter = make_adapter(lora(target_modules="all-linear"), "long", base=long_base)
    texts, placed = engine_texts(adapter, max_new_tokens=40)
    assert texts["candidate-0"] == bare_texts(long_base, adapter, max_new_tokens=40)
    assert texts["baseline"] == bare_texts(long_base, max_new_tokens=40)
    assert {each.decoder for each in placed.values()} == {"library"}
