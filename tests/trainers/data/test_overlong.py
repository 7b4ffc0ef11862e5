"""Rows that are too long: refused, left out, or cut in front, and never in their answer."""

import json

import pytest

from harness.errors import DataError
from harness.types import Message
from trainers.config import TrainingConfig
from trainers.data.conversations import load_examples
from trainers.data.learnt_tokens import learnt_rows
from trainers.data.overlong import fitted
from trainers.data.preferences import load_pairs
from trainers.data.prompts import load_prompts
from trainers.data.rendered_prompts import fitting_prompts
from trainers.data.rendered_rows import rendered_rows


@pytest.fixture(scope="module")
def tokenizer(tiny_model_dir):
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model_dir)


@pytest.fixture
def load(tmp_path):
    def made(reader, *rows):
        path = tmp_path / "rows.jsonl"
        path.write_text("\n".join(json.dumps(row) for row in rows))
        return reader([path])

    return made


def config(overlong, max_length=12):
    return TrainingConfig(base="b", output="o", data=("d",), overlong=overlong, max_length=max_length)


LONG = "w1 w2 w3 w4 w5 w6 w7 w8 w9 w10 w11 w12"
ROWS = [{"prompt": LONG, "completion": "one two"}, {"prompt": "the cat", "completion": "one"}]


def text(tokenizer, sample):
    return tokenizer.decode(sample["input_ids"])


def test_a_long_row_is_refused_by_line(load, tokenizer):
    with pytest.raises(DataError, match=r"rows.jsonl:1: 18 tokens \(allowed: max_length 12\); raise it,"):
        learnt_rows(load(load_examples, *ROWS), tokenizer, config("refuse"))


def test_a_long_row_is_left_out_and_counted(load, tokenizer):
    kept, samples = learnt_rows(load(load_examples, *ROWS), tokenizer, config("drop"))
    assert (len(samples), kept.places[0][1], kept.overlong) == (1, 2, {"dropped": 1})
    assert "1 rows of" in kept.title
    assert ", 1 too long and dropped" in kept.title
    assert kept.notes.overlong == {"dropped": 1}


def test_a_long_question_keeps_its_last_words_and_the_answer(load, tokenizer):
    kept, samples = learnt_rows(load(load_examples, *ROWS), tokenizer, config("cut-prompt"))
    assert (
        text(tokenizer, samples[0]) == "<|user|> w7 w8 w9 w10 w11 w12 <|end|> <|assistant|> one two <|end|>"
    )
    assert len(samples[0]["input_ids"]) == 12
    assert kept.overlong == {"cut": 1}


def test_the_first_turns_go_first_and_the_system_s_stays(load, tokenizer):
    turns = [("system", "a"), ("user", "w1 w2"), ("assistant", "w3"), ("user", "w4"), ("assistant", "w5")]
    row = {"messages": [{"role": role, "content": content} for role, content in turns]}
    _, samples = learnt_rows(load(load_examples, row), tokenizer, config("cut-prompt"))
    assert text(tokenizer, samples[0]) == "<|system|> a <|end|> <|user|> w4 <|end|> <|assistant|> w5 <|end|>"


def test_a_long_answer_is_refused_even_then(load, tokenizer):
    row = {"prompt": "the cat", "completion": LONG}
    with pytest.raises(DataError, match="also with no more than the prompt's last words"):
        learnt_rows(load(load_examples, row), tokenizer, config("cut-prompt"))


def test_a_pair_keeps_one_prompt(load, tokenizer):
    """The longer answer decides, so that both are compared after the same prompt."""
    row = {"prompt": LONG, "chosen": "one two three", "rejected": "one"}
    (found,) = rendered_rows(
        load(load_pairs, row), tokenizer, config("cut-prompt"), ("chosen", "rejected")
    ).rows
    assert found["prompt"][0]["content"] == "<|user|> w8 w9 w10 w11 w12 <|end|> <|assistant|> "


def test_a_prompt_leaves_room_for_its_answer(load, tokenizer):
    examples = load(load_prompts, {"prompt": LONG}, {"prompt": "the cat"})
    (first, _) = fitting_prompts(examples, tokenizer, config("cut-prompt"), 4).rows
    assert first["prompt"] == [{"role": "user", "content": "w8 w9 w10 w11 w12"}]
    with pytest.raises(DataError, match=r"15 tokens and 4 of the answer \(allowed: max_length 12 together\)"):
        fitting_prompts(examples, tokenizer, config("refuse"), 4)


def test_no_row_may_be_left(load, tokenizer):
    with pytest.raises(DataError, match="all rows are longer than max_length 8"):
        learnt_rows(load(load_examples, ROWS[0]), tokenizer, config("drop", 8))


def test_each_answer_of_a_long_conversation_is_kept(load, tokenizer):
    turns = [("user", "w1"), ("assistant", "w2"), ("user", "w3"), ("assistant", "w4")]
    row = {"messages": [{"role": role, "content": content} for role, content in turns]}
    _, whole = learnt_rows(load(load_examples, row), tokenizer, config("cut-prompt"), "all")
    _, apart = learnt_rows(load(load_examples, row), tokenizer, config("cut-prompt", 8), "all")
    assert [text(tokenizer, sample) for sample in apart] == [
        "<|user|> w1 <|end|> <|assistant|> w2 <|end|>",
        "<|user|> w3 <|end|> <|assistant|> w4 <|end|>",
    ]
    assert len(whole) == 1


def test_what_cannot_be_rendered_is_named_by_line(load):
    from harness.errors import PromptError

    def render(row):
        raise PromptError(f"no {Message.__name__}")

    with pytest.raises(DataError, match=r"rows.jsonl:1: no Message"):
        fitted(load(load_examples, *ROWS), config("drop"), render)
