"""How much of a text an encoder sees: a text of unknown tokens looks like any other one.

A WordPiece vocabulary has one token for all that it doesn't know. Two Khmer sentences, or 👍 and 👎, then
have the same vectors and a similarity of 1; so have "péché" and "pêche" where accents are dropped. A score of
such a text says nothing, so it is an error.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from harness.golden.value_rules import is_blank
from harness.metrics.definition import ScoringRequest, quote
from harness.metrics.encoders import Encoder
from harness.metrics.text import folded, one_spelling
from harness.types import GoldenCase, MetricError

# Largest share of unknown tokens, or of characters in them: one emoji behind a sentence is accepted.
MOST_UNKNOWN = 0.2


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodedText:
    """A text as an encoder sees it.

    Attributes:
        tokens: Its token ids, special tokens included, before any cut.
        unknown: How many of them are the unknown token.
        unknown_share: Share of them, or of the characters outside of known tokens: whichever is greater.
        seen: The ids that the encoder reads, without marks at the end of a cut text.
        is_cut: Whether the encoder sees only the beginning.
    """

    text: str
    tokens: tuple[int, ...]
    unknown: int
    unknown_share: float
    seen: tuple[int, ...]
    is_cut: bool

    @property
    def is_empty(self) -> bool:
        """Whether nothing of it can be seen."""
        return is_blank(self.text)


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


def unreadable(text: EncodedText, whose: str) -> str:
    """Why the encoder can't read a text, as a sentence without its subject; empty if it can.

    Args:
        text: The text.
        whose: Such as "the answer".
    """
    if text.unknown_share <= MOST_UNKNOWN:
        return ""
    return (
        f"can't read {whose} {quote(text.text, 30)}: {text.unknown_share:.0%} of it is not in its vocabulary "
        f"(allowed: {MOST_UNKNOWN:.0%}). Name another encoder with model"
    )


def incomparable(
    request: ScoringRequest, read: Mapping[str, EncodedText], encoder: str
) -> MetricError | None:
    """Why the encoder can't compare an answer with its references, or None.

    A text is unknown to the encoder, or the answer looks like a reference only because of what is unknown.

    Args:
        request: The answer and its references. One that can't be read could be the closest.
        read: All their texts, as the encoder sees them.
        encoder: Its name.
    """
    answer, references = read[request.text], [read[one] for one in request.case.references]
    if answer.is_empty:
        return None
    problems = [
        unreadable(text, whose)
        for whose, text in (("the answer", answer), *(("the reference", one) for one in references))
    ]
    if not any(_same(answer.text, text.text) for text in references):
        problems += [_indistinguishable(answer, text) for text in references]
    problem = next(filter(None, problems), "")
    return MetricError(metric=request.check.type, error=f"{encoder} {problem}") if problem else None


def _indistinguishable(answer: EncodedText, reference: EncodedText) -> str:
    """Why the encoder sees an answer and another reference as the same text; empty if it doesn't."""
    if answer.seen != reference.seen:
        return ""
    reason = "in what it drops, such as accents"
    if answer.is_cut or reference.is_cut:
        reason = "behind the beginning, which is all that it reads"
    elif answer.unknown:
        reason = "in what is not in its vocabulary"
    shown = f"{quote(answer.text, 30)} from {quote(reference.text, 30)}"
    return f"can't distinguish {shown}: they differ only {reason}. Name another encoder with model"


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


def _same(one: str, other: str) -> bool:
    """Whether texts differ in case, composition, white space and what is never drawn only."""
    return one_spelling(folded(one)) == one_spelling(folded(other))


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
