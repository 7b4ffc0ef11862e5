"""Two runs, paired case by case: each metric's drop with its interval, p-value and power."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from harness.golden.checks import CHECK_TYPES, base_type
from harness.statistics import paired_binary, paired_graded
from harness.statistics.rates import mean_interval, wilson
from harness.types import (
    CaseResult,
    Interval,
    MetricComparison,
    MetricSummary,
    Outcome,
    Run,
)

PASS_RATE = "pass-rate"
# Two-sided; each bound alone holds at 95 %, which is what a margin is held against.
DROP_CONFIDENCE = 0.90
# So many cases flip by chance when nothing changed; assumed where fewer were seen.
_CHURN = 0.02
_LARGEST_LISTED = 20

Pair = tuple[CaseResult, CaseResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """Cases with a verdict on both sides, by golden set, and the keys of all others."""

    by_set: Mapping[str, Sequence[Pair]]
    unpaired: tuple[str, ...]


def pair_results(candidate: Run, baseline: Run) -> Pairing:
    """Pair the cases that both runs asked alike and that have a verdict on both sides."""
    of_baseline = {result.key: result for result in baseline.results}
    by_set: dict[str, list[Pair]] = {}
    unpaired = []
    for result in candidate.results:
        other = of_baseline.pop(result.key, None)
        if (
            other is not None
            and other.case.content_sha256 == result.case.content_sha256
            and _decided(result)
            and _decided(other)
        ):
            by_set.setdefault(result.case.set_name, []).append((result, other))
        else:
            unpaired.append(result.key)
    if not candidate.partial:
        # A partial run left cases out on purpose: what the baseline has beyond it is not a loss of pairing.
        unpaired += of_baseline
    return Pairing(by_set=by_set, unpaired=tuple(unpaired))


def _decided(result: CaseResult) -> bool:
    return result.outcome in {Outcome.PASSED, Outcome.FAILED}


def compare_pass_rate(set_name: str, pairs: Sequence[Pair], alpha: float) -> MetricComparison:
    """The share of passed cases on both sides.

    Args:
        set_name: The golden set.
        pairs: Its pairs, candidate first.
        alpha: One-sided level, of which the minimum detectable drop is told.
    """
    passed = [(c.outcome is Outcome.PASSED, b.outcome is Outcome.PASSED) for c, b in pairs]
    lost = [c.key for (c, _), (now, before) in zip(pairs, passed, strict=True) if before and not now]
    gained = [c.key for (c, _), (now, before) in zip(pairs, passed, strict=True) if now and not before]
    n, clusters = len(pairs), _clusters(pairs)
    drops = [float(before) - float(now) for now, before in passed]
    if len(set(clusters)) < n:
        drop = mean_interval(drops, clusters, DROP_CONFIDENCE)
        p_value = paired_graded.sign_flip_p(drops, clusters)
    else:
        drop = paired_binary.tango_interval(len(lost), len(gained), n, DROP_CONFIDENCE)
        p_value = paired_binary.mcnemar_p(len(lost), len(gained))
    churn = max(min(len(lost), len(gained)) / n, _CHURN)
    return MetricComparison(
        set_name=set_name,
        metric=PASS_RATE,
        kind="binary",
        n=n,
        candidate=_summary(PASS_RATE, [float(now) for now, _ in passed], clusters, "binary"),
        baseline=_summary(PASS_RATE, [float(before) for _, before in passed], clusters, "binary"),
        drop=drop,
        p_value=p_value,
        lost=tuple(lost),
        gained=tuple(gained),
        # Cases of a cluster flip together at worst: as many independent ones as there are clusters.
        minimum_detectable_drop=paired_binary.detectable_drop(len(set(clusters)), churn, alpha),
    )


def compare_metric(
    set_name: str, metric: str, pairs: Sequence[Pair], alpha: float
) -> MetricComparison | None:
    """One check type's mean score on both sides; None where no pair has it on both.

    Several checks of the type in one case are averaged first. Perplexity is compared by its logarithm, so
    that a single text can't outweigh all others.
    """
    kind = CHECK_TYPES.get(base_type(metric))
    logarithmic = metric == "perplexity"
    rows = [
        (pair, now, before)
        for pair in pairs
        if (now := _score(pair[0], metric, logarithmic=logarithmic)) is not None
        and (before := _score(pair[1], metric, logarithmic=logarithmic)) is not None
    ]
    if not rows:
        return None
    sign = -1.0 if kind is not None and not kind.higher_is_better else 1.0
    drops = [sign * (before - now) for _, now, before in rows]
    clusters = _clusters([pair for pair, _, _ in rows])
    span = 1.0 if kind is None or kind.maximum is None else kind.maximum - kind.minimum
    worst = sorted(zip(drops, rows, strict=True), key=lambda entry: -entry[0])
    binary: Literal["binary", "graded"] = "binary" if kind is not None and kind.kind == "binary" else "graded"
    return MetricComparison(
        set_name=set_name,
        metric=metric,
        kind=binary,
        n=len(rows),
        candidate=_summary(metric, [now for _, now, _ in rows], clusters, binary),
        baseline=_summary(metric, [before for _, _, before in rows], clusters, binary),
        drop=paired_graded.paired_interval(drops, clusters, DROP_CONFIDENCE, span),
        p_value=paired_graded.sign_flip_p(drops, clusters),
        lost=tuple(pair[0].key for drop, (pair, _, _) in worst if drop > 0)[:_LARGEST_LISTED],
        gained=tuple(pair[0].key for drop, (pair, _, _) in reversed(worst) if drop < 0)[:_LARGEST_LISTED],
        minimum_detectable_drop=paired_graded.detectable_drop(drops, alpha),
    )


def metrics_of(pairs: Sequence[Pair]) -> list[str]:
    """The check types that scored any of the pairs, in order of appearance."""
    return list(dict.fromkeys(score.metric for pair in pairs for side in pair for score in side.scores))


def _score(result: CaseResult, metric: str, *, logarithmic: bool) -> float | None:
    values = [score.value for score in result.scores if score.metric == metric]
    if logarithmic:
        values = [math.log(value) for value in values]
    return math.fsum(values) / len(values) if values else None


def _summary(
    metric: str, values: Sequence[float], clusters: Sequence[str | int], kind: Literal["binary", "graded"]
) -> MetricSummary:
    independent = len(set(clusters)) == len(values)
    mean: Interval
    if kind == "binary" and independent and all(value in {0.0, 1.0} for value in values):
        mean = wilson(round(math.fsum(values)), len(values))
    else:
        mean = mean_interval(values, clusters)
    return MetricSummary(metric=metric, n=len(values), mean=mean)


def _clusters(pairs: Sequence[Pair]) -> list[str | int]:
    """Each pair's cluster, or its own number where it has none."""
    return [pair[0].case.cluster or place for place, pair in enumerate(pairs)]
