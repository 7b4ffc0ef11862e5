"""From a model's tokens to its answer: its end, and its reasoning apart.

The reasoning is between a pair of tags at the beginning, or in channels. The chat template may have written
the opening tag into the prompt. Both may be cut by the token limit.

OpenAI's Harmony format names channels (``<|channel|>analysis<|message|>…``), where *final* is the answer;
Muse's names recipients (`` to=self<|message|>…``), where *user* gets the answer. A call of a tool is part of
the answer. Texts of a decoder that skips the marks are recognised too (``analysis…assistantfinal…``).
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from harness.prompts.tokenizers import before_stop, ends_in_stop, special_texts
from harness.types import GenerationSettings

_MESSAGE = re.compile(
    r"(?:(?:\bto=(?P<first>functions\.[\w.-]+)\s*)?<\|channel\|>\s*(?P<channel>\w+)(?P<rest>[^<]*)"
    r"|\bto=(?P<recipient>[\w.-]+)[^<]*)(?:<\|constrain\|>[^<]*)?<\|message\|>"
    r"(?P<text>.*?)(?=<\|(?:end|return|call|start|channel|eom|eot)\|>|\Z)",
    re.DOTALL,
)
_CALLED = re.compile(r"\bto=(functions\.[\w.-]+)")
_ANSWERS = {"final", "user"}
_BEGINS = re.compile(
    r"(?:<\|channel\|>\s*final\b[^<]*|\bto=(?!self\b)[\w.-]+\s*|\bto=functions\.[^<]*(?:<\|channel\|>[^<]*)?"
    r"(?:<\|constrain\|>[^<]*)?)<\|message\|>"
)
_OPENED = re.compile(r"(?:<\|channel\|>\s*\w+|\bto=\w+)\s*(?:<\|message\|>)?\s*\Z")
_ASSISTANT, _CHANNEL = "<|start|>assistant", "<|channel|>"
_ADDRESSED = re.compile(r"\s*to=[\w.-]+\s*<\|(?:message|channel)\|>")
_ADDRESS_BEGUN = re.compile(r"\s*(?:t|to|to=[\w.-]*\s*(?:<[^>]*)?)\Z")
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
    thoughts: list[str] = []
    said: list[str] = []
    calls: list[str] = []
    for match in _MESSAGE.finditer(_opening(prompt) + written):
        name, text = match["channel"] or match["recipient"], match["text"]
        called = _called(match)
        if called is not None:
            # Without its marks, which are special tokens, the header would be unreadable.
            calls.append(f"to={called} {text.strip()}" if called.startswith("functions.") else text.strip())
        elif name in _ANSWERS:
            said.append(text)
        else:
            thoughts.append(text.strip())
    # Cut before its first message began, nothing is known of it.
    reasoning = "\n\n".join(thoughts) if thoughts else None if said or calls else ""
    answer = "".join(said).lstrip()
    return reasoning, "\n".join([*([answer] if answer else []), *calls])


def _called(message: re.Match[str]) -> str | None:
    """The tool that a message calls: gpt-oss's ``functions.name``, or Muse's recipient; None without one."""
    if message["recipient"] is not None:
        return None if message["recipient"] in {"self", "user"} else str(message["recipient"])
    found = _CALLED.search(message["rest"])
    return message["first"] or (None if found is None else found[1])


def split_unmarked(written: str) -> tuple[str, str] | None:
    """The same for a text without marks; None if it doesn't look like one."""
    found = _UNMARKED.fullmatch(written)
    return None if found is None else (found["reasoning"].strip(), found["answer"].lstrip())


def _opening(prompt: str) -> str:
    """The beginning of the first message, if the prompt contains it."""
    opened = _OPENED.search(prompt[prompt.rfind(_ASSISTANT) :]) if _ASSISTANT in prompt else None
    return opened.group() if opened else ""


_WORDS = ("think", "thinking", "thought", "thoughts", "reasoning", "scratchpad")
# Qwen, DeepSeek, GLM, Nemotron and others; Marco-o1 (<Thought>); Mistral; Cohere; Kimi; Seed; Gemma 4;
# Open-Thoughts; LongCat; MedGemma; LFM2; openPangu.
THINKING_TAGS = (
    *((f"<{form}>", f"</{form}>") for word in _WORDS for form in (word, word.capitalize(), word.upper())),
    ("[THINK]", "[/THINK]"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("◁think▷", "◁/think▷"),
    ("<seed:think>", "</seed:think>"),
    ("<|channel>thought", "<channel|>"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<unused94>thought", "<unused95>"),
    ("<|cot_start|>", "<|cot_end|>"),
    ("[unused16]", "[unused17]"),
)
# Granite and Apriel: plain words, which are marks only where the prompt names them.
_THINKING_WORDS = (
    ("Here is my thought process:", "Here is my response:"),
    ("Here are my reasoning steps:", "[BEGIN FINAL RESPONSE]"),
)
_OPENINGS = tuple(opening for opening, _ in (*THINKING_TAGS, *_THINKING_WORDS))
# Tags around the answer, for models that mark it too.
_ANSWER_TAGS = (
    ("<|START_RESPONSE|>", "<|END_RESPONSE|>"),
    ("<|begin_of_solution|>", "<|end_of_solution|>"),
    ("<Output>", "</Output>"),
    ("", "[END FINAL RESPONSE]"),  # Apriel's first mark ends the reasoning
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
    text, pair = written.lstrip(), _thinking_pair(written, prompt or "")
    if pair is None and prompt is None:
        pair = next((each for each in THINKING_TAGS if each[1] in text and each[0] not in text), None)
    if pair is not None:
        opening, closing = pair
        # A model may write the tag again that its prompt ends with.
        thought, closed, answer = text.removeprefix(opening).partition(closing)
        thoughts = [thought.strip()]
        while closed and answer.lstrip().startswith(opening):  # it reasons again before it answers
            thought, closed, answer = answer.lstrip().removeprefix(opening).partition(closing)
            thoughts.append(thought.strip())
        reasoning = "\n\n".join(thoughts).strip()
        return SplitAnswer(reasoning=reasoning, answer=bare_answer(answer) if closed else "")
    if prompt is None and (unmarked := split_unmarked(written)):
        return SplitAnswer(reasoning=unmarked[0], answer=unmarked[1])
    return SplitAnswer(reasoning=None, answer=written)


def opened_tag(prompt: str) -> str | None:
    """The opening tag at the end of a rendered prompt, so that the answer begins inside a reasoning."""
    end = prompt.rstrip()
    return next((opening for opening, _ in _pairs(prompt) if end.endswith(opening)), None) if end else None


def _pairs(prompt: str) -> tuple[tuple[str, str], ...]:
    """The pairs of marks that may be around a reasoning after a prompt."""
    return *THINKING_TAGS, *(pair for pair in _THINKING_WORDS if pair[0] in prompt)


def closing_of(opening: str) -> str:
    """The closing tag of an opening tag."""
    return dict((*THINKING_TAGS, *_THINKING_WORDS))[opening]


def begins_answer(written: str, prompt: str) -> bool | None:
    """Whether an unfinished text has reached its answer; None while this is unknown.

    Args:
        written: The text so far, including special tokens.
        prompt: The rendered prompt.
    """
    channels = in_channels(written, prompt)
    if channels:
        return channel_answer_begun(written, prompt)
    text, pair = written.lstrip(), _thinking_pair(written, prompt)
    if pair is None:
        may_open = channels is None or any(opening.startswith(text) for opening, _ in _pairs(prompt))
        return None if may_open else True
    opening, closing = pair
    while True:
        _, closed, rest = text.removeprefix(opening).partition(closing)
        if not closed:
            return False
        text = rest.lstrip()
        if not text.startswith(opening):
            # Behind a reasoning there may be another one.
            return None if opening.startswith(text) else True


def _thinking_pair(written: str, prompt: str) -> tuple[str, str] | None:
    """Both tags of the reasoning that a text or the prompt's end begins; None if there is none."""
    opened, text = opened_tag(prompt), written.lstrip()
    if opened is None and not text.startswith(_OPENINGS):
        return None  # as most answers
    return next((pair for pair in _pairs(prompt) if opened == pair[0] or text.startswith(pair[0])), None)


def bare_answer(answer: str) -> str:
    """An answer after a reasoning, without the tags around it."""
    text = answer.lstrip()
    for opening, closing in _ANSWER_TAGS:
        if text.startswith(opening):
            text = text.removeprefix(opening).partition(closing)[0].lstrip()
    return text


# Number of tokens that may contain one mark or stop text: at least a byte each, and four bytes a character.
_SPARE_TOKENS, _LONGEST_MARK = 8, 40


def read_answer(
    tokenizer: Any, tokens: Sequence[int], prompt: str, settings: GenerationSettings
) -> SplitAnswer:
    """The text of an answer, up to its first stop text, and the reasoning before it.

    Marks of reasoning and stop texts may be special tokens, which are not in the shown text.

    Args:
        tokenizer: The model's.
        tokens: Its tokens, without the end token.
        prompt: The rendered prompt, which may have opened the reasoning.
        settings: With ``score_reasoning`` the answer is the whole text.
    """
    if ends_in_stop(tokenizer, tokens, settings):
        tokens = tokens[:-1]
    plain = str(tokenizer.decode(tokens, skip_special_tokens=True))
    marked = str(tokenizer.decode(tokens, skip_special_tokens=False))
    return read_decoded(tokenizer, marked, plain, prompt, settings)


def read_decoded(
    tokenizer: Any, marked: str, plain: str, prompt: str, settings: GenerationSettings
) -> SplitAnswer:
    """As ``read_answer``, of texts.

    Args:
        tokenizer: The model's.
        marked: The text with its special tokens.
        plain: The text without them.
        prompt: As for ``read_answer``.
        settings: As for ``read_answer``.
    """
    parts = split_reasoning(marked, prompt)
    if settings.score_reasoning:
        parts = SplitAnswer(reasoning=None, answer=marked)
    hidden = any(stop in marked and stop not in plain for stop in settings.stop)
    if parts.reasoning is None and parts.answer == marked and not hidden:
        return SplitAnswer(reasoning=None, answer=before_stop(plain, settings.stop))
    special = special_texts(tokenizer)
    answer = _without(before_stop(parts.answer, settings.stop), special)
    return SplitAnswer(reasoning=parts.reasoning and _without(parts.reasoning, special), answer=answer)


class AnswerWatch:
    """Follows one answer during generation, and decides when and why it ends."""

    def __init__(
        self, tokenizer: Any, prompt: str, settings: GenerationSettings, stop_ids: Collection[int]
    ) -> None:
        """Watch from the first token on.

        Args:
            tokenizer: The model's.
            prompt: The rendered prompt.
            settings: Limits and stop texts. A stop text inside the reasoning ends nothing.
            stop_ids: Tokens that end an answer.
        """
        self.tokens: list[int] = []
        self.end: int | None = None  # the end token, if one ended it
        self._tokenizer, self._prompt, self._settings = tokenizer, prompt, settings
        self._stop_ids = frozenset(stop_ids)
        self._reasons = False
        # Where a reasoning ended that perhaps was not the last, and the tag that ended it.
        self._closed_at: int | None = None
        self._closing = ""
        # Without a limit of its own and without stop texts, reasoning needs no check.
        apart = settings.max_reasoning_tokens is not None or bool(settings.stop)
        self._answer_from: int | None = None if apart and not settings.score_reasoning else 0
        longest = max((len(stop.encode()) for stop in settings.stop), default=0)
        self._window = max(longest, _LONGEST_MARK) + _SPARE_TOKENS

    def take(self, token: int) -> Literal["", "stop", "length"]:
        """Add the next token; returns why the answer ended with it, or nothing while it goes on."""
        if token in self._stop_ids:
            self.end = token
            return "stop"
        self.tokens.append(token)
        if self._answer_from is None:
            self._look_for_answer()
        if self._answer_from is not None and self._stopped(self._answer_from):
            return "stop"
        return "length" if self._spent() else ""

    def _look_for_answer(self) -> None:
        # The beginning shows whether there is reasoning, the end whether it is finished.
        first = self._window
        last = max(first, (self._closed_at or len(self.tokens)) - self._window)
        text = self._text(self.tokens[:first]) + (
            self._text(self.tokens[last:]) if self.tokens[last:] else ""
        )
        begun, pair = begins_answer(text, self._prompt), _thinking_pair(text, self._prompt)
        if begun is False:
            self._reasons, self._closed_at = True, None
        elif (self._reasons or pair) and self._closed_at is None:
            self._closed_at, self._closing = len(self.tokens), pair[1] if pair else ""
        if begun:
            self._answer_from = self._closed_at or 0
            if self._closed_at and self._settings.max_reasoning_tokens is not None:
                del self.tokens[self._closed_at + self._settings.max_new_tokens :]

    def _stopped(self, answer_from: int) -> bool:
        if not self._settings.stop:
            return False
        # The token that ends the reasoning may also contain the beginning of the answer.
        start = max(len(self.tokens) - self._window, answer_from - 1, 0)
        text = self._text(self.tokens[start:])
        if self._closing and start < answer_from:
            # The white space before the answer is no part of it, and can't stop it.
            text = _behind(self._closing, self._text(self.tokens[start:answer_from]), text).lstrip()
        return any(stop in text for stop in self._settings.stop)

    def _spent(self) -> bool:
        settings, written = self._settings, len(self.tokens)
        if settings.max_reasoning_tokens is None:
            return written >= settings.max_new_tokens
        answer_from = self._closed_at if self._answer_from is None else self._answer_from
        answered = answer_from is None or written - answer_from >= settings.max_new_tokens
        # Until it is known whether a token begins another reasoning, the rest of either budget is room.
        return answered and (self._answer_from is not None or written >= settings.max_reasoning_tokens)

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=False))


def _behind(closing: str, token: str, text: str) -> str:
    """A text whose first token may hold the end of a closing tag, without that."""
    for begin in range(len(closing)):
        if (place := token.find(closing[begin:])) >= 0:
            return text[place + len(closing) - begin :]
    return text


def _without(text: str, special: Sequence[str]) -> str:
    for each in special:
        text = text.replace(each, "")
    return text
