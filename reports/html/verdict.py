"""The verdict as a word and as a sentence."""

from collections.abc import Iterable

from harness.presentation.sentences import sentences_of
from harness.types import (
    Finding,
    GateRecord,
    GateVerdict,
    MetricComparison,
    MetricFinding,
    Outcome,
    Run,
    Standing,
)
from reports.html import figures
from reports.html.lead import lead_of, metric_title
from reports.html.metrics import (
    PASS_RATE,
    TONES,
    margin_text,
    mean_text,
)
from reports.html.names import model_detail, short_label
from reports.html.text import one_line
from reports.html.view import MetricLine, Tile, VerdictView

_REASON = 600


def verdict_view(record: GateRecord) -> VerdictView:
    """The page's first block."""
    lead, advice = lead_of(record)
    verdict = record.verdict
    baseline = record.baseline
    return VerdictView(
        tone="none" if verdict is None else TONES[verdict.outcome],
        word="no baseline" if verdict is None else str(verdict.outcome),
        lead=lead,
        advice=advice,
        candidate=short_label(record.run.model),
        candidate_detail=model_detail(record.run.model),
        baseline=None if baseline is None else short_label(baseline.model),
        baseline_detail="" if baseline is None else _baseline_detail(baseline),
        metrics=tuple(_metric_lines(record)),
        reasons=()
        if verdict is None
        else tuple(one_line(sentence, _REASON) for sentence in sentences_of(verdict)),
        tiles=tuple(_tiles(record)),
    )


def _baseline_detail(run: Run) -> str:
    return f"{model_detail(run.model)}, run {one_line(run.id)}"


def _metric_lines(record: GateRecord) -> Iterable[MetricLine]:
    """Each gated metric as a plain sentence, the worst first."""
    for finding in () if record.verdict is None else record.verdict.findings:
        data = finding.data
        if isinstance(data, MetricFinding) and finding.verdict is not None:
            word = "better" if data.standing is Standing.BETTER else str(finding.verdict)
            name, text = metric_title(finding, record), _told(finding, data)
            yield MetricLine(tone=TONES[finding.verdict], word=word, name=name, text=text)


def _told(finding: Finding, data: MetricFinding) -> str:
    rate = data.scale == "binary"
    before, now = (mean_text(mean, rate=rate) for mean in (data.baseline, data.candidate))
    if finding.metric == PASS_RATE:
        flips = f"{figures.count(data.lost)} lost, {figures.count(data.gained)} gained"
        said = f"{before} → {now} of {figures.count(data.n)} cases passed; {flips}."
    else:
        said = f"{before} → {now}, mean of {figures.count(data.n)} cases."
    if finding.verdict is not GateVerdict.INCONCLUSIVE:
        return said
    bound, margin = (margin_text(value, rate=rate) for value in (data.drop.high, data.margin))
    able = data.minimum_detectable_drop
    reach = "no drop at all" if able is None else f"drops from {margin_text(able, rate=rate)}"
    return (
        f"{said} The drop may be as large as {bound}; tolerated: {margin}. {data.n} cases can detect {reach}."
    )


def _pass_rates(rows: Iterable[MetricComparison]) -> list[MetricComparison]:
    return [row for row in rows if row.metric == PASS_RATE]


def some_cases(number: int) -> str:
    """A number of cases as the beginning of a sentence."""
    return "One case" if number == 1 else f"{figures.count(number)} cases"


def _tiles(record: GateRecord) -> Iterable[Tile]:
    run = record.run
    if record.comparison is None:
        passed = _count(run, Outcome.PASSED)
        failed = _count(run, Outcome.FAILED)
        yield Tile(
            label="passed", value=figures.count(passed), note=f"of {figures.count(passed + failed)} decided"
        )
        yield Tile(label="failed", value=figures.count(failed))
    else:
        rates = _pass_rates(record.comparison.metrics)
        pairs = sum(row.n for row in rates)
        lost = sum(len(row.lost) for row in rates)
        gained = sum(len(row.gained) for row in rates)
        yield Tile(label="lost", value=figures.count(lost), note=f"of {figures.count(pairs)} compared")
        yield Tile(label="gained", value=figures.count(gained))
        forgetting = record.comparison.forgetting
        if forgetting is not None and forgetting.overall is not None:
            kept = forgetting.overall
            yield Tile(
                label="skills retained",
                value=figures.percent(kept.rate.estimate),
                note=(
                    f"{figures.count(kept.retained)} of {figures.count(kept.passed_by_baseline)}, "
                    f"[{kept.rate.low * 100:.1f}, {kept.rate.high * 100:.1f}]"
                ),
            )
    note = f"of {figures.count(run.collected)} collected" if run.partial else ""
    yield Tile(label="cases", value=figures.count(len(run.results)), note=note)
    yield Tile(label="time", value=figures.duration(run.duration_s))


def _count(run: Run, outcome: Outcome) -> int:
    return sum(result.outcome is outcome for result in run.results)
