"""Measures of whole sets: the macro-F1 of classifications, retained skills, the loss on general text.

None of them is a mean over the set's cases.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from harness.comparison.pairing import Pair, Pairing, answers_of
from harness.metrics.manner import refusal_words
from harness.registry.content_metrics import MACRO_F1
from harness.statistics.classification import costliest_labels, label_counts, macro_f1_of
from harness.statistics.clustered_drop import counted_drop, drop_beyond_majority
from harness.statistics.clusters import CONFIDENCE, Units, rate_interval, ratio_interval, unseen_share
from harness.statistics.jackknife import LeftOutRate, added_by_cluster, mean_of
from harness.statistics.paired_binary import above_zero
from harness.types import (
    PROSE,
    CaseResult,
    Forgetting,
    GoldenSet,
    Interval,
    MetricComparison,
    MetricSummary,
    Outcome,
    Retention,
    Stability,
    TextLoss,
)

if TYPE_CHECKING:
    import numpy

# In nats per token: perplexity up by a tenth. On the bundled text a useful fine-tune of SmolLM2-135M moved it
# by 0.02 and harmful ones by 0.4 to 1.2. A tripwire: it never makes a regression, but a run that exceeds it
# can't pass.
LOSS_LIMIT = 0.10
ALL_SKILLS, _NO_SKILL = "all", "untagged"
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
        # Written so that a loss that is no number trips it too.
        tripped=change is not None and not (change.estimate <= LOSS_LIMIT or change.low <= 0),
        loss_by_kind=by_kind,
        divergence=mean_divergence(divergences, confidence),
        refusals=_refusals(pairs),
    )


def _changes_by_kind(
    candidate: Sequence[TextLoss], baseline: Sequence[TextLoss], confidence: float
) -> dict[str, Interval]:
    """Each kind of text's change, as far as both sides have the same passages of it."""
    by_kind: dict[str, list[TextLoss]] = {}
    for loss in candidate:
        by_kind.setdefault(loss.kind, []).append(loss)
    changes = {kind: loss_change(losses, baseline, confidence) for kind, losses in by_kind.items()}
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


@dataclass(frozen=True, slots=True)
class SetDrop:
    """The drop of a whole set's figure.

    Attributes:
        interval: Of the drop.
        high_unseen: The upper end with unseen losses.
        p_value: One-sided, of "not above 0".
        of_others: Where one cluster has most cases, the drop without it: it has to be above 0, too.
    """

    interval: Interval
    high_unseen: float
    p_value: float
    of_others: Interval | None = None


_Labels = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class _Case:
    """Expected and predicted labels of one case's answers, on both sides."""

    key: str
    cluster: str | int
    candidate: _Labels
    baseline: _Labels

    @property
    def fell(self) -> int:
        """1 if fewer of its answers are right than before, -1 if more are, else 0."""
        before, now = _share_right(self.baseline), _share_right(self.candidate)
        return (before > now) - (before < now)


def set_metric_rows(
    pairing: Pairing,
    confidence: Mapping[str, float],
    golden_sets: Iterable[GoldenSet] = (),
    stability: Mapping[str, Stability] | None = None,
) -> list[MetricComparison]:
    """A row for each golden set whose cases are classifications, without a verdict.

    Args:
        pairing: The paired cases.
        confidence: Two-sided, of the intervals of each set.
        golden_sets: They say which asks about exactly its cases. This is answered where answers reproduce:
            nothing is known of how the labels of others vary.
        stability: The noise record of the baseline's model, by case key: it may show that they don't.
    """
    by_set: dict[str, list[_Case]] = {}
    lacking: dict[str, list[_Case]] = {}
    for place, pair in enumerate([*pairing.pairs, *pairing.undecided]):
        case = _case(place, pair)
        if case.candidate and case.baseline and place < len(pairing.pairs):
            by_set.setdefault(pair[0].case.set_name, []).append(case)
        elif case.candidate or case.baseline:
            lacking.setdefault(pair[0].case.set_name, []).append(case)
    asking = {each.name: list[Pair]() for each in golden_sets if each.gate.population == "cases"}
    for pair in pairing.pairs if asking.keys() & by_set.keys() else ():
        if (name := pair[0].case.set_name) in asking:
            asking[name].append(pair)
    noted = stability or {}
    counted = {name for name, pairs in asking.items() if pairing.reproduces(pairs, noted, MACRO_F1)}
    return [
        _with_lacking(
            _row(name, cases, confidence[name], counted=name in counted), cases, lacking.get(name, ())
        )
        for name, cases in by_set.items()
    ]


def _with_lacking(
    row: MetricComparison, cases: Sequence[_Case], lacking: Sequence[_Case]
) -> MetricComparison:
    """The row if a pass has to hold for the worst that missing labels could be, a regression for the best."""
    if not lacking:
        return row
    worst, best = (
        _row(
            row.set_name,
            [*cases, *_guessed(cases, lacking, lost=lost)],
            row.drop.confidence,
            counted=row.population == "cases",
        )
        for lost in (True, False)
    )
    high, worst_high = (
        each.drop.high if each.high_unseen is None else each.high_unseen for each in (row, worst)
    )
    return replace(
        row,
        missing=len(lacking),
        high_unseen=max(high, worst_high),
        p_value=max(row.p_value, best.p_value),
        drop=replace(row.drop, low=min(row.drop.low, best.drop.low)),
        high_at_best=best.drop.high,
    )


def _guessed(cases: Sequence[_Case], lacking: Sequence[_Case], *, lost: bool) -> list[_Case]:
    """The cases whose missing side answered all right or as badly as it could: lost by it, or gained."""
    side, other = ("candidate", "baseline") if lost else ("baseline", "candidate")
    known = [pair for case in (*cases, *lacking) for pair in getattr(case, side)]
    absent = [_expected(case) for case in lacking if not getattr(case, side)]
    wrong = iter(costliest_labels(known, [label for labels in absent for label in labels]))
    found = []
    for case in lacking:
        labels = _expected(case)
        if getattr(case, side):
            found.append(_with_labels(case, other, [(label, label) for label in labels]))
        else:
            found.append(_with_labels(case, side, [(label, next(wrong)) for label in labels]))
    return found


def _with_labels(case: _Case, side: str, labels: _Labels) -> _Case:
    return replace(case, candidate=labels) if side == "candidate" else replace(case, baseline=labels)


def _expected(case: _Case) -> list[str]:
    return [label for label, _ in case.candidate or case.baseline]


def _case(place: int, pair: Pair) -> _Case:
    cluster = pair[0].case.cluster
    return _Case(pair[0].key, place if cluster is None else cluster, _labels(pair[0]), _labels(pair[1]))


def _labels(result: CaseResult) -> _Labels:
    scores = (score for answer in answers_of(result) for score in answer.scores)
    return [score.labels for score in scores if score.labels is not None]


def _share_right(pairs: _Labels) -> float:
    return sum(expected == predicted for expected, predicted in pairs) / len(pairs)


def _row(name: str, cases: Sequence[_Case], confidence: float, *, counted: bool = False) -> MetricComparison:
    members: dict[str | int, list[_Case]] = {}
    for case in cases:
        members.setdefault(case.cluster, []).append(case)
    labels = sorted({expected for case in cases for expected, _ in (*case.candidate, *case.baseline)})
    groups = list(members.values())
    candidate = label_counts([[pair for case in each for pair in case.candidate] for each in groups], labels)
    baseline = label_counts([[pair for case in each for pair in case.baseline] for each in groups], labels)
    now, before = _left_out(candidate), _left_out(baseline)
    if counted:
        known = counted_drop([before.whole - now.whole], confidence)
        found = SetDrop(known.interval, known.high_unseen, known.p_value)
    else:
        found = _drop_between(now, before, candidate, confidence)
    means = [mean_of(side, confidence, least=0.0) for side in (now, before)]
    summaries = [MetricSummary(metric=MACRO_F1, n=len(cases), mean=mean) for mean in means]
    return MetricComparison(
        set_name=name,
        metric=MACRO_F1,
        kind="graded",
        n=len(cases),
        candidate=summaries[0],
        baseline=summaries[1],
        drop=found.interval,
        drop_of_others=found.of_others,
        high_unseen=found.high_unseen,
        p_value=above_zero(found.p_value),
        population="cases" if counted else "sample",
        lost=tuple([case.key for case in cases if case.fell > 0]),
        gained=tuple([case.key for case in cases if case.fell < 0]),
    )


def _left_out(counts: "numpy.ndarray") -> LeftOutRate:
    """The macro-F1 over all clusters, and without one of them each.

    Args:
        counts: Label counts of each cluster, (clusters, 3, labels).
    """
    total = counts.sum(axis=0)
    without = [float(value) for value in macro_f1_of(total - counts)] if len(counts) > 1 else []
    return LeftOutRate(float(macro_f1_of(total)), without)


def macro_f1_drop(candidate: "numpy.ndarray", baseline: "numpy.ndarray", confidence: float) -> SetDrop:
    """The drop of a macro-F1 between two sides of the same cases.

    Args:
        candidate: Label counts of each cluster, (clusters, 3, labels).
        baseline: The same of the other side.
        confidence: Two-sided.
    """
    return _drop_between(_left_out(candidate), _left_out(baseline), candidate, confidence)


def _drop_between(
    now: LeftOutRate, before: LeftOutRate, counts: "numpy.ndarray", confidence: float
) -> SetDrop:
    """As :func:`macro_f1_drop`, given both figures and the candidate's label counts.

    What each cluster adds to the drop is compared as a pass rate's clusters are, by one rule for the interval
    and p that takes their sizes into account.
    """
    left = LeftOutRate(
        before.whole - now.whole, [b - n for b, n in zip(before.without, now.without, strict=True)]
    )
    if len(left.without) < 2:
        return SetDrop(mean_of(left, confidence, least=-1.0), 1.0, 1.0)
    sizes = [float(size) for size in counts[:, 0, :].sum(axis=1)]
    unseen = _unseen_loss(counts, (1 - confidence) / 2)
    added = added_by_cluster(left.whole, left.without, sizes)
    found, others = drop_beyond_majority(added, confidence)
    return SetDrop(
        replace(found.interval, method="jackknife"),
        min(max(found.high_unseen, left.whole + unseen), 1.0),
        found.p_value,
        None if others is None else others.interval,
    )


def _unseen_loss(counts: "numpy.ndarray", error: float) -> float:
    """The loss of macro-F1 that the clusters of one label can miss: a rare label may be lost unseen."""
    clusters = (counts[:, 0, :] > 0).sum(axis=0)
    return max(unseen_share(int(number), error) for number in clusters) / len(clusters)
