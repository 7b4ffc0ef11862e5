"""Taking what a reasoning model thinks apart from what it answers.

Three ways of writing are known: a pair of tags at the beginning of the answer, of which the chat template
may have written the opening one into the prompt; channels, as in OpenAI's Harmony format; and channels whose
marks a decoder left out. All of them may be cut by the token limit.
"""

import re
from dataclasses import dataclass

# Qwen, DeepSeek, GLM, Nemotron, LFM and others; Mistral; Cohere; Kimi; Seed; Gemma 4; Open-Thoughts.
_TAGS = (
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
# Written around the answer by those that mark it too.
_ANSWER_TAGS = (
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
)
_CHANNEL = re.compile(
    r"<\|channel\|>\s*(?P<name>\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>"
    r"(?P<text>.*?)(?=<\|end\|>|<\|return\|>|<\|call\|>|<\|start\|>|<\|channel\|>|\Z)",
    re.DOTALL,
)
# "analysis" and "final" are left over where a decoder skips the special tokens around them.
_UNMARKED = re.compile(r"\s*analysis(?P<reasoning>.*?)assistant\s*final(?P<answer>.*)", re.DOTALL)
_FINAL = re.compile(r"<\|channel\|>\s*final[^<]*<\|message\|>")
_CHANNEL_MARK = "<|channel|>"
_CHANNEL_OPENED = re.compile(r"<\|channel\|>\s*\w+\s*(?:<\|message\|>)?\s*\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitAnswer:
    """An answer and what was thought before it.

    Attributes:
        reasoning: None where nothing marks any; it may be empty.
        answer: Empty where the reasoning never ended.
    """

    reasoning: str | None
    answer: str


def split_reasoning(written: str, prompt: str | None = None) -> SplitAnswer:
    """Take reasoning and answer apart.

    Args:
        written: All that the model wrote, special tokens included where they mark its reasoning.
        prompt: The rendered prompt, whose end may have opened the reasoning. None where it isn't known, as
            behind somebody else's server: then a closing tag alone also ends a reasoning.

    Returns:
        The parts, stripped of the white space between them; without any marks the answer is the whole text.
    """
    if found := _by_channel(written, prompt or ""):
        return found
    opened = opened_tag(prompt) if prompt else None
    for opening, closing in _TAGS:
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
    if prompt is None and (unmarked := _UNMARKED.fullmatch(written)):
        return SplitAnswer(reasoning=unmarked["reasoning"].strip(), answer=unmarked["answer"].lstrip())
    return SplitAnswer(reasoning=None, answer=written)


def opened_tag(prompt: str) -> str | None:
    """The opening tag that a rendered prompt ends with, so that an answer begins inside a reasoning."""
    end = prompt.rstrip()
    return next((opening for opening, _ in _TAGS if end.endswith(opening)), None)


def closing_of(opening: str) -> str:
    """The tag that ends what an opening tag begins."""
    return dict(_TAGS)[opening]


def begins_answer(written: str, prompt: str) -> bool | None:
    """Whether a text that is still being written has come to its answer; None while that can't be told yet.

    Args:
        written: What is there so far, special tokens included.
        prompt: The rendered prompt.
    """
    text = written.lstrip()
    opened = opened_tag(prompt)
    if _CHANNEL_OPENED.search(prompt) or text.startswith(_CHANNEL_MARK):
        return _FINAL.search(_channels(written, prompt)) is not None
    for opening, closing in _TAGS:
        if opened == opening or text.startswith(opening):
            return closing in text
    starts = (_CHANNEL_MARK, *(opening for opening, _ in _TAGS))
    return None if any(start.startswith(text) for start in starts) else True


def _channels(written: str, prompt: str) -> str:
    """A text in channels, with the beginning of its first one where the prompt holds that."""
    opened = _CHANNEL_OPENED.search(prompt)
    return (opened.group() if opened else "") + written


def _by_channel(written: str, prompt: str) -> SplitAnswer | None:
    """The parts of a text in channels: the final one is the answer, all others are not."""
    text = _channels(written, prompt)
    if not text.lstrip().startswith(_CHANNEL_MARK):
        return None
    found = [(match["name"], match["text"]) for match in _CHANNEL.finditer(text)]
    answers = [said for name, said in found if name == "final"]
    others = [said.strip() for name, said in found if name != "final"]
    if not found:
        # Cut before its first message began.
        return SplitAnswer(reasoning="", answer="")
    return SplitAnswer(
        reasoning="\n\n".join(others) if others else None,
        answer="".join(answers).lstrip(),
    )


def _bare(answer: str) -> str:
    """An answer behind a reasoning, without the tags around it."""
    text = answer.lstrip()
    for opening, closing in _ANSWER_TAGS:
        if text.startswith(opening):
            text = text.removeprefix(opening).partition(closing)[0].lstrip()
    return text
