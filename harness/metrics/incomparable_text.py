"""Texts of which an encoder's score would say nothing, and why."""

from collections.abc import Mapping
from dataclasses import dataclass

from harness.golden.value_rules import is_blank
from harness.metrics.definition import ScoringRequest, quote
from harness.metrics.text import folded, one_spelling
from harness.types import MetricError

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


def _same(one: str, other: str) -> bool:
    """Whether texts differ in case, composition, white space and what is never drawn only."""
    return one_spelling(folded(one)) == one_spelling(folded(other))
