"""Strengths of several models, from pairwise comparisons."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from harness.statistics.clusters import CONFIDENCE
from harness.statistics.tied_logistic import TiedFit, fit_tied
from harness.types import Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class PairwiseComparison:
    """One comparison of two models.

    Attributes:
        value: 1 where the first was preferred, 0 where the second was, 0.5 for a tie.
        cluster: Comparisons that share it are not independent.
    """

    first: str
    second: str
    value: float
    cluster: str | int


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """A model's strength among others.

    Attributes:
        strength: Logarithm of its odds, centred over the models; two models' difference is the log odds of
            the one being preferred.
        win_rate: Expected rate at which it is preferred to another one, a tie counting half, over all others
            equally.
        comparisons: Number of its comparisons.
    """

    model: str
    strength: Interval
    win_rate: Interval
    comparisons: int


def bradley_terry(
    compared: Sequence[PairwiseComparison], confidence: float = CONFIDENCE
) -> tuple[Strength, ...]:
    """Strengths of several models from pairwise preferences, the strongest first.

    Bradley, R. A. and Terry, M. E. (1952), Biometrika 39: a tie is half a win for either side. Each model
    gets half a win and half a loss against an average one, so one that never lost has a finite strength.

    Args:
        compared: The comparisons.
        confidence: Two-sided.

    Raises:
        ValueError: There are fewer than two models, a value is not between 0 and 1, or a model is compared
            with itself.
    """
    models = sorted({model for one in compared for model in (one.first, one.second)})
    if len(models) < 2:
        raise ValueError("strengths need at least two models")
    if any(one.first == one.second or not 0 <= one.value <= 1 for one in compared):
        raise ValueError("each comparison is of two different models, with a value from 0 to 1")
    import numpy as np

    place = {model: number for number, model in enumerate(models)}
    x = np.zeros((len(compared), len(models)))  # (comparisons, models)
    y = np.zeros(len(compared))
    strata = []
    for row, one in enumerate(compared):
        first, second = sorted((place[one.first], place[one.second]))
        x[row, first], x[row, second] = 1.0, -1.0
        y[row] = one.value if place[one.first] == first else 1 - one.value
        strata.append(first * len(models) + second)
    fit = fit_tied(x, y, [one.cluster for one in compared], strata)
    found = [
        Strength(
            model=model,
            strength=_strength(fit, row, len(models), confidence),
            win_rate=_win_rate(fit, row, confidence),
            comparisons=int((x[:, row] != 0).sum()),
        )
        for model, row in place.items()
    ]
    return tuple(sorted(found, key=lambda one: -one.strength.estimate))


def _strength(fit: TiedFit, row: int, models: int, confidence: float) -> Interval:
    """A model's coefficient minus the mean of all."""
    import numpy as np

    centred = np.full(models, -1 / models)
    centred[row] += 1
    value = float(centred @ fit.coefficients)
    half = fit.quantile(confidence) * fit.error(centred)
    return Interval(
        estimate=value, low=value - half, high=value + half, confidence=confidence, method=_method(fit)
    )


def _win_rate(fit: TiedFit, row: int, confidence: float) -> Interval:
    """A model's mean probability of being preferred to another."""
    import numpy as np
    from scipy.special import expit, logit

    rates = expit(fit.coefficients[row] - np.delete(fit.coefficients, row))
    rate = float(rates.mean())
    # The gradient of its logit, so that no bound is outside of the scale.
    slopes = rates * (1 - rates) / len(rates) / (rate * (1 - rate))
    gradient = np.insert(-slopes, row, math.fsum(slopes))
    around = fit.quantile(confidence) * fit.error(gradient)
    return Interval(
        estimate=rate,
        low=float(expit(logit(rate) - around)),
        high=float(expit(logit(rate) + around)),
        confidence=confidence,
        method=_method(fit),
    )


def _method(fit: TiedFit) -> str:
    return f"Bradley-Terry, t over {fit.clusters} clusters"
