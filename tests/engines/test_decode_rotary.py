"""Models that read a long text in another way: each text is answered as a bare script does, whatever is beside it."""

from types import SimpleNamespace

import pytest

from harness.engines.decode import varies_with_length


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
        ({"index_topk": 2048}, True),
        ({"index_topk": None}, False),
        ({"keep_window_size": 2048}, True),
        ({"attn_temperature_tuning": True}, True),
        ({"attn_temperature_tuning": False}, False),
        ({"index_topk_blocks": 16, "rope_parameters": {"rope_type": "default"}}, True),
    ],
)
def test_which_models_read_long_texts_differently_in_a_batch(given, turns):
    assert varies_with_length(config(**given)) is turns


@pytest.fixture(scope="module")
def small_base(tiny_model_dir, tmp_path_factory):
    """Saves a small model of a configuration class, with the tiny model's tokenizer."""
    import torch
    import transformers

    def save(config_class, **given):
        tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_model_dir)
        made = getattr(transformers, config_class)(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=4,
            initializer_range=0.5,
            pad_token_id=tokenizer.pad_token_id,
            eos_token_id=tokenizer.eos_token_id,
            bos_token_id=tokenizer.bos_token_id,
            **given,
        )
        directory = tmp_path_factory.mktemp("long")
        torch.manual_seed(0)
        transformers.AutoModelForCausalLM.from_config(made).save_pretrained(directory)
        tokenizer.save_pretrained(directory)
        return directory

    return save


@pytest.fixture(scope="module", params=["LlamaConfig", "Phi3Config"])
def long_base(request, small_base):
    """A model whose angles change within an answer: its training knew 24 positions."""
    factors = {"short_factor": [1.0] * 8, "long_factor": [4.0] * 8}
    rope = {"rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 24, **factors}
    positions = {"max_position_embeddings": 256, "original_max_position_embeddings": 24}
    return small_base(request.param, rope_parameters=rope, **positions)


def answers(base, prompts):
    """The engine's answers to all prompts, by a model that is loaded for them alone."""
    from harness.engines.base import GenerationRequest
    from harness.engines.one_model import open_engine
    from harness.types import GenerationSettings, Message

    asked = [
        GenerationRequest(
            key=prompt,
            side="candidate",
            messages=(Message(role="user", content=prompt),),
            settings=GenerationSettings(max_new_tokens=20),
        )
        for prompt in prompts
    ]
    found = {}
    open_engine(str(base), dtype="float32").generate(asked, found.update)
    return [found[place].text for place in range(len(prompts))]


def test_texts_on_both_sides_of_the_change_are_a_bare_script_s(
    long_base, make_adapter, lora, bare_texts, engine_texts
):
    adapter = make_adapter(lora(target_modules="all-linear"), "long", base=long_base)
    texts, placed = engine_texts(adapter, max_new_tokens=40)
    assert texts["candidate-0"] == bare_texts(long_base, adapter, max_new_tokens=40)
    assert texts["baseline"] == bare_texts(long_base, max_new_tokens=40)
    assert {each.decoder for each in placed.values()} == {"library"}


PROMPTS = ("what is one", " ".join(["the cat sat on w3"] * 6), " ".join(["w4 a mat"] * 7), "w7 w8")


def test_angles_that_grow_with_a_text_begin_anew_with_the_next_one(small_base):
    """Dynamic angles stay those of the longest text so far until a short one is read."""
    rope = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 8.0}
    base = small_base("LlamaConfig", max_position_embeddings=16, rope_parameters=rope)
    assert answers(base, PROMPTS) == [answers(base, [prompt])[0] for prompt in PROMPTS]


_LATENT = {"q_lora_rank": 16, "kv_lora_rank": 16, "qk_rope_head_dim": 8, "qk_nope_head_dim": 8}
_ROUTED = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 32}
_SPARSE = {"index_topk": 16, "index_n_heads": 2, "index_head_dim": 16, "n_group": 1, "topk_group": 1}


@pytest.mark.parametrize(
    ("config_class", "given"),
    [
        (
            "DeepseekV32Config",
            {"v_head_dim": 16, "first_k_dense_replace": 1, **_SPARSE, **_LATENT, **_ROUTED},
        ),
        ("DogeConfig", {"keep_window_size": 16}),
        (
            "Llama4TextConfig",
            {"head_dim": 16, "num_local_experts": 1, "intermediate_size_mlp": 64, "floor_scale": 24}
            | {"attn_scale": 0.5, "no_rope_layers": [1, 0]},
        ),
    ],
)
def test_attention_that_counts_padding_is_not_batched(small_base, config_class, given):
    base = small_base(config_class, max_position_embeddings=256, **given)
    assert answers(base, PROMPTS) == [answers(base, [prompt])[0] for prompt in PROMPTS]
