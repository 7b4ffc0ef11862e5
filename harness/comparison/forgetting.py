"""Retained skills, and the change of cross-entropy on general text."""

from collections.abc import Sequence

from harness.metrics.manner import refusal_words
from harness.statistics.clusters import CONFIDENCE, Units, rate_interval, ratio_interval
from harness.types import PROSE, CaseResult, Forgetting, Interval, Outcome, Retention, TextLoss

# In nats per token: perplexity up by a tenth. On the bundled text a useful fine-tune of SmolLM2-135M moved it
# by 0.02 and harmful ones by 0.4 to 1.2. A tripwire: it never makes a # regression, but a run that exceeds it
# can't pass.
LOSS_LIMIT = 0.10
ALL_SKILLS = "all"
_NO_SKILL = "untagged"

ProbePair = tuple[CaseResult, CaseResult]


def measure_forgetting(
    pairs: Sequence[ProbePair],
    candidate_losses: Sequence[TextLoss],
    baseline_losses: Sequence[TextLoss],
    confidence: float = CONFIDENCE,
    divergences: Sequence[TextLoss] = (),
) -> Forgetting | None:
    """Skills of the baseline that the candidate lost; None if nothing was measured.

    Args:
        pairs: Candidate's and baseline's result of each probe; both passed or failed.
        candidate_losses: Cross-entropy on the bundled passages.
        baseline_losses: The same of the baseline.
        confidence: Two-sided, of all intervals.
        divergences: KL(baseline ‖ candidate) on the passages.
    """
    by_kind = _changes_by_kind(candidate_losses, baseline_losses, confidence)
    change = by_kind.pop(PROSE, None)
    if not pairs and change is None and not by_kind:
        return None
    skills: dict[str, list[ProbePair]] = {}
    for pair in pairs:
        skills.setdefault(next(iter(pair[0].case.tags), _NO_SKILL), []).append(pair)
    return Forgetting(
        overall=retained(ALL_SKILLS, pairs, confidence),
        by_skill=tuple(
            retention
            for skill, of_skill in sorted(skills.items())
            if (retention := retained(skill, of_skill, confidence)) is not None
        ),
        loss_change=change,
        tripped=change is not None and change.estimate > LOSS_LIMIT and change.low > 0,
        loss_by_kind=by_kind,
        divergence=mean_divergence(divergences, confidence),
        refusals=_refusals(pairs),
    )


def _changes_by_kind(
    candidate: Sequence[TextLoss], baseline: Sequence[TextLoss], confidence: float
) -> dict[str, Interval]:
    """Each kind of text's change, as far as both sides have the same passages of it."""
    kinds = dict.fromkeys(loss.kind for loss in candidate)
    changes = {
        kind: loss_change([loss for loss in candidate if loss.kind == kind], baseline, confidence)
        for kind in kinds
    }
    return {kind: change for kind, change in changes.items() if change is not None}


def mean_divergence(divergences: Sequence[TextLoss], confidence: float = CONFIDENCE) -> Interval | None:
    """Mean divergence per token, each token counting once, each passage as one draw; None without any.

    Args:
        divergences: Divergence of the next token's probabilities, by passage, in nats per token.
        confidence: Two-sided.
    """
    if not divergences:
        return None
    sizes = tuple(float(loss.tokens) for loss in divergences)
    sums = tuple(loss.nats_per_token * loss.tokens for loss in divergences)
    largest = max(loss.nats_per_token for loss in divergences)
    return ratio_interval(Units(sums=sums, sizes=sizes), confidence, span=largest, least=0.0)


def _refusals(pairs: Sequence[ProbePair]) -> tuple[int, int] | None:
    """Number of refusals among the probes' answers, on each side."""
    answered = [
        (baseline.completion.text, candidate.completion.text)
        for candidate, baseline in pairs
        if candidate.completion is not None and baseline.completion is not None
    ]
    if not answered:
        return None
    return (
        sum(refusal_words(before) is not None for before, _ in answered),
        sum(refusal_words(now) is not None for _, now in answered),
    )


def retained(skill: str, pairs: Sequence[ProbePair], confidence: float = CONFIDENCE) -> Retention | None:
    """The share of the baseline's passed probes that the candidate passes; None if there are none.

    Args:
        skill: The probes' common skill.
        pairs: Candidate's and baseline's result of each probe; both passed or failed.
        confidence: Two-sided.
    """
    known = [candidate for candidate, baseline in pairs if baseline.outcome is Outcome.PASSED]
    if not known:
        return None
    passed = [candidate.outcome is Outcome.PASSED for candidate in known]
    clusters = [place if c.case.cluster is None else c.case.cluster for place, c in enumerate(known)]
    return Retention(
        skill=skill,
        passed_by_baseline=len(known),
        retained=sum(passed),
        rate=rate_interval(passed, clusters, confidence),
    )


def loss_change(
    candidate: Sequence[TextLoss], baseline: Sequence[TextLoss], confidence: float = CONFIDENCE
) -> Interval | None:
    """Candidate minus baseline cross-entropy in nats per token; None if no passage is on both sides.

    Each token counts once. The passages are the sample, so the interval is Student's t over them.

    Args:
        candidate: Cross-entropy on the bundled passages.
        baseline: The same of the baseline. A passage with another number of tokens was split by another
            tokenizer and can't be compared.
        confidence: Two-sided.
    """
    before = {loss.passage: loss for loss in baseline}
    shared = [
        (loss, before[loss.passage])
        for loss in candidate
        if loss.passage in before and loss.tokens == before[loss.passage].tokens
    ]
    if not shared:
        return None
    changes = [now.nats_per_token - then.nats_per_token for now, then in shared]
    sizes = [float(now.tokens) for now, _ in shared]
    sums = [change * size for change, size in zip(changes, sizes, strict=True)]
    largest = max(abs(change) for change in changes)
    return ratio_interval(Units(sums=tuple(sums), sizes=tuple(sizes)), confidence, span=largest)
