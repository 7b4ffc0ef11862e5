"""BLEU and chrF of one answer, by sacreBLEU.

BLEU after Papineni et al. 2002 (aclanthology.org/P02-1040), smoothed for single sentences by adding one
to the counts of orders above one (Lin and Och 2004); chrF after Popović 2015 (aclanthology.org/W15-3049);
both as implemented by Post 2018 (aclanthology.org/W18-6319), divided by 100. Texts are compared in NFC, so
that an accent is one character on both sides. Several references are not pooled: the closest one counts, as
in every other metric here.
"""

from collections.abc import Sequence

from harness.metrics.definition import ScoringRequest, graded, quote
from harness.metrics.text import composed
from harness.types import MetricError, Score


def bleu(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
    """Sentence BLEU in [0, 1], tokenised as WMT does ("13a")."""
    from sacrebleu.metrics.bleu import BLEU

    metric = BLEU(smooth_method="add-k", effective_order=True)

    def score(request: ScoringRequest) -> Score:
        answer = composed(request.text)
        scored = [(metric.sentence_score(answer, [composed(one)]), one) for one in request.case.references]
        best, closest = max(scored, key=lambda pair: float(pair[0].score))
        shares = "/".join(f"{precision:.0f}" for precision in best.precisions)
        brevity = f", {best.sys_len} of {best.ref_len} words long" if best.sys_len < best.ref_len else ""
        return graded(
            request,
            min(best.score / 100, 1.0),
            f"{shares} % of 1/2/3/4-grams shared with {quote(closest)}{brevity}",
        )

    return [score(request) for request in requests]


def chrf(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
    """Sentence chrF (character 1- to 6-grams, recall weighted double) in [0, 1]."""
    from sacrebleu.metrics.chrf import CHRF

    metric = CHRF()

    def score(request: ScoringRequest) -> Score:
        answer = composed(request.text)
        scored = [
            (metric.sentence_score(answer, [composed(one)]).score, one) for one in request.case.references
        ]
        value, closest = max(scored)
        return graded(request, min(value / 100, 1.0), f"closest to {quote(closest)}")

    return [score(request) for request in requests]
