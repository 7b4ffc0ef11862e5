"""How options after one prompt are split into tokens: together with it, as EleutherAI's harness does."""

from collections.abc import Collection, Sequence

# A prompt's last tokens may change with what follows them; if more do, the prompt was not made of its text.
_MOST_CHANGED = 8


def shared_tokens(own: Sequence[int], wholes: Collection[Sequence[int]]) -> int | None:
    """How many of a prompt's first tokens it has before every option; all others count as the options'.

    On its own an option may be split otherwise: ``▁Paris`` has another space in front then. Where the
    prompt's end and an option share a token (a space, then a word), it counts as a part of every option.

    Args:
        own: The prompt's tokens.
        wholes: The tokens of the prompt with each option behind it.

    Returns:
        Their number; None where the options change so much of the prompt that it is not their beginning.
    """
    shared = min(_alike(own, whole) for whole in wholes)
    return None if shared < len(own) - _MOST_CHANGED else shared


def _alike(tokens: Sequence[int], others: Sequence[int]) -> int:
    """The number of first tokens that both have."""
    pairs = enumerate(zip(tokens, others, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(tokens), len(others)))
