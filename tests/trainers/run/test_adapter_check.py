"""An adapter that doesn't fit the base is refused in one line, before the base's weights are loaded."""

import shutil

import pytest
from safetensors.torch import load_file

ANSWERS = [{"prompt": f"what is w{i}", "completion": "one two"} for i in range(4)]


@pytest.fixture(scope="module")
def mamba(tiny_model_dir, tmp_path_factory):
    """A random Mamba with the tiny model's tokenizer."""
    from transformers import MambaConfig, MambaForCausalLM

    directory = tmp_path_factory.mktemp("mamba")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copy(tiny_model_dir / name, directory / name)
    shape = {"vocab_size": 68, "hidden_size": 32, "num_hidden_layers": 2, "state_size": 4}
    MambaForCausalLM(MambaConfig(**shape, pad_token_id=0, eos_token_id=3)).save_pretrained(directory)
    return directory


@pytest.mark.parametrize(
    ("peft", "message"),
    [
        ({"target_modules": ["lm_head"]}, "peft: target_modules: names the output layer, whose weights the"),
        ({"method": "ia3", "target_modules": ["lm_head"]}, "peft: target_modules: names the output layer"),
        ({"target_modules": ["q_porj"]}, "peft: Target modules {'q_porj'} not found in the base model"),
        ({"target_modules": ["q_proj", "nope"]}, "peft: target_modules: no layer is called nope; correct"),
        ({"method": "ia3", "target_modules": ["k_proj", "nope"]}, "peft: target_modules: no layer is called"),
        ({"target_modules": ["norm"]}, "peft: Target module LlamaRMSNorm((64,), eps=1e-06) is not supported"),
    ],
)
def test_layers_that_cannot_have_one_are_named(make_project, capsys, monkeypatch, peft, message):
    from trainers.run import adapters

    monkeypatch.setattr(adapters, "load_base", lambda *_: pytest.fail("the base was loaded"))
    assert make_project("sft", ANSWERS, peft=peft, quantization="none").train() == 4
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(("method", "kind"), [("sft", "lora"), ("dpo", "lora"), ("sft", "full")])
def test_mamba_is_trained(make_project, pairs, mamba, method, kind):
    """PEFT refuses LoRA on two of its layers: all the others get it."""
    rows = ANSWERS if method == "sft" else pairs
    peft = {"r": 4} if kind == "lora" else {"method": "full"}
    project = make_project(method, rows, base=str(mamba), peft=peft, quantization="none", max_steps=2)
    assert project.train() == 0
    if kind == "lora":
        names = load_file(project.output / "adapter_model.safetensors")
        assert {name.split(".")[-3] for name in names} == {"in_proj", "x_proj", "dt_proj"}


@pytest.mark.parametrize("kind", ["ia3", "prefix"])
def test_kinds_that_mamba_cannot_have_are_refused(make_project, mamba, capsys, kind):
    project = make_project("sft", ANSWERS, base=str(mamba), peft={"method": kind}, quantization="none")
    assert project.train() == 4
    assert "or choose another peft.method" in capsys.readouterr().err


def test_mamba_in_4_bits_is_refused(make_project, mamba, capsys):
    """The default quantisation: its layers read weights themselves, which then are packed."""
    assert make_project("sft", ANSWERS, base=str(mamba)).train() == 4
    assert "quantization: nf4: layers of" in (said := capsys.readouterr().err)
    assert "give quantization: none" in said


@pytest.fixture(scope="module")
def other_bases(tiny_model_dir, tmp_path_factory):
    """Random bases of other families with the tiny model's tokenizer, by family."""
    import transformers as hf

    tokens = {"vocab_size": 68, "pad_token_id": 0, "eos_token_id": 3}
    heads = {"num_hidden_layers": 2, "num_attention_heads": 2, **tokens}
    mixture = {"num_key_value_heads": 2, "num_local_experts": 4, "intermediate_size": 64}
    t5 = {"d_model": 32, "d_ff": 64, "num_layers": 2, "num_heads": 2, "d_kv": 16}
    made = {
        "falcon": hf.FalconForCausalLM(hf.FalconConfig(hidden_size=32, **heads)),
        "mixtral": hf.MixtralForCausalLM(hf.MixtralConfig(hidden_size=32, **mixture, **heads)),
        "t5": hf.T5ForConditionalGeneration(hf.T5Config(**t5, decoder_start_token_id=0, **tokens)),
    }
    directories = {}
    for family, model in made.items():
        directories[family] = tmp_path_factory.mktemp(family)
        for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
            shutil.copy(tiny_model_dir / name, directories[family] / name)
        model.save_pretrained(directories[family])
    return directories


@pytest.mark.parametrize(
    ("family", "peft", "message"),
    [
        ("t5", {"r": 4}, "models of the kind t5 are no causal language models"),
        ("t5", {"method": "full"}, "models of the kind t5 are no causal language models"),
        ("mixtral", {"method": "prefix"}, "peft.method: the loss that balances a mixture's experts"),
        ("mixtral", {"r": 4, "init": "orthogonal"}, "peft.init: experts of a mixture can't begin as orthog"),
        (
            "falcon",
            {"method": "prefix", "virtual_tokens": 4},
            "peft.method: prefix: Invalid `prompt_embeddings`",
        ),
    ],
)
def test_what_other_families_cannot_have_is_one_line(
    make_project, other_bases, capsys, family, peft, message
):
    project = make_project(
        "sft", ANSWERS, base=str(other_bases[family]), peft=peft, quantization="none", max_steps=1
    )
    assert project.train() == 4
    assert message in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("family", ["falcon", "mixtral"])
def test_weights_that_bitsandbytes_leaves_as_they_are_are_told(make_project, other_bases, capsys, family):
    project = make_project("sft", ANSWERS, base=str(other_bases[family]), max_steps=1)
    assert project.train() == 0
    assert "of the base's weights are in 4 bits: bitsandbytes stores plain linear" in capsys.readouterr().err


def test_a_layer_that_gives_more_than_one_tensor_gets_no_adapter(tmp_path):
    """Llama 4's router is a linear layer by its class; PEFT would add to its pair of results."""
    import transformers as hf
    from peft import get_peft_model

    from harness.errors import SettingsError
    from trainers.config import PeftSettings
    from trainers.run.adapter_check import empty_model, fitting_adapter
    from trainers.run.adapters import adapter_config

    small = {"hidden_size": 32, "intermediate_size": 32, "intermediate_size_mlp": 32, "num_local_experts": 2}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2, "head_dim": 16, "vocab_size": 40}
    hf.Llama4TextConfig(num_hidden_layers=2, **small, **heads).save_pretrained(tmp_path)
    adapter = fitting_adapter(adapter_config(PeftSettings(r=2)), tmp_path)
    made = get_peft_model(empty_model(tmp_path), adapter)
    adapted = {name.rpartition(".")[2] for name in made.base_model.targeted_module_names}
    assert adapted == {f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")}
    named = PeftSettings(r=2, target_modules=("q_proj", "router"))
    with pytest.raises(SettingsError, match="target_modules: router gives more than one tensor"):
        fitting_adapter(adapter_config(named), tmp_path)
