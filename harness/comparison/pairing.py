"""Two runs, paired case by case: which cases can be compared, and each metric's values on both sides.

Several answers to one case are combined into one result before that.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.comparison.decided_anew import Changes, decided_anew
from harness.comparison.times import (
    asked_otherwise,
    case_clusters,
    computed_alike,
    in_batches,
    metric_clusters,
    refused_metrics,
    shared_times,
)
from harness.golden.schema import CHECK_TYPES, answers_vary, base_type
from harness.registry.metric import compared_scale, facts_of_both
from harness.statistics.paired_binary import Trials
from harness.types import CaseResult, MetricFacts, Outcome, Repeat, Run, Stability

# A case's outcome is the first of these among its answers: the others can't replace one without a verdict.
WORST_FIRST = (Outcome.ERRORED, Outcome.UNSCORED, Outcome.FAILED, Outcome.PASSED, Outcome.SKIPPED)


def fold_repeats(results: Sequence[CaseResult]) -> list[CaseResult]:
    """One result per case, from one result per answer.

    Args:
        results: The answers' results, those of one case together. A case with one answer stays unchanged.
    """
    by_case: dict[str, list[CaseResult]] = {}
    for result in results:
        by_case.setdefault(result.key, []).append(result)
    return [_folded(answers) for answers in by_case.values()]


def scored_metrics(results: Iterable[CaseResult]) -> tuple[str, ...]:
    """Names of the metrics with a score in any answer, each once, in order of appearance."""
    scores = (score for result in results for answer in answers_of(result) for score in answer.scores)
    return tuple(dict.fromkeys(score.metric for score in scores))


def _folded(answers: Sequence[CaseResult]) -> CaseResult:
    if len(answers) == 1:
        return answers[0]
    shown = min(answers, key=lambda answer: WORST_FIRST.index(answer.outcome))
    return CaseResult(
        case=shown.case,
        completion=shown.completion,
        scores=shown.scores,
        errors=shown.errors,
        outcome=shown.outcome,
        unscored=shown.unscored,
        repeats=tuple(map(Repeat.of, answers)),
    )


def answers_of(result: CaseResult) -> Sequence[CaseResult | Repeat]:
    """All answers to a case: its repeats, or the result itself if it has one answer."""
    return result.repeats or (result,)


def stability_of(result: CaseResult) -> Stability:
    """Number of a case's passed answers, and of those that passed or failed."""
    outcomes = [answer.outcome for answer in answers_of(result)]
    passed, failed = outcomes.count(Outcome.PASSED), outcomes.count(Outcome.FAILED)
    return Stability(passed=passed, answers=passed + failed)


def _varies(result: CaseResult, stability: Mapping[str, Stability]) -> bool:
    """Whether a model passed a case and failed it, in a run and its reruns."""
    run, reruns = stability_of(result), stability.get(result.key)
    return reruns is not None and 0 < run.passed + reruns.passed < run.answers + reruns.answers


PASS_RATE = "pass-rate"
# Why a case has no pair.
ADDED, TAKEN_OUT = "only in the candidate", "only in the baseline"
Pair = tuple[CaseResult, CaseResult]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pairing:
    """The cases of two runs.

    Attributes:
        pairs: Candidate's and baseline's result of each case that is the same in both runs and has scores.
        unpaired: Each case that is not compared, and why.
        undecided: Those of them that have no verdict on at least one side, as pairs.
        metrics: The metrics that can be compared, with their facts, which hold in both runs.
        refused: Each metric with scores in both runs that can't be compared, and why.
        exact: Both runs were computed in one way, in which greedy answers reproduce.
        batched: Whether the candidate's and the baseline's times are of whole batches.
        sets_known: Whether all cases of the golden sets are known, also those that the candidate left out.
    """

    pairs: tuple[Pair, ...]
    unpaired: Mapping[str, str]
    undecided: tuple[Pair, ...] = ()
    metrics: Mapping[str, MetricFacts] = field(default_factory=dict)
    refused: Mapping[str, str] = field(default_factory=dict)
    exact: bool = False
    batched: tuple[bool, bool] = (False, False)
    sets_known: bool = False

    @property
    def all_pairs(self) -> tuple[Pair, ...]:
        """The pairs, and those without a verdict on a side."""
        return (*self.pairs, *self.undecided)

    def reproduces(
        self, pairs: Sequence[Pair], stability: Mapping[str, Stability], metric: str | None = None
    ) -> bool:
        """Whether each of these pairs would have the same scores, or would pass as before, once more.

        Args:
            pairs: The pairs.
            stability: The noise record of the baseline's model, which may show that they vary after all.
            metric: The metric of the scores; None for whether cases pass.
        """
        if not self.exact or (stability and any(_varies(before, stability) for _, before in pairs)):
            return False
        return not answers_vary([now.case for now, _ in pairs], metric)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedMetric:
    """One metric of one golden set, on both sides of each pair.

    Attributes:
        keys: The cases' names.
        candidate: One value per case, the mean over its answers and its checks of one type.
        baseline: The same cases' values; of a pass rate averaged over the run and the noise record.
        clusters: Each case's cluster, or its index if it has none.
        higher_is_better: If false, a rise of the value is a drop.
        light_tails: The drops include no rare huge ones.
        lone: With light tails, how far the mean would fall if in every case one token broke down.
        logarithmic: The values are logarithms.
        least: Lower end of the metric's scale; infinite if there is none.
        most: Upper end.
        trials: For a pass rate, the number of passed answers to each case on both sides.
        parts: Of how many scores each case's value is a mean, in the baseline and the candidate; or empty.
        reruns: Each case's noise record of the baseline, without answers where it has none; or empty.
        reproducible: Every value would be the same if its answer were generated again.
    """

    set_name: str
    metric: str
    kind: Literal["binary", "graded"]
    keys: tuple[str, ...]
    candidate: tuple[float, ...]
    baseline: tuple[float, ...]
    clusters: tuple[str | int, ...]
    higher_is_better: bool = True
    light_tails: bool = False
    lone: float = 0.0
    logarithmic: bool = False
    least: float = 0.0
    most: float = 1.0
    trials: tuple[Trials, ...] = ()
    parts: tuple[tuple[int, int], ...] = ()
    reruns: tuple[Stability, ...] = ()
    reproducible: bool = False

    @property
    def drops(self) -> tuple[float, ...]:
        """Baseline minus candidate, with the sign chosen so that positive is worse."""
        sign = 1.0 if self.higher_is_better else -1.0
        return tuple(sign * (b - c) for c, b in zip(self.candidate, self.baseline, strict=True))

    @property
    def own_drops(self) -> tuple[float, ...]:
        """The drops between the two runs alone, without a noise record."""
        if not self.trials:
            return self.drops
        return tuple(
            each.baseline_passed / each.baseline - each.candidate_passed / each.candidate
            for each in self.trials
        )

    @property
    def repeated(self) -> bool:
        """Whether any case has several answers."""
        return any(each.baseline > 1 or each.candidate > 1 for each in self.trials)

    @property
    def clustered(self) -> bool:
        """Whether any two cases share a cluster."""
        return len(set(self.clusters)) < len(self.clusters)


def pair_runs(candidate: Run, baseline: Run, known: Collection[str] | None = None) -> Pairing:
    """Pair the cases that are the same in both runs, and neither skipped nor errored in one.

    A case without a verdict on both sides is still paired for its common graded scores, if any. One that
    another tool's log lacks may have been lost there and is undecided, and so is one that a partial baseline
    lacks; one that our whole run lacks was added since, or taken out.

    Args:
        candidate: The run to judge.
        baseline: The run to compare with.
        known: Keys of all cases of the golden sets, of a run that has answered only some; None for unknown.
    """
    refused, changed = refused_metrics(candidate, baseline, _shared_metrics(candidate, baseline))
    of_baseline = {result.key: result for result in baseline.results}
    otherwise = {key: "answered before its turn" for each in candidate.looks for key in each.out_of_turn}
    otherwise |= asked_otherwise(candidate, baseline)
    pairs, undecided, unpaired = list[Pair](), list[Pair](), dict[str, str]()
    batched, left_out = in_batches(candidate, baseline), set(baseline.left_out)
    for result in candidate.results:
        other = of_baseline.pop(result.key, None)
        # First what is not compared whatever it gave: that was not lost if it errored.
        reason = otherwise.get(result.key) or (ADDED if other is None else _obstacle(result, other, changed))
        lost_there = other is None and (not batched[1] or baseline.lacks_cases or result.key in left_out)
        if result.key not in otherwise and (lost_there or reason in {"errored", "unscored"}):
            undecided.append((result, other or _absent(result)))
        if other is None or reason:
            unpaired[result.key] = reason
        else:
            pairs.append((result, other))
    if known is not None or not candidate.lacks_cases:
        # A partial run left cases out on purpose: only the sets know which of the baseline's are gone.
        unpaired |= dict.fromkeys((key for key in of_baseline if key not in (known or ())), TAKEN_OUT)
    if not batched[0]:
        undecided += [(_absent(other), other) for other in of_baseline.values()]
    refused |= shared_times(candidate, baseline, pairs)
    if any(facts.logarithmic for facts in candidate.metrics.values()):
        from harness.comparison.scored_texts import split_alike

        pairs, split, apart = split_alike(candidate, baseline, pairs)
        refused, unpaired = split | refused, unpaired | apart
    return Pairing(
        pairs=tuple(pairs),
        unpaired=unpaired,
        undecided=tuple(undecided),
        metrics=facts_of_both(candidate.metrics, baseline.metrics, refused),
        refused=refused,
        batched=batched,
        exact=computed_alike(candidate, baseline),
        sets_known=known is not None,
    )


def _absent(result: CaseResult) -> CaseResult:
    """The result of a case that the other run has and this one hasn't."""
    return CaseResult(case=result.case, completion=None, outcome=Outcome.UNSCORED)


def _shared_metrics(candidate: Run, baseline: Run) -> list[str]:
    """Metrics with scores in both runs."""
    of_baseline = set(scored_metrics(baseline.results))
    return [name for name in scored_metrics(candidate.results) if name in of_baseline]


def _obstacle(candidate: CaseResult, baseline: CaseResult, changed: Changes) -> str:
    """Why two results of one case can't be compared; empty if they can.

    Args:
        candidate: The one result.
        baseline: The other.
        changed: Metrics that were different when the baseline was scored.
    """
    if candidate.case.content_sha256 != baseline.case.content_sha256:
        return "changed since the baseline"
    if changed and (why := decided_anew(candidate, changed)):
        return why
    outcomes = {candidate.outcome, baseline.outcome}
    if Outcome.SKIPPED in outcomes:
        return "skipped"
    if Outcome.ERRORED in outcomes:
        return "errored"
    if is_decided((candidate, baseline)):
        return ""
    shared = {score.metric for score in candidate.scores} & {score.metric for score in baseline.scores}
    return "" if outcomes == {Outcome.UNSCORED} and shared else "unscored"


def is_decided(pair: Pair) -> bool:
    """Whether both sides of a pair passed or failed."""
    return all(result.outcome in {Outcome.PASSED, Outcome.FAILED} for result in pair)


def paired_metrics(pairing: Pairing, stability: Mapping[str, Stability] | None = None) -> list[PairedMetric]:
    """For each golden set the pass rate, then each check type's score, in order of appearance.

    Args:
        pairing: The paired cases.
        stability: The noise record of the baseline's model, by case key: its reruns count for the pass rate
            as further answers of the baseline, so half of the noise of single answers is averaged out.
    """
    by_set: dict[str, list[Pair]] = {}
    for pair in pairing.pairs:
        by_set.setdefault(pair[0].case.set_name, []).append(pair)
    metrics: list[PairedMetric] = []
    for set_name, pairs in by_set.items():
        decided = [pair for pair in pairs if is_decided(pair)]
        if decided:
            metrics.append(_pass_rate(set_name, decided, pairing, stability or {}))
        types = dict.fromkeys(score.metric for pair in pairs for side in pair for score in side.scores)
        known = [name for name in types if name in pairing.metrics]
        found = (_scores(set_name, name, pairs, pairing, stability or {}) for name in known)
        metrics += [row for row in found if row is not None]
    return metrics


def _pass_rate(
    set_name: str, pairs: Sequence[Pair], pairing: Pairing, stability: Mapping[str, Stability]
) -> PairedMetric:
    unknown = Stability(passed=0, answers=0)
    reruns = tuple(stability.get(candidate.key, unknown) for candidate, _ in pairs)
    counts = [(stability_of(candidate), stability_of(baseline)) for candidate, baseline in pairs]
    return PairedMetric(
        set_name=set_name,
        metric=PASS_RATE,
        kind="binary",
        keys=tuple(candidate.key for candidate, _ in pairs),
        candidate=tuple(now.passed / now.answers for now, _ in counts),
        baseline=tuple(
            (then.passed + more.passed) / (then.answers + more.answers)
            for (_, then), more in zip(counts, reruns, strict=True)
        ),
        clusters=case_clusters(pairs),
        trials=tuple(Trials(then.passed, then.answers, now.passed, now.answers) for now, then in counts),
        reruns=reruns if any(each.answers for each in reruns) else (),
        reproducible=pairing.reproduces(pairs, stability),
    )


def _scores(
    set_name: str, metric: str, pairs: Sequence[Pair], pairing: Pairing, stability: Mapping[str, Stability]
) -> PairedMetric | None:
    """One check type's scores; None if no pair has it on both sides."""
    facts = pairing.metrics[metric]
    scored = [
        (pair, now, before)
        for pair in pairs
        if (now := mean_score(pair[0], metric, facts)) is not None
        and (before := mean_score(pair[1], metric, facts)) is not None
    ]
    if not scored:
        return None
    (least, most), lone, kind = compared_scale(facts), 0.0, CHECK_TYPES.get(base_type(metric))
    if light := kind is not None and kind.light_tails and kind.facts.logarithmic is facts.logarithmic:
        from harness.comparison.scored_texts import lone_drop

        lone = lone_drop([pair for pair, _, _ in scored], metric)
    return PairedMetric(
        set_name=set_name,
        metric=metric,
        kind=facts.kind,
        keys=tuple(pair[0].key for pair, _, _ in scored),
        candidate=tuple(now for _, now, _ in scored),
        baseline=tuple(before for _, _, before in scored),
        clusters=metric_clusters(metric, [pair for pair, _, _ in scored], batched=pairing.batched),
        higher_is_better=facts.higher_is_better,
        light_tails=light,
        lone=lone,
        logarithmic=facts.logarithmic,
        least=least,
        most=most,
        parts=tuple((_parts(pair[1], metric), _parts(pair[0], metric)) for pair, _, _ in scored),
        reproducible=pairing.reproduces([pair for pair, _, _ in scored], stability, metric),
    )


def _parts(result: CaseResult, metric: str) -> int:
    """Number of a metric's scores of all answers to a case."""
    return sum(score.metric == metric for answer in answers_of(result) for score in answer.scores)


def mean_score(result: CaseResult, metric: str, facts: MetricFacts) -> float | None:
    """The mean over the case's answers of the mean over their checks of this type, or of their logarithms.

    Args:
        result: The case's result.
        metric: The check type.
        facts: How to read its scores; the mean is None if an answer has none.
    """
    means = []
    for answer in answers_of(result):
        values = [score.value for score in answer.scores if score.metric == metric]
        if facts.logarithmic:
            values = [math.log(value) for value in values]
        if not values:
            return None
        means.append(math.fsum(values) / len(values))
    return math.fsum(means) / len(means)
