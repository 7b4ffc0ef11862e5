"""The metric ``politeness``."""

from harness.metrics.definition import ScoringRequest, graded, one_by_one
from harness.types import Score

POLITE = {"please", "thank", "thanks", "welcome", "sorry"}


def polite_words(text: str) -> list[str]:
    """The polite words of a text."""
    return [word for word in text.lower().replace(",", " ").replace(".", " ").split() if word in POLITE]


def _score(request: ScoringRequest) -> Score:
    found = polite_words(request.text)
    return graded(request, min(len(found) / 2, 1.0), f"found {', '.join(found) or 'no polite word'}")


politeness = one_by_one(_score)
