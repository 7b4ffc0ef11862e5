"""Answers with several messages, each in a channel or to a recipient.

OpenAI's Harmony format names channels (``<|channel|>analysis<|message|>…``), where *final* is the answer;
Muse's names recipients (`` to=self<|message|>…``), where *user* gets the answer. Texts of a decoder that
skips the marks are recognised too (``analysis…assistantfinal…``).
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
    """Whether a text, perhaps unfinished, is in channels; None while this is unknown.

    Args:
        written: The text so far, including special tokens.
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
    """Whether a text in channels has reached the answer.

    Args:
        written: The model's text after the prompt.
        prompt: The rendered prompt, which may open the first channel.
    """
    return _BEGINS.search(_opening(prompt) + written) is not None


def split_channels(written: str, prompt: str) -> tuple[str | None, str]:
    """The reasoning (None if there is none) and the answer of a text in channels.

    Args:
        written: The model's text after the prompt.
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
    """The same for a text without marks; None if it doesn't look like one."""
    found = _UNMARKED.fullmatch(written)
    return None if found is None else (found["reasoning"].strip(), found["answer"].lstrip())


def _opening(prompt: str) -> str:
    """The beginning of the first message, if the prompt contains it."""
    last = prompt[prompt.rfind(_ASSISTANT) :] if _ASSISTANT in prompt else ""
    opened = _OPENED.search(last)
    return opened.group() if opened else ""
