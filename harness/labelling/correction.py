"""Corrects a run's judged scores by people's labels of some of its answers."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.comparison.times import asked_otherwise
from harness.errors import BaselineError, SettingsError
from harness.judge.questions import SINGLE_TASKS
from harness.labelling.label import Label
from harness.labelling.votes import AnswerKey, Votes, answer_key, votes_of
from harness.metrics.judged import task_of
from harness.registry.builtin_metrics import BUILTIN_METRICS
from harness.registry.metric import facts_difference
from harness.statistics.clusters import group, mean_interval, rate_interval, ratio_interval
from harness.statistics.prediction_powered import (
    PartlyLabelledItems,
    prediction_powered_difference,
    prediction_powered_mean,
)
from harness.types import GateRecord, Interval, Run

# Metrics that can be compared with people's thumbs and grades.
CORRECTABLE = tuple(
    name for name, kind in BUILTIN_METRICS.items() if kind.judged and task_of(name) in SINGLE_TASKS
)
# With fewer labels the interval is right on average, but rough in a single case.
FEW = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """One judged metric of one golden set and side.

    Attributes:
        side: ``candidate`` or ``baseline``.
        n: Answers that the judge scored.
        judge: The judge's mean over all of them.
        labelled: How many of them people labelled.
        people: People's mean over those; None if they are too few.
        corrected: Estimate of people's mean over all of them; None if too few are labelled.
        note: A warning, or empty.
        left_out: Number of answers that are not used, by reason.
    """

    set_name: str
    metric: str
    side: str
    run_id: str
    n: int
    judge: Interval
    labelled: int
    people: Interval | None
    corrected: Interval | None
    note: str
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Candidate minus baseline, over the cases that the judge scored on both sides.

    Attributes:
        n: Number of those cases.
        judge: The judge's mean difference; None where both sides' scores are not of one judge and version.
        labelled: Number of labelled answers of the candidate and of the baseline.
        corrected: The difference of both corrected means.
        note: Why there is no difference of the judge, or empty.
    """

    set_name: str
    metric: str
    n: int
    judge: Interval | None
    labelled: tuple[int, int]
    corrected: Interval
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrections:
    """A run's judged metrics, corrected by people's labels.

    Attributes:
        labels: Number of current labels.
        used: Number of labels of answers that the judge scored here.
        unused: The others, by reason.
    """

    run_id: str
    labels: int
    used: int
    unused: Mapping[str, int]
    rows: tuple[Correction, ...]
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _ScoredLabel:
    """An answer with the judge's value and, if people labelled it, the mean of theirs."""

    key: AnswerKey
    case: str
    cluster: str
    judged: float
    label: float | None


def correct_scores(record: GateRecord, labels: Sequence[Label], metrics: Sequence[str] = ()) -> Corrections:
    """Correct each judged metric of each golden set, on both sides if the baseline is stored too.

    Several people's labels of one answer are averaged.

    Args:
        record: The stored run.
        labels: Number of current labels.
        metrics: Their names; empty: all that can be corrected.

    Raises:
        SettingsError: A metric can't be corrected, or no label belongs to an answer that the judge scored.
        BaselineError: The run has no score of such a metric.
    """
    if unknown := [name for name in metrics if name not in CORRECTABLE]:
        raise SettingsError(f"--metric {unknown[0]}: can't be corrected (allowed: {', '.join(CORRECTABLE)})")
    sides = {"candidate": record.run}
    if record.baseline is not None:
        sides["baseline"] = _asked_alike(record.baseline, record.run)
    votes = votes_of(labels, {run.id for run in sides.values()})
    used: set[AnswerKey] = set()
    rows, differences, without = [], [], Counter[str]()
    for set_name in dict.fromkeys(result.case.set_name for result in record.run.results):
        for metric in metrics or CORRECTABLE:
            found = {}
            for side, run in sides.items():
                scored, left_out = _scored_answers(run, set_name, metric, votes)
                used |= {one.key for one in scored if one.label is not None}
                if scored:
                    found[side] = scored
                    rows.append(_correction(set_name, metric, side, run.id, scored, left_out))
                else:
                    without += left_out
            if len(found) > 1 and (one := _difference(set_name, metric, **found)) is not None:
                differences.append(_of_one_judge(one, sides["candidate"], sides["baseline"]))
    if not rows:
        asked = " or ".join(metrics or CORRECTABLE)
        why = "".join(f", {count} {reason}" for reason, count in without.items())
        raise BaselineError(
            f"run {record.run.id}: no judge's score of {asked} is stored that could be corrected{why}: "
            f"name a run with --gate-judge and such checks"
        )
    count = sum(not used.isdisjoint(keys) for keys in votes.by_label)
    unused = dict(votes.left_out)
    if other := len(votes.by_label) - count:
        unused["of answers or questions that no judge scored here"] = other
    if not count:
        why = ", ".join(f"{number} {reason}" for reason, number in unused.items()) or "there is none"
        raise SettingsError(
            f"no label is of an answer that the judge scored in run {record.run.id} ({why}): "
            f"tunegate judge label --run {record.run.id} asks for them"
        )
    return Corrections(
        run_id=record.run.id,
        labels=len(labels),
        used=count,
        unused=unused,
        rows=tuple(rows),
        differences=tuple(differences),
    )


def _asked_alike(baseline: Run, candidate: Run) -> Run:
    """The baseline's run with the cases that are the same in both: only those were shown to people."""
    otherwise = asked_otherwise(candidate, baseline)
    asked = {
        (result.key, result.case.content_sha256)
        for result in candidate.results
        if result.key not in otherwise
    }
    kept = [one for one in baseline.results if (one.key, one.case.content_sha256) in asked]
    return replace(baseline, results=tuple(kept))


def _scored_answers(
    run: Run, set_name: str, metric: str, votes: Votes
) -> tuple[list[_ScoredLabel], Counter[str]]:
    """The answers that the judge scored by one metric, and the number of unused ones by reason."""
    scored: list[_ScoredLabel] = []
    left_out: Counter[str] = Counter()
    for result in run.results:
        checks = [check for check in result.case.checks if check.type == metric]
        if result.case.set_name != set_name or not checks:
            continue
        values = [score.value for score in result.scores if score.metric == metric]
        key = answer_key(run.id, result, checks[0])
        if result.repeats:
            # People are shown the first, and the case's scores are those of the worst.
            left_out["with several answers"] += 1
        elif len(checks) > 1:
            left_out["several checks of one type"] += 1
        elif not values or key is None:
            left_out["without the judge's verdict"] += 1
        else:
            given = votes.values.get(key)
            cluster = result.case.cluster
            scored.append(
                _ScoredLabel(
                    key=key,
                    case=result.key,
                    cluster=f"case {result.key}" if cluster is None else f"cluster {cluster}",
                    judged=values[0],
                    label=None if given is None else math.fsum(given) / len(given),
                )
            )
    return scored, left_out


def _correction(
    set_name: str,
    metric: str,
    side: str,
    run_id: str,
    scored: Sequence[_ScoredLabel],
    left_out: Mapping[str, int],
) -> Correction:
    least, most = _scale(metric)
    labelled = [(one.label, one.cluster) for one in scored if one.label is not None]
    enough = len({cluster for _, cluster in labelled}) > 1
    note = ""
    if not labelled:
        note = "nothing is labelled"
    elif not enough:
        note = "too few labels: 2 clusters are needed" if labelled[1:] else "too few labels: 2 are needed"
    elif len(labelled) < FEW:
        note = f"few labels: below {FEW} the interval is rough"
    return Correction(
        set_name=set_name,
        metric=metric,
        side=side,
        run_id=run_id,
        n=len(scored),
        judge=_mean([one.judged for one in scored], [one.cluster for one in scored], metric),
        labelled=len(labelled),
        people=_mean([value for value, _ in labelled], [name for _, name in labelled], metric)
        if enough
        else None,
        corrected=prediction_powered_mean(_sample(scored), least=least, most=most) if enough else None,
        note=note,
        left_out=dict(left_out),
    )


def _difference(
    set_name: str, metric: str, candidate: Sequence[_ScoredLabel], baseline: Sequence[_ScoredLabel]
) -> Difference | None:
    """Over the cases that the judge scored on both sides; None if a side has too few labels."""
    before = {one.case: one for one in baseline}
    pairs = [(one, before[one.case]) for one in candidate if one.case in before]
    sides = [now for now, _ in pairs], [then for _, then in pairs]
    if any(len({one.cluster for one in side if one.label is not None}) < 2 for side in sides):
        return None
    least, most = _scale(metric)
    span = most - least
    differences = group([now.judged - then.judged for now, then in pairs], [now.cluster for now, _ in pairs])
    return Difference(
        set_name=set_name,
        metric=metric,
        n=len(pairs),
        # An unseen case may be at either end of the scale, however far from the others.
        judge=ratio_interval(differences, span=span + abs(differences.mean), least=-span, most=span),
        labelled=(_labelled(sides[0]), _labelled(sides[1])),
        corrected=prediction_powered_difference(_sample(sides[0]), _sample(sides[1]), span=span),
    )


def _of_one_judge(found: Difference, candidate: Run, baseline: Run) -> Difference:
    """The difference without that of the judge, where another one or another version scored the baseline."""
    why = facts_difference(candidate.metrics.get(found.metric), baseline.metrics.get(found.metric))
    # What follows in it would make runs comparable; people's labels have done so already.
    return replace(found, judge=None, note=why.partition(": ")[0]) if why else found


def _labelled(scored: Sequence[_ScoredLabel]) -> int:
    return sum(one.label is not None for one in scored)


def _sample(scored: Sequence[_ScoredLabel]) -> PartlyLabelledItems:
    known = [(one, one.label) for one in scored if one.label is not None]
    others = [one for one in scored if one.label is None]
    return PartlyLabelledItems(
        labels=tuple(label for _, label in known),
        judged=tuple(one.judged for one, _ in known),
        judged_only=tuple(one.judged for one in others),
        clusters=(*(one.cluster for one, _ in known), *(one.cluster for one in others)),
    )


def _scale(metric: str) -> tuple[float, float]:
    kind = BUILTIN_METRICS[metric]
    assert kind.minimum is not None  # every judged metric has a limited scale
    assert kind.maximum is not None
    return kind.minimum, kind.maximum


def _mean(values: Sequence[float], clusters: Sequence[str], metric: str) -> Interval:
    least, most = _scale(metric)
    if BUILTIN_METRICS[metric].kind == "binary" and all(value in {least, most} for value in values):
        return rate_interval([value == most for value in values], clusters)
    return mean_interval(values, clusters, least=least, most=most)
