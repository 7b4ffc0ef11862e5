"""What scored the runs: two of them are compared where that was the same, by the gate's own rule."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations
from typing import Any

from harness.comparison.pairing import answers_of
from harness.comparison.times import PAIRWISE, asks_pairwise
from harness.registry.metric import decided_otherwise
from harness.types import CaseResult, MetricFacts


def deciding(result: CaseResult) -> tuple[str, ...]:
    """The metrics that decided whether a case passed, and ``pairwise`` if a group among them asks it."""
    found = {
        score.metric for answer in answers_of(result) for score in answer.scores if score.passed is not None
    }
    groups = [check for check in result.case.checks if check.checks and check.type in found]
    if any(map(asks_pairwise, groups)):
        found.add(PAIRWISE)
    return tuple(sorted(found))


def scored_otherwise(
    names: Iterable[str],
    then: tuple[Mapping[str, MetricFacts], str | None],
    now: tuple[Mapping[str, MetricFacts], str | None],
) -> list[str]:
    """Those of some metrics whose scores in two runs are not of the same kind.

    Args:
        names: The metrics.
        then: How to read the earlier run's metrics, and with whose answers ``pairwise`` compared its own.
        now: The same of the later run.
    """
    others = set(_otherwise(then[0], now[0]))
    if now[1] is None or now[1] != then[1]:
        others.add(PAIRWISE)
    return [name for name in names if name in others]


def scorers_payload(
    facts: Sequence[Mapping[str, MetricFacts]], opponents: Sequence[str | None]
) -> dict[str, Any]:
    """Which runs were scored otherwise, for the script that compares any two.

    Args:
        facts: How to read each run's metrics.
        opponents: With whose answers ``pairwise`` compared each run's; None where nobody knows.

    Returns:
        ``scorers``, of each run a number, equal for runs that were scored alike; ``otherwise``, by two of
        these numbers the metrics that can't be compared from the first to the second, each with the reason;
        and ``opponents``, numbers too, and None.
    """
    kinds: list[Mapping[str, MetricFacts]] = []
    for each in facts:
        if each not in kinds:
            kinds.append(each)
    found = {
        f"{then},{now}": reasons
        for then, now in permutations(range(len(kinds)), 2)
        if (reasons := _otherwise(kinds[then], kinds[now]))
    }
    known = list(dict.fromkeys(opponents))
    return {
        "scorers": [kinds.index(each) for each in facts],
        "otherwise": found,
        "opponents": [None if each is None else known.index(each) for each in opponents],
    }


def _otherwise(then: Mapping[str, MetricFacts], now: Mapping[str, MetricFacts]) -> dict[str, str]:
    """The metrics that can't be compared, each with the reason, to be read after its name."""
    changes = {name: decided_otherwise(facts, then.get(name)) for name, facts in now.items()}
    return {name: of_metric[0][0] for name, of_metric in changes.items() if of_metric}
