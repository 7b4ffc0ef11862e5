"""``choice-likelihood``: which of several options the model finds likeliest after the prompt.

As in EleutherAI's evaluation harness: ``acc`` compares the options' whole log-likelihoods, ``acc_norm``
(``normalise: characters``) divides each by its length in characters, ``acc_bytes`` (``normalise: bytes``) in
bytes. A space before an option is part of its likelihood, and not of its length.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from harness.metrics.definition import ScoringRequest, binary, one_by_one, quote, wanted_texts
from harness.types import MetricError, Score, ScoredTexts

# The unit of what is compared, and the length of an option by which its likelihood is divided.
_LENGTHS: Mapping[str, tuple[str, Callable[[str], int]]] = {
    "none": ("nats", lambda _: 1),
    "characters": ("nats a character", len),
    "bytes": ("nats a byte", lambda text: len(text.encode("utf-8", "surrogatepass"))),
}


def _choice_likelihood(request: ScoringRequest) -> Score | MetricError:
    choices = [str(choice) for choice in cast("Sequence[str]", request.check.options["choices"])]
    losses = request.choice_losses
    if not all(choice in losses for choice in choices):
        error = f"the model's loss on the options {request.without_losses}"
        return MetricError(metric=request.check.type, error=error)
    unit, length = _LENGTHS[str(request.check.options.get("normalise", "none"))]
    costs = {
        choice: losses[choice].nats_per_token * losses[choice].tokens / length(choice.strip() or choice)
        for choice in choices
    }
    if not all(map(math.isfinite, costs.values())):
        error = "the model's loss on one of the options is no finite number"
        return MetricError(metric=request.check.type, error=error)
    least = min(costs.values())
    likeliest = [choice for choice in choices if costs[choice] == least]
    told = ", ".join(
        f"{quote(choice, 20)} {costs[choice]:.3f}" for choice in sorted(choices, key=costs.__getitem__)[:4]
    )
    # A tie shows no choice.
    right = len(likeliest) == 1 and likeliest[0] in wanted_texts(request)
    score = binary(request, right, f"likeliest is {' and '.join(map(quote, likeliest))} ({unit}: {told})")
    return replace(score, texts=ScoredTexts.of([losses[choice] for choice in choices]))


choice_likelihood = one_by_one(_choice_likelihood)
