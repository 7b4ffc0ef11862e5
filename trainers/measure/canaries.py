"""Canaries of reward hacking: how the form of answers changes while the reward rises.

A policy finds the cheapest way to a reward: longer or shorter answers, a repeated phrase, useless markup,
refusals. None of these is wrong in itself (a format reward is meant to change the format), so a canary is
shown and never decides.

Gao et al. (2023), Scaling Laws for Reward Model Overoptimization, arXiv:2210.10760; distinct-n: Li et al.
(2016), A Diversity-Promoting Objective Function, arXiv:1510.03055.
"""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from harness.metrics.manner import refusal_words
from harness.types.training import CanaryNotes
from trainers.measure.change import mean_change
from trainers.measure.samples import Sample, by_group, first_and_last

_TOKEN = re.compile(r"\w+|[^\w\s]")
_MARKUP = frozenset('{}[]<>|*#`~_=\\"')
_WINDOWS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """One measure of the answers' form.

    Attributes:
        measure: The value of one answer; None if it has none.
        limit: Smallest change of the mean that counts as drift; for a relative canary, as a share of the
            start.
        most: Upper end of its scale; the lower one is 0.
        label: Its name for people.
    """

    measure: Callable[[str], float | None]
    label: str
    limit: float
    most: float = 1.0
    relative: bool = False


def length(text: str) -> float:
    """Characters of the stripped answer."""
    return float(len(text.strip()))


def distinct_2(text: str) -> float | None:
    """Share of distinct pairs among the answer's pairs of neighbouring tokens; None below two tokens."""
    tokens = _TOKEN.findall(text.casefold())
    pairs = list(pairwise(tokens))
    return len(set(pairs)) / len(pairs) if pairs else None


def format_tokens(text: str) -> float | None:
    """Share of tokens that are markup: brackets, stars, hashes, pipes, quotes; None for an empty answer."""
    tokens = _TOKEN.findall(text)
    return sum(token in _MARKUP for token in tokens) / len(tokens) if tokens else None


def refusal(text: str) -> float:
    """1 for an answer that declines by its wording."""
    return float(refusal_words(text) is not None)


CANARIES: Mapping[str, Canary] = {
    "length": Canary(measure=length, label="length", limit=0.5, most=math.inf, relative=True),
    "distinct_2": Canary(measure=distinct_2, label="distinct-2", limit=0.1),
    "format_tokens": Canary(measure=format_tokens, label="format tokens", limit=0.1),
    "refusals": Canary(measure=refusal, label="refusals", limit=0.1),
}
# The intervals are wide enough that, without any drift, one of them misses 0 in one run of ten (Bonferroni).
_CONFIDENCE = 1 - 0.10 / len(CANARIES)


def canary_notes(samples: Sequence[Sample]) -> CanaryNotes:
    """The manifest's section: drift from the first to the last fifth of the steps, and means on the way."""
    first, last = first_and_last(samples)
    drift = {name: judge_drift(canary, first, last) for name, canary in CANARIES.items()}
    return CanaryNotes(
        drift=drift,
        summary=tuple(_told(CANARIES[name], found) for name, found in drift.items() if found is not None),
        along=tuple(_along(samples)),
    )


def judge_drift(canary: Canary, first: Sequence[Sample], last: Sequence[Sample]) -> dict[str, Any] | None:
    """The change of one canary's mean, and whether it is drift.

    Drift is a change that is significant (its interval excludes 0) and large (beyond the limit).

    Args:
        canary: The measure and its limit.
        first: Answers of the first fifth of the steps.
        last: Answers of the last fifth.

    Returns:
        Means, change and their intervals with n, ``limit`` and ``drifted``; None if there are too few prompts
        to decide.
    """
    groups = [_measured(canary, samples) for samples in (first, last)]
    found = mean_change(groups[0], groups[1], _CONFIDENCE, least=0.0, most=canary.most)
    if found is None:
        return None
    change = found["change"]
    limit = canary.limit * found["before"]["estimate"] if canary.relative else canary.limit
    sure = change["low"] > 0 or change["high"] < 0
    return {**found, "limit": limit, "drifted": sure and abs(change["estimate"]) > limit}


def _measured(canary: Canary, samples: Sequence[Sample]) -> dict[tuple[int, str], list[float]]:
    values = [(sample, canary.measure(sample.answer)) for sample in samples]
    known = [(sample, value) for sample, value in values if value is not None]
    return by_group([sample for sample, _ in known], [value for _, value in known])


def _along(samples: Sequence[Sample]) -> list[dict[str, Any]]:
    """Means over at most ten stretches of the steps."""
    steps = sorted({sample.step for sample in samples})
    size = max(-(-len(steps) // _WINDOWS), 1)
    stretches = []
    for start in range(0, len(steps), size):
        inside = set(steps[start : start + size])
        here = [sample for sample in samples if sample.step in inside]
        means: dict[str, Any] = {"steps": [min(inside), max(inside)], "n": len(here)}
        for name, canary in CANARIES.items():
            values = [value for group in _measured(canary, here).values() for value in group]
            if values:
                means[name] = round(math.fsum(values) / len(values), 4)
        stretches.append(means)
    return stretches


def _told(canary: Canary, found: Mapping[str, Any]) -> str:
    """One canary in words, such as ``length 84 → 31 (n=64, 64), drifted``."""
    before, after = (found[side]["estimate"] for side in ("before", "after"))
    figures = f"{before:.0f} → {after:.0f}" if canary.relative else f"{before:.2f} → {after:.2f}"
    verdict = ", drifted" if found["drifted"] else ""
    return f"{canary.label} {figures} (n={found['n_before']}, {found['n_after']}){verdict}"
