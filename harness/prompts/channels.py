"""Answers that are written as several messages, each in a channel or to a recipient.

OpenAI's Harmony format names channels (``<|channel|>analysis<|message|>…``), of which *final* is the answer;
Muse's names recipients (`` to=self<|message|>…``), of which *user* reads it. What a decoder leaves when it
skips the marks is known too (``analysis…assistantfinal…``).
"""

import re

_MESSAGE = re.compile(
    r"(?:<\|channel\|>\s*(?P<channel>\w+)|\bto=(?P<recipient>\w+))[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>"
    r"(?P<text>.*?)(?=<\|(?:end|return|call|start|channel|eom|eot)\|>|\Z)",
    re.DOTALL,
)
_ANSWERS = {"final", "user"}
_BEGINS = re.compile(r"(?:<\|channel\|>\s*final|\bto=user)\b[^<]*<\|message\|>")
_OPENED = re.compile(r"(?:<\|channel\|>\s*\w+|\bto=\w+)\s*(?:<\|message\|>)?\s*\Z")
_ASSISTANT = "<|start|>assistant"
_CHANNEL = "<|channel|>"
_ADDRESSED = re.compile(r"\s*to=\w+\s*<\|message\|>")
_ADDRESS_BEGUN = re.compile(r"\s*(?:t|to|to=\w*\s*(?:<[^>]*)?)\Z")
_UNMARKED = re.compile(r"\s*analysis(?P<reasoning>.*?)assistant\s*final(?P<answer>.*)", re.DOTALL)


def in_channels(written: str, prompt: str) -> bool | None:
    """Whether a text, maybe unfinished, is written in channels; None while that can't be told yet.

    Args:
        written: What is there so far, special tokens included.
        prompt: The rendered prompt.
    """
    text = written.lstrip()
    if _opening(prompt) or text.startswith(_CHANNEL):
        return True
    if _CHANNEL.startswith(text):
        return None
    if not prompt.rstrip().endswith(_ASSISTANT):
        return False
    if _ADDRESSED.match(written):
        return True
    return None if _ADDRESS_BEGUN.match(written) else False


def channel_answer_begun(written: str, prompt: str) -> bool:
    """Whether a text in channels has come to the one that is the answer.

    Args:
        written: What the model wrote behind the prompt.
        prompt: The rendered prompt, which may open the first channel.
    """
    return _BEGINS.search(_opening(prompt) + written) is not None


def split_channels(written: str, prompt: str) -> tuple[str | None, str]:
    """The reasoning (None where there is none) and the answer of a text in channels.

    Args:
        written: What the model wrote behind the prompt.
        prompt: The rendered prompt, which may open the first channel.

    Returns:
        The reasoning, then the answer.
    """
    found = [
        (match["channel"] or match["recipient"], match["text"])
        for match in _MESSAGE.finditer(_opening(prompt) + written)
    ]
    if not found:
        # Cut before its first message began.
        return "", ""
    others = [said.strip() for name, said in found if name not in _ANSWERS]
    answer = "".join(said for name, said in found if name in _ANSWERS).lstrip()
    return "\n\n".join(others) if others else None, answer


def split_unmarked(written: str) -> tuple[str, str] | None:
    """The same where a decoder has left the marks out; None where nothing looks like it."""
    found = _UNMARKED.fullmatch(written)
    return None if found is None else (found["reasoning"].strip(), found["answer"].lstrip())


def _opening(prompt: str) -> str:
    """The beginning of the first message, where the prompt holds it."""
    last = prompt[prompt.rfind(_ASSISTANT) :] if _ASSISTANT in prompt else ""
    opened = _OPENED.search(last)
    return opened.group() if opened else ""
