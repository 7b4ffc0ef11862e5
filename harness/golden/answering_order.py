"""The order in which a gate with several looks asks a set's cases."""

import hashlib

from harness.types import GoldenCase, GoldenSet

# Another number would ask in another order; a fixed one asks every candidate the same cases first.
_SEED = 0


def answering_order(golden_set: GoldenSet) -> list[tuple[GoldenCase, ...]]:
    """The set's clusters (or single cases) in the order in which they are answered, without skipped cases.

    Each tag's clusters are in random order, and evenly spread over the whole, so that any first part has
    about the same share of each. Inside a tag, the order of the others stays if one is added.

    Args:
        golden_set: The set, with the selected cases.
    """
    clusters: dict[tuple[str, str], list[GoldenCase]] = {}
    for case in golden_set.cases:
        if case.skip is None:
            unit = ("case", case.id) if case.cluster is None else ("cluster", case.cluster)
            clusters.setdefault(unit, []).append(case)
    strata: dict[str, list[tuple[float, tuple[GoldenCase, ...]]]] = {}
    for (kind, name), cases in clusters.items():
        tag = next(iter(cases[0].tags), "")
        strata.setdefault(tag, []).append((_random(golden_set.name, kind, name), tuple(cases)))
    placed = [
        ((place + _random(golden_set.name, "place", cases[0].id)) / len(members), cases)
        for members in strata.values()
        for place, (_, cases) in enumerate(sorted(members, key=lambda each: each[0]))
    ]
    return [cases for _, cases in sorted(placed, key=lambda each: each[0])]


def _random(*names: str) -> float:
    """A number from 0 to 1 that depends only on the names."""
    text = "\0".join([str(_SEED), *names])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
