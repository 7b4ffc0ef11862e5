"""Gated scores that are left out on both sides: how many of them a set tolerates."""

from collections.abc import Sequence

from harness.comparison.pairing import Pair, Pairing, answers_of
from harness.golden.schema import checks_of
from harness.registry.content_metrics import SET_METRICS
from harness.types import Finding, GateVerdict, GoldenSet, NoVerdictFinding, Outcome
from harness.types.golden import is_within


def unscored_findings(golden_sets: Sequence[GoldenSet], pairing: Pairing) -> list[Finding]:
    """Gated scores that more cases were left without on both sides than their set tolerates as unscored.

    A case that has another score or a verdict is not missing by its outcome. Each of these favours neither
    side, but a pass would hold for a remainder that nobody chose.

    Args:
        golden_sets: The candidate's sets.
        pairing: The cases of both runs.
    """
    found = []
    for golden_set in golden_sets:
        pairs = [pair for pair in pairing.all_pairs if pair[0].case.set_name == golden_set.name]
        tolerated = golden_set.gate.max_unscored
        for metric in golden_set.gate.metric_margins:
            asked = [pair for pair in pairs if checks_of(pair[0].case, metric)]
            missing = sum(_lacks_score(pair, metric) for pair in asked)
            if not missing or is_within(missing / len(asked), tolerated):
                continue
            data = NoVerdictFinding(
                side="both", outcome=Outcome.UNSCORED, cases=missing, n=len(asked), tolerated=tolerated
            )
            place = {"set_name": golden_set.name, "metric": metric}
            found.append(Finding(verdict=GateVerdict.INCONCLUSIVE, data=data, **place))
    return found


def _lacks_score(pair: Pair, metric: str) -> bool:
    """Whether a metric was left without a score on purpose, and neither side has one."""
    name = SET_METRICS.get(metric, metric)
    left_out = any(each.metric == name for side in pair for each in side.unscored)
    scores = (score for side in pair for answer in answers_of(side) for score in answer.scores)
    return left_out and not any(score.metric == name for score in scores)
