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
        # A reasoning that is opened again before the answer counts with the first.
        (
            "<think>aa</think>\n<think>bb</think>\n\ncdefg",
            {"max_new_tokens": 5, "max_reasoning_tokens": 9},
            ("length", "aa\n\nbb", "cde"),
        ),
        (
            "<think>aa</think><think>bbbbbb</think>c",
            {"max_new_tokens": 9, "max_reasoning_tokens": 7},
            ("length", "aa\n\nbb", ""),
        ),
        (
            "<think>aa</think><think>bbbbbb</think>c",
            {"max_new_tokens": 1, "max_reasoning_tokens": 12},
            ("length", "aa\n\nbbbbbb", "c"),
        ),
        (
            "<think>a</think>\n\n\n\n<think>b</think>\n\n\n\nc",
            {"max_new_tokens": 3, "max_reasoning_tokens": 20},
            ("length", "a\n\nb", ""),
        ),
        ("<think>a</think>b<think>c!d", {"stop": ("!",)}, ("stop", "a", "b<think>c")),
        ("<think>a</think><think>b!</think>c!d", {"stop": ("!",)}, ("stop", "a\n\nb!", "c")),
        # White space before the answer is no part of it.
        ("<think>a</think>\n\nb\n\nc", {"stop": ("\n\n",)}, ("stop", "a", "b")),
        ("<think>a</think>\n\n</s>", {"stop": ("\n\n",)}, ("stop", "a", "")),
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


def test_a_tag_of_several_tokens_opens_the_reasoning_again(tokenizer):
    """Letter by letter nothing is known of an answer that begins like a tag."""
    text = "<thought>aa</thought> <thought>bb</thought> <th is it"
    settings = {"max_new_tokens": 5, "max_reasoning_tokens": 99}
    assert watched(tokenizer, text, **settings) == ("length", "aa\n\nbb", "<th ")
    cut = watched(tokenizer, text, **{**settings, "max_reasoning_tokens": 32})
    assert cut == ("length", "aa\n\nb", "")


def test_white_space_behind_a_long_reasoning_is_followed(tokenizer):
    text = "<think>" + "a" * 200 + "</think>" + "\n" * 120 + "<think>b</think>c!d"
    settings = {"max_new_tokens": 150, "max_reasoning_tokens": 400, "stop": ("!",)}
    assert watched(tokenizer, text, **settings) == ("stop", "a" * 200 + "\n\nb", "c")


def test_a_long_reasoning_is_followed_to_its_end(tokenizer):
    text = "<think>" + "because " * 60 + "</think>yes! no"
    settings = {"max_reasoning_tokens": 600, "max_new_tokens": 50, "stop": ("!",)}
    reason, reasoning, answer = watched(tokenizer, text, **settings)
    assert (reason, answer) == ("stop", "yes")
    assert reasoning.count("because") == 60
