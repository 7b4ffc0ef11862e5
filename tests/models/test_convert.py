"""A GGUF file becomes a directory that transformers loads: on a tiny Llama, through the whole of fetching."""

import json
from pathlib import Path

import pytest

from harness.errors import ModelError
from harness.models.catalogue import CatalogueEntry
from harness.models.fetch import fetch_entry

# Conversion runs in a process of its own, which loads the model.
pytestmark = pytest.mark.processes
WIDTH, HIDDEN = 32, 64
TOKENS = ["<unk>", "<s>", "</s>", *map(chr, range(33, 127)), "Ġ", "th", "the"]
TEMPLATE = "{% for message in messages %}{{ message['content'] }}{% endfor %}"


def write_gguf(path: Path) -> dict[str, object]:
    """A one-layer Llama in Q4_1; its embeddings, dequantised by the format's own library, by name."""
    import gguf
    import numpy

    kind = gguf.GGMLQuantizationType.Q4_1
    random = numpy.random.default_rng(0)
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(1)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(2)
    writer.add_head_count_kv(2)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(len(TOKENS))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(TOKENS)
    writer.add_token_types([3, 3, 3] + [1] * (len(TOKENS) - 3))
    writer.add_token_merges(["t h", "th e"])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    writer.add_pad_token_id(2)
    writer.add_chat_template(TEMPLATE)
    shapes = {"token_embd": (len(TOKENS), WIDTH)}
    shapes |= {f"blk.0.attn_{part}": (WIDTH, WIDTH) for part in ("q", "k", "v", "output")}
    shapes |= {f"blk.0.ffn_{part}": (HIDDEN, WIDTH) for part in ("gate", "up")}
    shapes["blk.0.ffn_down"] = (WIDTH, HIDDEN)
    exact = {}
    for name, shape in shapes.items():
        quantised = gguf.quants.quantize(random.standard_normal(shape).astype(numpy.float32), kind)
        exact[name] = gguf.quants.dequantize(quantised, kind)
        writer.add_tensor(f"{name}.weight", quantised, raw_dtype=kind)
    for name in ("output_norm", "blk.0.attn_norm", "blk.0.ffn_norm"):
        writer.add_tensor(f"{name}.weight", numpy.ones(WIDTH, numpy.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return exact


@pytest.fixture
def gguf_entry(home: Path, tmp_path: Path, make_entry) -> tuple[CatalogueEntry, dict[str, object]]:
    exact = write_gguf(tmp_path / "tiny.gguf")
    return make_entry({"tiny.gguf": (tmp_path / "tiny.gguf").read_bytes()}, "gguf"), exact


def test_a_gguf_becomes_a_model_that_loads(gguf_entry, capfd):
    """Weights to bfloat16's precision, tokenizer, template; no trace of versions or places; no noise."""
    entry, exact = gguf_entry
    directory = fetch_entry(entry, lambda stage, done: None)
    assert capfd.readouterr() == ("", "")

    import torch
    from safetensors.torch import load_file
    from transformers import AutoTokenizer

    weights = load_file(directory / "model.safetensors")
    assert {tensor.dtype for tensor in weights.values()} == {torch.bfloat16}
    for ours, theirs in {
        "model.embed_tokens": "token_embd",
        "model.layers.0.mlp.down_proj": "blk.0.ffn_down",
    }.items():
        expected = torch.from_numpy(exact[theirs]).to(torch.bfloat16)
        assert torch.equal(weights[f"{ours}.weight"], expected)
    tokenizer = AutoTokenizer.from_pretrained(directory)
    assert tokenizer.decode(tokenizer("the")["input_ids"], skip_special_tokens=True) == "the"
    assert tokenizer.apply_chat_template([{"role": "user", "content": "the"}], tokenize=False) == "the"
    assert tokenizer.model_max_length == 128
    settings = "".join(path.read_text() for path in directory.glob("*config.json"))
    assert "transformers_version" not in settings
    assert str(directory.parent) not in settings
    assert json.loads((directory / "tunegate_model.json").read_text())["saved_dtype"] == "bfloat16"
    assert {path.stat().st_mode & 0o077 for path in directory.glob("*")} != {0}, "others may read it"


def test_a_gguf_that_cannot_be_read_is_one_line(make_entry, home):
    entry = make_entry({"tiny.gguf": b"not a GGUF file"}, "gguf")
    with pytest.raises(ModelError, match="tiny: converting it failed: ") as caught:
        fetch_entry(entry, lambda stage, done: None)
    assert "\n" not in str(caught.value)
    assert list((home / "models").iterdir()) == []
