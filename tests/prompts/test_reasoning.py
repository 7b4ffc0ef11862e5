"""Reasoning is taken apart from the answer, however it is marked and wherever it is cut."""

import pytest

from harness.prompts.reasoning import begins_answer, opened_tag, split_reasoning

ASKED = "<|im_start|>assistant\n"
OPENED = "<|im_start|>assistant\n<think>\n"
CLOSED = "<|im_start|>assistant\n<think>\n\n</think>\n\n"
HARMONY = "<|start|>user<|message|>w<|end|><|start|>assistant"
GRANITE = "Write the thoughts after 'Here is my thought process:'.<|start_of_role|>assistant<|end_of_role|>"

WRITTEN = {
    "twice": ("<think>a</think>\n<think>c</think>b", "", "a\n\nc", "b"),
    "longcat": ("<longcat_think>a</longcat_think>b", "", "a", "b"),
    "medgemma": ("<unused94>thought\na<unused95>b", "", "a", "b"),
    "no reasoning": ("Paris", ASKED, None, "Paris"),
    "white space of an answer stays": (" Paris \n", ASKED, None, " Paris \n"),
    "tags": ("<think>\nw1\n</think>\n\nParis", ASKED, "w1", "Paris"),
    "tags behind white space": ("\n<think>w1</think>Paris", ASKED, "w1", "Paris"),
    "an empty block": ("<think>\n\n</think>\n\nParis", ASKED, "", "Paris"),
    "the prompt opened it": ("w1\n</think>\n\nParis", OPENED, "w1", "Paris"),
    "the prompt opened it and the model again": ("<think>\nw1\n</think>\n\nParis", OPENED, "w1", "Paris"),
    "cut": ("<think>\nw1 w2", ASKED, "w1 w2", ""),
    "cut where the prompt opened it": ("w1 w2", OPENED, "w1 w2", ""),
    "the prompt holds a whole block": ("Paris", CLOSED, None, "Paris"),
    "a tag inside the answer": ("Write <think> first", ASKED, None, "Write <think> first"),
    "a closing tag that nothing opened": ("a </think> b", ASKED, None, "a </think> b"),
    "a second block is the answer's": (
        "<think>a</think>b <think>c</think>",
        ASKED,
        "a",
        "b <think>c</think>",
    ),
    "thinking": ("<thinking>a</thinking>b", ASKED, "a", "b"),
    "thought": ("<thought>a</thought>b", ASKED, "a", "b"),
    "reasoning": ("<reasoning>a</reasoning>b", ASKED, "a", "b"),
    "scratchpad": ("<scratchpad>a</scratchpad>b", ASKED, "a", "b"),
    "Marco": ("<Thought>\na\n</Thought>\n<Output>\nb</Output>", ASKED, "a", "b"),
    "capitals": ("<THINK>a</THINK>b", ASKED, "a", "b"),
    "LFM2": ("<|cot_start|>a<|cot_end|>b", ASKED, "a", "b"),
    "Pangu": ("[unused16]a[unused17]b", ASKED, "a", "b"),
    "Granite": ("Here is my thought process: a\n\nHere is my response: b", GRANITE, "a", "b"),
    "Granite, cut": ("Here is my thought process: a", GRANITE, "a", ""),
    "an answer in Granite's words": (
        "Here is my thought process: a",
        ASKED,
        None,
        "Here is my thought process: a",
    ),
    "Apriel": (
        "a\n[BEGIN FINAL RESPONSE]\nb[END FINAL RESPONSE]",
        "<|assistant|>\nHere are my reasoning steps:\n",
        "a",
        "b",
    ),
    "Mistral": ("[THINK]a[/THINK]b", ASKED, "a", "b"),
    "Cohere": (
        "<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>b<|END_RESPONSE|>",
        ASKED,
        "a",
        "b",
    ),
    "Kimi": ("◁think▷a◁/think▷b", ASKED, "a", "b"),
    "Gemma 4": ("<|channel>thought\na<channel|>b", "<|turn>model\n", "a", "b"),
    "Gemma 4, opened": ("a<channel|>b", "<|channel>thought\n", "a", "b"),
    "channels": (
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>final<|message|>b",
        HARMONY,
        "a",
        "b",
    ),
    "channels with spaces": (
        "<|channel|> analysis <|message|> a <|end|> <|start|> assistant <|channel|> final <|message|> b",
        HARMONY,
        "a",
        "b",
    ),
    "channels cut": ("<|channel|>analysis<|message|>a a", HARMONY, "a a", ""),
    "channels cut at once": ("<|channel|>anal", HARMONY, "", ""),
    "a final channel alone": ("<|channel|>final<|message|>b", HARMONY, None, "b"),
    "the prompt opened a channel": (
        "a<|end|><|start|>assistant<|channel|>final<|message|>b",
        HARMONY + "<|channel|>analysis<|message|>",
        "a",
        "b",
    ),
    "a commentary before the final one": (
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary to=f <|constrain|>json"
        "<|message|>{}<|end|><|start|>assistant<|channel|>final<|message|>b",
        HARMONY,
        "a\n\n{}",
        "b",
    ),
    "a call in a header": (
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant to=functions.f<|channel|>commentary json"
        '<|message|>{"b": 1}<|call|>',
        HARMONY,
        "a",
        'to=functions.f {"b": 1}',
    ),
    "a call in a channel": (
        "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary to=functions.f "
        '<|constrain|>json<|message|>{"b": 1}',
        HARMONY,
        "a",
        'to=functions.f {"b": 1}',
    ),
    "a call at once": (
        " to=functions.f<|channel|>commentary json<|message|>{}",
        HARMONY,
        None,
        "to=functions.f {}",
    ),
    "a call that is cut": (
        " to=functions.f<|channel|>commentary json<|message|>{",
        HARMONY,
        None,
        "to=functions.f {",
    ),
    "a recipient that is a tool": (
        " to=self<|message|>a<|eom|><|start|>assistant to=f<|message|><x>b</x>",
        HARMONY,
        "a",
        "<x>b</x>",
    ),
    "recipients": (
        " to=self<|message|>a<|eom|><|start|>assistant to=user<|message|>b",
        HARMONY,
        "a",
        "b",
    ),
    "one recipient": (" to=user<|message|>b", HARMONY, None, "b"),
    "no recipient": (" to=user is a word", HARMONY, None, " to=user is a word"),
    "another's server: the opening tag is missing": ("a</think>\nb", None, "a", "b"),
    "another's server: the marks of channels are missing": ("analysisa b assistantfinalc", None, "a b", "c"),
    "another's server: nothing marked": ("analysis of Paris", None, None, "analysis of Paris"),
}


@pytest.mark.parametrize("name", WRITTEN)
def test_the_parts(name):
    written, prompt, reasoning, answer = WRITTEN[name]
    parts = split_reasoning(written, prompt)
    assert (parts.reasoning, parts.answer) == (reasoning, answer)


@pytest.mark.parametrize("name", [name for name, case in WRITTEN.items() if case[1] is not None])
def test_the_answer_begins_where_the_parts_say_so(name):
    """Followed letter by letter, an answer has begun at the end if and only if there is one."""
    written, prompt, _, answer = WRITTEN[name]
    told = [begins_answer(written[:end], prompt) for end in range(1, len(written) + 1)]
    assert bool(told[-1]) is bool(answer)
    begun = [place for place, each in enumerate(told) if each]
    assert begun == list(range(len(told) - len(begun), len(told)))


@pytest.mark.parametrize(
    ("template", "kwargs", "opens"),
    [
        ("qwen3", {}, None),
        ("qwen3", {"enable_thinking": False}, None),
        ("qwen3_5_think", {}, "<think>"),
        ("qwen3_5_think", {"enable_thinking": False}, None),
        ("deepseek_r1_distill", {}, "<think>"),
        ("deepseekv3", {}, "<think>"),
        ("nemotron_3_nano", {}, "<think>"),
        ("glm4moe", {"enable_thinking": False}, None),
        ("gptoss", {}, None),
        ("gemma4_v5", {}, None),
    ],
)
def test_real_templates_that_open_the_reasoning(template, kwargs, opens, letters, shipped):
    tokenizer = letters(shipped(template))
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "w"}], add_generation_prompt=True, tokenize=False, **kwargs
    )
    assert opened_tag(prompt) == opens
