"""Explains a drop: the slice that lost most, and the common traits of the lost cases.

Both are chosen among many, so each test is corrected over all candidates, and only significant ones are
named.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace

from harness.comparison.metric_drop import compare_metric, flipped
from harness.comparison.pairing import Pair, PairedMetric
from harness.comparison.traits import traits_of
from harness.statistics.gathering import gathering_p
from harness.types import DriverSlice, SharedTrait

LEVEL = 0.05
_LEAST = 2  # lost cases that a slice or a trait must cover: one is an example, not a pattern
_MOST_TRAITS = 3


def driver_slice(metric: PairedMetric, pairs: Sequence[Pair], confidence: float) -> DriverSlice | None:
    """The tag in which the losses of a pass rate gather most clearly; None if none is significant.

    A cluster is not a slice: its cases are lost together by definition.

    Args:
        metric: The pass rate.
        pairs: The set's cases, in any order.
        confidence: Two-sided, of the slice's interval.
    """
    lost = flipped(metric, 1)
    members = _tags(metric, pairs)
    found = [
        (name, keys)
        for name, keys in members.items()
        if len(lost & keys) >= _LEAST and len(keys) < len(metric.keys)
    ]
    p_values = gathering_p(
        [key in lost for key in metric.keys],
        metric.clusters,
        [[place for place, key in enumerate(metric.keys) if key in keys] for _, keys in found],
    )
    standing_out = sorted(
        (p_value, -len(lost & keys), name)
        for (name, keys), p_value in zip(found, p_values, strict=True)
        if p_value <= LEVEL
    )
    if not standing_out:
        return None
    p_value, _, name = standing_out[0]
    keys = members[name]
    inside, outside = _part(metric, keys.__contains__), _part(metric, lambda key: key not in keys)
    return DriverSlice(
        set_name=metric.set_name,
        kind="tag",
        name=name,
        n=len(inside.keys),
        lost=tuple(sorted(lost & keys)),
        lost_in_set=len(lost),
        drop=compare_metric(inside, confidence).drop,
        drop_elsewhere=sum(outside.drops) / len(outside.drops),
        p_value=p_value,
    )


def _tags(metric: PairedMetric, pairs: Sequence[Pair]) -> dict[str, set[str]]:
    """The keys of each tag's cases."""
    compared = set(metric.keys)
    members: dict[str, set[str]] = {}
    for candidate, _ in pairs:
        if candidate.key in compared:
            for tag in candidate.case.tags:
                members.setdefault(tag, set()).add(candidate.key)
    return members


def _part(metric: PairedMetric, belongs: Callable[[str], bool]) -> PairedMetric:
    places = [place for place, key in enumerate(metric.keys) if belongs(key)]
    return replace(
        metric,
        keys=tuple(metric.keys[place] for place in places),
        candidate=tuple(metric.candidate[place] for place in places),
        baseline=tuple(metric.baseline[place] for place in places),
        clusters=tuple(metric.clusters[place] for place in places),
        trials=tuple(metric.trials[place] for place in places) if metric.trials else (),
    )


def shared_traits(metric: PairedMetric, pairs: Sequence[Pair]) -> list[SharedTrait]:
    """The common traits of lost cases, compared with those that both sides pass; the clearest first.

    Args:
        metric: The pass rate.
        pairs: The set's cases.
    """
    lost_keys = flipped(metric, 1)
    kept_keys = {
        key
        for key, now, then in zip(metric.keys, metric.candidate, metric.baseline, strict=True)
        if now == then == 1.0
    }
    lost = [candidate for candidate, _ in pairs if candidate.key in lost_keys]
    kept = [candidate for candidate, _ in pairs if candidate.key in kept_keys]
    if len(lost) < _LEAST or len(kept) < _LEAST:
        return []
    incidence: dict[str, set[str]] = {}
    for result, traits in zip([*lost, *kept], traits_of([*lost, *kept]), strict=True):
        for trait in traits:
            incidence.setdefault(trait, set()).add(result.key)
    # Words that always occur together are one trait, the first of them.
    distinct: dict[frozenset[str], str] = {}
    for trait, keys in incidence.items():
        if len(keys & lost_keys) >= _LEAST:
            distinct.setdefault(frozenset(keys), trait)
    looked_at = [*lost, *kept]
    places = {result.key: place for place, result in enumerate(looked_at)}
    cluster_of = dict(zip(metric.keys, metric.clusters, strict=True))
    p_values = gathering_p(
        [result.key in lost_keys for result in looked_at],
        [cluster_of[result.key] for result in looked_at],
        [[places[key] for key in keys] for keys in distinct],
    )
    found = [
        SharedTrait(
            set_name=metric.set_name,
            trait=trait,
            lost=len(keys & lost_keys),
            of_lost=len(lost),
            kept=len(keys - lost_keys),
            of_kept=len(kept),
            p_value=p_value,
        )
        for (keys, trait), p_value in zip(distinct.items(), p_values, strict=True)
        if p_value <= LEVEL
    ]
    return sorted(found, key=lambda trait: trait.p_value)[:_MOST_TRAITS]
