"""Tiny tokenizers that know letters and a template's special tokens."""

import re
from importlib.resources import files

import pytest

MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}"
    "{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)
_MARK = re.compile(r"<\|[^|<>]+\|>|</?think>|<｜[^｜]+｜>|<(?:start|end)_of_turn>|<\|channel>|<channel\|>")


def shipped(name):
    """A real model's chat template, as TRL ships it."""
    return (files("trl") / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")


def letters(template=None, *, bos="<s>", eos="</s>", adds_bos=False, plain_marks=("<think>", "</think>")):
    """A tokenizer of single characters, with every mark that the template names as a token."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    characters = [chr(code) for code in range(32, 127)] + ["\n", "\t"]
    vocabulary = {text: index for index, text in enumerate(["<pad>", "<unk>", bos, eos, *characters])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), "isolated")
    inner.decoder = decoders.Fuse()
    if adds_bos:
        inner.post_processor = processors.TemplateProcessing(single=f"{bos} $A", special_tokens=[(bos, 2)])
    fast = PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token="<pad>", unk_token="<unk>", bos_token=bos, eos_token=eos
    )
    marks = sorted(set(_MARK.findall(template or "")) - {bos, eos})
    fast.add_tokens([AddedToken(mark, special=mark not in plain_marks, normalized=False) for mark in marks])
    fast.chat_template = template
    return fast


@pytest.fixture(name="letters", scope="session")
def letters_fixture():
    """The function that makes tokenizers."""
    return letters


@pytest.fixture(name="shipped", scope="session")
def shipped_fixture():
    """The function that reads shipped templates."""
    return shipped


@pytest.fixture(scope="session")
def mistral():
    """Mistral's template, which TRL doesn't ship."""
    return MISTRAL
