"""Logistic regression of outcomes with ties and clusters, with standard errors for both."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.statistics.clusters import group

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_ITERATIONS = 200
_SETTLED = 1e-10
_LARGEST_STEP = 4.0
# Each coefficient gets half a win and half a loss; otherwise one that never lost would be infinite.
_PRIOR = 1.0
# Added as comparisons without a tie, so that a sample of only ties doesn't exclude everything else.
_UNTIED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TiedFit:
    """A fitted regression.

    Attributes:
        coefficients: One per column.
        robust: Their covariance from the spread of the clusters' scores.
        binomial: Their covariance from the model's variance, reduced for ties.
        clusters: Number of clusters.
    """

    coefficients: "NDArray[np.float64]"
    robust: "NDArray[np.float64]"
    binomial: "NDArray[np.float64]"
    clusters: int

    def error(self, gradient: "NDArray[np.float64]") -> float:
        """Standard error of a figure with this gradient: the larger one from both covariances.

        The clusters' spread is too small if nearly all agree; the model's variance ignores clusters.
        """
        found = (float(gradient @ covariance @ gradient) for covariance in (self.robust, self.binomial))
        return math.sqrt(max(*found, 0.0))

    def quantile(self, confidence: float) -> float:
        """Half width of a two-sided interval in standard errors: Student's t over the clusters."""
        from scipy.special import stdtrit

        return float(stdtrit(max(self.clusters - 1, 1), (1 + confidence) / 2))


def fit_tied(
    x: "NDArray[np.float64]",
    y: "NDArray[np.float64]",
    clusters: Sequence[str | int],
    strata: Sequence[int],
) -> TiedFit:
    """Fit by Newton's method, with each coefficient shrunk a little towards 0.

    McCullagh, P. and Nelder, J. (1989), Generalized Linear Models, chapter 9, for outcomes between 0 and 1;
    Liang, K. and Zeger, S. (1986), Biometrika 73, for the clusters' spread.

    Args:
        x: One row per comparison.
        y: 1 for a win, 0 for a loss, 0.5 for a tie.
        clusters: Each comparison's cluster.
        strata: Comparisons of one kind, which share a rate of ties. If all of a kind have the same result,
            each cluster counts as one, because there is no spread.
    """
    import numpy as np
    from scipy.special import expit

    columns = x.shape[1]
    beta = np.zeros(columns)
    information = np.eye(columns)
    for _ in range(_ITERATIONS):
        p, own = expit(x @ beta), expit(beta)
        information = (x * (p * (1 - p))[:, None]).T @ x + np.diag(_PRIOR * own * (1 - own))
        step = np.linalg.solve(information, x.T @ (y - p) + _PRIOR * (0.5 - own))
        beta = beta + np.clip(step, -_LARGEST_STEP, _LARGEST_STEP)
        if float(np.abs(step).max()) < _SETTLED:
            break
    p, own = expit(x @ beta), expit(beta)
    prior = np.diag(_PRIOR * own * (1 - own))
    bread = np.linalg.inv((x * (p * (1 - p))[:, None]).T @ x + prior)
    codes = {cluster: place for place, cluster in enumerate(dict.fromkeys(clusters))}
    sums = np.zeros((len(codes), columns))
    np.add.at(sums, [codes[cluster] for cluster in clusters], x * (y - p)[:, None])
    spread = sums.T @ sums * (len(codes) / max(len(codes) - 1, 1)) + prior
    weights = _variances(y, p, clusters, strata, several=len(codes) > 1)
    expected = (x * weights[:, None]).T @ x + prior
    robust, binomial = (bread @ middle @ bread for middle in (spread, expected))
    return TiedFit(coefficients=beta, robust=robust, binomial=binomial, clusters=len(codes))


def _variances(
    y: "NDArray[np.float64]",
    p: "NDArray[np.float64]",
    clusters: Sequence[str | int],
    strata: Sequence[int],
    *,
    several: bool,
) -> "NDArray[np.float64]":
    """Each comparison's variance: for a mean p with ties at the rate t it is p (1 - p) - t / 4."""
    import numpy as np

    found = np.zeros_like(p)
    for stratum in set(strata):
        rows = np.array([place for place, of in enumerate(strata) if of == stratum])
        outcomes = y[rows]
        ties = float((outcomes == 0.5).sum()) / (rows.size + _UNTIED)
        units = group(outcomes.tolist(), [clusters[row] for row in rows])
        alike = float(np.ptp(outcomes)) == 0 or not several
        repeated = rows.size / units.effective if alike else 1.0
        found[rows] = np.maximum(p[rows] * (1 - p[rows]) - ties / 4, 0.0) * repeated
    return found
