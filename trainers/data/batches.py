"""Texts as padded batches of tokens."""

from collections.abc import Iterator, Sequence
from typing import Any


def padded_batches(
    tokenizer: Any, texts: Sequence[str], device: Any, size: int, *, side: str
) -> Iterator[tuple[int, Any]]:
    """Cut texts into batches.

    Args:
        tokenizer: The model's.
        texts: With their special tokens already written, as a chat template does.
        device: The device of the tokens.
        size: Texts of a batch.
        side: ``left`` to continue the texts, ``right`` to score them.

    Yields:
        The index of a batch's first text, and its input_ids and attention_mask, both (texts, tokens).
    """
    for start in range(0, len(texts), size):
        batch = tokenizer(
            list(texts[start : start + size]),
            add_special_tokens=False,
            padding=True,
            padding_side=side,
            return_token_type_ids=False,
            return_tensors="pt",
        )
        yield start, batch.to(device)
