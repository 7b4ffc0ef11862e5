"""Where a gated metric is below the run that was accepted last: another baseline may not show it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

from harness.baselines.file import Baseline, run_of
from harness.comparison.pairing import pair_runs, paired_metrics
from harness.comparison.whole_sets import set_metric_rows
from harness.statistics.clusters import CONFIDENCE
from harness.types import Finding, GateRecord, GateVerdict, MetricFinding, MetricSummary
from harness.types.golden import is_within
from reports.html import figures
from reports.html.metrics import change_text, in_margins, is_rate, mean_text
from reports.html.names import quoted, quoted_title
from reports.html.text import one_line

_NAME = 30
_MOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Fall:
    """One gated metric that fell against the accepted run by more than the allowed drop.

    Attributes:
        title: The set's name in quotes, with the metric unless it is the pass rate.
        text: Both values and the difference, in words.
    """

    title: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedMeans:
    """One metric over the cases that a run and the accepted one both have, unchanged.

    Attributes:
        n: Number of those cases.
        now: The run's mean.
        then: The accepted run's.
        drop: How far the run is below it, positive is worse.
        is_part: Whether one of the two has more cases than these in its own figure.
    """

    n: int
    now: float
    then: float
    drop: float
    is_part: bool = False

    @property
    def where(self) -> str:
        """On how many cases, in words; empty where they are those of both sides' own figures."""
        return f" on the {figures.count(self.n)} cases that both have" if self.is_part else ""


# By set and metric.
Shared: TypeAlias = Mapping[tuple[str, str], SharedMeans]


def accepted_summary(accepted: Baseline, finding: Finding) -> MetricSummary | None:
    """The accepted run's summary of a finding's metric, over all its cases; None if it has none.

    Args:
        accepted: The accepted run.
        finding: About one metric.
    """
    for kept in accepted.summaries:
        if (kept.set_name, kept.summary.metric) == (finding.set_name, finding.metric):
            return kept.summary
    return None


def shared_means(record: GateRecord, accepted: Baseline | None) -> Shared:
    """Both runs' means by set and metric, over the same cases; nothing of a run without some cases.

    Cases that either side has no verdict on, or that were changed since, are in neither mean: those of other
    cases would be told as a change of the model.

    Args:
        record: The gate's record.
        accepted: The accepted run.

    Returns:
        The means by set and metric.
    """
    if accepted is None or record.comparison is None or record.run.lacks_cases:
        return {}
    pairing = pair_runs(record.run, run_of(accepted, [result.case for result in record.run.results]))
    found = {
        (each.set_name, each.metric): SharedMeans(
            n=len(each.keys), now=_mean(each.candidate), then=_mean(each.baseline), drop=_mean(each.drops)
        )
        for each in paired_metrics(pairing)
    }
    levels = {pair[0].case.set_name: CONFIDENCE for pair in pairing.pairs}
    for row in set_metric_rows(replace(pairing, undecided=()), levels):
        now, then = row.candidate.mean.estimate, row.baseline.mean.estimate
        found[row.set_name, row.metric] = SharedMeans(n=row.n, now=now, then=then, drop=row.drop.estimate)
    counts = [{(row.set_name, row.metric): row.n for row in record.comparison.metrics}]
    counts.append({(kept.set_name, kept.summary.metric): kept.summary.n for kept in accepted.summaries})
    return {
        name: replace(each, is_part=any(of.get(name, each.n) != each.n for of in counts))
        for name, each in found.items()
    }


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def falls(record: GateRecord, accepted: Baseline | None, shared: Shared | None = None) -> tuple[Fall, ...]:
    """The gated metrics that did not regress but are below the accepted run by more than their allowed drop.

    Args:
        record: The gate's record.
        accepted: The run that was accepted last; None if there is none besides the baseline.
        shared: What :func:`shared_means` gives of it; None where nobody has asked for it yet.

    Returns:
        The worst first.
    """
    if accepted is None or record.verdict is None or record.comparison is None:
        return ()
    shared = shared_means(record, accepted) if shared is None else shared
    rates = {(row.set_name, row.metric): is_rate(row) for row in record.comparison.metrics}
    found: list[tuple[tuple[float, float], Fall]] = []
    # A regression is the headline already.
    for finding in (each for each in record.verdict.findings if each.verdict is not GateVerdict.REGRESS):
        name, data = (finding.set_name or "", finding.metric or ""), finding.data
        if name not in shared or not isinstance(data, MetricFinding):
            continue
        if not is_within(drop := shared[name].drop, data.margin):
            rate = rates.get(name, data.scale == "binary")
            fall = _fall(record, accepted, finding, shared[name], rate=rate)
            found.append((in_margins(drop, data.margin), fall))
    return tuple(fall for _, fall in sorted(found, key=lambda entry: entry[0], reverse=True))


def falls_line(record: GateRecord, accepted: Baseline | None, shared: Shared | None = None) -> str:
    """The falls in one line; empty without any.

    Args:
        record: The gate's record.
        accepted: The run that was accepted last.
        shared: What :func:`shared_means` gives of it; None where nobody has asked for it yet.
    """
    found = falls(record, accepted, shared)
    if accepted is None or not found:
        return ""
    more = f"; and {len(found) - _MOST} more" if len(found) > _MOST else ""
    return f"{'; '.join(fall.text for fall in found[:_MOST])}{more}."


def accepted_name(accepted: Baseline) -> str:
    """The name under which the run was accepted, in quotes."""
    return quoted(one_line(accepted.name, _NAME))


def _fall(
    record: GateRecord, accepted: Baseline, finding: Finding, shared: SharedMeans, *, rate: bool
) -> Fall:
    title = quoted_title(finding, record.run.metrics)
    files = [
        {each.content_sha256 for each in sets if each.name == finding.set_name}
        for sets in (record.run.golden_sets, accepted.golden_sets)
    ]
    changed = "; the set has changed since" if files[0] != files[1] else ""
    now, before = (mean_text(value, rate=rate) for value in (shared.now, shared.then))
    text = (
        f"{title}: {now}, accepted as {accepted_name(accepted)}: {before} "
        f"({change_text(shared.drop, rate=rate)}{shared.where}{changed})"
    )
    return Fall(title=title, text=text)
