"""An answered conversation as a trainer learns it: behind the very prompt that the gate asks."""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

from harness.errors import PromptError
from harness.prompts.reasoning import closing_of, opened_tag, split_reasoning
from harness.prompts.rendering import RenderedPrompt, render_prompt, text_ids
from harness.prompts.template import write_chat
from harness.types import PINNED_DATE, GenerationSettings, Message
from harness.types.training import TrainingManifest

_STAND_IN = "STANDS-IN-FOR-AN-ANSWER"


def render_example(
    tokenizer: Any, turns: Sequence[Mapping[str, str]], answer: str, settings: GenerationSettings
) -> tuple[str, str]:
    """Prompt and answer as text, with all special tokens written out.

    The prompt is what ``render_prompt`` gives. Most templates write the answer behind it. Where one leaves
    out what the prompt ends with (DeepSeek-R1's opens a reasoning, which an answered conversation hasn't),
    the answer closes it first.

    Args:
        tokenizer: With a chat template.
        turns: The conversation before the answer, mappings with ``role`` and ``content``.
        answer: The assistant's last turn.
        settings: As for ``render_prompt``.

    Returns:
        The prompt, and the text to learn after it, with the mark that ends a turn.

    Raises:
        PromptError: The template refuses the conversation, or writes another one once it is answered.
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
    """A prompt behind which the answer itself comes next: a reasoning that it would begin with is closed.

    Args:
        tokenizer: The model's.
        messages: The conversation.
        settings: As for ``render_prompt``.

    Raises:
        PromptError: The chat template refuses the conversation, or writes another one once it is answered.
    """
    if tokenizer.chat_template is None:
        return render_prompt(tokenizer, messages, settings)
    turns = [{"role": message.role, "content": message.content} for message in messages]
    prompt, completion = render_example(tokenizer, turns, _STAND_IN, settings)
    text = prompt + completion.partition(_STAND_IN)[0]
    return RenderedPrompt(text=text, tokens=len(text_ids(tokenizer, text)))


def render_answered(tokenizer: Any, turns: Sequence[Mapping[str, str]], settings: GenerationSettings) -> str:
    """A conversation that ends with the assistant's answer, as render_example writes it.

    Args:
        tokenizer: With a chat template.
        turns: The conversation.
        settings: Values for the template.

    Raises:
        PromptError: As there.
    """
    return "".join(render_example(tokenizer, turns[:-1], turns[-1]["content"], settings))


def render_written(
    tokenizer: Any, turns: Sequence[Mapping[str, str]], written: str, settings: GenerationSettings
) -> tuple[str, str]:
    """As render_example, for all that a model wrote behind the prompt, marks of its reasoning included.

    Args:
        tokenizer: With a chat template.
        turns: The conversation, without the answer.
        written: What the model wrote.
        settings: Values for the template.

    Returns:
        The prompt, and the text behind it with the end that the template writes.

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
    """How the conversations were rendered that a manifest tells of; as usual where there is none."""
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
    """The completion so that the prompt's tokens stay what they are when it is asked alone.

    A line break that ends the prompt and one that begins the completion may be one token together.
    """
    asked = text_ids(tokenizer, prompt)
    if text_ids(tokenizer, prompt + completion)[: len(asked)] == asked:
        return completion
    bare = completion.lstrip()
    kept = text_ids(tokenizer, prompt + bare)[: len(asked)] == asked
    return bare if kept else completion


def _is_whole_reasoning(text: str) -> bool:
    """Whether a text is one reasoning with nothing behind it, such as an empty one."""
    parts = split_reasoning(text, "")
    return parts.reasoning is not None and not parts.answer.strip()
