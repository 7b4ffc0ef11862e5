"""Retained skills, and the change of cross-entropy on general text."""

from collections.abc import Iterable, Sequence

from harness.statistics.rates import mean_interval, wilson
from harness.types import CaseResult, Forgetting, Outcome, Retention, TextLoss

# In nats per token. A tenth is a rise of perplexity by a tenth: clearly more than the one or two hundredths
# that a light fine-tune moves, far below what a wrecked model shows.
LOSS_LIMIT = 0.10
_CONFIDENCE = 0.90


def measure_forgetting(
    pairs: Sequence[tuple[CaseResult, CaseResult]],
    candidate_losses: Sequence[TextLoss],
    baseline_losses: Sequence[TextLoss],
) -> Forgetting | None:
    """What the candidate lost of what the baseline could do; None when nothing was measured.

    Args:
        pairs: Candidate and baseline results of the probes, both with a verdict.
        candidate_losses: Cross-entropy on the bundled passages.
        baseline_losses: The same of the baseline.
    """
    skills: dict[str, list[tuple[CaseResult, CaseResult]]] = {}
    for candidate, baseline in pairs:
        skills.setdefault(next(iter(candidate.case.tags), "untagged"), []).append((candidate, baseline))
    kept = {loss.passage: loss for loss in baseline_losses}
    changes = [
        loss.nats_per_token - kept[loss.passage].nats_per_token
        for loss in candidate_losses
        if loss.passage in kept and loss.tokens == kept[loss.passage].tokens
    ]
    if not pairs and not changes:
        return None
    change = None
    if changes:
        change = mean_interval(changes, range(len(changes)), _CONFIDENCE)
    return Forgetting(
        overall=_retention("all", pairs),
        by_skill=tuple(
            retention
            for skill, of_skill in sorted(skills.items())
            if (retention := _retention(skill, of_skill)) is not None
        ),
        loss_change=change,
        tripped=change is not None and change.estimate > LOSS_LIMIT and change.low > 0,
    )


def _retention(skill: str, pairs: Iterable[tuple[CaseResult, CaseResult]]) -> Retention | None:
    """Of what the baseline passed, how much the candidate passes; None when it passed nothing."""
    known = [candidate for candidate, baseline in pairs if baseline.outcome is Outcome.PASSED]
    if not known:
        return None
    retained = sum(candidate.outcome is Outcome.PASSED for candidate in known)
    return Retention(
        skill=skill,
        passed_by_baseline=len(known),
        retained=retained,
        rate=wilson(retained, len(known)),
    )
