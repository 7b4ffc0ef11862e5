"""What is learnt of a conversation, behind the chat templates of real models: exactly what would be asked for."""

import pytest

from harness.errors import PromptError
from harness.prompts.rendering import chat_turns, prompt_ids, render_prompt
from harness.types import GenerationSettings
from trainers.config import TrainingConfig
from trainers.data.learnt_tokens import NOT_LEARNT, learnt_tokens
from trainers.data.turns import messages_of_turns

CONFIG = TrainingConfig(base="b", output="o", data=("d",))
WEATHER = {"name": "weather", "description": "d", "parameters": {"type": "object", "properties": {}}}
TOOLS = [{"type": "function", "function": WEATHER}]
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"name": "weather", "arguments": {"city": "Rome"}}],
}


def user(content):
    return {"role": "user", "content": content}


def said(content, **more):
    return {"role": "assistant", "content": content, **more}


def row(*turns, **more):
    return {"prompt": list(turns[:-1]), "completion": [turns[-1]], **more}


def learnt(tokenizer, sample):
    """The texts that are learnt, and the tokens before each."""
    found, before = [], []
    for place, (token, label) in enumerate(zip(sample["input_ids"], sample["labels"], strict=True)):
        if label == NOT_LEARNT:
            continue
        assert label == token
        if place == 0 or sample["labels"][place - 1] == NOT_LEARNT:
            found.append("")
            before.append(sample["input_ids"][:place])
        found[-1] += tokenizer.decode([token])
    return found, before


CHATS = {
    "llama3_2": ("b<|eot_id|>", "d<|eot_id|>"),
    "gemma": ("b<end_of_turn>\n", "d<end_of_turn>\n"),
    "qwen2_5": ("b<|im_end|>\n", "d<|im_end|>\n"),
}


@pytest.mark.parametrize("name", CHATS)
def test_all_answers_are_learnt_behind_what_is_asked(letters, shipped, name):
    tokenizer = letters(shipped(name))
    conversation = row(user("a"), said("b"), user("c"), said("d"))
    (sample,) = learnt_tokens(tokenizer, conversation, CONFIG, "all")
    texts, before = learnt(tokenizer, sample)
    assert tuple(texts) == CHATS[name]
    turns = [*conversation["prompt"], *conversation["completion"]]
    for length, tokens in zip((1, 3), before, strict=True):
        asked = render_prompt(tokenizer, messages_of_turns(turns[:length]), GenerationSettings())
        assert tokens == prompt_ids(tokenizer, asked)
    (last,) = learnt_tokens(tokenizer, conversation, CONFIG, "last")
    assert learnt(tokenizer, last)[0] == [CHATS[name][1]]
    assert last["input_ids"] == sample["input_ids"]


def test_a_template_that_rewrites_earlier_answers_gives_a_sample_for_each(letters, shipped):
    """Qwen3 writes an empty reasoning before the last answer only."""
    tokenizer = letters(shipped("qwen3"))
    samples = learnt_tokens(tokenizer, row(user("a"), said("b"), user("c"), said("d")), CONFIG, "all")
    texts = [learnt(tokenizer, sample)[0] for sample in samples]
    assert texts == [["<think>\n\n</think>\n\nb<|im_end|>\n"], ["<think>\n\n</think>\n\nd<|im_end|>\n"]]


def test_an_answer_of_weight_0_is_not_learnt(letters, shipped):
    tokenizer = letters(shipped("qwen2_5"))
    (sample,) = learnt_tokens(
        tokenizer, row(user("a"), said("b", weight=0), user("c"), said("d")), CONFIG, "all"
    )
    assert learnt(tokenizer, sample)[0] == ["d<|im_end|>\n"]


@pytest.mark.parametrize("name", ["qwen2_5", "qwen3", "llama3_1", "lfm2_2_5"])
def test_a_call_is_learnt_and_its_result_is_not(letters, shipped, name):
    tokenizer = letters(shipped(name))
    result = {"role": "tool", "content": "sunny", "name": "weather"}
    conversation = row(user("a"), CALL, result, said("d"), tools=TOOLS)
    samples = learnt_tokens(tokenizer, conversation, CONFIG, "all")
    texts = [text for sample in samples for text in learnt(tokenizer, sample)[0]]
    assert len(texts) == 2
    assert "weather" in texts[0]
    assert "Rome" in texts[0]
    assert "d<" in texts[1]
    assert all("sunny" not in text for text in texts)
    turns = chat_turns(messages_of_turns(conversation["prompt"]))
    assert turns[1]["tool_calls"][0]["id"] == turns[2]["tool_call_id"]


@pytest.mark.parametrize("answer", [said("d", reasoning="why"), said("<think>\nwhy\n</think>\n\nd")])
@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("qwen3", "<think>\nwhy\n</think>\n\nd<|im_end|>\n"),
        ("qwen3_5_think", "why\n</think>\n\nd<|im_end|>\n"),
        ("qwen3_8", "why\n</think>\n\nd<|im_end|>\n"),
        ("deepseek_r1_distill", "why\n</think>\n\nd<｜end▁of▁sentence｜>"),
    ],
)
def test_a_reasoning_is_learnt_where_the_model_writes_it(letters, shipped, name, expected, answer):
    """Some templates open it in the prompt, and DeepSeek's leaves it out of an answered conversation."""
    tokenizer = letters(shipped(name))
    (sample,) = learnt_tokens(tokenizer, row(user("a"), answer), CONFIG, "last")
    assert learnt(tokenizer, sample)[0] == [expected]


def test_what_a_template_leaves_out_is_refused(letters, shipped):
    with pytest.raises(PromptError, match=r"leaves the answer's reasoning out \('why'\); write it into the"):
        learnt_tokens(letters(shipped("gemma")), row(user("a"), said("d", reasoning="why")), CONFIG, "last")
    conversation = row(user("a"), {**CALL, "content": "wait"}, tools=TOOLS)
    with pytest.raises(PromptError, match=r"leaves a part of the answer out \('wait'\)"):
        learnt_tokens(letters(shipped("llama3_1")), conversation, CONFIG, "last")
    with pytest.raises(PromptError, match="leaves the tool weather out"):
        learnt_tokens(letters(shipped("gemma")), row(user("a"), said("d"), tools=TOOLS), CONFIG, "last")


def test_without_a_template_an_answer_follows_its_prompt(letters):
    tokenizer = letters(None, adds_bos=True)
    (sample,) = learnt_tokens(tokenizer, row(user("a"), said(" b")), CONFIG, "last")
    assert tokenizer.decode(sample["input_ids"]) == "<s>a b</s>"
    assert learnt(tokenizer, sample)[0] == [" b</s>"]
    with pytest.raises(PromptError, match="can't learn calls of tools"):
        learnt_tokens(tokenizer, row(user("a"), CALL), CONFIG, "last")
