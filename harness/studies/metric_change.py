"""Where a metric became another one from run to run, so that its values are not followed together."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from harness.comparison.pairing import PASS_RATE
from harness.registry.metric import other_scorer
from harness.types import UNKNOWN_WEIGHTS, MetricFacts, ModelRef

# What is different about a metric; facts that only one of two runs has are "known".
ChangedFact: TypeAlias = Literal["version", "direction", "scale", "scorer", "known"]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricChange:
    """Why runs are not followed together: a metric gives other values since.

    Attributes:
        metric: The metric; for a pass rate that of a check.
        fact: What is different.
        before: The version before, or who scored it then; None if it is unknown.
        now: The same since.
    """

    metric: str
    fact: ChangedFact
    before: str | None
    now: str | None


def metric_change(
    metric: str, before: Mapping[str, MetricFacts], now: Mapping[str, MetricFacts]
) -> MetricChange | None:
    """Why values of one metric in two runs are not of the same kind; None if they are.

    Args:
        metric: The metric.
        before: How to read it in the earlier run: its own facts, or those of a pass rate's checks.
        now: The same of the later run.
    """
    for name in (each for each in now if each in before):
        since, then = now[name], before[name]
        if fact := _difference(then, since):
            scorer = other_scorer(since, then) if fact == "scorer" else None
            told = {"before": then.version, "now": since.version}
            if scorer is not None:
                told = {"before": (then.scored_by or {})[scorer], "now": (since.scored_by or {})[scorer]}
            return MetricChange(metric=name, fact=fact, **told)
    if metric != PASS_RATE and bool(before) != bool(now):
        return MetricChange(metric=metric, fact="known", before=None, now=None)
    return None


def _difference(before: MetricFacts, now: MetricFacts) -> ChangedFact | None:
    """What differs; which sets a run selected decides whether values are numbers, and is no difference."""
    if before == now:
        return None
    if before.version != now.version:
        return "version"
    if before.higher_is_better != now.higher_is_better:
        return "direction"
    if replace(before, scored_by=None, kind=now.kind) != replace(now, scored_by=None):
        return "scale"
    return None if other_scorer(now, before) is None else "scorer"


def opponent_name(model: ModelRef) -> str:
    """A model with whose answers pairs are compared, in whichever session it gave them."""
    if model.base_sha256.startswith(UNKNOWN_WEIGHTS):
        # Weights that nobody identifies have another hash in each session.
        return model.label
    adapter = "" if model.adapter_sha256 is None else f" with adapter {model.adapter_sha256[:12]}"
    return f"base {model.base_sha256[:12]}{adapter}"


def with_opponent(
    facts: Mapping[str, MetricFacts], asking: Collection[str], opponent: str
) -> dict[str, MetricFacts]:
    """The facts of one run, of which those of pairs say with whose answers it was compared.

    Against other answers the same answer is preferred more often, or less.

    Args:
        facts: By metric.
        asking: Metrics that ask pairs.
        opponent: The other side of the pairs.

    Returns:
        The facts by metric.
    """
    return {
        name: replace(each, version=f"{each.version} (against the answers of {opponent})")
        if name in asking
        else each
        for name, each in facts.items()
    }
