"""The pass rate of each tag, with intervals: for information, not corrected for their number."""

from collections.abc import Iterator, Mapping
from dataclasses import replace

from harness.comparison.metric_drop import compare_metric
from harness.comparison.pairing import Pair, Pairing, pair_runs, paired_metrics
from harness.types import GateRecord, MetricComparison, Stability
from reports.html import figures
from reports.html.charts import Axis, forest_axis, forest_row
from reports.html.metrics import drop_text, mean_text
from reports.html.names import PASS_RATE
from reports.html.text import one_line
from reports.html.view import Estimate, SliceRow, SlicesView

_MOST_ROWS = 60
_CONFIDENCE = 0.9


def slices_view(record: GateRecord) -> SlicesView | None:
    """The slices, the largest drops first; None without a baseline or without tags."""
    if record.baseline is None or record.comparison is None:
        return None
    # As the verdict counts the baseline: what a noise record tells of it is in the tag that the gate names.
    noise = record.comparison.noise or {}
    found = list(_drops_by_tag(pair_runs(record.run, record.baseline), noise))
    if not found:
        return None
    found.sort(key=lambda entry: (-entry[1].drop.estimate, -entry[1].n, entry[0]))
    flipped = [entry for entry in found if entry[1].lost or entry[1].gained]
    calm = [entry for entry in found if not (entry[1].lost or entry[1].gained)]
    chosen = {(row.set_name, tag) for tag, row in [*flipped, *calm][:_MOST_ROWS]}
    shown = [(tag, row) for tag, row in found if (row.set_name, tag) in chosen]
    axis = forest_axis((row.drop for _, row in shown), ())
    drivers = {(driver.set_name, driver.name) for driver in record.comparison.drivers if driver.kind == "tag"}
    return SlicesView(
        rows=tuple(_row(tag, row, axis, driver=(row.set_name, tag) in drivers) for tag, row in shown),
        axis=axis,
        confidence=f"{_CONFIDENCE * 100:g}\u00a0%",
        left_out=len(found) - len(shown),
    )


def _drops_by_tag(pairing: Pairing, noise: Mapping[str, Stability]) -> Iterator[tuple[str, MetricComparison]]:
    """Each tag's pass rate, set by set, in the order of the cases; without a detectable drop."""
    parts: dict[tuple[str, str], list[Pair]] = {}
    for pair in pairing.pairs:
        for tag in dict.fromkeys(pair[0].case.tags):
            parts.setdefault((pair[0].case.set_name, tag), []).append(pair)
    for (_, tag), pairs in parts.items():
        for metric in paired_metrics(replace(pairing, pairs=tuple(pairs)), noise):
            if metric.metric == PASS_RATE:
                yield tag, compare_metric(metric, _CONFIDENCE, detectable=False)


def _row(tag: str, row: MetricComparison, axis: Axis, *, driver: bool) -> SliceRow:
    low, high = figures.points(row.drop.low), figures.points(row.drop.high)
    drop = drop_text(row.drop.estimate, rate=True)
    return SliceRow(
        set_name=one_line(row.set_name),
        tag=one_line(tag, 60),
        n=figures.count(row.n),
        baseline=mean_text(row.baseline.mean.estimate, rate=True),
        candidate=mean_text(row.candidate.mean.estimate, rate=True),
        drop=Estimate(value=drop, interval=f"[{low}, {high}]"),
        forest=forest_row(axis, row.drop, None),
        drawing=f"drop {drop}, interval {low} to {high}",
        lost=figures.count(len(row.lost)),
        gained=figures.count(len(row.gained)),
        driver=driver,
    )
