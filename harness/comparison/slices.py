"""Explains a drop: the slice that lost most, and the common traits of the lost cases.

Both are chosen among many, so each test is corrected over all candidates, and only significant ones are
named: those that lost more than the rest, and not only what varies most and gained as much.
"""

from array import array
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import TypeAlias

from harness.comparison.metric_drop import compare_metric, flipped
from harness.comparison.pairing import PASS_RATE, Pair, PairedMetric
from harness.comparison.traits import is_word, refuses, traits_of
from harness.statistics.gathering import Extent, gathering_p
from harness.statistics.paired_binary import holm, mcnemar_p
from harness.types import (
    DriverFinding,
    DriverSlice,
    Finding,
    SharedTrait,
    TraitsFinding,
)

LEVEL = 0.05
# Of cases, by their places: numbers without objects, since most traits are in most cases of a set.
_Places: TypeAlias = "array[int]"
_LEAST = 2  # lost cases that a slice or a trait must cover: one is an example, not a pattern
_MOST_TRAITS = 3
_MOST_LOST_PER_KEPT = 10  # with fewer kept cases than a tenth of the lost ones, nothing can differ from them


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
    # All tags, not those that lost: whoever corrects only for what stands out names it too often.
    found = [(name, keys) for name, keys in members.items() if len(keys) < len(metric.keys)]
    p_values = gathering_p(
        metric.own_drops,
        metric.clusters,
        [[place for place, key in enumerate(metric.keys) if key in keys] for _, keys in found],
    )
    standing_out = sorted(
        (p_value, -len(lost & keys), name)
        for (name, keys), p_value in zip(found, p_values, strict=True)
        if p_value <= LEVEL and len(lost & keys) >= _LEAST
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
        drop=compare_metric(inside, confidence, detectable=False).drop,
        drop_elsewhere=sum(outside.drops) / len(outside.drops),
        p_value=p_value,
    )


def _tags(metric: PairedMetric, pairs: Sequence[Pair]) -> dict[str, set[str]]:
    """The keys of each tag's compared cases."""
    compared = set(metric.keys)
    members: dict[str, set[str]] = {}
    for candidate, _ in pairs:
        if candidate.key in compared:
            for tag in candidate.case.tags:
                members.setdefault(tag, set()).add(candidate.key)
    return members


def _part(metric: PairedMetric, belongs: Callable[[str], bool]) -> PairedMetric:
    return _at(metric, [place for place, key in enumerate(metric.keys) if belongs(key)])


def _at(metric: PairedMetric, places: Sequence[int]) -> PairedMetric:
    """The metric on some of its cases alone."""
    return replace(
        metric,
        keys=tuple(metric.keys[place] for place in places),
        candidate=tuple(metric.candidate[place] for place in places),
        baseline=tuple(metric.baseline[place] for place in places),
        clusters=tuple(metric.clusters[place] for place in places),
        trials=tuple(metric.trials[place] for place in places) if metric.trials else (),
        reruns=tuple(metric.reruns[place] for place in places) if metric.reruns else (),
    )


def shared_traits(metric: PairedMetric, pairs: Sequence[Pair]) -> list[SharedTrait]:
    """The common traits of lost cases, the clearest first.

    They are compared with the cases that both sides pass, and with the baseline's answers to gained cases: if
    nothing changed, what one side fails is like what the other does. If hardly any case is left, as after a
    total loss, the lost answers are compared with the baseline's answers to the same prompts.

    Args:
        metric: The pass rate.
        pairs: The set's cases.
    """
    lost_keys, gained_keys = flipped(metric, 1), flipped(metric, -1)
    kept_keys = {
        key
        for key, now, then in zip(metric.keys, metric.candidate, metric.baseline, strict=True)
        if now == then == 1.0
    }
    lost = [pair for pair in pairs if pair[0].key in lost_keys]
    kept = [pair for pair in pairs if pair[0].key in kept_keys]
    if len(lost) < _LEAST:
        return []
    if len(kept) >= max(_LEAST, len(lost) / _MOST_LOST_PER_KEPT):
        gained = [pair for pair in pairs if pair[0].key in gained_keys]
        found = _unlike_kept(metric, lost, gained, kept)
    else:
        found = _unlike_before(metric, lost, len(kept))
    # A word is rarely the reason: what is true of the whole answer comes first.
    return sorted(found, key=lambda trait: (is_word(trait.trait), trait.p_value))[:_MOST_TRAITS]


def _unlike_kept(
    metric: PairedMetric, lost: Sequence[Pair], gained: Sequence[Pair], kept: Sequence[Pair]
) -> list[SharedTrait]:
    """Traits that gather in the lost cases."""
    # Of what flipped, the answer that failed.
    failed = [*(candidate for candidate, _ in lost), *(before for _, before in gained)]
    looked_at = [*failed, *(candidate for candidate, _ in kept)]
    lost_keys = [candidate.key for candidate, _ in lost]
    # Of thousands of kept answers nobody asks whether they refuse what no lost answer refuses.
    refusing = (now.completion is not None and refuses(now.completion) for now, _ in lost)
    traits = traits_of(looked_at, refusals=len(list(islice(filter(None, refusing), _LEAST))) == _LEAST)
    cluster_of = dict(zip(metric.keys, metric.clusters, strict=True))
    clusters, extents = [cluster_of[result.key] for result in looked_at], _Extents()
    counted = extents.counting(traits, clusters, flipped=len(failed))
    found = _by_trait(islice(counted, len(lost)))
    _note_places(counted, found, start=len(lost))
    distinct = _distinct(found)
    drop_of = dict(zip(metric.keys, metric.own_drops, strict=True))
    p_values = gathering_p(
        [drop_of[result.key] for result in looked_at],
        clusters,
        list(distinct.values()),
        extents.without(found),
    )
    standing_out = [
        (
            trait,
            [lost_keys[place] for place in places if place < len(lost)],
            sum(place >= len(failed) for place in places),
            p_value,
        )
        for (trait, places), p_value in zip(distinct.items(), p_values, strict=True)
        if p_value <= LEVEL
    ]
    return [
        SharedTrait(
            set_name=metric.set_name,
            trait=trait,
            lost=len(keys),
            of_lost=len(lost),
            kept=also,
            of_kept=len(kept),
            p_value=p_value,
            keys=tuple(sorted(keys)),
        )
        for trait, keys, also, p_value in standing_out
    ]


def _unlike_before(metric: PairedMetric, lost: Sequence[Pair], kept: int) -> list[SharedTrait]:
    """Traits that the lost answers have and the baseline's answers to the same prompts have not."""
    asked = [pair for pair in lost if all(side.completion is not None for side in pair)]
    if len(asked) < _LEAST:
        return []
    # Both sides at once, so that "longer than the median" means the same.
    named = traits_of([candidate for candidate, _ in asked] + [before for _, before in asked])
    distinct = _distinct(_by_trait(islice(named, len(asked))))
    earlier: dict[str, _Places] = {trait: array("I") for trait in distinct}
    _note_places(named, earlier)
    keys = [candidate.key for candidate, _ in asked]
    cluster_of = dict(zip(metric.keys, metric.clusters, strict=True))
    clusters = [cluster_of[key] for key in keys]
    p_values = holm([_appeared_p(places, earlier[trait], clusters) for trait, places in distinct.items()])
    return [
        SharedTrait(
            set_name=metric.set_name,
            trait=trait,
            lost=len(places),
            of_lost=len(lost),
            kept=0,
            of_kept=kept,
            p_value=p_value,
            keys=tuple(sorted(keys[place] for place in places)),
            before=len(earlier[trait]),
        )
        for (trait, places), p_value in zip(distinct.items(), p_values, strict=True)
        if p_value <= LEVEL
    ]


def _appeared_p(now: Collection[int], before: Collection[int], clusters: Sequence[str | int]) -> float:
    """P-value of "as many cases lost the trait as got it": McNemar's exact test, one vote per cluster.

    Args:
        now: Places of the cases whose new answer has the trait.
        before: Those whose old answer had it.
        clusters: Each case's cluster.
    """
    votes: Counter[str | int] = Counter()
    has, had = set(now), set(before)
    for place in has:
        votes[clusters[place]] += place not in had
    for place in had:
        votes[clusters[place]] -= place not in has
    appeared = sum(vote > 0 for vote in votes.values())
    return mcnemar_p(appeared, sum(vote < 0 for vote in votes.values()), mid=False)


class _Extents:
    """How many cases and clusters have each trait, without which ones."""

    def __init__(self) -> None:
        self._cases: Counter[str] = Counter()
        self._clusters: Counter[str] = Counter()
        self._flipped: Counter[str] = Counter()

    def counting(
        self, traits: Iterable[Sequence[str]], clusters: Sequence[str | int], *, flipped: int
    ) -> Iterator[Sequence[str]]:
        """The same traits, counted as they pass. A cluster whose cases are apart is counted each time.

        Args:
            traits: Those of each case, what flipped first.
            clusters: Each case's cluster.
            flipped: How many cases flipped.
        """
        last: dict[str, str | int] = {}
        clustered = len(set(clusters)) < len(clusters)
        for place, (of_case, cluster) in enumerate(zip(traits, clusters, strict=True)):
            self._cases.update(of_case)
            new = of_case
            if clustered:
                new = [trait for trait in of_case if last.get(trait) != cluster]
                self._clusters.update(new)
                last.update(dict.fromkeys(of_case, cluster))
            if place < flipped:
                self._flipped.update(new)
            yield of_case

    def without(self, found: Collection[str]) -> list[Extent]:
        """Those of the traits that two cases have, except some."""
        return [
            Extent(cases=cases, clusters=self._clusters.get(trait, cases), flipped=self._flipped[trait])
            for trait, cases in self._cases.items()
            if cases >= _LEAST and trait not in found
        ]


def _by_trait(traits: Iterable[Sequence[str]]) -> dict[str, _Places]:
    """The places of the cases with each trait that enough of them have.

    Args:
        traits: Those of each lost case.
    """
    found: dict[str, _Places] = {}
    for place, of_case in enumerate(traits):
        for trait in of_case:
            found.setdefault(trait, array("I")).append(place)
    return {trait: places for trait, places in found.items() if len(places) >= _LEAST}


def _note_places(traits: Iterable[Sequence[str]], found: Mapping[str, _Places], start: int = 0) -> None:
    """Add the places of further cases to the traits that are looked at, and to no others.

    Args:
        traits: Those of each case.
        found: By trait, its places; changed in place.
        start: The place of the first case.
    """
    for place, of_case in enumerate(traits, start):
        for trait in of_case:
            if trait in found:
                found[trait].append(place)


def _distinct(incidence: Mapping[str, _Places]) -> dict[str, _Places]:
    """The traits, but of those with the same cases only the first: words that always occur together."""
    first: dict[bytes, str] = {}
    for trait, places in incidence.items():
        first.setdefault(places.tobytes(), trait)
    return {trait: incidence[trait] for trait in first.values()}


def source_findings(drivers: Iterable[DriverSlice], traits: Iterable[SharedTrait]) -> list[Finding]:
    """Where drops of pass rates come from, by set; none of it decides.

    Args:
        drivers: The tags that fell most.
        traits: What lost cases have in common.
    """
    found = [
        Finding(set_name=driver.set_name, metric=PASS_RATE, data=DriverFinding(driver=driver))
        for driver in drivers
    ]
    by_set: dict[str, list[SharedTrait]] = {}
    for each in traits:
        by_set.setdefault(each.set_name, []).append(each)
    return found + [
        Finding(set_name=name, metric=PASS_RATE, data=TraitsFinding(traits=tuple(shared)))
        for name, shared in by_set.items()
    ]
