"""Tiny models of real architectures, with word tokenizers and real chat templates."""

import re
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

WORDS = [f"w{i}" for i in range(50)] + [
    *("the", "a", "cat", "sat", "on", "mat", "what", "is", "one", "two", "three")
]
_MARKS = re.compile(r"<[|｜]?[\w/:▁-]+[|｜]?>|\[/?[A-Z_]+\]")
# What every tokenizer holds first, so that one configuration serves all templates.
PAD, UNKNOWN, BOS, EOS = 0, 1, 2, 3
FIRST = ["<pad>", "<unk>", "<bos>", "<eos>"]
# Room for the marks of every template, and for tokens that an adapter adds.
VOCABULARY = 128
CHATML = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
MISTRAL = (
    "{{ bos_token }}{% for message in messages %}"
    "{% if (message.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if message.role == 'user' %}[INST] {{ message.content }} [/INST]"
    "{% elif message.role == 'assistant' %} {{ message.content }}{{ eos_token }}"
    "{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"
)


@dataclass(frozen=True)
class Family:
    """A kind of model.

    Attributes:
        config_class: transformers' configuration class.
        config: Its values, small.
        template: A file of TRL's chat templates, a template itself, or None for plain text.
        begins: Whether the tokenizer writes a BOS before plain text.
        text_config: Values of the text part's configuration, for models of pictures and text.
    """

    name: str
    config_class: str
    config: dict = field(default_factory=dict)
    template: str | None = None
    begins: bool = False
    text_config: dict | None = None


def chat_template(family: Family) -> str | None:
    """The family's template as text."""
    if family.template is None or "{" in family.template:
        return family.template
    return (files("trl") / "chat_templates" / f"{family.template}.jinja").read_text(encoding="utf-8")


def tokenizer_of(family: Family, *, eos: str = "<eos>", added: tuple[str, ...] = ()):
    """A word tokenizer that knows the marks of the family's template as special tokens."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    template = chat_template(family)
    marks = [mark for mark in dict.fromkeys(_MARKS.findall(template or "")) if mark not in FIRST]
    words = [*FIRST, *marks, *WORDS]
    assert len(words) <= VOCABULARY, f"{family.name}: {len(words)} tokens"
    words += [f"x{i}" for i in range(VOCABULARY - len(words))]
    words += added
    tokenizer = Tokenizer(
        models.WordLevel({word: place for place, word in enumerate(words)}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    if family.begins:
        tokenizer.post_processor = processors.TemplateProcessing(
            single="<bos> $A", pair="<bos> $A $B", special_tokens=[("<bos>", BOS)]
        )
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token="<pad>",
        unk_token="<unk>",
        bos_token="<bos>",
        eos_token=eos,
        additional_special_tokens=marks,
        model_max_length=512,
    )
    fast.chat_template = template
    return fast


def save_base(family: Family, directory: Path, *, seed: int = 0) -> Path:
    """Write a model of the family, with random weights large enough for answers to vary."""
    import torch
    import transformers

    special = {"pad_token_id": PAD, "bos_token_id": BOS, "eos_token_id": EOS}
    if family.text_config is None:
        config = getattr(transformers, family.config_class)(
            **{"vocab_size": VOCABULARY, **special, **family.config}
        )
    else:
        text = {"vocab_size": VOCABULARY, **special, **family.text_config}
        config = getattr(transformers, family.config_class)(text_config=text, **special, **family.config)
    torch.manual_seed(seed)
    known = type(config) in transformers.MODEL_FOR_CAUSAL_LM_MAPPING
    auto = transformers.AutoModelForCausalLM if known else transformers.AutoModelForImageTextToText
    model = auto.from_config(config).float()
    if model.get_output_embeddings().weight is model.get_input_embeddings().weight:
        # Else a tied model says each token again and again.
        model.get_input_embeddings().weight.data.mul_(0.1)
    for key, value in special.items():
        setattr(model.generation_config, key, value)
    model.save_pretrained(directory)
    tokenizer_of(family).save_pretrained(directory)
    return directory
