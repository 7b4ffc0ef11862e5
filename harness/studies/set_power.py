"""What a golden set can show before any model has answered it, and what would make it show more."""

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from harness.comparison.metric_verdicts import gated_margins
from harness.comparison.pairing import PASS_RATE, has_light_tails
from harness.comparison.regressed_cases import regressed_limits
from harness.golden.answering_order import answering_order
from harness.statistics.clustered_drop import detectable_drop_of_cases, first_drop_beyond
from harness.statistics.clusters import CONFIDENCE, Units
from harness.statistics.detectable_drops import (
    USUAL_ALIKE,
    Chances,
    Flips,
    detectable_cluster_drop,
    verdict_chances,
)
from harness.statistics.looks import LookChances, look_chances
from harness.statistics.paired_graded import mean_drop
from harness.statistics.planning import cases_to_detect, cases_to_pass, pass_chance, times_as_many
from harness.statistics.power import POWER, USUAL_CHURN, detectable_drop, detectable_mean_drop
from harness.statistics.varying_answers import answers_vary, equal_varying_drop
from harness.studies.repeated_power import ANSWERS, detectable_repeated, repeated_clusters, repeated_pass
from harness.types import GoldenCase, GoldenSet
from harness.types.golden import ALPHA

# A drop that nobody overlooks: of a harmful candidate, for the share that a gate with looks answers.
HARM = 0.2
# Standard deviation of a case's change of log-probability, in nats, while nothing is known.
USUAL_SPREAD = 0.2
# The usual margin of perplexity, in nats.
LOG_MARGIN = 0.10
# Below this chance to pass all metrics, a lint says so.
_MOSTLY = 0.5
_RUNS = 200
# Log-probabilities of fewer cases are simulated, and of still fewer nothing is said of what they detect.
_SIMULATED_BELOW, _LEAST_UNITS = 30, 8
_RESAMPLES = 499


@dataclass(frozen=True, slots=True, kw_only=True)
class LooksPower:
    """What a gate with several looks needs.

    Attributes:
        looks: Planned looks.
        pass_chance: How often an equal candidate passes.
        equal_share: The mean share of cases that an equal candidate answers.
        harmful_share: The same of one that lost HARM.
    """

    looks: int
    pass_chance: float
    equal_share: float
    harmful_share: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """One way to learn more from a set, and what it would buy.

    Attributes:
        name: In words.
        detectable: Smallest true drop that is found in 80 % of runs, on the metric's scale; None if unknown
            or none.
        pass_chance: How often an equal candidate passes.
        answers: Number of answers a side, where 1 is the set as it is.
        detectable_of_clusters: In clusters with one answer a case, the drop that is found if it takes whole
            clusters; None elsewhere.
    """

    name: str
    detectable: float | None
    pass_chance: float
    answers: float
    detectable_of_clusters: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPower:
    """The power of one golden set.

    Attributes:
        cases: Number of cases.
        units: Number of independent ones: a cluster counts once.
        detectable_drop: Smallest true drop that regresses in 80 % of runs; None if there is none. In clusters
            it takes cases one by one.
        detectable_cluster_drop: The same if it takes whole clusters; None without any.
        pass_chance: How often an equal candidate passes.
        units_to_pass: Independent cases with which it passes in 80 %; None beyond 20 000.
        units_to_detect: Independent cases with which a true drop of the margin is found in 80 %.
        population: Whether the set asks about further cases (``sample``) or exactly its own (``cases``).
        metrics: Chance to pass of each further gated metric.
        looks: What several looks would need; None without any, and for a set that is answered whole.
        ways: What would make it show more.
    """

    name: str
    cases: int
    units: int
    margin: float
    detectable_drop: float | None
    pass_chance: float
    detectable_cluster_drop: float | None = None
    units_to_pass: int | None = None
    units_to_detect: int | None = None
    population: str = "sample"
    metrics: Mapping[str, float]
    looks: LooksPower | None = None
    ways: tuple[Way, ...] = ()


def power_of_set(
    golden_set: GoldenSet,
    margins: Mapping[str, float],
    churn: float,
    level: float,
    *,
    looks: int = 1,
    spread: float = USUAL_SPREAD,
    with_ways: bool = False,
) -> SetPower:
    """The power of a golden set, before any model has answered.

    Args:
        golden_set: The set; skipped cases don't count.
        margins: Its gated metrics' margins, among them that of its pass rate.
        churn: Share of cases that flip by chance, each way.
        level: One-sided level of a regression.
        looks: Planned number of looks.
        spread: Standard deviation of a case's change of log-probability, in nats.
        with_ways: Whether to compute what would make it show more, which takes longer.
    """
    cases = [case for case in golden_set.cases if case.skip is None]
    sizes, margin = _sizes(cases) or [1], margins[PASS_RATE]
    own = golden_set.gate.population == "cases"
    further = {
        # Of exactly these cases, scores of answers that reproduce are known too.
        metric: 1.0
        if own and not answers_vary(cases)
        else chance_of_metric(metric, cases, of_metric, churn, spread)
        for metric, of_metric in margins.items()
        if metric != PASS_RATE
    }
    counts = {"cases": len(cases), "units": len(sizes)}
    named: dict[str, Any] = {"name": golden_set.name, "margin": margin, "metrics": further, **counts}
    if own:
        return SetPower(**named, population="cases", **_of_own_cases(cases, margin, churn, level))
    named["looks"] = _of_looks(golden_set, margin, churn, level, looks) if looks > 1 else None
    if with_ways and cases:
        singly = regressed_limits([golden_set])[golden_set.name] == 0
        named["ways"] = tuple(_ways(sizes, margin, churn, level, spread, singly=singly))
    if len(sizes) < len(cases):
        return SetPower(**named, **_of_clusters(sizes, margin, churn, level))
    return SetPower(
        **named,
        detectable_drop=detectable_drop(len(sizes), churn, level, margin=margin),
        pass_chance=pass_chance(len(sizes), churn, margin),
        units_to_pass=cases_to_pass(margin, churn),
        units_to_detect=cases_to_detect(margin, churn, level, margin=margin),
    )


def _of_own_cases(cases: Sequence[GoldenCase], margin: float, churn: float, level: float) -> dict[str, Any]:
    """Of exactly these cases the drop is known, and equal models have none, unless answers vary."""
    count = max(len(cases), 1)
    if not answers_vary(cases):
        return {"detectable_drop": first_drop_beyond(margin, count), "pass_chance": 1.0}
    from scipy.special import ndtr

    drop = equal_varying_drop(cases)
    able = detectable_drop_of_cases(drop.interval, count, level, margin, whole=False)
    room, error = margin - drop.high, math.sqrt(2 * churn / count)
    passes = float(ndtr(room / error)) if error > 0 else float(room >= 0)
    return {"detectable_drop": able if able <= 1 else None, "pass_chance": passes}


def pass_chance_of(cases: Sequence[GoldenCase], margin: float, churn: float) -> float:
    """Probability that an equal candidate passes these cases, asked about further cases like them.

    Args:
        cases: At least one case.
        margin: Largest tolerated drop.
        churn: Share of cases that flip by chance, each way.
    """
    return _pass_chance(_sizes(cases), margin, churn)


def chance_of_metric(
    metric: str, cases: Sequence[GoldenCase], margin: float, churn: float, spread: float = USUAL_SPREAD
) -> float:
    """Probability that an equal candidate passes a gated metric other than the pass rate.

    A log-probability moves by the spread in each case. Any other score is taken to move as a verdict does: by
    the whole scale, in a few cases, which is the hardest kind of move to exclude.

    Args:
        metric: The metric.
        cases: The set's cases.
        margin: Largest tolerated drop.
        churn: Share of cases that flip by chance, each way.
        spread: Standard deviation of a case's change of log-probability, in nats.
    """
    if has_light_tails(metric):
        return _light_tailed_pass(len(_sizes(cases)), margin, spread)
    return _pass_chance(_sizes(cases), margin, churn)


def why_it_seldom_passes(golden_set: GoldenSet) -> str | None:
    """Why an equal model seldom passes all gated metrics of a set together; None if it mostly does.

    Args:
        golden_set: The whole set.
    """
    margins = {
        metric: margin
        for (_, metric), margin in gated_margins([golden_set]).items()
        if metric == PASS_RATE or metric in golden_set.gate.metric_margins
    }
    cases = [case for case in golden_set.cases if case.skip is None]
    if len(margins) == 1 or not cases or golden_set.gate.population == "cases":
        return None
    chances = [
        _pass_chance(_sizes(cases), margin, USUAL_CHURN)
        if metric == PASS_RATE
        else chance_of_metric(metric, cases, margin, USUAL_CHURN)
        for metric, margin in margins.items()
    ]
    if (together := math.prod(chances)) >= _MOSTLY:
        return None
    return (
        f"an equal model passes its {len(margins)} gated metrics together in {together:.0%} of runs if they "
        f"are independent, in {min(chances):.0%} at most, with {USUAL_CHURN:.0%} of cases flipping each way: "
        f"gate fewer metrics, widen margins or add cases (tunegate power)"
    )


def _light_tailed_pass(units: int, margin: float, spread: float) -> float:
    """By simulation of few units, otherwise by the normal approximation of Student's t."""
    from scipy.special import ndtr, stdtrit

    if 0.5**units > ALPHA:
        return 0.0
    if units < _SIMULATED_BELOW:
        return _simulated_pass(units, margin / spread)
    return float(ndtr(margin * math.sqrt(units) / spread - stdtrit(units - 1, (1 + CONFIDENCE) / 2)))


@lru_cache(maxsize=256)
def _simulated_pass(units: int, margin: float) -> float:
    """The same for a margin in standard deviations of the changes."""
    import numpy as np

    changes = np.random.default_rng(0).normal(0.0, 1.0, (_RUNS, units)).tolist()
    alone = (1.0,) * units
    passed = (
        mean_drop(Units(sums=tuple(run), sizes=alone), CONFIDENCE, light_tails=True, resamples=_RESAMPLES)
        for run in changes
    )
    return sum(each.high_unseen <= margin for each in passed) / _RUNS


def _pass_chance(sizes: Sequence[int], margin: float, churn: float) -> float:
    if any(size > 1 for size in sizes):
        return _chances(sizes, churn, churn, margin, ALPHA).passes
    return pass_chance(len(sizes), churn, margin)


def _chances(sizes: Sequence[float], lose: float, gain: float, margin: float, level: float) -> Chances:
    """By simulation: half of the flips concern whole clusters."""
    return verdict_chances(sizes, Flips(lose=lose, gain=gain, alike=USUAL_ALIKE), level, margin=margin)


def _of_clusters(sizes: Sequence[int], margin: float, churn: float, level: float) -> dict[str, Any]:
    worse = min(churn + margin, 1 - churn)

    def needed(suffices: Callable[[Sequence[float]], bool]) -> int | None:
        times = times_as_many(sizes, suffices)
        return None if times is None else times * len(sizes)

    return {
        "detectable_drop": _detectable(sizes, margin, churn, level),
        "detectable_cluster_drop": _detectable(sizes, margin, churn, level, whole=True),
        "pass_chance": _chances(sizes, churn, churn, margin, level).passes,
        "units_to_pass": needed(lambda many: _chances(many, churn, churn, margin, level).passes >= POWER),
        "units_to_detect": needed(lambda many: _chances(many, worse, churn, margin, level).regress >= POWER),
    }


def _of_looks(golden_set: GoldenSet, margin: float, churn: float, level: float, looks: int) -> LooksPower:
    sizes = [float(len(cases)) for cases in answering_order(golden_set)]

    def simulated(drop: float) -> LookChances:
        flips = Flips(lose=min(churn + drop, 1 - churn), gain=churn, alike=USUAL_ALIKE)
        return look_chances(sizes, flips, ALPHA, level, margin=margin, looks=looks)

    equal, harmful = simulated(0.0), simulated(HARM)
    return LooksPower(
        looks=looks, pass_chance=equal.passes, equal_share=equal.share, harmful_share=harmful.share
    )


def _ways(
    sizes: Sequence[int], margin: float, churn: float, level: float, spread: float, *, singly: bool
) -> list[Way]:
    """The set as it is, with twice the cases, with several answers a case, and by log-probabilities."""
    many, units = [*sizes, *sizes], len(sizes)
    return [
        Way(
            name="as it is",
            detectable=_detectable(sizes, margin, churn, level),
            detectable_of_clusters=_detectable(sizes, margin, churn, level, whole=True),
            pass_chance=_pass_chance(sizes, margin, churn),
            answers=1.0,
        ),
        Way(
            name="twice the cases",
            detectable=_detectable(many, margin, churn, level),
            detectable_of_clusters=_detectable(many, margin, churn, level, whole=True),
            pass_chance=_pass_chance(many, margin, churn),
            answers=2.0,
        ),
        Way(
            name=f"{ANSWERS} answers a case",
            detectable=detectable_repeated(sizes, margin, churn, level, singly=singly),
            detectable_of_clusters=repeated_clusters(sizes, margin, churn, level),
            pass_chance=repeated_pass(sizes, margin, churn),
            answers=float(ANSWERS),
        ),
        Way(
            name="log-probability of references",
            detectable=_light_tailed_detectable(units, spread, level),
            pass_chance=_light_tailed_pass(units, LOG_MARGIN, spread),
            answers=0.0,
        ),
    ]


def _detectable(
    sizes: Sequence[int], margin: float, churn: float, level: float, *, whole: bool = False
) -> float | None:
    """Of a drop that takes cases one by one, or whole clusters; the latter is None without clusters."""
    if not any(size > 1 for size in sizes):
        return None if whole else detectable_drop(len(sizes), churn, level, margin=margin)
    flips = Flips(lose=churn, gain=churn, alike=1.0 if whole else 0.0)
    found = detectable_cluster_drop(sizes, flips, level, margin=margin)
    if found is None and whole and _detectable(sizes, margin, churn, level) is not None:
        return 1.0
    return found


def _light_tailed_detectable(units: int, spread: float, level: float) -> float | None:
    """By the gate's own function, of changes that are normal with this spread."""
    from scipy.special import ndtri

    if units < _LEAST_UNITS:
        return None
    scores = [float(ndtri((place + 0.5) / units)) for place in range(units)]
    scale = spread / math.sqrt(math.fsum(score * score for score in scores) / (units - 1))
    changes = Units(sums=tuple(scale * score for score in scores), sizes=(1.0,) * units)
    return detectable_mean_drop(changes, level, margin=LOG_MARGIN, light_tails=True)


def _sizes(cases: Sequence[GoldenCase]) -> list[int]:
    """Number of cases of each cluster; a case without one is a cluster of its own."""
    return list(Counter(_unit(case) for case in cases).values())


def _unit(case: GoldenCase) -> tuple[str, str]:
    return ("case", case.id) if case.cluster is None else ("cluster", case.cluster)
