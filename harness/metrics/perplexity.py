"""Perplexity of a case's reference under the tested model."""

import math
from dataclasses import replace

from harness.metrics.definition import ScoringRequest, graded, one_by_one
from harness.types import MetricError, Score, ScoredTexts


def _perplexity(request: ScoringRequest) -> Score | MetricError:
    """exp(nats per token) of the reference that the model finds likeliest."""
    if not request.reference_losses:
        return MetricError(
            metric="perplexity",
            error=f"the model's loss on the references {request.without_losses}",
        )
    best = min(request.reference_losses, key=lambda loss: loss.nats_per_token)
    place = request.reference_losses.index(best) + 1
    which = (
        f" of reference {place} of {len(request.reference_losses)}"
        if len(request.reference_losses) > 1
        else ""
    )
    score = graded(
        request,
        math.exp(best.nats_per_token),
        f"{best.nats_per_token:.3f} nats a token over the {best.tokens} tokens{which}",
    )
    return replace(score, texts=ScoredTexts.of(request.reference_losses))


perplexity = one_by_one(_perplexity)
