"""--gate-weights nf4 gates an adapter on its base in 4 bits, as QLoRA trained it."""

import json

import pytest

PROMPTS = ["what is one", "the cat sat on the mat w1 w2 w3", "two"]
NEW_TOKENS = 8


def texts_in_four_bits(base, adapter):
    """A bare script's answers, one prompt at a time."""
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.float32,
    )
    tokenizer = AutoTokenizer.from_pretrained(base)
    model = AutoModelForCausalLM.from_pretrained(base, quantization_config=config, dtype=torch.float32)
    model = (model if adapter is None else PeftModel.from_pretrained(model, adapter)).eval()
    texts = []
    for prompt in PROMPTS:
        messages = [{"role": "user", "content": prompt}]
        given = {"add_generation_prompt": True, "return_tensors": "pt", "return_dict": True}
        ids = tokenizer.apply_chat_template(messages, **given)
        written = model.generate(**ids, max_new_tokens=NEW_TOKENS, do_sample=False)
        texts.append(tokenizer.decode(written[0, ids["input_ids"].shape[1] :], skip_special_tokens=True))
    return texts


def gate(pytester, adapter, *options):
    """What a gate of three prompts printed, and the candidate's and the baseline's texts."""
    record = pytester.path / "record.json"
    given = ("--gate-no-forgetting", "--gate-device=cpu", f"--gate-json={record}", *options)
    result = pytester.runpytest_inprocess("-p", "no:xdist", f"--model={adapter}", *given)
    facts = json.loads(record.read_text()) if record.exists() else {}
    sides = [facts.get("run"), facts.get("baseline")]
    texts = [[each["completion"]["text"] for each in side["results"]] for side in sides if side]
    return result, facts, texts


@pytest.fixture
def project(pytester, write_golden):
    cases = "".join(
        f"  - {{id: c{place}, prompt: {prompt}, checks: [{{type: regex, value: '.'}}]}}\n"
        for place, prompt in enumerate(PROMPTS)
    )
    write_golden(pytester, "one", f"name: one\ngeneration: {{max_new_tokens: {NEW_TOKENS}}}\ncases:\n{cases}")
    return pytester


def test_both_sides_answer_as_a_bare_script_in_four_bits(project, tiny_model_dir, tiny_adapter_dir):
    pytest.importorskip("bitsandbytes")
    result, facts, texts = gate(project, tiny_adapter_dir, "--gate-weights=nf4")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["tunegate: *, float32 on cpu, bases in nf4"])
    assert facts["run"]["plan"]["weights"] == facts["baseline"]["plan"]["weights"] == "nf4"
    wanted = [texts_in_four_bits(tiny_model_dir, each) for each in (tiny_adapter_dir, None)]
    assert texts == wanted
    # The answers of the weights as they are stored are others, also with a cache of these.
    result, facts, stored = gate(project, tiny_adapter_dir)
    assert facts["run"]["plan"]["weights"] == "peft"
    assert stored != wanted
    assert gate(project, tiny_adapter_dir, "--gate-weights=nf4")[2] == wanted


def test_a_base_that_is_stored_quantised_is_refused(project, tiny_model_dir, tmp_path):
    base = tmp_path / "base"
    base.mkdir()
    for path in tiny_model_dir.iterdir():
        (base / path.name).write_bytes(path.read_bytes())
    config = json.loads((base / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "gptq", "bits": 4}
    (base / "config.json").write_text(json.dumps(config))
    result, *_ = gate(project, base, "--gate-weights=nf4", "--gate-baseline=none")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --gate-weights nf4: *: its weights are stored quantised (gptq); *"])
