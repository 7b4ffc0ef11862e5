"""Gradients through 4-bit weights are those of the dequantised base, also after an eval-mode forward."""

import json
import shutil
from pathlib import Path

import pytest

from harness.models.resolve import resolve_model
from trainers.run.base_model import compute_dtype, keep_gradients_right, load_base


def lora_gradients(model, ids):
    """Gradient of each LoRA matrix for one batch, by name."""
    model.train()
    model.zero_grad()
    model(input_ids=ids, labels=ids).loss.backward()
    return {name: p.grad.flatten().double() for name, p in model.named_parameters() if p.grad is not None}


def least_cosine(directory: Path, ids) -> float:
    """Least cosine over all layers between NF4 LoRA gradients after an eval forward and the reference's."""
    import torch
    from bitsandbytes.functional import dequantize_4bit
    from bitsandbytes.nn import Linear4bit
    from peft import LoraConfig, get_peft_model

    gradients = []
    lora = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False)
    quantised = load_base(directory, "nf4", torch.float32)
    plain = load_base(directory, "none", torch.float32)
    layers = dict(plain.named_modules())
    for name, module in quantised.named_modules():
        if isinstance(module, Linear4bit):
            layers[name].weight.data = dequantize_4bit(module.weight.data, module.weight.quant_state).float()
    for model in (quantised, plain):
        torch.manual_seed(3)
        adapted = get_peft_model(model, lora)
        adapted.eval()
        with torch.inference_mode():
            adapted(input_ids=ids)
        gradients.append(lora_gradients(adapted, ids))
    assert gradients[0].keys() == gradients[1].keys()
    assert gradients[0]
    return min(
        torch.nn.functional.cosine_similarity(gradients[0][name], gradients[1][name], dim=0).item()
        for name in gradients[0]
    )


def test_gradients_after_an_eval_forward(tiny_model_dir):
    import torch

    ids = torch.randint(7, 60, (2, 12), generator=torch.Generator().manual_seed(0))
    assert least_cosine(tiny_model_dir, ids) > 0.99


def test_every_4bit_layer_is_kept_from_repacking(tiny_model_dir):
    """The switch is off before the first forward, whatever this CPU can do."""
    import torch
    from bitsandbytes.nn import Linear4bit

    model = load_base(tiny_model_dir, "nf4", torch.float32)
    layers = [module for module in model.modules() if isinstance(module, Linear4bit)]
    assert len(layers) == 14
    assert all(layer.support_avx512bf16_for_cpu is False for layer in layers)
    layers[0].support_avx512bf16_for_cpu = True
    assert keep_gradients_right(model) == 14
    assert layers[0].support_avx512bf16_for_cpu is False


def test_the_compute_type_is_one_that_the_device_has():
    import torch

    assert compute_dtype() in {torch.float32, torch.bfloat16, torch.float16}
    if not torch.cuda.is_available() and not torch.cpu._is_avx512_bf16_supported():
        assert compute_dtype() == torch.float32


@pytest.mark.end_to_end
def test_gradients_of_the_real_model():
    """SmolLM2, 210 4-bit layers: every LoRA gradient points where the dequantised reference's does."""
    import torch

    ids = torch.randint(100, 40000, (1, 24), generator=torch.Generator().manual_seed(0))
    assert least_cosine(resolve_model("smollm2"), ids) > 0.99


def test_without_a_chat_template_prompt_and_answer_must_have_their_own_tokens(
    make_project, tiny_model_dir, capsys, tmp_path
):
    """Plain text: where both share a token, the answer could not be learnt alone."""
    bare = tmp_path / "bare"
    shutil.copytree(tiny_model_dir, bare)
    for file in bare.glob("chat_template*"):
        file.unlink()
    settings = json.loads((bare / "tokenizer_config.json").read_text())
    settings.pop("chat_template", None)
    (bare / "tokenizer_config.json").write_text(json.dumps(settings))
    assert make_project("sft", [{"prompt": "what", "completion": "one"}], base=str(bare)).train() == 4
    assert "here both share a token: begin the answer with a space or line break" in capsys.readouterr().err


def without(directory, part):
    """Write a directory's weights anew, without those whose name holds ``part``."""
    from safetensors.torch import load_file, save_file

    (path,) = directory.glob("*.safetensors")
    kept = {name: tensor for name, tensor in load_file(path).items() if part not in name}
    save_file(kept, path, metadata={"format": "pt"})


@pytest.mark.parametrize(
    ("method", "row"),
    [
        ("sft", {"prompt": "w1", "completion": "w2"}),
        ("reward", {"prompt": "w1", "chosen": "w2", "rejected": "w3"}),
    ],
)
def test_a_base_with_missing_weights_is_not_trained(
    method, row, make_project, tiny_model_dir, tmp_path, capsys
):
    """They would be random, and what is learnt with them useless elsewhere; a reward's head is to be new."""
    base = shutil.copytree(tiny_model_dir, tmp_path / "base")
    without(base, "layers.1.mlp")
    assert make_project(method, [row] * 2, base=str(base)).train() == 4
    problem = "base: 3 of its weights are missing and would be random: model.layers.1.mlp.down_proj.weight"
    assert problem in capsys.readouterr().err


def test_an_adapter_with_missing_weights_is_not_continued(
    make_project, make_tiny_adapter, tiny_model_dir, tmp_path, capsys
):
    first = make_tiny_adapter(tiny_model_dir, tmp_path / "first", spread=0.5)
    without(first, "layers.1.mlp")
    project = make_project("sft", [{"prompt": "w1", "completion": "w2"}], adapter=str(first))
    assert project.train() == 4
    assert "of its weights are missing and would be random" in capsys.readouterr().err


def test_virtual_tokens_are_not_continued(make_project, capsys):
    row, peft = {"prompt": "w1", "completion": "w2"}, {"method": "prefix", "virtual_tokens": 3}
    project = make_project("sft", [row], quantization="none", peft=peft, max_steps=1)
    assert project.train() == 0
    project.output.rename(project.path / "first")
    assert project.train(adapter="first", peft={"r": 4}) == 4
    assert "first: virtual tokens can't be trained further" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stored", "quantization", "said"),
    [
        ({"quant_method": "gptq", "bits": 4}, "nf4", "weights are stored in gptq"),
        ({"quant_method": "awq", "bits": 4}, "none", "weights are stored in awq"),
        ({"quant_method": "fp8"}, "none", "weights are stored in fp8"),
        ({"quant_method": "bitsandbytes", "load_in_8bit": True}, "nf4", "bitsandbytes in 8 bits"),
        (
            {"load_in_4bit": True},
            "none",
            "quantization: none: .* is stored in 4 bits; give quantization: nf4",
        ),
    ],
)
def test_a_base_in_other_numbers_is_refused_before_it_loads(tmp_path, stored, quantization, said):
    """Libraries would turn some into plain numbers without a word, and fail on others in the middle."""
    from harness.errors import InputError
    from trainers.run.base_model import refuse_stored_quantization

    (tmp_path / "config.json").write_text(json.dumps({"quantization_config": stored}))
    with pytest.raises(InputError, match=said):
        refuse_stored_quantization(tmp_path, quantization)


def test_a_base_that_is_stored_in_4_bits_computes_in_the_runs_numbers(tiny_model_dir, tmp_path):
    """Its own file names another type."""
    import torch
    from transformers import AutoModelForCausalLM, BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
    )
    AutoModelForCausalLM.from_pretrained(tiny_model_dir, quantization_config=config).save_pretrained(tmp_path)
    model = load_base(tmp_path, "nf4", torch.float32)
    small = [module for module in model.modules() if type(module).__name__ == "Linear4bit"]
    assert small
    assert {module.compute_dtype for module in small} == {torch.float32}
