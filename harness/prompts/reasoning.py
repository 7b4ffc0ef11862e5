"""Separates a reasoning model's reasoning from its answer.

The reasoning is between a pair of tags at the beginning, or in channels. The chat template may have written
the opening tag into the prompt. Both may be cut by the token limit.
"""

from dataclasses import dataclass

from harness.prompts.channels import channel_answer_begun, in_channels, split_channels, split_unmarked

# Qwen, DeepSeek, GLM, Nemotron, LFM and others; Mistral; Cohere; Kimi; Seed; Gemma 4; Open-Thoughts.
THINKING_TAGS = (
    ("<think>", "</think>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("◁think▷", "◁/think▷"),
    ("<seed:think>", "</seed:think>"),
    ("<|channel>thought", "<channel|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
)
# Tags around the answer, for models that mark it too.
_ANSWER_TAGS = (
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitAnswer:
    """An answer and the reasoning before it.

    Attributes:
        reasoning: None without marks of reasoning; it may be empty.
        answer: Empty if the reasoning never ended.
    """

    reasoning: str | None
    answer: str


def split_reasoning(written: str, prompt: str | None = None) -> SplitAnswer:
    """Separate reasoning and answer.

    Args:
        written: The model's whole text, including special tokens if they mark its reasoning.
        prompt: The rendered prompt, whose end may have opened the reasoning. None if it is unknown, as for a
            foreign server: then a closing tag alone also ends a reasoning.

    Returns:
        The parts, stripped of the white space between them; without any marks the answer is the whole text.
    """
    if in_channels(written, prompt or ""):
        thought, said = split_channels(written, prompt or "")
        return SplitAnswer(reasoning=thought, answer=said)
    opened = opened_tag(prompt) if prompt else None
    for opening, closing in THINKING_TAGS:
        text = written.lstrip()
        if opened == opening:
            # A model may write the tag again that its prompt ends with.
            inside = text.removeprefix(opening)
        elif text.startswith(opening):
            inside = text.removeprefix(opening)
        elif prompt is None and closing in text and opening not in text:
            inside = text
        else:
            continue
        reasoning, closed, answer = inside.partition(closing)
        return SplitAnswer(reasoning=reasoning.strip(), answer=_bare(answer) if closed else "")
    if prompt is None and (unmarked := split_unmarked(written)):
        return SplitAnswer(reasoning=unmarked[0], answer=unmarked[1])
    return SplitAnswer(reasoning=None, answer=written)


def opened_tag(prompt: str) -> str | None:
    """The opening tag at the end of a rendered prompt, so that the answer begins inside a reasoning."""
    end = prompt.rstrip()
    return next((opening for opening, _ in THINKING_TAGS if end.endswith(opening)), None)


def closing_of(opening: str) -> str:
    """The closing tag of an opening tag."""
    return dict(THINKING_TAGS)[opening]


def begins_answer(written: str, prompt: str) -> bool | None:
    """Whether an unfinished text has reached its answer; None while this is unknown.

    Args:
        written: The text so far, including special tokens.
        prompt: The rendered prompt.
    """
    text = written.lstrip()
    opened = opened_tag(prompt)
    channels = in_channels(written, prompt)
    if channels:
        return channel_answer_begun(written, prompt)
    for opening, closing in THINKING_TAGS:
        if opened == opening or text.startswith(opening):
            return closing in text
    may_open = channels is None or any(opening.startswith(text) for opening, _ in THINKING_TAGS)
    return None if may_open else True


def _bare(answer: str) -> str:
    """An answer after a reasoning, without the tags around it."""
    text = answer.lstrip()
    for opening, closing in _ANSWER_TAGS:
        if text.startswith(opening):
            text = text.removeprefix(opening).partition(closing)[0].lstrip()
    return text
