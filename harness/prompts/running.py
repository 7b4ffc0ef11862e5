"""The text of an answer while it is written: only what is new is decoded after each token."""

import json
from collections.abc import Sequence
from typing import Any

from harness.prompts.reasoning import begins_answer, read_decoded
from harness.prompts.tokenizers import ends_in_stop
from harness.types import GenerationSettings

# Decoders whose text of two parts is that of both together, but for bytes of one character and the first
# space: how they join tokens, and what they do to each one before that.
_JOINING, _SINGLE = {"ByteLevel", "Fuse"}, {"ByteFallback", "Metaspace", "Replace", "Strip"}
# Tokens that are decoded again and again: to move the beginning costs two more decodings.
_OPEN_TOKENS = 16
_UNFINISHED = "\ufffd"


class RunningText:
    """The text of tokens to which some are added, exactly as the tokenizer decodes all of them."""

    def __init__(self, tokenizer: Any, *, skip_special_tokens: bool) -> None:
        """Begin without a token.

        Args:
            tokenizer: The model's.
            skip_special_tokens: As for the tokenizer's ``decode``.
        """
        self._tokenizer, self._skip = tokenizer, skip_special_tokens
        self._is_local = _is_local(tokenizer)
        self._added = tokenizer.added_tokens_decoder if self._is_local else {}
        self._begin()

    def _begin(self) -> None:
        # What is done: the number of tokens, their text, the last of them and its text alone.
        self._done, self._text, self._last, self._last_text = 0, "", list[int](), ""

    def of(self, tokens: Sequence[int]) -> str:
        """The text.

        Args:
            tokens: Those of the last call, with further ones or fewer.
        """
        if len(tokens) < self._done:
            self._begin()
        behind = self._decoded([*self._last, *tokens[self._done :]])
        if not behind.startswith(self._last_text):
            self._begin()
            behind, self._is_local = self._decoded(tokens), False
        text = self._text + behind[len(self._last_text) :]
        if self._is_local and len(tokens) >= self._done + _OPEN_TOKENS and self._ends_here(tokens[-1], text):
            self._done, self._text, self._last = len(tokens), text, [tokens[-1]]
            self._last_text = self._decoded(self._last)
        return text

    def _decoded(self, tokens: Sequence[int]) -> str:
        return str(self._tokenizer.decode(tokens, skip_special_tokens=self._skip))

    def _ends_here(self, token: int, text: str) -> bool:
        """Whether what follows can't change the text: its last character is whole, and not skipped."""
        if text.endswith(_UNFINISHED) or token in self._added:
            return False
        # A byte for itself may be the beginning of a character with those before and after it.
        # And a number of a padded vocabulary has no piece: what follows is still the text's beginning.
        piece = self._tokenizer.convert_ids_to_tokens(token)
        return bool(piece) and not (piece.startswith("<0x") and piece.endswith(">"))


def _is_local(tokenizer: Any) -> bool:
    """Whether tokens that are added leave the text of those before as it is."""
    inner = getattr(tokenizer, "backend_tokenizer", None)
    if inner is None or inner.decoder is None or tokenizer.clean_up_tokenization_spaces:
        return False
    try:
        described = json.loads(inner.decoder.__getstate__())
    except (AttributeError, TypeError, ValueError):
        return False
    joined = False
    for each in described.get("decoders", [described]):
        kind = each["type"]
        if kind not in _JOINING | _SINGLE or (joined and kind != "Strip"):
            return False
        if kind == "Strip" and (each["stop"] or each["start"] > 1):
            return False
        joined = joined or kind in _JOINING
    return True


class AnswerSoFar:
    """The visible part of an unfinished answer."""

    def __init__(self, tokenizer: Any, prompt: str, settings: GenerationSettings) -> None:
        """Begin without a token.

        Args:
            tokenizer: The model's.
            prompt: The rendered prompt.
            settings: As for ``read_answer``.
        """
        self._tokenizer, self._prompt, self._settings = tokenizer, prompt, settings
        self._marked = RunningText(tokenizer, skip_special_tokens=False)
        self._plain = RunningText(tokenizer, skip_special_tokens=True)

    def of(self, tokens: Sequence[int]) -> str:
        """What is visible after these tokens: nothing while it may still be reasoning.

        Args:
            tokens: The tokens so far.
        """
        settings, marked = self._settings, self._marked.of(tokens)
        if not settings.score_reasoning and begins_answer(marked, self._prompt) is None:
            return ""
        if ends_in_stop(self._tokenizer, tokens, settings):
            tokens = tokens[:-1]
            marked = self._marked.of(tokens)
        plain = self._plain.of(tokens)
        return read_decoded(self._tokenizer, marked, plain, self._prompt, settings).answer


def settled(text: str, stops: Sequence[str]) -> str:
    """The text so far without a part that the next token may change: half a character, half a stop text.

    Args:
        text: What is visible of an unfinished answer.
        stops: The stop texts.
    """
    text = text.rstrip(_UNFINISHED)
    longest = max(
        (size for stop in stops for size in range(1, len(stop)) if text.endswith(stop[:size])), default=0
    )
    return text[: len(text) - longest]
