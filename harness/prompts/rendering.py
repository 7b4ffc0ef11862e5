"""The one function that renders a prompt."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.errors import PromptError
from harness.prompts.template import write_chat
from harness.types import GenerationSettings, Message


@dataclass(frozen=True, slots=True, kw_only=True)
class RenderedPrompt:
    """What a model is asked, as it is asked.

    Attributes:
        text: The conversation as the chat template writes it, or plain text for a model without one.
        begin: What the tokenizer itself puts before plain text, such as ``<s>``. A template writes its own.
        tokens: Length in tokens, ``begin`` included.
    """

    text: str
    begin: str = ""
    tokens: int

    @property
    def shown(self) -> str:
        """All of it, as text."""
        return self.begin + self.text

    @property
    def sha256(self) -> str:
        """Hash of all of it."""
        return hashlib.sha256(self.shown.encode("utf-8", "surrogatepass")).hexdigest()


def render_prompt(
    tokenizer: Any, messages: Sequence[Message], settings: GenerationSettings
) -> RenderedPrompt:
    """Write a conversation as the model is to read it.

    Args:
        tokenizer: The model's, as ``load_tokenizer`` gives it.
        messages: The conversation, which the model's answer goes on from.
        settings: Its ``chat_template_kwargs`` and ``date`` are what a template may read.

    Raises:
        PromptError: The chat template refuses the conversation or can't be run, nothing is asked, or the
            prompt would begin twice.
    """
    if tokenizer.chat_template is None:
        # A model without a chat template continues plain text.
        text = "\n".join(message.content for message in messages)
        begin_ids = _begin_ids(tokenizer, text)
        begin = str(tokenizer.decode(begin_ids)) if begin_ids else ""
    else:
        turns = [{"role": message.role, "content": message.content} for message in messages]
        text = write_chat(tokenizer, turns, settings.chat_template_kwargs, settings.date, for_answer=True)
        begin, begin_ids = "", []
    ids = [*begin_ids, *text_ids(tokenizer, text)]
    if not ids:
        raise PromptError("the prompt is empty; write what is asked")
    if tokenizer.bos_token_id is not None and ids[:2] == [tokenizer.bos_token_id] * 2:
        raise PromptError(
            f"it begins with {tokenizer.bos_token} twice: the chat template writes it already; "
            f"leave it out of the messages"
        )
    return RenderedPrompt(text=text, begin=begin, tokens=len(ids))


def prompt_ids(tokenizer: Any, prompt: RenderedPrompt) -> list[int]:
    """The tokens of a rendered prompt.

    Args:
        tokenizer: The model's.
        prompt: The prompt, rendered.

    Returns:
        Token ids, the begin token first where the prompt has one.
    """
    begin = _begin_ids(tokenizer, prompt.text) if prompt.begin else []
    return [*begin, *text_ids(tokenizer, prompt.text)]


def text_ids(tokenizer: Any, text: str) -> list[int]:
    """The tokens of a text that has its special tokens written in it, or needs none.

    Args:
        tokenizer: The model's.
        text: The text.

    Returns:
        Token ids.
    """
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


def begin_ids(tokenizer: Any) -> list[int]:
    """The tokens that the tokenizer puts before a text on its own."""
    return _begin_ids(tokenizer, "a")


def _begin_ids(tokenizer: Any, text: str) -> list[int]:
    """The tokens before the text's own tokens; none where the text itself begins with the BOS token.

    What some tokenizers put behind it (an end token) would tell a model that the text is over.
    """
    own, whole = text_ids(tokenizer, text), list(tokenizer(text)["input_ids"])
    if own and own[0] == tokenizer.bos_token_id:
        return []
    for place in range(len(whole) - len(own) + 1):
        if whole[place : place + len(own)] == own:
            return whole[:place]
    return []
