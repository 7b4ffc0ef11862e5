"""How the watched checks are scored, and whether what was counted before was scored alike."""

from collections.abc import Mapping
from dataclasses import replace

from harness.registry.metric import facts_difference, other_scorer
from harness.registry.scorer_names import joined_names
from harness.studies.monitoring.watched_checks import WatchedChecks
from harness.types import JUDGE, MetricFacts


def facts_of(watched: WatchedChecks, judge: str) -> dict[str, MetricFacts]:
    """How the watched checks are scored today, by their types.

    Args:
        watched: The checks.
        judge: Who judges, as the replies so far say it; empty without any.

    Returns:
        Their facts.
    """
    checks = (*watched.checks, *watched.judged)
    if not checks:
        return {}
    # A watch without checks needs none of what scores them.
    from harness.run.session import metric_facts

    return metric_facts(checks, judge)


def scored_otherwise(now: Mapping[str, MetricFacts], before: Mapping[str, MetricFacts]) -> str:
    """Why failures of a check can't be counted together with those before; empty if they can.

    By the gate's own rule: another judge, encoder or version gives other verdicts on the same answers.

    Args:
        now: How the checks are scored today, by their types.
        before: The same of what was counted before, as far as it is known.
    """
    for name, facts in now.items():
        then = before.get(name)
        if then is None or not facts_difference(facts, then):
            continue
        if facts.version != then.version:
            return f"{name} was scored with version {then.version} before, with {facts.version} now"
        if (scorer := other_scorer(facts, then)) is None:
            return f"{name} had another direction or scale before"
        who, earlier = (facts.scored_by or {})[scorer], (then.scored_by or {})[scorer]
        if scorer == JUDGE:
            return f"{name} was judged by {earlier} before, by {who} now"
        return f"the {scorer} of {name} had other files before ({earlier}, now {who})"
    return ""


def joined_facts(now: Mapping[str, MetricFacts], before: Mapping[str, MetricFacts]) -> dict[str, MetricFacts]:
    """What is known of how checks were scored, after a look that differs in nothing.

    Args:
        now: How the checks are scored today; one that no judge was asked about yet names none.
        before: What was known.

    Returns:
        How they are scored, by their types.
    """
    found = dict(before)
    for name, facts in now.items():
        then = before[name].scored_by or {} if name in before else {}
        today = facts.scored_by or {}
        # A server that deals the questions may name another of its models each time.
        both = {scorer: joined_names(who, then.get(scorer, who)) for scorer, who in today.items()}
        found[name] = replace(facts, scored_by={**then, **both})
    return found
