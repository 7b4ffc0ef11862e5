"""What is learnt comes after what is asked, token by token, with every template that TRL ships."""

from importlib.resources import files

import pytest

from harness.errors import PromptError
from harness.prompts.reasoning import split_reasoning
from harness.prompts.rendering import prompt_ids, render_prompt, text_ids
from harness.prompts.training import (
    before_answer,
    render_begun,
    render_direct,
    render_example,
    render_written,
    training_settings,
)
from harness.types import GenerationSettings, Message
from harness.types.training import TrainingManifest

TEMPLATES = sorted(
    path.name.removesuffix(".jinja")
    for path in (files("trl") / "chat_templates").iterdir()
    if path.name.endswith(".jinja")
)
ASKED = [{"role": "user", "content": "What is 2 + 2?"}]


@pytest.mark.parametrize("kwargs", [{}, {"enable_thinking": False}, {"enable_thinking": True}], ids=str)
@pytest.mark.parametrize("name", TEMPLATES)
def test_the_asked_prompt_is_the_prefix_that_is_trained_on(name, kwargs, letters, shipped):
    tokenizer = letters(shipped(name))
    settings = GenerationSettings(chat_template_kwargs=kwargs)
    asked = render_prompt(tokenizer, (Message(role="user", content="What is 2 + 2?"),), settings)
    prompt, completion = render_example(tokenizer, ASKED, "It is 4.", settings)
    assert prompt == asked.text
    ids = prompt_ids(tokenizer, asked)
    assert text_ids(tokenizer, prompt + completion)[: len(ids)] == ids
    # What the adapter will write, taken apart as the gate does it, is the answer alone.
    parts = split_reasoning(completion, prompt)
    assert parts.answer.lstrip().startswith("It is 4.")
    assert not parts.reasoning


def test_an_answer_behind_an_opened_reasoning_closes_it(letters, shipped):
    tokenizer = letters(shipped("deepseek_r1_distill"), eos="<｜end▁of▁sentence｜>")
    prompt, completion = render_example(tokenizer, ASKED, "4", GenerationSettings())
    assert prompt.endswith("<｜Assistant｜><think>\n")
    assert completion == "</think>\n\n4<｜end▁of▁sentence｜>"


def test_line_breaks_that_are_one_token_do_not_change_the_prompt(letters, shipped):
    """As in Qwen's tokenizers: the prompt ends with one line break and the answer would begin with another."""
    from tokenizers import AddedToken

    tokenizer = letters(shipped("qwen3_5_think"))
    tokenizer.add_tokens([AddedToken("\n\n", normalized=False)])
    prompt, completion = render_example(tokenizer, ASKED, "4", GenerationSettings())
    assert prompt.endswith("<think>\n")
    assert completion.startswith("</think>\n\n4")


def test_what_a_model_wrote_is_learnt_as_it_wrote_it(letters, shipped):
    tokenizer = letters(shipped("qwen3"))
    wrote = "<think>\nhm\n</think>\n\n4"
    prompt, completion = render_written(tokenizer, ASKED, wrote, GenerationSettings())
    assert prompt.endswith("<|im_start|>assistant\n")
    assert completion == wrote + "<|im_end|>\n"
    harmony = letters(shipped("gptoss"))
    wrote = "<|channel|>analysis<|message|>hm<|end|><|start|>assistant<|channel|>final<|message|>4"
    assert render_written(harmony, ASKED, wrote, GenerationSettings())[1] == wrote + "<|return|>"


def test_a_template_that_writes_something_else_once_answered_is_refused(letters):
    template = (
        "{% if add_generation_prompt %}ask{% else %}told{% endif %}"
        "{% for m in messages %}{{ m.content }}{% endfor %}"
    )
    with pytest.raises(PromptError, match="another conversation once it is answered"):
        render_example(letters(template), ASKED, "4", GenerationSettings())


def test_a_template_without_answers_teaches_none(letters):
    with pytest.raises(PromptError, match="leaves the answer out"):
        render_written(letters("{{ messages[0].content }}"), ASKED, "4", GenerationSettings())


def test_a_manifest_tells_how_its_conversations_were_rendered():
    settings = training_settings(
        TrainingManifest(config={"chat_template_kwargs": {"enable_thinking": False}, "date": "2025-01-02"})
    )
    assert (settings.chat_template_kwargs, settings.date) == ({"enable_thinking": False}, "2025-01-02")
    assert (
        training_settings(None)
        == training_settings(TrainingManifest(config={"base": "x"}))
        == GenerationSettings()
    )


@pytest.mark.parametrize(
    ("name", "end"),
    [
        ("qwen3", "<|im_start|>assistant\n<think>\n\n</think>\n\n"),
        ("qwen3_5_think", "<think>\n\n</think>\n\n"),
        ("deepseek_r1_distill", "<｜Assistant｜><think>\n</think>\n\n"),
        ("gptoss", "<|start|>assistant<|channel|>final<|message|>"),
        ("gemma", "<start_of_turn>model\n"),
    ],
)
def test_a_direct_prompt_ends_where_the_answer_itself_begins(name, end, letters, shipped):
    asked = (Message(role="user", content="What is 2 + 2?"),)
    prompt = render_direct(letters(shipped(name)), asked, GenerationSettings())
    assert prompt.text.endswith(end)


def test_a_direct_prompt_without_a_template_is_the_plain_one(letters):
    tokenizer = letters(adds_bos=True)
    asked = (Message(role="user", content="2 + 2 ="),)
    assert render_direct(tokenizer, asked, GenerationSettings()) == render_prompt(
        tokenizer, asked, GenerationSettings()
    )


QUESTION = (Message(role="user", content="What is 2 + 2?"),)


@pytest.mark.parametrize(
    ("name", "kwargs", "added"),
    [
        ("qwen3", {}, "<think>\n\n</think>\n\n"),
        # The template has written the empty reasoning into the prompt already.
        ("qwen3", {"enable_thinking": False}, ""),
        ("qwen3_5_think", {}, "\n</think>\n\n"),
        ("deepseek_r1_distill", {}, "</think>\n\n"),
        ("gptoss", {}, "<|channel|>final<|message|>"),
        ("gemma", {}, ""),
    ],
)
def test_a_reference_is_scored_where_the_answer_begins(name, kwargs, added, letters, shipped):
    tokenizer, settings = letters(shipped(name)), GenerationSettings(chat_template_kwargs=kwargs)
    prompt = render_prompt(tokenizer, QUESTION, settings)
    begun = render_begun(tokenizer, QUESTION, settings, ["4"])
    assert begun.text == prompt.text + added
    assert begun.tokens == len(text_ids(tokenizer, begun.text))
    if not added:
        # So what is stored of such a model stays valid.
        assert begun == prompt


@pytest.mark.parametrize("name", TEMPLATES)
def test_an_answer_begins_where_it_is_learnt(name, letters, shipped):
    """With every template: what is between the prompt and the answer is white space, or in the prompt."""
    tokenizer = letters(shipped(name))
    begun = render_begun(tokenizer, QUESTION, GenerationSettings(), ["4"])
    prompt, learnt = render_example(tokenizer, ASKED, "ANSWER", GenerationSettings())
    left = (prompt + learnt.partition("ANSWER")[0]).removeprefix(begun.text)
    assert not left.strip()
    assert split_reasoning("ANSWER", begun.text[len(prompt) :]).answer == "ANSWER"


@pytest.mark.parametrize(
    "text", ["<think>\nhm\n</think>\n\n4", "hm\n</think>\n\n4", "<|channel|>final<|message|>4"]
)
def test_a_reference_with_marks_of_its_own_is_scored_behind_the_prompt(text, letters, shipped):
    tokenizer = letters(shipped("qwen3"))
    prompt = render_prompt(tokenizer, QUESTION, GenerationSettings())
    assert render_begun(tokenizer, QUESTION, GenerationSettings(), ["4", text]) == prompt
    whole = GenerationSettings(score_reasoning=True)
    assert render_begun(tokenizer, QUESTION, whole, ["4"]) == prompt


def test_a_template_that_refuses_an_answered_conversation_closes_what_it_opened():
    assert before_answer("user: 2 + 2\n<think>\n", None) == "</think>\n\n"
    assert before_answer("user: 2 + 2\nassistant:", None) == ""


def test_what_a_template_leaves_out_is_no_mark():
    """Nor is white space, or the beginning of a turn, which a bare script's prompt lacks as well."""
    assert before_answer("a:", "a: told") == ""
    assert before_answer("ASSISTANT:", "ASSISTANT: STANDS-IN-FOR-AN-ANSWER</s>") == ""
    assert before_answer("<end>\n", "<end>\n<start>assistant\nSTANDS-IN-FOR-AN-ANSWER<end>") == ""
    assert before_answer("x", "x<|START_RESPONSE|>STANDS-IN-FOR-AN-ANSWER") == "<|START_RESPONSE|>"
