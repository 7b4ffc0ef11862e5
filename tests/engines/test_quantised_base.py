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
