"""Levenshtein distance: insertions, deletions and substitutions of characters, by RapidFuzz."""

import unicodedata
from collections.abc import Sequence

from harness.metrics.definition import ScoringRequest, graded, quote, wanted_texts
from harness.types import MetricError, Score


def levenshtein(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
    """Distance to the closest text, ignoring white space at both ends and Unicode's spellings of one text."""
    from rapidfuzz.distance import Levenshtein

    def score(request: ScoringRequest) -> Score:
        answer = _normal(request.text)
        measured = [(Levenshtein.distance(answer, _normal(text)), text) for text in wanted_texts(request)]
        distance, closest = min(measured, key=lambda pair: pair[0])
        return graded(
            request,
            float(distance),
            f"{distance} edit{'' if distance == 1 else 's'} from {quote(closest.strip())}",
        )

    return [score(request) for request in requests]


def _normal(text: str) -> str:
    return unicodedata.normalize("NFC", text.strip())
