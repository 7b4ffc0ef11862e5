"""Where an answer ends, and what of it is shown: special tokens count as stop texts and as marks."""

import pytest

from harness.prompts.reasoning import AnswerWatch, read_answer
from harness.types import GenerationSettings


@pytest.fixture(scope="module")
def tokenizer(letters):
    return letters("<|im_start|><|im_end|><think></think><|channel|><|message|><|start|><|end|><|stop|>")


def ids(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def watched(tokenizer, text, prompt="", **settings):
    """Why an answer ends and what is shown of it, when a model writes a text token by token."""
    chosen = GenerationSettings(**settings)
    watch = AnswerWatch(tokenizer, prompt, chosen, {tokenizer.eos_token_id})
    for token in ids(tokenizer, text):
        if reason := watch.take(token):
            break
    else:
        raise AssertionError("the answer never ended")
    parts = read_answer(tokenizer, watch.tokens, prompt, chosen)
    return reason, parts.reasoning, parts.answer


@pytest.mark.parametrize(
    ("text", "settings", "expected"),
    [
        ("Paris</s>Rome", {}, ("stop", None, "Paris")),
        ("Paris Rome", {"max_new_tokens": 5}, ("length", None, "Paris")),
        ("Paris END Rome", {"stop": ("END",)}, ("stop", None, "Paris ")),
        ("Paris<|stop|>Rome", {"stop": ("<|stop|>",)}, ("stop", None, "Paris")),
        ("Paris<|im_end|>\n<|im_start|>", {"stop": ("<|im_end|>\n",)}, ("stop", None, "Paris")),
        ("a<|stop|>b", {"max_new_tokens": 3}, ("length", None, "ab")),
        ("<think>a b</think>c</s>", {}, ("stop", "a b", "c")),
        ("<think>a END b</think>c END", {"stop": ("END",)}, ("stop", "a END b", "c ")),
        ("<think>aaaa</think>bcdef", {"max_new_tokens": 4}, ("length", "aaa", "")),
        (
            "<think>aaaa</think>bcdef",
            {"max_new_tokens": 4, "max_reasoning_tokens": 9},
            ("length", "aaaa", "bcde"),
        ),
        ("<think>aaaaaa", {"max_new_tokens": 9, "max_reasoning_tokens": 4}, ("length", "aaa", "")),
        ("abcdef", {"max_new_tokens": 4, "max_reasoning_tokens": 9}, ("length", None, "abcd")),
        ("<think>a</think>b</s>", {"score_reasoning": True}, ("stop", None, "<think>a</think>b")),
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b</s>",
            {},
            ("stop", "a", "b"),
        ),
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>bcdef",
            {"max_new_tokens": 3, "max_reasoning_tokens": 99},
            ("length", "a", "bcd"),
        ),
        ("<|channel|>final<|message|>b</s>", {}, ("stop", None, "b")),
    ],
)
def test_an_answer(text, settings, expected, tokenizer):
    assert watched(tokenizer, text, "<|im_start|>assistant\n", **settings) == expected


def test_a_reasoning_that_the_prompt_opened(tokenizer):
    prompt = "<|im_start|>assistant\n<think>\n"
    assert watched(tokenizer, "a b</think>\n\nc</s>", prompt) == ("stop", "a b", "c")
    cut = watched(tokenizer, "a b c d e", prompt, max_new_tokens=50, max_reasoning_tokens=5)
    assert cut == ("length", "a b c", "")
    stopped = watched(tokenizer, "a!b</think>c!d", prompt, stop=("!",))
    assert stopped == ("stop", "a!b", "c")


def test_a_long_reasoning_is_followed_to_its_end(tokenizer):
    text = "<think>" + "because " * 60 + "</think>yes! no"
    settings = {"max_reasoning_tokens": 600, "max_new_tokens": 50, "stop": ("!",)}
    reason, reasoning, answer = watched(tokenizer, text, **settings)
    assert (reason, answer) == ("stop", "yes")
    assert reasoning.count("because") == 60
