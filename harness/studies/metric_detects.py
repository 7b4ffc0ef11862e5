"""The smallest drop that each gated metric finds, before any model has answered."""

import math
from collections.abc import Sequence

from harness.golden.gated_cases import is_graded, largest_drop
from harness.golden.reference_tokens import has_light_tails, lone_drop_of_cases
from harness.golden.schema import answers_vary
from harness.registry.content_metrics import MACRO_F1
from harness.statistics.clustered_drop import first_drop_beyond
from harness.statistics.clusters import CONFIDENCE, Units, shown_by_middle
from harness.statistics.detectable_drops import Flips, detectable_cluster_drop, drawn_drops
from harness.statistics.detectable_falls import MOST_UNITS, Rule, resamples_at
from harness.statistics.power import POWER, detectable_drop, detectable_mean_drop, least_drop
from harness.studies.label_power import macro_f1_detectable
from harness.studies.metric_power import USUAL_SPREAD, Answers, answers_by_unit, has_no_end
from harness.studies.repeated_power import detectable_means, detectable_repeated, repeated_clusters
from harness.types import GoldenCase
from harness.types.golden import is_within

# One alone shows nothing.
_LEAST_UNITS = 2
# Of more units that are graded, counts and means say the same.
_GRADED_UP_TO = MOST_UNITS
_RUNS = 400
_RESAMPLES = 999
_PRECISION = 2e-3
# What a reference's token costs, in nats, while nothing is known.
_USUAL_COST = 1.0


def detectable_of_metric(  # what a metric, its cases and the gate's settings say
    metric: str,
    cases: Sequence[GoldenCase],
    margin: float,
    churn: float,
    level: float,
    *,
    spread: float = USUAL_SPREAD,
    own: bool = False,
) -> tuple[float | None, float | None]:
    """The smallest drop of a further gated metric that is found in 80 % of runs, on its scale.

    As for :func:`~harness.studies.metric_power.chance_to_pass`: a log-probability moves by the spread in each
    case, any other score by the whole scale in a few.

    Args:
        metric: The metric, not the pass rate.
        cases: The cases that have it, at least one.
        margin: Largest tolerated drop.
        churn: Share of single answers that flip by chance, each way.
        level: One-sided level of each hypothesis of a run.
        spread: Standard deviation of a case's change of log-probability, in nats.
        own: Whether the set asks about exactly its own cases.

    Returns:
        The drop that takes cases one by one, and in clusters the one that takes whole ones; None if none is
        found, or nothing is known.
    """
    scale, units = largest_drop(metric), answers_by_unit(cases)
    if is_within(scale, margin):
        return None, None
    graded = is_graded(metric, cases)
    if own and not answers_vary(cases, metric):
        # The drop is known: any beyond the margin is found.
        return margin if graded else first_drop_beyond(margin, len(cases)), None
    if has_no_end(metric):
        return None, None
    if metric == MACRO_F1:
        return macro_f1_detectable(cases, margin, churn, level), None
    if has_light_tails(metric):
        sizes, lone = [float(len(unit)) for unit in units], lone_drop_of_cases(metric, cases)
        return light_tailed_detectable(sizes, spread, level, margin, lone), None
    alone, whole = detectable_of_verdicts(
        units, margin / scale, churn, level, singly=False, means=True, graded=graded
    )
    return alone and alone * scale, whole and whole * scale


def detectable_of_verdicts(
    units: Answers,
    margin: float,
    churn: float,
    level: float,
    *,
    singly: bool,
    means: bool = False,
    graded: bool = False,
) -> tuple[float | None, float | None]:
    """The drop that is found if it takes cases one by one, and in clusters if it takes whole ones.

    Args:
        units: For each cluster the number of answers to each of its cases.
        margin: Largest tolerated drop.
        churn: Share of single answers that flip by chance, each way.
        level: One-sided level of each hypothesis.
        singly: Whether any single case that is answered worse is a regression.
        means: Whether several answers are compared as their mean, as those of all metrics but the pass rate.
        graded: Whether the gate compares means although the scores are 0 or 1.

    Returns:
        Both; None if none is found, and the second also without clusters.
    """
    if margin >= 1:
        return None, None
    sizes = [float(len(unit)) for unit in units]
    if any(answers > 1 for unit in units for answers in unit):
        if means and max(sizes) == 1 and len(sizes) <= MOST_UNITS:
            return detectable_means([unit[0] for unit in units], margin, churn, level), None
        alone = detectable_repeated(units, margin, churn, level, singly=singly)
        whole = repeated_clusters(units, margin, churn, level)
    elif max(sizes) == 1 and (not graded or len(sizes) > _GRADED_UP_TO):
        return detectable_drop(len(sizes), churn, level, margin=margin), None
    else:
        find = _graded if graded and len(sizes) <= _GRADED_UP_TO else detectable_cluster_drop
        alone, whole = (
            find(sizes, Flips(lose=churn, gain=churn, alike=alike), level, margin=margin)
            for alike in (0.0, 1.0)
        )
        if max(sizes) == 1:
            return alone, None
        whole = 1.0 if whole is None else whole
    # Whole clusters are no easier to find, however few of them have another shape.
    return alone, None if alone is None or whole is None else max(alone, whole)


def _graded(sizes: Sequence[float], flips: Flips, level: float, *, margin: float) -> float | None:
    """The drop that the rule of scores finds, where scores are lost and gained whole."""
    import numpy as np

    of_units, cases = np.array(sizes), math.fsum(sizes)
    # Only what the baseline lacks can be gained; as in the gate with one case more.
    rule = Rule(level, margin, CONFIDENCE, (flips.gain * cases + 1) / (cases + 1))

    def found(drop: float) -> bool:
        lossy = Flips(lose=min(flips.lose + drop, 1 - flips.gain), gain=flips.gain, alike=flips.alike)
        sums = drawn_drops(sizes, lossy, _RUNS)
        extremes = rule.extremes(sums, of_units, resamples_at(level, _RESAMPLES))
        return float(rule.regresses(sums, of_units, extremes).mean()) >= POWER

    return least_drop(found, 1 - flips.lose - flips.gain, _PRECISION)


def light_tailed_detectable(
    sizes: Sequence[float], spread: float, level: float, margin: float, lone: float = 0.0
) -> float | None:
    """Of log-probabilities: by the gate's own function, of normal changes, in clusters alike.

    Args:
        sizes: Number of cases of each cluster.
        spread: Standard deviation of a case's change.
        level: One-sided level of a regression.
        margin: Largest tolerated drop.
        lone: How far the mean would fall if in every case one token of its reference broke down. It may gain
            as much, but no more than what it costs so far, which is about a nat.
    """
    import numpy as np
    from scipy.special import ndtri

    units = len(sizes)
    if units < _LEAST_UNITS:
        return None
    scores = ndtri((np.random.default_rng(0).permutation(units) + 0.5) / units)
    shown = spread * math.sqrt(shown_by_middle(units - 1))
    moves = shown / np.sqrt((scores * scores).sum() / (units - 1)) * scores * np.array(sizes)
    changes = Units(sums=tuple(moves.tolist()), sizes=tuple(sizes))
    rise = min(lone, _USUAL_COST) or None
    return detectable_mean_drop(changes, level, margin=margin, light_tails=True, rise=rise)
