"""Who is preferred: win rates that length doesn't buy, and strengths of several models from their pairs."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.statistics.rates import CONFIDENCE
from harness.types import Interval

_ITERATIONS = 200
_SETTLED = 1e-10
# Half a won and half a lost comparison: what never lost would else be infinitely strong.
_PRIOR = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Strength:
    """A model's strength among others.

    Attributes:
        strength: Logarithm of its odds, centred over the models; two models' difference is the log odds of
            the one being preferred.
        win_rate: Expected rate at which it is preferred to the others' average.
    """

    model: str
    strength: Interval
    win_rate: float
    comparisons: int


def length_controlled_win_rate(
    wins: Sequence[float], length_ratios: Sequence[float], confidence: float = CONFIDENCE
) -> Interval:
    """The win rate there would be if both answers were of one length.

    A logistic regression of the preference on the logarithm of the answers' length ratio, squashed by tanh
    as in Dubois, Y. et al. (2024), Length-Controlled AlpacaEval (arXiv:2404.04475), read off at equal length.

    Args:
        wins: 1 where the answer was preferred, 0 where the other was, 0.5 for a tie.
        length_ratios: Each answer's length over the other's, above 0.
        confidence: Two-sided; of the intercept, by Wald with a robust variance.

    Raises:
        ValueError: There are fewer than two comparisons, or a ratio is not above 0.
    """
    if len(wins) < 2:
        raise ValueError("a win rate needs at least two comparisons")
    if min(length_ratios) <= 0:
        raise ValueError("a length ratio has to be above 0")
    import numpy as np
    from scipy.special import expit, ndtri

    y = np.asarray(wins, dtype=float)
    logs = np.log(np.asarray(length_ratios, dtype=float))
    spread = float(logs.std())
    squashed = np.tanh(logs / spread) if spread > _SETTLED else np.zeros_like(logs)
    x = np.column_stack([np.ones_like(y), squashed])  # (comparisons, 2)
    # A weak ridge stands for half a comparison: it keeps fully separated wins finite.
    ridge = np.diag([_PRIOR, _PRIOR])
    beta = np.zeros(2)
    for _ in range(_ITERATIONS):
        p = expit(x @ beta)
        hessian = (x * (p * (1 - p))[:, None]).T @ x + ridge
        step = np.linalg.solve(hessian, x.T @ (y - p) - ridge @ beta)
        beta = beta + step
        if float(np.abs(step).max()) < _SETTLED:
            break
    p = expit(x @ beta)
    bread = np.linalg.inv((x * (p * (1 - p))[:, None]).T @ x + ridge)
    meat = (x * ((y - p) ** 2)[:, None]).T @ x + ridge / 4
    error = math.sqrt(float((bread @ meat @ bread)[0, 0]))
    half = float(ndtri((1 + confidence) / 2)) * error
    return Interval(
        estimate=float(expit(beta[0])),
        low=float(expit(beta[0] - half)),
        high=float(expit(beta[0] + half)),
        confidence=confidence,
        method="logistic regression at equal length",
    )


def bradley_terry(
    wins: Mapping[tuple[str, str], float], confidence: float = CONFIDENCE
) -> tuple[Strength, ...]:
    """Strengths of several models from pairwise preferences, the strongest first.

    Bradley, R. A. and Terry, M. E. (1952), Biometrika 39, fitted by Newton's method: a tie is half a win for
    either side, and each model has half a win and half a loss against an average one, so that one that never
    lost has a finite strength. Intervals by the observed information.

    Args:
        wins: How often the first model of each key was preferred to the second.
        confidence: Two-sided.

    Raises:
        ValueError: There are fewer than two models, a count is negative, or a model meets itself.
    """
    models = sorted({model for pair in wins for model in pair})
    if len(models) < 2:
        raise ValueError("strengths need at least two models")
    if any(a == b or not 0 <= count < math.inf for (a, b), count in wins.items()):
        raise ValueError("each count is of two different models, and not negative")
    import numpy as np
    from scipy.special import expit, ndtri

    place = {model: number for number, model in enumerate(models)}
    won = np.zeros((len(models), len(models)))
    for (winner, loser), count in wins.items():
        won[place[winner], place[loser]] += count
    met = won + won.T
    beta = np.zeros(len(models))
    information = np.eye(len(models))
    for _ in range(_ITERATIONS):
        p = expit(beta[:, None] - beta[None, :])
        own = expit(beta)
        gradient = (won - met * p).sum(axis=1) + _PRIOR - 2 * _PRIOR * own
        weight = met * p * (1 - p)
        information = np.diag(weight.sum(axis=1) + 2 * _PRIOR * own * (1 - own)) - weight
        step = np.linalg.solve(information, gradient)
        beta = beta + step
        if float(np.abs(step).max()) < _SETTLED:
            break
    centre = np.eye(len(models)) - 1 / len(models)
    covariance = centre @ np.linalg.inv(information) @ centre
    beta = beta - beta.mean()
    z = float(ndtri((1 + confidence) / 2))
    found = []
    for model, row in place.items():
        half = z * math.sqrt(max(float(covariance[row, row]), 0.0))
        value = float(beta[row])
        others = [float(expit(value - beta[other])) for other in range(len(models)) if other != row]
        found.append(
            Strength(
                model=model,
                strength=Interval(
                    estimate=value,
                    low=value - half,
                    high=value + half,
                    confidence=confidence,
                    method="Bradley-Terry",
                ),
                win_rate=math.fsum(others) / len(others),
                comparisons=round(float(met[row].sum())),
            )
        )
    return tuple(sorted(found, key=lambda one: -one.strength.estimate))
