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
    """A prompt in the model's own form.

    Attributes:
        text: The conversation rendered by the chat template, or plain text for a model without one.
        begin: The tokenizer's beginning of plain text, such as ``<s>``. A template writes its own.
        tokens: Length in tokens, including ``begin``.
        ids: The tokens themselves, of a prompt that came as tokens: its text may be read as other ones.
    """

    text: str
    begin: str = ""
    tokens: int
    ids: tuple[int, ...] = ()

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
    """Render a conversation for the model.

    Args:
        tokenizer: The model's, as ``load_tokenizer`` gives it.
        messages: The conversation before the model's answer.
        settings: Its ``chat_template_kwargs`` and ``date`` are what a template may read.

    Raises:
        PromptError: The chat template refuses the conversation or can't be run, the prompt is empty, or it
            would begin twice.
    """
    if tokenizer.chat_template is None:
        if settings.tools:
            raise PromptError("the model has no chat template, so it can't be given tools; leave them out")
        # A model without a chat template continues plain text.
        text = "\n".join(message.content for message in messages)
        begin_ids = _begin_ids(tokenizer, text)
        begin = str(tokenizer.decode(begin_ids)) if begin_ids else ""
    else:
        text = write_chat(
            tokenizer,
            chat_turns(messages),
            settings.chat_template_kwargs,
            settings.date,
            for_answer=True,
            tools=settings.tools,
        )
        begin, begin_ids = "", []
    ids = [*begin_ids, *text_ids(tokenizer, text)]
    if not ids:
        raise PromptError("the prompt is empty; write a prompt")
    if tokenizer.bos_token_id is not None and ids[:2] == [tokenizer.bos_token_id] * 2:
        raise PromptError(
            f"it begins with {tokenizer.bos_token} twice: the chat template writes it already; "
            f"leave it out of the messages"
        )
    return RenderedPrompt(text=text, begin=begin, tokens=len(ids))


def plain_prompt(tokenizer: Any, text: str | Sequence[int]) -> RenderedPrompt:
    """The prompt of a text that the model continues as it is, without a chat template.

    Args:
        tokenizer: The model's.
        text: The text, or its tokens.

    Raises:
        PromptError: It is empty, or a token is none of the model's.
    """
    if isinstance(text, str):
        begin_of = _begin_ids(tokenizer, text)
        begin = str(tokenizer.decode(begin_of)) if begin_of else ""
        ids = [*begin_of, *text_ids(tokenizer, text)]
    else:
        begin, ids = "", list(text)
        if unknown := [token for token in ids if not 0 <= token < len(tokenizer)]:
            raise PromptError(f"the prompt has token {unknown[0]}, and the model {len(tokenizer)} tokens")
        text = str(tokenizer.decode(ids))
    if not ids:
        raise PromptError("the prompt is empty; write a prompt")
    return RenderedPrompt(text=text, begin=begin, tokens=len(ids), ids=tuple(ids))


def chat_turns(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """A conversation as chat templates read it; a tool's results have the ids of the calls before them."""
    turns: list[dict[str, Any]] = []
    waiting: list[tuple[str, str]] = []
    for message in messages:
        turn: dict[str, Any] = {"role": message.role, "content": message.content}
        if message.tool_calls:
            # Nine letters and digits: Mistral's templates refuse other ids.
            first = len(turns) * 100
            waiting = [(f"call{first + n:05d}", call.name) for n, call in enumerate(message.tool_calls)]
            turn["tool_calls"] = [
                {
                    "id": call_id,
                    "type": "function",
                    "function": {"name": call.name, "arguments": dict(call.arguments)},
                }
                for (call_id, _), call in zip(waiting, message.tool_calls, strict=True)
            ]
        if message.role == "tool":
            place = next((n for n, (_, name) in enumerate(waiting) if message.name in {None, name}), None)
            call_id, name = ("", message.name) if place is None else waiting.pop(place)
            turn |= {"name": name, "tool_call_id": call_id}
        turns.append(turn)
    return turns


def prompt_ids(tokenizer: Any, prompt: RenderedPrompt) -> list[int]:
    """The tokens of a rendered prompt.

    Args:
        tokenizer: The model's.
        prompt: The prompt, rendered.

    Returns:
        Token ids, with the begin token first if the prompt has one.
    """
    if prompt.ids:
        return list(prompt.ids)
    begin = _begin_ids(tokenizer, prompt.text) if prompt.begin else []
    return [*begin, *text_ids(tokenizer, prompt.text)]


def text_ids(tokenizer: Any, text: str) -> list[int]:
    """The tokens of a text that contains its special tokens, or needs none.

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

    An end token, which some tokenizers add after a text, would mean that the text is finished.
    """
    own, whole = text_ids(tokenizer, text), list(tokenizer(text)["input_ids"])
    if own and own[0] == tokenizer.bos_token_id:
        return []
    for place in range(len(whole) - len(own) + 1):
        if whole[place : place + len(own)] == own:
            return whole[:place]
    return []
