"""A base in 4 bits, and an adapter laid out as unsloth writes it: own tokenizer, own template."""

import pytest


@pytest.fixture(scope="module")
def four_bit_dir(tiny_model_dir, tmp_path_factory):
    """The tiny model, stored in 4 bits."""
    pytest.importorskip("bitsandbytes")
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

    directory = tmp_path_factory.mktemp("four_bit")
    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.float32
    )
    AutoModelForCausalLM.from_pretrained(
        tiny_model_dir, quantization_config=config, dtype=torch.float32
    ).save_pretrained(directory)
    AutoTokenizer.from_pretrained(tiny_model_dir).save_pretrained(directory)
    return directory


def test_the_base_itself(four_bit_dir, bare_texts, engine_texts):
    texts, _ = engine_texts(four_bit_dir)
    assert texts["candidate-0"] == bare_texts(four_bit_dir)


def test_an_adapter_of_it_with_a_tokenizer_of_its_own(
    four_bit_dir, make_adapter, lora, bare_texts, engine_texts
):
    """Its weights are packed at the first forward: an adapter that is put on later would compute nonsense."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(four_bit_dir)
    tokenizer.chat_template = "{% for message in messages %}the {{ message.content }} {% endfor %}a "
    adapter = make_adapter(lora(), base=four_bit_dir, tokenizer=tokenizer)
    assert (adapter / "chat_template.jinja").is_file()
    texts, _ = engine_texts(adapter)
    assert texts["candidate-0"] == bare_texts(four_bit_dir, adapter, adapter)
    assert texts["baseline"] == bare_texts(four_bit_dir)
    assert texts["candidate-0"] != texts["baseline"]


def test_copies_of_a_base_in_4_bits_store_its_weights_once(
    four_bit_dir, make_adapter, lora, bare_texts, engine_texts
):
    """Each adapter needs a copy of its own, of which only the adapter's weights take memory."""
    from harness.engines.open import base_of, choose_plan, describe_model, open_sides

    made = [make_adapter(lora(), f"adapter-{seed}", base=four_bit_dir, seed=seed) for seed in (1, 2)]
    sides = {f"candidate-{place}": describe_model(str(each)) for place, each in enumerate(made)}
    sides["baseline"] = base_of(sides["candidate-0"])
    engine = open_sides(sides, choose_plan("float32", "cpu", 4096, list(sides.values())))
    places = {}
    for side in sides:
        for name, parameter in engine.sides[side].model.named_parameters():
            if type(parameter).__name__ == "Params4bit":
                layer = name.replace("base_layer.", "").removeprefix("base_model.model.")
                places.setdefault(layer, set()).add(parameter.data_ptr())
    assert len(places) == 14
    assert {len(found) for found in places.values()} == {1}
    texts, _ = engine_texts(*made)
    assert texts["baseline"] == bare_texts(four_bit_dir)
    for place, adapter in enumerate(made):
        assert texts[f"candidate-{place}"] == bare_texts(four_bit_dir, adapter)


def test_a_base_in_fp8_is_said_to_be_turned_into_plain_numbers(tiny_model_dir, tmp_path, engine_texts):
    """The library does it where there is no GPU for them."""
    import json
    import shutil

    import torch
    from safetensors.torch import load_file, save_file

    shutil.copytree(tiny_model_dir, tmp_path / "fp8")
    weights = tmp_path / "fp8" / "model.safetensors"
    stored = {}
    for name, weight in load_file(weights).items():
        if "proj" not in name:
            stored[name] = weight
            continue
        scale = weight.abs().max() / 448
        stored[name] = (weight / scale).to(torch.float8_e4m3fn)
        stored[f"{name}_scale_inv"] = scale.float().reshape(1, 1)
    save_file(stored, weights, metadata={"format": "pt"})
    config = json.loads((tmp_path / "fp8" / "config.json").read_text())
    config["quantization_config"] = {"quant_method": "fp8", "weight_block_size": None}
    (tmp_path / "fp8" / "config.json").write_text(json.dumps(config))
    _, placed = engine_texts(tmp_path / "fp8")
    assert placed["candidate-0"].unpacked == "fp8"
    _, placed = engine_texts(tiny_model_dir)
    assert placed["candidate-0"].unpacked is None
