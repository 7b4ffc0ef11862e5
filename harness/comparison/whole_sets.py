"""Measures of whole sets: the macro-F1 of classifications, retained skills, the loss on general text.

None of them is a mean over the set's cases.
"""

import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from harness.comparison.pairing import Pair, Pairing, answers_of, stability_of
from harness.golden.schema import checks_of
from harness.metrics.manner import refusal_words
from harness.registry.content_metrics import MACRO_F1
from harness.statistics.classification import (
    SIDES,
    LabelledCase,
    Labels,
    SetDrop,
    chance_of_swaps,
    counts_of_cases,
    drop_between,
    guessed,
    left_out_rate,
    loss_without,
)
from harness.statistics.clustered_drop import counted_drop
from harness.statistics.clusters import CONFIDENCE, Units, group, rate_interval, ratio_interval
from harness.statistics.jackknife import mean_of
from harness.statistics.paired_binary import above_zero
from harness.types import (
    CaseResult,
    Forgetting,
    GoldenCase,
    Interval,
    MetricComparison,
    MetricSummary,
    Retention,
    Stability,
    TextLoss,
)

# In nats per token: perplexity up by a tenth. On the bundled text a useful fine-tune of SmolLM2-135M moved it
# by 0.02 and harmful ones by 0.4 to 1.2. A tripwire: it never makes a regression, but a run that exceeds it
# can't pass.
LOSS_LIMIT = 0.10
# Of fewer the spread is that of no text: of one any rise would be above 0.
_FEWEST_PASSAGES = 3
ALL_SKILLS, _NO_SKILL, _PROSE = "all", "untagged", "prose"
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
    change = by_kind.pop(_PROSE, None)
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
        passages=_prose_passages(candidate_losses, baseline_losses),
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
        by_kind.setdefault(_kind(loss), []).append(loss)
    changes = {kind: loss_change(losses, baseline, confidence) for kind, losses in by_kind.items()}
    return {kind: change for kind, change in changes.items() if change is not None}


def _kind(loss: TextLoss) -> str:
    """The kind of text: code, dialogue, a language; prose in English has no kind in its name."""
    kind, divided, _ = loss.passage.partition("/")
    return kind if divided else _PROSE


def _prose_passages(candidate: Sequence[TextLoss], baseline: Sequence[TextLoss]) -> tuple[int, int] | None:
    """How many passages of prose are compared, of how many that both sides have; None without any."""
    before = {loss.passage: loss for loss in baseline if _kind(loss) == _PROSE}
    both = [loss for loss in candidate if loss.passage in before]
    return (len(_split_alike(both, baseline)), len(both)) if both else None


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

    A probe with several answers counts as far as the baseline passes it, and is kept as far as both do: that
    any answer of each failed says little. Numbers of probes are rounded then.

    Args:
        skill: The probes' common skill.
        pairs: Candidate's and baseline's result of each probe; both passed or failed.
        confidence: Two-sided.
    """
    known = [(now, was, _passed_share(was)) for now, was in pairs if _passed_share(was) > 0]
    if not known:
        return None
    clusters = [place if n.case.cluster is None else n.case.cluster for place, (n, _, _) in enumerate(known)]
    before = [share for _, _, share in known]
    kept = [min(_passed_share(now), share) for now, _, share in known]
    if any(result.repeats for now, was, _ in known for result in (now, was)):
        units = Units(sums=group(kept, clusters).sums, sizes=group(before, clusters).sums)
        rate = ratio_interval(units, confidence, span=1.0, least=0.0, most=1.0)
    else:
        rate = rate_interval([share == 1.0 for share in kept], clusters, confidence)
    probes = max(round(math.fsum(before)), 1)
    return Retention(
        skill=skill,
        passed_by_baseline=probes,
        retained=min(round(math.fsum(kept)), probes),
        rate=rate,
    )


def _passed_share(result: CaseResult) -> float:
    found = stability_of(result)
    return found.passed / found.answers


def loss_change(
    candidate: Sequence[TextLoss], baseline: Sequence[TextLoss], confidence: float = CONFIDENCE
) -> Interval | None:
    """Candidate minus baseline cross-entropy in nats per token; None with fewer than three common passages.

    Each token counts once. The passages are the sample, so the interval is Student's t over them.

    Args:
        candidate: Cross-entropy on the bundled passages.
        baseline: The same of the baseline. A passage with another number of tokens was split by another
            tokenizer and can't be compared.
        confidence: Two-sided.
    """
    shared = _split_alike(candidate, baseline)
    if len(shared) < _FEWEST_PASSAGES:
        return None
    changes = [now.nats_per_token - then.nats_per_token for now, then in shared]
    sizes = [float(now.tokens) for now, _ in shared]
    sums = [change * size for change, size in zip(changes, sizes, strict=True)]
    largest = max(abs(change) for change in changes)
    return ratio_interval(Units(sums=tuple(sums), sizes=tuple(sizes)), confidence, span=largest)


def _split_alike(
    candidate: Sequence[TextLoss], baseline: Sequence[TextLoss]
) -> list[tuple[TextLoss, TextLoss]]:
    before = {loss.passage: loss for loss in baseline}
    return [
        (loss, before[loss.passage])
        for loss in candidate
        if loss.passage in before and loss.tokens == before[loss.passage].tokens
    ]


def set_metric_rows(
    pairing: Pairing,
    confidence: Mapping[str, float],
    populations: Mapping[str, str] | None = None,
    stability: Mapping[str, Stability] | None = None,
    asked: Iterable[GoldenCase] = (),
    before: Sequence[CaseResult] = (),
) -> list[MetricComparison]:
    """A row for each golden set whose cases are classifications, without a verdict.

    Args:
        pairing: The paired cases.
        confidence: Two-sided, of the intervals of each set.
        populations: The question of each set. One about exactly its cases is answered where answers
            reproduce: nothing is known of how the labels of others vary.
        stability: The noise record of the baseline's model, by case key: it may show that they don't.
        asked: All cases of the sets, also those without a result so far: a label that only they have may be
            lost for all that is known.
        before: The baseline's results: a case that was changed since asked it for its former label.
    """
    by_set: dict[str, list[LabelledCase]] = {}
    lacking: dict[str, list[LabelledCase]] = {}
    for place, pair in enumerate([*pairing.pairs, *pairing.undecided]):
        case = _case(place, pair)
        if case.candidate and case.baseline and place < len(pairing.pairs):
            by_set.setdefault(pair[0].case.set_name, []).append(case)
        elif case.candidate or case.baseline:
            lacking.setdefault(pair[0].case.set_name, []).append(case)
    if not by_set:
        return []
    asking = {name: list[Pair]() for name, asked in (populations or {}).items() if asked == "cases"}
    for pair in pairing.pairs if asking.keys() & by_set.keys() else ():
        if (name := pair[0].case.set_name) in asking:
            asking[name].append(pair)
    noted = stability or {}
    counted = {name for name, pairs in asking.items() if pairing.reproduces(pairs, noted, MACRO_F1)}
    known = {case.key for cases in (*by_set.values(), *lacking.values()) for case in cases}
    further = _further_labels((case for case in asked if case.skip is None and case.key not in known), before)
    return [
        _with_lacking(
            partial(
                _row, name, confidence=confidence[name], counted=name in counted, also=further.get(name, ())
            ),
            cases,
            lacking.get(name, ()),
        )
        for name, cases in by_set.items()
    ]


def _further_labels(cases: Iterable[GoldenCase], before: Sequence[CaseResult]) -> dict[str, set[str]]:
    """By golden set the labels that the baseline may lose in cases that are not compared."""
    was = {each.key: each.case for each in before}
    found: dict[str, set[str]] = {}
    changed: dict[str, set[str]] = {}
    for case in cases:
        if labels := _asked_labels(case):
            same = was.get(case.key, case).content_sha256 == case.content_sha256
            (found if same else changed).setdefault(case.set_name, set()).update(labels)
    # A changed case did not ask the baseline for its present label, which it may lose if another one did.
    for each in before if changed else ():
        asked = {expected for answer in _labels(each) for expected, _ in answer}
        name = each.case.set_name
        found.setdefault(name, set()).update(asked & changed.get(name, set()))
    return found


def _asked_labels(case: GoldenCase) -> set[str]:
    # Members of groups have no labels of their own.
    if not (checks := checks_of(case, MACRO_F1)):
        return set()
    # Few sets have such checks, and it waits for the rules by which answers deny a label.
    from harness.metrics.labelled_answer import expected_label

    return {label for check in checks if (label := expected_label(case, check)) is not None}


def _with_lacking(
    row_of: Callable[[Sequence[LabelledCase]], MetricComparison],
    cases: Sequence[LabelledCase],
    lacking: Sequence[LabelledCase],
) -> MetricComparison:
    """The row if a pass has to hold for the worst that missing labels could be, a regression for the best."""
    row = row_of(cases)
    if not lacking:
        return row
    worst, best = (row_of([*cases, *guessed(cases, lacking, lost=lost)]) for lost in (True, False))
    high, worst_high = (
        each.drop.high if each.high_unseen is None else each.high_unseen for each in (row, worst)
    )
    return replace(
        row,
        missing=sum(not (case.candidate and case.baseline) for case in lacking),
        high_unseen=max(high, worst_high),
        p_value=max(row.p_value, best.p_value),
        drop=replace(row.drop, low=min(row.drop.low, best.drop.low)),
        high_at_best=best.drop.high,
        high_of_compared=high,
    )


def _case(place: int, pair: Pair) -> LabelledCase:
    cluster, sides = pair[0].case.cluster, [_labels(result) for result in pair]
    candidate, baseline = ([each for answer in side for each in answer] for side in sides)
    return LabelledCase(
        pair[0].key,
        place if cluster is None else cluster,
        candidate,
        baseline,
        checks=max(len(answer) for side in sides for answer in side),
    )


def _labels(result: CaseResult) -> list[Labels]:
    """Of each answer."""
    found = (answer.scores for answer in answers_of(result))
    return [[score.labels for score in scores if score.labels is not None] for scores in found]


def _row(
    name: str,
    cases: Sequence[LabelledCase],
    confidence: float,
    *,
    counted: bool = False,
    also: Collection[str] = (),
) -> MetricComparison:
    """A set's row; no case has the labels in ``also``, which may be lost."""
    members: dict[str | int, list[LabelledCase]] = {}
    for case in cases:
        members.setdefault(case.cluster, []).append(case)
    seen = {expected for case in cases for expected, _ in (*case.candidate, *case.baseline)}
    labels = sorted(seen.union(also))
    candidate, baseline = (counts_of_cases(list(members.values()), side, labels) for side in SIDES)
    now, before = left_out_rate(candidate), left_out_rate(baseline)
    if counted:
        known = counted_drop([before.whole - now.whole], confidence)
        found = SetDrop(known.interval, min(known.high_unseen + loss_without(candidate), 1.0), known.p_value)
    else:
        found = drop_between(now, before, candidate, confidence, chance_of_swaps(candidate, baseline))
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
        unseen_labels=tuple(sorted({*also} - seen)),
        lost=tuple([case.key for case in cases if case.fell > 0]),
        gained=tuple([case.key for case in cases if case.fell < 0]),
    )
