"""How much of a text an encoder sees: a text of unknown tokens looks like any other one.

A WordPiece vocabulary has one token for all that it doesn't know. Two Khmer sentences, or 👍 and 👎, then
have the same vectors and a similarity of 1; so have "péché" and "pêche" where accents are dropped. A score of
such a text says nothing, so it is an error.
"""

import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from harness.golden.value_rules import is_blank
from harness.metrics.encoders import Encoder
from harness.metrics.incomparable_text import EncodedText, unreadable
from harness.metrics.text import one_spelling
from harness.types import GoldenCase


def encoded(tokenizer: Any, text: str, limit: float | None) -> EncodedText:
    """Read a text with an encoder's tokenizer.

    Args:
        tokenizer: The encoder's: of transformers, or of tokenizers in models of static word vectors.
        text: The text.
        limit: Most tokens that the encoder reads; None if there is no limit.
    """
    tokens, offsets, own, unknown_id = _read(tokenizer, text)
    known = [place for place in own if tokens[place] != unknown_id]
    share = 1 - len(known) / len(own) if own else float(not is_blank(text))
    if offsets is not None:
        share = max(share, _unseen_share(text, [offsets[place] for place in known]))
    is_cut = limit is not None and len(tokens) > limit
    return EncodedText(
        text=text,
        tokens=tuple(tokens),
        unknown=len(own) - len(known),
        unknown_share=share,
        seen=tuple(tokens[: int(limit) - 1] if limit is not None and is_cut else tokens),
        is_cut=is_cut,
    )


def _read(tokenizer: Any, text: str) -> tuple[list[int], list[tuple[int, int]] | None, list[int], int | None]:
    """Tokens, their places in the text if known, the places of those that are no marks, the unknown token."""
    if not callable(tokenizer):
        # A tokenizer that stands alone cuts at its own limit, which is not ours to ask for.
        found = tokenizer.encode(text)
        unknown = getattr(tokenizer.model, "unk_token", None)
        own = [place for place, special in enumerate(found.special_tokens_mask) if not special]
        unknown_id = None if unknown is None else tokenizer.token_to_id(unknown)
        return found.ids, found.offsets, own, unknown_id
    has_offsets = bool(getattr(tokenizer, "is_fast", False))
    found = tokenizer(text, truncation=False, verbose=False, return_offsets_mapping=has_offsets)
    special = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    own = [place for place, token in enumerate(found["input_ids"]) if token not in special]
    offsets = found["offset_mapping"] if has_offsets else None
    return found["input_ids"], offsets, own, tokenizer.unk_token_id


def _unseen_share(text: str, pieces: Sequence[tuple[int, int]]) -> float:
    """Share of the characters that are in no known token. Marks don't count: they may belong to one."""
    seen = {place for start, end in pieces for place in range(start, end)}
    counted = [
        place
        for place, character in enumerate(text)
        if not is_blank(character) and not unicodedata.category(character).startswith("M")
    ]
    return sum(place not in seen for place in counted) / len(counted) if counted else 0.0


def unreadable_reference(encoder: Encoder, case: GoldenCase) -> str:
    """Why an encoder can't read one of a case's references, without loading it; empty if it can.

    Args:
        encoder: The encoder. Without a file ``tokenizer.json`` nothing is known before it is loaded.
        case: The case.
    """
    file = encoder.directory / "tokenizer.json"
    if not file.is_file():
        return ""
    tokenizer = _tokenizer(file)
    read = (encoded(tokenizer, text, None) for text in case.references)
    return next((problem for one in read if (problem := unreadable(one, "the reference"))), "")


@cache
def _tokenizer(file: Path) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(file))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def unseen(answer: EncodedText, reference: EncodedText) -> str:
    """What the encoder didn't see, as the end of an explanation; empty where it saw everything.

    Args:
        answer: The answer.
        reference: The reference that it was compared with.
    """
    cut = [whose for whose, text in (("answer", answer), ("reference", reference)) if text.is_cut]
    told = f", only the beginning of the {' and the '.join(cut)}" if cut else ""
    if answer.seen == reference.seen and one_spelling(answer.text) != one_spelling(reference.text):
        told += ", no difference between capital and small letters"
    unknown = answer.unknown + reference.unknown
    return told + (f", {unknown} unknown token{'s' if unknown > 1 else ''}" if unknown else "")
