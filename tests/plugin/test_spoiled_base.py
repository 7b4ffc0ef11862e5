"""End to end on a tiny model: an adapter that changes its base doesn't take the baseline with it."""

import json

import pytest
import yaml

PROMPTS = [f"w{place} w{place * 7 % 50} the cat" for place in range(40)]


@pytest.fixture(scope="module")
def right_answers(tiny_model_dir):
    """What the bare base says: the golden answers."""
    # PEFT imports it; imported inside a run of pytester it would be imported, and registered, again and again.
    pytest.importorskip("bitsandbytes")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir, dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    texts = []
    for prompt in PROMPTS:
        text = tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], add_generation_prompt=True, tokenize=False
        )
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            written = model.generate(input_ids=ids, max_new_tokens=12, do_sample=False)
        texts.append(tokenizer.decode(written[0, ids.shape[1] :], skip_special_tokens=True))
    return texts


def save(base, directory, *, spread, embeddings=0.0, **save):
    """An adapter with B of the given spread, on embeddings that were moved while it was trained."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(1)
    model = get_peft_model(
        AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32),
        LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM"),
    )
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            parameter.data.normal_(0, spread)
    weight = model.get_input_embeddings().weight
    weight.data.add_(embeddings * torch.randn_like(weight))
    model.save_pretrained(directory, **save)
    config = json.loads((directory / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(base)
    (directory / "adapter_config.json").write_text(json.dumps(config))
    return directory


@pytest.fixture
def gate(pytester, right_answers):
    """Gates an adapter in a project whose cache stays."""
    cases = [
        {"id": f"c{place}", "prompt": prompt, "references": [answer], "checks": [{"type": "exact-match"}]}
        for place, (prompt, answer) in enumerate(zip(PROMPTS, right_answers, strict=True))
    ]
    golden = {"name": "same", "generation": {"max_new_tokens": 12}, "cases": cases}
    (pytester.path / "golden_sets").mkdir()
    (pytester.path / "golden_sets" / "same.yaml").write_text(yaml.safe_dump(golden))

    def run(*adapters):
        models = [f"--model={adapter}" for adapter in adapters]
        return pytester.runpytest_inprocess(
            "-p", "no:xdist", "--gate-no-forgetting", "--gate-margin=0.1", *models
        )

    return run


def test_a_total_loss_regresses_and_a_healthy_adapter_passes_in_any_order(gate, tiny_model_dir, tmp_path):
    spoiling = save(
        tiny_model_dir, tmp_path / "spoiling", spread=0.5, embeddings=0.5, save_embedding_layers=True
    )
    healthy = save(tiny_model_dir, tmp_path / "healthy", spread=1e-5)
    lost = gate(spoiling)
    assert lost.ret == 1
    lost.stdout.fnmatch_lines(["*REGRESS*"])
    kept = gate(healthy)
    assert kept.ret == 0
    kept.stdout.fnmatch_lines(["*PASS*"])
    again = gate(spoiling)
    assert again.ret == 1
    together = gate(healthy, spoiling)
    assert together.ret == 1
    together.stdout.fnmatch_lines(["healthy *pass *", "spoiling *regress *"])


def test_a_model_that_cannot_be_loaded_is_no_regression(gate, tiny_model_dir, tmp_path):
    adapter = save(tiny_model_dir, tmp_path / "broken", spread=0.5)
    config = json.loads((adapter / "adapter_config.json").read_text())
    (adapter / "adapter_config.json").write_text(json.dumps({**config, "target_modules": ["nowhere"]}))
    result = gate(adapter)
    assert result.ret == 4
    result.stderr.fnmatch_lines(["ERROR: *broken can't be loaded: *nowhere*"])
    assert "outcomes" not in result.stdout.str()
