"""Chooses tokens so that an answer is JSON of a schema, by llguidance's grammar engine."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from harness.engines.side import Side
from harness.errors import PromptError

if TYPE_CHECKING:
    import torch

    from harness.engines.decode import Choose

# Reading a vocabulary takes about a second.
_VOCABULARIES: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def following_schema(choose: Choose | None, schema: Mapping[str, Any], side: Side) -> Choose:
    """A function that chooses only tokens with which the answer can still become JSON of the schema.

    Args:
        choose: How a token is chosen among the possible ones; None for the most probable one.
        schema: The JSON Schema.
        side: The side that answers.

    Raises:
        PromptError: The schema can't be followed, or the model's tokenizer can't be read.
    """
    import numpy
    import torch

    matcher, read = _matcher(schema, side), 0

    def possible(logits: torch.Tensor, tokens: list[int]) -> torch.Tensor:
        nonlocal read
        matcher.consume_tokens(tokens[read:])
        read = len(tokens)
        bits = numpy.frombuffer(matcher.compute_bitmask(), dtype=numpy.uint8)
        allowed = torch.from_numpy(numpy.unpackbits(bits, bitorder="little")[: logits.shape[-1]].astype(bool))
        mask = torch.zeros(logits.shape[-1], dtype=torch.bool)
        mask[: len(allowed)] = allowed
        return logits.masked_fill(~mask.to(logits.device), float("-inf"))

    def chosen(logits: torch.Tensor, tokens: list[int]) -> int:
        logits = possible(logits, tokens)
        return int(logits.argmax()) if choose is None else choose(logits, tokens)

    return chosen


def _matcher(schema: Mapping[str, Any], side: Side) -> Any:
    from llguidance import LLMatcher

    grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema))
    if problem := LLMatcher.validate_grammar(grammar):
        raise PromptError(f"response_format: the schema can't be followed: {_line(problem)}")
    matcher = LLMatcher(_vocabulary(side), grammar)
    if problem := matcher.get_error():
        raise PromptError(f"response_format: {_line(problem)}")
    return matcher


def _vocabulary(side: Side) -> Any:
    from llguidance.hf import from_tokenizer

    if side.tokenizer not in _VOCABULARIES:
        try:
            read: Callable[..., Any] = from_tokenizer
            _VOCABULARIES[side.tokenizer] = read(side.tokenizer, eos_token=sorted(side.stop_ids))
        except Exception as error:  # of a library in Rust, for a kind of tokenizer that it can't read
            raise PromptError(f"response_format: the tokenizer can't be read: {_line(str(error))}") from error
    return _VOCABULARIES[side.tokenizer]


def _line(text: str) -> str:
    return text.strip().partition("\n")[0][:300]
