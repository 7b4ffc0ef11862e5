"""From a model's tokens to its answer: its end, and its reasoning."""

from collections.abc import Collection, Sequence
from typing import Any, Literal

from harness.prompts.reasoning import SplitAnswer, begins_answer, split_reasoning
from harness.types import GenerationSettings

# Number of tokens that may contain one mark or stop text: a token has at least one byte, a character at most
# four.
_SPARE_TOKENS = 8
_LONGEST_MARK = 40


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
    if tokens and str(tokenizer.decode(tokens[-1:], skip_special_tokens=False)).strip() in settings.stop:
        tokens = tokens[:-1]
    plain = str(tokenizer.decode(tokens, skip_special_tokens=True))
    marked = str(tokenizer.decode(tokens, skip_special_tokens=False))
    parts = split_reasoning(marked, prompt)
    if settings.score_reasoning:
        parts = SplitAnswer(reasoning=None, answer=marked)
    hidden = any(stop in marked and stop not in plain for stop in settings.stop)
    if parts.reasoning is None and parts.answer == marked and not hidden:
        return SplitAnswer(reasoning=None, answer=before_stop(plain, settings.stop))
    special = special_texts(tokenizer)
    reasoning = None if parts.reasoning is None else _without(parts.reasoning, special)
    answer = _without(before_stop(parts.answer, settings.stop), special)
    return SplitAnswer(reasoning=reasoning, answer=answer)


def answer_so_far(tokenizer: Any, tokens: Sequence[int], prompt: str, settings: GenerationSettings) -> str:
    """The visible part of an unfinished answer: nothing while it may still be reasoning.

    Args:
        tokenizer: The model's.
        tokens: The tokens so far.
        prompt: The rendered prompt.
        settings: As for ``read_answer``.
    """
    marked = str(tokenizer.decode(tokens, skip_special_tokens=False))
    if not settings.score_reasoning and begins_answer(marked, prompt) is None:
        return ""
    return read_answer(tokenizer, tokens, prompt, settings).answer


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
        self._tokenizer, self._prompt, self._settings = tokenizer, prompt, settings
        self._stop_ids = frozenset(stop_ids)
        self._reasons = False
        # Without a limit of its own and without stop texts, reasoning needs no check.
        apart = settings.max_reasoning_tokens is not None or bool(settings.stop)
        self._answer_from: int | None = None if apart and not settings.score_reasoning else 0
        longest = max((len(stop.encode()) for stop in settings.stop), default=0)
        self._window = max(longest, _LONGEST_MARK) + _SPARE_TOKENS

    def take(self, token: int) -> Literal["", "stop", "length"]:
        """Add the next token; returns why the answer ended with it, or nothing while it goes on."""
        if token in self._stop_ids:
            return "stop"
        self.tokens.append(token)
        if self._answer_from is None:
            self._look_for_answer()
        if self._answer_from is not None and self._stopped(self._answer_from):
            return "stop"
        return "length" if self._spent() else ""

    def _look_for_answer(self) -> None:
        # The beginning shows whether there is reasoning, the end whether it is finished.
        head, tail = self.tokens[: self._window], self.tokens[self._window :][-self._window :]
        text = self._text(head) + (self._text(tail) if tail else "")
        begun = begins_answer(text, self._prompt)
        self._reasons = self._reasons or begun is False
        if begun:
            self._answer_from = len(self.tokens) if self._reasons else 0

    def _stopped(self, answer_from: int) -> bool:
        if not self._settings.stop:
            return False
        # The token that ends the reasoning may also contain the beginning of the answer.
        start = max(len(self.tokens) - self._window, answer_from - 1, 0)
        text = self._text(self.tokens[start:])
        return any(stop in text for stop in self._settings.stop)

    def _spent(self) -> bool:
        settings, written = self._settings, len(self.tokens)
        if settings.max_reasoning_tokens is None:
            return written >= settings.max_new_tokens
        if self._answer_from is None:
            return written >= settings.max_reasoning_tokens
        return written - self._answer_from >= settings.max_new_tokens

    def _text(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=False))


def before_stop(text: str, stops: Sequence[str]) -> str:
    """The text up to the first of its stop texts.

    Args:
        text: The text.
        stops: The stop texts.
    """
    ends = [text.find(stop) for stop in stops if stop in text]
    return text[: min(ends)] if ends else text


def special_texts(tokenizer: Any) -> list[str]:
    """The special tokens as text, longest first."""
    named = {str(text) for text in tokenizer.all_special_tokens}
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    return sorted(named | {token.content for token in added if token.special}, key=len, reverse=True)


def _without(text: str, special: Sequence[str]) -> str:
    for each in special:
        text = text.replace(each, "")
    return text
