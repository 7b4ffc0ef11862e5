"""The estimate of memory: against published figures, real configurations, and the command line."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from trainers.estimate.cli import METHODS, app, setup_of
from trainers.estimate.memory import (
    GIB,
    NF4_BITS,
    OBJECTIVES,
    Setup,
    estimate,
    kept_per_token,
    lora_parameters,
    total_bytes,
)
from trainers.estimate.shape import TYPICAL, read_shape

LLAMA_8B = TYPICAL["Llama 3.1 8B"]


def part(name, shape=LLAMA_8B, **chosen):
    (found,) = [one for one in estimate(shape, Setup(**chosen)) if one.name == name]
    return found.size_bytes


# ---- published figures


def test_the_weights_of_an_8b_model_in_nf4_take_about_6_gb():
    """The usual rule of thumb for QLoRA on 8 billion parameters."""
    assert 5.2e9 < part("weights") < 6.2e9


def test_double_quantisation_costs_0_127_bits_a_parameter():
    """Dettmers et al. 2023, section 3."""
    assert round(NF4_BITS - 4, 3) == 0.127


def test_full_fine_tuning_with_adam_takes_16_bytes_a_parameter():
    """Rajbhandari et al. 2020, section 3.1: 120 GiB for 8 billion parameters; in 32 bits it is as much."""
    for dtype in ("bfloat16", "float32"):
        states = sum(
            part(name, weights="full", dtype=dtype, optimizer="adamw")
            for name in ("weights", "gradients", "optimizer states")
        )
        assert states == 16 * LLAMA_8B.parameters
        assert 119 < states / GIB < 121


def test_moments_of_8_bits_without_a_copy_take_6_bytes_a_parameter():
    states = sum(
        part(name, weights="full", optimizer="adamw-8bit")
        for name in ("weights", "gradients", "optimizer states")
    )
    assert states == 6 * LLAMA_8B.parameters


def test_sharding_divides_weights_gradients_and_states_and_nothing_else():
    """Rajbhandari et al. 2020, section 5: stage 3."""
    one, eight = (estimate(LLAMA_8B, Setup(weights="full", shards=shards)) for shards in (1, 8))
    for alone, shared in zip(one, eight, strict=True):
        divided = alone.name in {"weights", "gradients", "optimizer states"}
        assert shared.size_bytes == pytest.approx(alone.size_bytes / (8 if divided else 1))


@pytest.mark.parametrize(
    ("name", "published"),
    [
        ("SmolLM2 135M", 134_515_008),
        ("Qwen2.5 0.5B", 494_032_768),
        ("Llama 3.2 1B", 1_235_814_400),
        ("Llama 3.2 3B", 3_212_749_824),
        ("Mistral 7B", 7_248_023_552),
        ("Llama 3.1 8B", 8_030_261_248),
        ("Llama 3.1 70B", 70_553_706_496),
    ],
)
def test_typical_shapes_have_the_published_number_of_parameters(name, published):
    """Qwen's biases are left out: less than a thousandth."""
    assert TYPICAL[name].parameters == pytest.approx(published, rel=1e-3)


def test_activations_of_a_plain_layer_are_those_of_the_paper():
    """Korthikanti et al. 2022, section 4.1: 34 s b h bytes at 2 bytes an element, 2 of them masks of dropout.

    That is for a layer without gate, 4 h wide; attention's own matrices are left out. Ours has no dropout, and
    keeps attention's result twice: 34 - 2 + 2.
    """
    shape = read_shape(
        {"model_type": "gpt2", "n_embd": 1024, "n_layer": 24, "n_head": 16, "vocab_size": 50_257}, "x"
    )
    inner_results = 4 * len(shape.linears)
    kept = kept_per_token(shape, Setup(weights="lora", r=1, dtype="float32")) - inner_results
    assert kept / 4 * 2 == 34 * shape.hidden


@pytest.mark.parametrize(("weights", "measured_gib"), [("qlora", 3.66), ("lora", 3.53), ("full", 4.38)])
def test_the_estimate_is_within_a_fifth_of_what_was_measured(weights, measured_gib):
    """Peak resident memory of three steps on SmolLM2, with the settings of benchmarks/memory.py."""
    setup = Setup(
        weights=weights,
        batch_size=8,
        length=99,
        dtype="float32",
        optimizer="adamw",
        checkpointing=False,
        device="cpu",
    )
    expected = total_bytes(estimate(TYPICAL["SmolLM2 135M"], setup)) / GIB
    assert expected / measured_gib == pytest.approx(1, abs=0.2)


def test_what_a_layer_keeps_is_what_was_counted():
    """Tensors saved for the backward pass of random Llama models of 576 × 1536, by PyTorch's own hooks."""
    shape = TYPICAL["SmolLM2 135M"]
    for weights, counted in {"lora": 43_900, "full": 48_060}.items():
        kept = kept_per_token(shape, Setup(weights=weights, dtype="float32"))
        assert kept == pytest.approx(counted, rel=0.05)


def gb(names, **chosen):
    return sum(part(name, **chosen) for name in names) / 1e9


STATES = ("weights", "gradients", "optimizer states")


def test_the_published_figures_of_an_8b_model():
    """Full 16 + 48 GB, LoRA about 24, QLoRA about 6; docs/choosing.md says what each of them counts."""
    pure = {"weights": "full", "optimizer": "adamw-pure"}
    assert gb(["weights"], **pure) == pytest.approx(16.1, abs=0.05)
    assert gb(["gradients", "optimizer states"], **pure) == pytest.approx(48.2, abs=0.05)
    # LoRA's figure keeps all activations, here of two examples; with recomputation it is seven less.
    kept = {"weights": "lora", "batch_size": 2, "optimizer": "adamw-pure", "checkpointing": False}
    assert total_bytes(estimate(LLAMA_8B, Setup(**kept))) / 1e9 == pytest.approx(24.9, abs=0.1)
    recomputed = Setup(**{**kept, "checkpointing": True})
    assert total_bytes(estimate(LLAMA_8B, recomputed)) / 1e9 == pytest.approx(18.2, abs=0.1)
    # QLoRA's is what is stored, without what a step computes.
    assert gb([*STATES, "adapter"], weights="qlora") == pytest.approx(5.9, abs=0.06)
    assert total_bytes(estimate(LLAMA_8B, Setup())) / 1e9 == pytest.approx(9.1, abs=0.1)


@pytest.mark.parametrize("objective", ["rloo", "ppo", "rlhf"])
def test_a_reward_model_is_there_whole(objective):
    """Its base, stored as it was trained, and its adapter; without the output head."""
    head = 2 * LLAMA_8B.vocabulary * LLAMA_8B.hidden
    adapter = 4 * lora_parameters(LLAMA_8B, 16)
    for weights in ("qlora", "lora"):
        whole = part("weights", objective=objective, weights=weights) - head + adapter
        assert part("reward model", objective=objective, weights=weights) == pytest.approx(whole)
    assert part("reward model", objective=objective, weights="lora") > 15e9


def test_moments_have_the_size_that_the_optimizers_own_states_have():
    """On a small layer of trained numbers: PyTorch's own Adam, in both types."""
    import torch

    for dtype, name in ((torch.float32, "float32"), (torch.bfloat16, "bfloat16")):
        weight = torch.nn.Parameter(torch.zeros(64, 64, dtype=dtype))
        optimizer = torch.optim.AdamW([weight])
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        held = sum(t.nbytes for t in optimizer.state[weight].values() if t.numel() > 1)
        counted = part("optimizer states", weights="full", dtype=name, optimizer="adamw-pure")
        assert counted / LLAMA_8B.parameters == held / weight.numel()


def test_the_default_optimizer_is_the_trainers():
    from trainers.run.arguments import _of_device

    for device, said in (("cuda", "moments of 8 bits"), ("cpu", "two moments of 32 bits")):
        done = run("--params", "8B", "--method", "full", "--device", device)
        assert said in done.output
    assert _of_device(True, True)["optim"] == "paged_adamw_8bit"
    assert _of_device(False, True)["optim"] == "adamw_torch"


# ---- how parts scale


def test_activations_grow_with_tokens_and_shrink_with_checkpointing():
    short, long = (part("activations", length=length) for length in (512, 1024))
    assert long == 2 * short
    assert part("activations", checkpointing=False) > 5 * short


def test_preferences_keep_two_answers_for_each_example():
    assert part("activations", objective="dpo") == 2 * part("activations", objective="sft")


def test_orpo_holds_all_logits_at_once():
    assert part("logits", objective="orpo") > 2 * part("logits", objective="dpo")


def test_sampling_holds_keys_and_values():
    """2 tensors × 32 layers × 8 heads × 128 × 2 bytes = 128 KiB a token."""
    assert part("keys and values", objective="grpo", batch_size=8, length=512) == 8 * 512 * 128 * 1024


def test_the_adapter_of_the_demo_has_the_size_that_its_trainer_prints():
    """4.88 million parameters for r=16 on all linear layers."""
    assert lora_parameters(TYPICAL["SmolLM2 135M"], 16) == 4_884_480


@given(
    weights=st.sampled_from(["qlora", "lora", "full"]),
    objective=st.sampled_from(sorted(OBJECTIVES)),
    batch_size=st.integers(1, 64),
    length=st.integers(1, 8192),
    checkpointing=st.booleans(),
    name=st.sampled_from(sorted(TYPICAL)),
)
def test_every_part_is_positive_and_quantising_saves(name, weights, **chosen):
    shape = TYPICAL[name]
    parts = estimate(shape, Setup(weights=weights, **chosen))
    assert all(one.size_bytes > 0 and one.formula for one in parts)
    cheapest = total_bytes(estimate(shape, Setup(weights="qlora", **chosen)))
    assert cheapest <= total_bytes(parts)


def test_a_mixtures_experts_are_not_quantised_and_their_adapters_are_larger():
    """Counted on Mixtral with bitsandbytes and PEFT: of each layer only attention is in 4 bits."""
    config = {
        "model_type": "mixtral",
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "vocab_size": 128,
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
    }
    shape = read_shape(config, "x")
    assert shape.quantised_parameters == 2 * 64 * 64 + 2 * 64 * 32
    assert lora_parameters(shape, 4) == 15_376
    weights = next(part for part in estimate(shape, Setup()) if part.name == "weights")
    assert weights.size_bytes > 2 * (shape.parameters - shape.quantised_parameters)
    assert "(experts are not quantised)" in weights.formula


# ---- the command


def run(*arguments):
    return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "200"})


@pytest.mark.parametrize("method", METHODS)
def test_the_command_prints_every_part_and_the_total(method):
    done = run("--params", "8B", "--method", method)
    assert done.exit_code == 0, done.output
    for word in ("weights", "gradients", "optimizer states", "activations", "total", "GiB", "Llama 3.1 8B"):
        assert word in done.output


def test_the_command_reads_a_directory_and_takes_options_behind_it(tiny_model_dir):
    done = run(str(tiny_model_dir), "--method", "dpo", "--quantization", "none", "--device", "cpu")
    assert done.exit_code == 0, done.output
    assert "float32" in done.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give a model or --params"),
        (("x", "--params", "8B"), "give a model or --params"),
        (("--params", "8B", "--method", "ppx"), "--method: found 'ppx'"),
        (("--params", "8B", "--method", "full", "--quantization", "nf4"), "does not fit"),
        (("--params", "8B", "--quantization", "int8"), "--quantization: found 'int8'"),
        (("--params", "8B", "--device", "tpu"), "--device: found 'tpu'"),
        (("--params", "8B", "--dtype", "int4"), "--dtype: found 'int4'"),
        (("--params", "8B", "--optimizer", "sgd"), "--optimizer: found 'sgd'"),
    ],
)
def test_wrong_options_are_refused_with_what_is_allowed(arguments, message):
    assert message in str(run(*arguments).exception)


def test_methods_beyond_sft_are_qlora_unless_the_base_is_not_quantised():
    assert setup_of("dpo", None).weights == "qlora"
    assert setup_of("dpo", "none").weights == "lora"
    assert setup_of("full", None).weights == "full"


def test_a_class_that_transformers_lacks_is_estimated_by_its_dimensions(tmp_path):
    inner = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9}
    (tmp_path / "config.json").write_text(json.dumps({**inner, "model_type": "new-one"}))
    done = run(str(tmp_path))
    assert done.exit_code == 0, done.output
    assert "(transformers doesn't have its class: by its dimensions)" in " ".join(done.output.split())
