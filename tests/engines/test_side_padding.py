"""The token that fills shorter rows has a row in the embeddings, whatever the tokenizer names."""

import shutil
from types import SimpleNamespace

import pytest
from transformers import AutoTokenizer

from harness.engines.base import CANDIDATE, GenerationRequest, LossRequest
from harness.engines.open import choose_plan, describe_model, open_sides
from harness.engines.side import Side
from harness.types import GenerationSettings, Message

PROMPTS = ("what is one", "the cat sat on the mat", "two")


class TextModel:
    """The configuration of a model of so many tokens."""

    def __init__(self, tokens):
        text = SimpleNamespace(vocab_size=tokens)
        self.config = SimpleNamespace(get_text_config=lambda decoder: text)


@pytest.mark.parametrize(
    ("pad", "eos", "fed"),
    [
        (7, 3, 7),
        (0, 3, 0),
        (99, 3, 99),
        (100, 3, 3),  # added to the tokenizer, and the embeddings have 100 rows
        (100, 101, 0),
        (None, 3, 3),
        (None, 100, 0),
        (None, None, 0),
    ],
)
def test_it_is_the_tokenizers_where_the_model_has_it(pad, eos, fed):
    tokenizer = SimpleNamespace(pad_token_id=pad, eos_token_id=eos)
    side = Side(model=TextModel(100), adapter=None, tokenizer=tokenizer, model_settings=None)
    assert side.pad_id == fed


@pytest.fixture
def with_added_padding(tiny_model_dir, tmp_path):
    """The tiny model whose tokenizer got a padding token that no training resized the embeddings for."""
    directory = shutil.copytree(tiny_model_dir, tmp_path / "padded")
    tokenizer = AutoTokenizer.from_pretrained(tiny_model_dir)
    tokenizer.add_special_tokens({"pad_token": "[PAD]"})
    assert tokenizer.pad_token_id == 68  # of 68
    tokenizer.save_pretrained(directory)
    return directory


def opened(directory, dtype):
    sides = {CANDIDATE: describe_model(str(directory))}
    return open_sides(sides, choose_plan(dtype, "cpu", 4096, list(sides.values())))


def answers(engine):
    asked = [
        GenerationRequest(
            key=prompt,
            side=CANDIDATE,
            messages=(Message(role="user", content=prompt),),
            settings=GenerationSettings(max_new_tokens=8),
        )
        for prompt in PROMPTS
    ]
    found = {}
    engine.generate(asked, found.update)
    return [found[place].text for place in range(len(asked))]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_a_model_answers_in_batches_beside_an_added_padding_token(tiny_model_dir, with_added_padding, dtype):
    """It was fed to a table that ends before it: one prompt at a time was left, and on a GPU nothing."""
    plain, padded = opened(tiny_model_dir, dtype), opened(with_added_padding, dtype)
    assert [each.decoder for each in padded.plan.placements] == ["batched"]
    assert padded.plan.placements == plain.plan.placements
    assert answers(padded) == answers(plain)


def test_texts_of_several_lengths_are_scored_in_one_batch(tiny_model_dir, with_added_padding):
    asked = [
        LossRequest(key=text, side=CANDIDATE, messages=(Message(role="user", content=prompt),), text=text)
        for prompt in PROMPTS
        for text in ("one", "two w1 w2")
    ]
    found = []
    for directory in (tiny_model_dir, with_added_padding):
        engine, losses = opened(directory, "float32"), {}
        batches = engine.loss_batches(asked)
        for batch in batches.rows:
            losses |= batches.compute(batch)
        found.append([losses[place].nats_per_token for place in range(len(asked))])
        assert len(batches.rows) == 1
    assert found[1] == pytest.approx(found[0], rel=1e-6)
