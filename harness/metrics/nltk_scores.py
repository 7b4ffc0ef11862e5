"""GLEU and METEOR of one answer, by NLTK, on the words that ROUGE uses.

GLEU after Wu et al. 2016 (arXiv:1609.08144); METEOR after Banerjee and Lavie 2005
(aclanthology.org/W05-0909), matching words and stems. Its third stage, synonyms, needs
WordNet's data and is left out.
"""

from collections.abc import Sequence
from typing import Any

from harness.metrics.definition import ScoringRequest, graded, quote
from harness.metrics.text import words
from harness.types import MetricError, Score


class _NoSynonyms:
    """In place of WordNet, which NLTK would otherwise look for on the disk: values would depend on that."""

    def synsets(self, word: str) -> list[Any]:
        """No meanings."""
        return []


def gleu(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
    """Sentence GLEU in [0, 1]: the smaller of precision and recall of 1- to 4-grams."""
    from nltk.translate.gleu_score import sentence_gleu

    def score(request: ScoringRequest) -> Score:
        answer = words(request.text)
        scored = [(float(sentence_gleu([words(one)], answer)), one) for one in request.case.references]
        value, closest = max(scored, key=lambda pair: pair[0])
        return graded(request, value, f"closest to {quote(closest)}")

    return [score(request) for request in requests]


def meteor(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
    """METEOR in [0, 1], with English stems and without synonyms."""
    from nltk.translate.meteor_score import single_meteor_score

    def score(request: ScoringRequest) -> Score:
        answer = words(request.text)
        scored = [
            (float(single_meteor_score(words(one), answer, wordnet=_NoSynonyms())), one)
            for one in request.case.references
        ]
        value, closest = max(scored, key=lambda pair: pair[0])
        return graded(request, value, f"closest to {quote(closest)}")

    return [score(request) for request in requests]
