"""Rows that are longer than the model may see."""

from collections.abc import Sequence
from typing import Any

from harness.errors import DataError
from trainers.data.rows import Examples


def check_lengths(examples: Examples, tokenizer: Any, max_length: int, answers: Sequence[str]) -> None:
    """Refuse examples that would be cut: a cut answer teaches to stop in the middle.

    Args:
        examples: Rows with ``prompt`` and answers, all lists of turns.
        tokenizer: With a chat template.
        max_length: Most tokens of prompt and answer together.
        answers: The answers' keys.

    Raises:
        DataError: With file and line of the first that is too long.
    """
    for (path, line), row in zip(examples.places, examples.rows, strict=True):
        for key in answers:
            text = tokenizer.apply_chat_template(row["prompt"] + row[key], tokenize=False)
            tokens = len(tokenizer(text, add_special_tokens=False)["input_ids"])
            if tokens > max_length:
                problem = f"{tokens} tokens (allowed: max_length {max_length}); raise it or shorten the row"
                raise DataError(path, line, problem)
