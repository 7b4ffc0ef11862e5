"""Rendered prompts: as transformers renders them, on a pinned day, with one BOS, or refused in one line."""

from importlib.resources import files

import pytest

from harness.errors import PromptError
from harness.prompts.rendering import begin_ids, pin_date, prompt_ids, render_prompt, text_ids
from harness.types import GenerationSettings, Message

TEMPLATES = sorted(
    path.name.removesuffix(".jinja")
    for path in (files("trl") / "chat_templates").iterdir()
    if path.name.endswith(".jinja")
)

# Templates of models with images: given a plain text, they break or write nothing.
READ_PARTS = {"idefics3", "llava_next", "smolvlm"}


def said(*turns):
    return tuple(Message(role=role, content=content) for role, content in turns)


def render(tokenizer, messages, settings=None):
    return render_prompt(tokenizer, messages, settings or GenerationSettings())


ASKED = said(("user", "What is 2 + 2?"))


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_prompt_is_what_transformers_renders(name, letters, shipped):
    tokenizer = letters(shipped(name))
    turns = [{"role": "user", "content": "What is 2 + 2?"}]
    if name.removesuffix("_training") in READ_PARTS:
        turns = [{"role": "user", "content": [{"type": "text", "text": "What is 2 + 2?"}]}]
    bare = tokenizer.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    prompt = render_prompt(tokenizer, ASKED, GenerationSettings())
    assert "What is 2 + 2?" in prompt.text
    if "strftime_now" not in shipped(name):
        assert prompt.text == bare
    assert prompt_ids(tokenizer, prompt) == tokenizer(prompt.text, add_special_tokens=False)["input_ids"]
    assert prompt.tokens == len(prompt_ids(tokenizer, prompt))


@pytest.mark.parametrize("name", ["llama3_2", "gptoss", "muse_glimmer"])
def test_the_date_is_the_pinned_one_whatever_the_clock_says(name, letters, shipped, monkeypatch):
    from transformers.utils import chat_template_utils

    class LaterDay:
        @staticmethod
        def now():
            raise AssertionError("the template read the clock")

    monkeypatch.setattr(chat_template_utils, "datetime", LaterDay)
    tokenizer = letters(shipped(name))
    usual = render(tokenizer, ASKED).text
    other = render_prompt(tokenizer, ASKED, GenerationSettings(date="2031-02-03")).text
    assert ("26 Jul 2024" in usual) or ("2024-07-26" in usual)
    assert ("03 Feb 2031" in other) or ("2031-02-03" in other)


@pytest.mark.parametrize(
    "form", ["%d %b %Y", "%Y-%m-%d", "%B %-d, %Y", "%A %H:%M", "on %x", "%%d %%%d %h", "%C %g %P %k|%l"]
)
def test_a_pinned_day_follows_any_format(form, letters):
    import datetime

    tokenizer = letters("{% set f = '" + form + "' %}{{ strftime_now(f) }}{{ messages[0].content }}")
    written = render_prompt(tokenizer, ASKED, GenerationSettings(date="2025-03-09")).text
    assert written == datetime.datetime(2025, 3, 9).strftime(form) + "What is 2 + 2?"


def test_seconds_since_1970_are_those_of_the_pinned_day_on_every_machine(letters):
    tokenizer = letters("{{ strftime_now('%s') }}{{ messages[0].content }}")
    assert render(tokenizer, ASKED).text == "1721952000What is 2 + 2?"  # 2024-07-26, UTC


@pytest.mark.parametrize("drawn", ["{{ range(10000) | random }}", "{{ lipsum(n=1) }}"])
def test_a_template_that_draws_is_refused_unless_it_shows_nothing_of_it(drawn, letters):
    with pytest.raises(PromptError, match=r"writes another prompt each time \(random or lipsum\)"):
        render(letters(drawn + "{{ messages[0].content }}"), ASKED)
    hidden = "{% if tools %}" + drawn + "{% endif %}{{ messages[0].content }} at random"
    assert render(letters(hidden), ASKED).text == "What is 2 + 2? at random"


def test_pinning_changes_nothing_else(letters):
    template = "\n  {% if strftime_now is defined %}\n  x\n{% endif %}\n  {{ messages[0].content }}"
    tokenizer = letters(template)
    turns = [{"role": "user", "content": "w"}]
    assert tokenizer.apply_chat_template(
        turns, chat_template=pin_date(template, "2024-01-01"), tokenize=False
    ) == tokenizer.apply_chat_template(turns, tokenize=False)


def test_values_for_the_template_are_handed_over(letters, shipped):
    tokenizer = letters(shipped("qwen3"))
    off = GenerationSettings(chat_template_kwargs={"enable_thinking": False})
    assert render(tokenizer, ASKED).text.endswith("<|im_start|>assistant\n")
    assert render_prompt(tokenizer, ASKED, off).text.endswith("<think>\n\n</think>\n\n")


@pytest.mark.parametrize(
    ("name", "messages", "named", "remedy"),
    [
        (
            "gemma",
            said(("system", "Be brief."), ("user", "w1")),
            "System role not supported",
            "leave the system",
        ),
        (
            "mistral",
            said(("system", "Be brief."), ("user", "w1")),
            "roles must alternate",
            "leave the system",
        ),
        ("gemma", said(("user", "a"), ("user", "b")), "must alternate", "take turns"),
        (
            "mistral",
            said(("user", "a"), ("assistant", "b"), ("assistant", "c"), ("user", "d")),
            "alternate",
            "turns",
        ),
    ],
)
def test_what_a_template_refuses_is_one_line(name, messages, named, remedy, letters, shipped, mistral):
    tokenizer = letters(mistral if name == "mistral" else shipped(name))
    with pytest.raises(PromptError) as refused:
        render(tokenizer, messages)
    assert named in str(refused.value)
    assert remedy in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("template", ["{% for %}", "{{ messages[0].content + 1 }}", "{{ nothing.at.all }}"])
def test_a_broken_template_is_told_with_what_to_fix(template, letters):
    with pytest.raises(PromptError, match=r"can't be run.*fix chat_template\.jinja"):
        render(letters(template), ASKED)


def test_several_templates_without_a_default_are_refused(letters):
    tokenizer = letters("x")
    tokenizer.chat_template = {"rag": "{{ messages[0].content }}"}
    with pytest.raises(PromptError, match="can't be run"):
        render(tokenizer, ASKED)
    tokenizer.chat_template = {"rag": "", "default": "{{ messages[0].content }}"}
    assert render(tokenizer, ASKED).text == "What is 2 + 2?"


def test_plain_text_gets_the_tokenizers_own_beginning_once(letters):
    tokenizer = letters(adds_bos=True)
    prompt = render(tokenizer, said(("system", "a"), ("user", "b")))
    assert (prompt.begin, prompt.text, prompt.shown) == ("<s>", "a\nb", "<s>a\nb")
    assert prompt_ids(tokenizer, prompt) == tokenizer("a\nb")["input_ids"]
    again = render(tokenizer, said(("user", "<s>b")))
    assert prompt_ids(tokenizer, again) == tokenizer("b")["input_ids"]
    assert begin_ids(tokenizer) == [tokenizer.bos_token_id]


def test_plain_text_of_a_tokenizer_that_adds_nothing_stays_bare(letters):
    tokenizer = letters()
    prompt = render(tokenizer, said(("user", "b")))
    assert (prompt.begin, prompt.tokens) == ("", 1)
    assert begin_ids(tokenizer) == []


@pytest.mark.parametrize("single", ["<s> $A </s>", "$A </s>", "<s> $A </s> </s>"])
def test_a_tokenizer_that_ends_every_text_is_refused_without_a_template(letters, single):
    """What such a model is asked is finished: an answer to it would be another text's."""
    from tokenizers import processors

    tokenizer = letters(adds_bos=True)
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=[("<s>", 2), ("</s>", 3)]
    )
    with pytest.raises(
        PromptError, match=r"no chat template, and its tokenizer puts '</s>.* add_eos_token to false"
    ):
        render(tokenizer, said(("user", "b")))
    tokenizer.chat_template = "{{ messages[0].content }}"
    assert prompt_ids(tokenizer, render(tokenizer, said(("user", "b")))) == text_ids(tokenizer, "b")


def test_a_tokenizer_that_fails_is_one_line(letters):
    tokenizer = letters("{{ messages[0].content }}")
    tokenizer.model_max_length = "512"
    with pytest.raises(
        PromptError, match=r"the tokenizer can't read it: TypeError: .*; save the tokenizer again"
    ):
        render(tokenizer, ASKED)


CHANGING = {
    "upper": "{% for m in messages %}[{{ m.content | upper }}]{% endfor %}",
    "title": "{% for m in messages %}[{{ m.content | title }}]{% endfor %}",
    "escaped": "{% for m in messages %}[{{ m.content | e }}]{% endfor %}",
    "json": "{{ messages | tojson }}",
    "replaced": "{% for m in messages %}[{{ m.content | replace('a', 'b') }}]{% endfor %}",
    "reversed": "{% for m in messages %}[{{ m.content | reverse }}]{% endfor %}",
}


@pytest.mark.parametrize("template", CHANGING.values(), ids=CHANGING)
def test_a_template_may_write_a_message_with_other_letters(template, letters):
    """The rendered prompt is the truth: it follows every part of the message."""
    tokenizer = letters(template)
    asked = 'Say <a> & "b"\nat once'
    bare = [{"role": "user", "content": asked}]
    assert render(tokenizer, said(("user", asked))).text == tokenizer.apply_chat_template(
        bare, tokenize=False
    )


@pytest.mark.parametrize(
    "template",
    [
        "{{ messages[0].content[:5] | upper }}",
        "{{ messages[0].content[-5:] | upper }}",
        "{{ messages[0].content[:3] }}{{ messages[0].content[-3:] }}",
        "{{ messages[0].content | length }}",
        "{% for letter in messages[0].content %}.{% endfor %}",
        "{{ messages[0].content.split()[0] | upper }}",
        "user: hello",
    ],
)
def test_a_template_that_loses_a_part_of_a_message_is_refused(template, letters):
    with pytest.raises(PromptError, match="leaves the user message out"):
        render(letters(template), ASKED)


def test_a_template_that_writes_bos_gets_no_second_one(letters, shipped):
    tokenizer = letters(shipped("gemma"), adds_bos=True)
    ids = prompt_ids(tokenizer, render(tokenizer, ASKED))
    assert ids.count(tokenizer.bos_token_id) == 1
    twice = letters("{{ bos_token }}{{ messages[0].content }}")
    with pytest.raises(PromptError, match="begins with <s> twice"):
        render(twice, said(("user", "<s>b")))


def test_a_template_that_refuses_without_a_reason_is_told_too(letters):
    with pytest.raises(PromptError, match="refuses it: it gives no reason; change the conversation"):
        render(letters("{{ raise_exception('') }}"), ASKED)


def test_an_empty_prompt_is_refused(letters):
    with pytest.raises(PromptError, match="empty"):
        render(letters("{{ messages[0].content }}"), said(("user", "")))


def test_the_hash_tells_prompts_apart(letters):
    tokenizer = letters("{{ messages[0].content }}")
    one, two = (render(tokenizer, said(("user", text))) for text in ("a", "b"))
    assert one.sha256 != two.sha256
    assert one.sha256 == render(tokenizer, said(("user", "a"))).sha256


def test_a_template_that_leaves_a_message_out_is_refused(letters):
    only_users = "{% for m in messages if m.role == 'user' %}{{ m.content }}{% endfor %}"
    with pytest.raises(
        PromptError, match="leaves the system message out; leave the system message out or put"
    ):
        render(letters(only_users), said(("system", "Be brief."), ("user", "w1")))


def test_what_a_template_trims_is_not_left_out(letters):
    trims = "{% for m in messages %}{{ m.content | trim }}{% endfor %}"
    assert render(letters(trims), said(("user", "  a\nb "))).text == "a\nb"
    thoughtless = "{% for m in messages %}{{ m.content.split('</think>')[-1] }}{% endfor %}"
    earlier = said(("user", "a"), ("assistant", "<think>b</think>c"), ("user", "d"))
    assert render(letters(thoughtless), earlier).text == "acd"
