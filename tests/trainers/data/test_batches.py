"""Texts become padded batches, none lost, in order."""

import pytest

from trainers.data.batches import padded_batches


@pytest.mark.parametrize("side", ["left", "right"])
def test_every_text_comes_once_padded_on_the_wanted_side(tiny_model_dir, side):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    texts = ["the cat", "the cat sat on a mat", "one"]
    batches = list(padded_batches(tokenizer, texts, "cpu", 2, side=side))
    assert [start for start, _ in batches] == [0, 2]
    first = batches[0][1]
    assert set(first) == {"input_ids", "attention_mask"}
    padding = [1, 1, 0, 0, 0, 0] if side == "right" else [0, 0, 0, 0, 1, 1]
    assert first["attention_mask"].tolist() == [padding, [1] * 6]
    assert tokenizer.decode(batches[1][1]["input_ids"][0]) == "one"
    assert list(padded_batches(tokenizer, [], "cpu", 2, side=side)) == []
