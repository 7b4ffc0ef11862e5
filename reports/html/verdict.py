"""The verdict in a word and in a sentence."""

from collections.abc import Iterable, Sequence
from pathlib import PurePath

from harness.presentation.sentences import sentence_of, sentences_of
from harness.types import (
    GateRecord,
    GateVerdict,
    MetricComparison,
    ModelRef,
    Outcome,
    Run,
)
from reports.html import figures
from reports.html.metrics import (
    PASS_RATE,
    TONES,
    is_rate,
    margin_text,
    mean_text,
    metric_name,
    worst_first,
)
from reports.html.text import one_line
from reports.html.view import MetricLine, Tile, VerdictView

_SHA_DIGITS = 10
_MOST_NAMES = 3
_REASON = 600
_WORDS = {GateVerdict.PASS: "held", GateVerdict.REGRESS: "worse", GateVerdict.INCONCLUSIVE: "unclear"}


def verdict_view(record: GateRecord) -> VerdictView:
    """The page's first block."""
    lead, advice = _lead(record)
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


def short_label(model: ModelRef) -> str:
    """What a person calls a model; of an absolute path the last part, the manifest has it whole."""
    return _last_part(model.label)


def _last_part(label: str) -> str:
    return one_line(PurePath(label).name if PurePath(label).is_absolute() else label) or one_line(label)


def model_detail(model: ModelRef) -> str:
    """What identifies a model's weights, shortened."""
    if model.adapter_sha256 is None:
        return f"sha256 {model.base_sha256[:_SHA_DIGITS]}"
    return f"adapter sha256 {model.adapter_sha256[:_SHA_DIGITS]} on {_last_part(model.base_model)}"


def _lead(record: GateRecord) -> tuple[str, str]:
    """The verdict as a plain sentence, and what could be done about it."""
    if record.comparison is None or record.baseline is None or record.verdict is None:
        return (
            "There are scores, but nothing that they were compared with, so there is no verdict.",
            "Gate an adapter against its base model, or give --gate-baseline a stored run or a directory.",
        )
    other = short_label(record.baseline.model)
    gated = [row for row in record.comparison.metrics if row.verdict is not None]
    if record.verdict.outcome is GateVerdict.PASS:
        better = [_row_name(row, record) for row in gated if row.drop.high < 0]
        also = f" On {_listed(better)} it is better." if better else ""
        return f"The candidate is no worse than {other} by more than the margins tolerate.{also}", ""
    deciding = [row for row in gated if row.verdict is record.verdict.outcome]
    if record.verdict.outcome is GateVerdict.REGRESS and not deciding:
        regressed = _listed([one_line(case.key) for case in record.comparison.regressed_cases])
        return f"The candidate answers {regressed} worse than {other}, by more than chance explains.", ""
    if record.verdict.outcome is GateVerdict.REGRESS:
        where = _listed([_row_name(row, record) for row in deciding])
        return f"The candidate is worse than {other} on {where}, by more than chance explains.", ""
    if not deciding:
        # Errors or missing verdicts decided, not a figure: the first finding says which.
        reason = sentence_of(record.verdict.findings[0])
        return f"Too much is missing for a verdict: {reason}.", "Fix what errored and run the gate again."
    where = _listed([_row_name(row, record) for row in deciding])
    return (
        f"These cases can't tell whether the candidate is worse than {other} on {where}.",
        "More cases would settle it; so would a wider margin, if that much may be lost.",
    )


def _row_name(row: MetricComparison, record: GateRecord) -> str:
    name = metric_name(row.metric, record.run.metrics)
    return row.set_name if row.metric == PASS_RATE else f"{row.set_name} {name}"


def _listed(names: Sequence[str]) -> str:
    """Names as in a sentence; of many, the first three."""
    shown = list(names) if len(names) <= _MOST_NAMES else [*names[: _MOST_NAMES - 1], _more(names)]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"


def _more(names: Sequence[str]) -> str:
    return f"{figures.count(len(names) - _MOST_NAMES + 1)} more"


def _metric_lines(record: GateRecord) -> Iterable[MetricLine]:
    """Each gated metric in a plain sentence, the worst first."""
    if record.comparison is None:
        return
    for row in worst_first(record.comparison.metrics):
        if row.verdict is not None:
            word = "better" if row.drop.high < 0 else _WORDS[row.verdict]
            yield MetricLine(tone=TONES[row.verdict], word=word, name=_row_name(row, record), text=_told(row))


def _told(row: MetricComparison) -> str:
    rate = is_rate(row)
    before, now = (mean_text(side.mean.estimate, rate=rate) for side in (row.baseline, row.candidate))
    if row.metric == PASS_RATE:
        flips = f"{figures.count(len(row.lost))} lost, {figures.count(len(row.gained))} gained"
        said = f"{before} → {now} of {figures.count(row.n)} cases passed; {flips}."
    else:
        said = f"{before} → {now}, mean of {figures.count(row.n)} cases."
    if row.verdict is not GateVerdict.INCONCLUSIVE:
        return said
    bound, margin = (margin_text(value, rate=rate) for value in (row.drop.high, row.margin or 0.0))
    able = row.minimum_detectable_drop
    reach = "no drop at all" if able is None else f"drops from {margin_text(able, rate=rate)}"
    return (
        f"{said} The drop may be as large as {bound}; tolerated: {margin}. {row.n} cases can detect {reach}."
    )


def _pass_rates(rows: Iterable[MetricComparison]) -> list[MetricComparison]:
    return [row for row in rows if row.metric == PASS_RATE]


def some_cases(number: int) -> str:
    """A count of cases as the beginning of a sentence."""
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
