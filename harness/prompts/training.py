"""An answered conversation for a trainer: the answer after exactly the prompt of the gate."""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from harness.errors import PromptError
from harness.prompts.reasoning import closing_of, opened_tag, split_reasoning
from harness.prompts.rendering import RenderedPrompt, chat_turns, render_prompt, text_ids, write_chat
from harness.types import PINNED_DATE, GenerationSettings, Message
from harness.types.training import TrainingManifest

_STAND_IN = "STANDS-IN-FOR-AN-ANSWER"


def render_example(
    tokenizer: Any, turns: Sequence[Mapping[str, str]], answer: str, settings: GenerationSettings
) -> tuple[str, str]:
    """Prompt and answer as text, with all special tokens written out.

    The prompt is that of ``render_prompt``. Most templates write the answer after it. If a template leaves
    out the end of the prompt (DeepSeek-R1's opens a reasoning, which an answered conversation does not have),
    the answer closes it first.

    Args:
        tokenizer: A tokenizer with a chat template.
        turns: The conversation before the answer, mappings with ``role`` and ``content``.
        answer: The assistant's last turn.
        settings: As for ``render_prompt``.

    Returns:
        The prompt, and the text to learn after it, with the mark that ends a turn.

    Raises:
        PromptError: The template refuses the conversation, or renders it differently with an answer.
    """
    prompt = _written(tokenizer, turns, settings, for_answer=True)
    whole = _written(tokenizer, [*turns, {"role": "assistant", "content": answer}], settings)
    if whole.startswith(prompt):
        return prompt, _behind(tokenizer, prompt, whole[len(prompt) :])
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(prompt, whole, strict=False)))
    left_out, rest = prompt[shared:], whole[shared:].lstrip()
    opening = opened_tag(prompt)
    if opening is not None and left_out.strip() == opening:
        return prompt, f"{closing_of(opening)}\n\n{rest}"
    if left_out.strip() and not _is_whole_reasoning(left_out):
        raise PromptError(
            "the chat template writes another conversation once it is answered, so that what is learnt is "
            f"not what will be asked: the prompt ends with {left_out[:40]!r}, the answer begins "
            f"{rest[:40]!r}; give chat_template_kwargs with which both agree, or another template"
        )
    return prompt, rest


def render_direct(
    tokenizer: Any, messages: Sequence[Message], settings: GenerationSettings
) -> RenderedPrompt:
    """A prompt that is followed directly by the answer: an opened reasoning is closed.

    Args:
        tokenizer: The model's.
        messages: The conversation.
        settings: As for ``render_prompt``.

    Raises:
        PromptError: The chat template refuses the conversation, or renders it differently with an answer.
    """
    if tokenizer.chat_template is None:
        return render_prompt(tokenizer, messages, settings)
    turns = chat_turns(messages)
    prompt, completion = render_example(tokenizer, turns, _STAND_IN, settings)
    text = prompt + completion.partition(_STAND_IN)[0]
    return RenderedPrompt(text=text, tokens=len(text_ids(tokenizer, text)))


def render_answered(tokenizer: Any, turns: Sequence[Mapping[str, str]], settings: GenerationSettings) -> str:
    """A conversation with the assistant's answer at the end, rendered as by render_example.

    Args:
        tokenizer: A tokenizer with a chat template.
        turns: The conversation.
        settings: Values for the template.

    Raises:
        PromptError: As in render_example.
    """
    return "".join(render_example(tokenizer, turns[:-1], turns[-1]["content"], settings))


def render_written(
    tokenizer: Any, turns: Sequence[Mapping[str, str]], written: str, settings: GenerationSettings
) -> tuple[str, str]:
    """As render_example, for a model's whole text after the prompt, including marks of its reasoning.

    Args:
        tokenizer: A tokenizer with a chat template.
        turns: The conversation, without the answer.
        written: The model's text.
        settings: Values for the template.

    Returns:
        The prompt, and the text after it with the template's end.

    Raises:
        PromptError: The template refuses the conversation, or leaves the answer out.
    """
    prompt = _written(tokenizer, turns, settings, for_answer=True)
    whole = _written(tokenizer, [*turns, {"role": "assistant", "content": _STAND_IN}], settings)
    _, found, end = whole.rpartition(_STAND_IN)
    if not found:
        raise PromptError("the chat template leaves the answer out; no answer can be learnt with it")
    return prompt, written + end


def training_settings(manifest: TrainingManifest | None) -> GenerationSettings:
    """The settings of rendering in a manifest; the defaults if there is none."""
    config = {} if manifest is None else manifest.config
    kwargs, date = config.get("chat_template_kwargs"), config.get("date")
    return GenerationSettings(
        chat_template_kwargs=kwargs if isinstance(kwargs, Mapping) else {},
        date=date if isinstance(date, str) else PINNED_DATE,
    )


def _written(
    tokenizer: Any,
    turns: Sequence[Mapping[str, str]],
    settings: GenerationSettings,
    *,
    for_answer: bool = False,
) -> str:
    return write_chat(tokenizer, turns, settings.chat_template_kwargs, settings.date, for_answer=for_answer)


def _behind(tokenizer: Any, prompt: str, completion: str) -> str:
    """The completion, changed if necessary so that the prompt has the same tokens as alone.

    A line break at the end of the prompt and one at the beginning of the completion may be one token.
    """
    asked = text_ids(tokenizer, prompt)
    if text_ids(tokenizer, prompt + completion)[: len(asked)] == asked:
        return completion
    bare = completion.lstrip()
    kept = text_ids(tokenizer, prompt + bare)[: len(asked)] == asked
    return bare if kept else completion


def _is_whole_reasoning(text: str) -> bool:
    """Whether a text is one reasoning with nothing after it, such as an empty one."""
    parts = split_reasoning(text, "")
    return parts.reasoning is not None and not parts.answer.strip()
