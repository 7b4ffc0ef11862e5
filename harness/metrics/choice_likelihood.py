"""``choice-likelihood``: which of several options the model finds likeliest after the prompt.

As in EleutherAI's evaluation harness: ``acc`` compares the options' whole log-likelihoods, ``acc_norm``
(``normalise: bytes``) divides each by its length in bytes.
"""

from collections.abc import Sequence
from typing import cast

from harness.metrics.definition import ScoringRequest, binary, one_by_one, quote, wanted_texts
from harness.types import MetricError, Score


def _choice_likelihood(request: ScoringRequest) -> Score | MetricError:
    choices = [str(choice) for choice in cast("Sequence[str]", request.check.options["choices"])]
    losses = request.choice_losses
    if not all(choice in losses for choice in choices):
        error = "the model's loss on the options was not measured: this engine gives no losses"
        return MetricError(metric=request.check.type, error=error)
    per_byte = request.check.options.get("normalise", "none") == "bytes"
    costs = {
        choice: losses[choice].nats_per_token
        * losses[choice].tokens
        / (len(choice.encode("utf-8", "surrogatepass")) if per_byte else 1)
        for choice in choices
    }
    least = min(costs.values())
    likeliest = [choice for choice in choices if costs[choice] == least]
    unit = "nats a byte" if per_byte else "nats"
    told = ", ".join(
        f"{quote(choice, 20)} {costs[choice]:.3f}" for choice in sorted(choices, key=costs.__getitem__)[:4]
    )
    # A tie shows no choice.
    right = len(likeliest) == 1 and likeliest[0] in wanted_texts(request)
    return binary(request, right, f"likeliest is {' and '.join(map(quote, likeliest))} ({unit}: {told})")


choice_likelihood = one_by_one(_choice_likelihood)
