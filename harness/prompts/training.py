"""An answered conversation for a trainer: the answer after exactly the prompt of the gate."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from typing import Any

from harness.errors import PromptError
from harness.prompts.reasoning import bare_answer, closing_of, in_channels, opened_tag, split_reasoning
from harness.prompts.rendering import (
    RenderedPrompt,
    chat_turns,
    prompt_ids,
    render_prompt,
    text_ids,
    write_chat,
)
from harness.types import PINNED_DATE, GenerationSettings, Message
from harness.types.training import TrainingManifest

# What is rendered as an answer to see what a template writes before one.
STAND_IN = "STANDS-IN-FOR-AN-ANSWER"


def render_example(
    tokenizer: Any,
    turns: Sequence[Mapping[str, Any]],
    answer: str | Mapping[str, Any],
    settings: GenerationSettings,
) -> tuple[str, str]:
    """Prompt and answer as text, with all special tokens written out.

    The prompt is that of ``render_prompt``. Most templates write the answer after it. If a template leaves
    out the end of the prompt (DeepSeek-R1's opens a reasoning, which an answered conversation does not have),
    the answer closes it first; an answer with a reasoning then writes this before. Without a template the
    answer, which the end token ends, directly follows the plain prompt.

    Args:
        tokenizer: The model's.
        turns: The conversation before the answer, as chat templates read it.
        answer: The assistant's last turn: its text, or all of it, with calls of tools or a
            ``reasoning_content``.
        settings: As for ``render_prompt``.

    Returns:
        The prompt, and the text to learn after it, with the mark that ends a turn.

    Raises:
        PromptError: The template refuses the conversation, leaves a part of the answer out, or renders the
            conversation differently with an answer.
    """
    last = {"role": "assistant", **({"content": answer} if isinstance(answer, str) else answer)}
    if tokenizer.chat_template is None:
        return _plain_example(tokenizer, turns, last, settings)
    prompt = _written(tokenizer, turns, settings, for_answer=True)
    # Templates may take the reasoning out of the content, and set its tags anew.
    said = split_reasoning(str(last["content"]), "")
    reasoning = str(last.get("reasoning_content") or said.reasoning or "").strip()
    if said.reasoning is not None and opened_tag(prompt) is not None:
        # The prompt has the opening tag already.
        last |= {"content": said.answer, "reasoning_content": reasoning}
    whole = _written(tokenizer, [*turns, last], settings)
    if whole.startswith(prompt):
        learnt = _behind(tokenizer, prompt, whole[len(prompt) :])
    else:
        learnt = _after_another_end(prompt, whole, reasoning)
    dense = "".join(learnt.split())
    if "".join(reasoning.split()) not in dense:
        raise PromptError(
            f"the chat template leaves the answer's reasoning out ({reasoning[:40]!r}); write it into the "
            "content between <think> and </think>, or give another template"
        )
    if "".join(said.answer.split()) not in dense:
        raise PromptError(
            f"the chat template leaves a part of the answer out ({said.answer[:40]!r}); remove it from the "
            "row, or give another template"
        )
    return prompt, learnt


def _after_another_end(prompt: str, whole: str, reasoning: str) -> str:
    """The text to learn where the conversation with an answer doesn't begin with the whole prompt.

    Raises:
        PromptError: What is learnt would not be what will be asked.
    """
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(prompt, whole, strict=False)))
    left_out, rest = prompt[shared:], whole[shared:].lstrip()
    opening = opened_tag(prompt)
    if opening is not None and left_out.strip() == opening:
        thought = f"{reasoning}\n" if reasoning else ""
        return f"{thought}{closing_of(opening)}\n\n{rest}"
    if left_out.strip() and not _is_whole_reasoning(left_out):
        raise PromptError(
            "the chat template writes another conversation once it is answered, so that what is learnt is "
            f"not what will be asked: the prompt ends with {left_out[:40]!r}, the answer begins "
            f"{rest[:40]!r}; give chat_template_kwargs with which both agree, or another template"
        )
    return rest


def _plain_example(
    tokenizer: Any,
    turns: Sequence[Mapping[str, Any]],
    answer: Mapping[str, Any],
    settings: GenerationSettings,
) -> tuple[str, str]:
    """As render_example, for a model without a chat template.

    Raises:
        PromptError: There are calls of tools, or the prompt has other tokens once an answer follows.
    """
    if any(turn.get("tool_calls") or turn.get("reasoning_content") for turn in (*turns, answer)):
        raise PromptError(
            "the model has no chat template, so it can't learn calls of tools or a reasoning; "
            "give chat_template"
        )
    messages = [Message(role=turn["role"], content=turn["content"]) for turn in turns]
    prompt = render_prompt(tokenizer, messages, settings)
    learnt = f"{answer['content']}{tokenizer.eos_token or ''}"
    asked = prompt_ids(tokenizer, prompt)
    if text_ids(tokenizer, prompt.shown + learnt)[: len(asked)] != asked:
        raise PromptError(
            "without a chat template the answer directly follows the prompt, and here both share a token: "
            "begin the answer with a space or line break, or give chat_template"
        )
    return prompt.shown, learnt


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
    prompt, completion = render_example(tokenizer, turns, STAND_IN, settings)
    text = prompt + completion.partition(STAND_IN)[0]
    return RenderedPrompt(text=text, tokens=len(text_ids(tokenizer, text)))


def render_begun(
    tokenizer: Any, messages: Sequence[Message], settings: GenerationSettings, texts: Sequence[str] = ()
) -> RenderedPrompt:
    """A prompt behind which an answer is scored: with the marks that the template writes before one.

    Where it writes none, as without a reasoning, it is the prompt itself.

    Args:
        tokenizer: The model's.
        messages: The conversation.
        settings: As for ``render_prompt``. With ``score_reasoning`` an answer begins with its reasoning.
        texts: The answers. One that has such marks of its own is scored behind the prompt itself.

    Raises:
        PromptError: The chat template refuses the conversation.
    """
    prompt = render_prompt(tokenizer, messages, settings)
    if tokenizer.chat_template is None or not begins_later(settings, texts):
        return prompt
    turns = [*chat_turns(messages), {"role": "assistant", "content": STAND_IN}]
    try:
        answered = _written(tokenizer, turns, settings)
    except PromptError:
        answered = None
    marks = before_answer(prompt.text, answered)
    if not marks:
        return prompt
    text = prompt.text + _behind(tokenizer, prompt.text, marks)
    return RenderedPrompt(text=text, tokens=len(text_ids(tokenizer, text)))


def begins_later(settings: GenerationSettings, texts: Sequence[str]) -> bool:
    """Whether texts are answers that marks of a reasoning may come before.

    Args:
        settings: With ``score_reasoning`` an answer begins with its reasoning.
        texts: The texts, none of which may have such marks of its own.
    """
    return not settings.score_reasoning and all(_is_plain(text) for text in texts)


def _is_plain(text: str) -> bool:
    parts = split_reasoning(text)
    return parts.reasoning is None and parts.answer == text


def before_answer(prompt: str, answered: str | None) -> str:
    """The marks that a template writes between a prompt and an answer without a reasoning; empty for none.

    They are an empty reasoning, the end of one that the prompt opens, the channel of answers, or a tag before
    each answer. Neither white space is one, nor what begins a turn.

    Args:
        prompt: The rendered conversation.
        answered: The same with ``STAND_IN`` as its answer; None where the template refuses that.
    """
    opening, between = opened_tag(prompt), ""
    if answered is not None and STAND_IN in answered:
        with suppress(PromptError):
            whole = answered.startswith(prompt)
            rest = answered[len(prompt) :] if whole else _after_another_end(prompt, answered, "")
            between = rest.partition(STAND_IN)[0]
    if opening is not None and closing_of(opening) not in between:
        return f"{closing_of(opening)}\n\n"
    has_reasoning = split_reasoning(between, prompt).reasoning is not None
    is_tagged = bare_answer(between) != between.lstrip()
    return between if has_reasoning or is_tagged or in_channels(between, prompt) else ""


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
    tokenizer: Any, turns: Sequence[Mapping[str, Any]], written: str, settings: GenerationSettings
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
    if tokenizer.chat_template is None:
        return _plain_example(tokenizer, turns, {"content": written}, settings)
    prompt = _written(tokenizer, turns, settings, for_answer=True)
    whole = _written(tokenizer, [*turns, {"role": "assistant", "content": STAND_IN}], settings)
    _, found, end = whole.rpartition(STAND_IN)
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
    turns: Sequence[Mapping[str, Any]],
    settings: GenerationSettings,
    *,
    for_answer: bool = False,
) -> str:
    return write_chat(
        tokenizer,
        turns,
        settings.chat_template_kwargs,
        settings.date,
        for_answer=for_answer,
        tools=settings.tools,
    )


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
