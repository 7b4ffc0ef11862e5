"""A gate's record as rows of the newest schema's tables."""

from collections.abc import Iterator
from dataclasses import replace

from harness.types import Comparison, GateRecord, MetricComparison, Run
from harness.types.serialisation import encode

Row = tuple[str | int | float | None, ...]


def run_row(run: Run) -> Row:
    """Row of ``runs``. The results have separate rows."""
    model = run.model
    return (
        *(_text(run.id), _text(run.started_at), run.duration_s, _text(model.label)),
        None if model.adapter_sha256 is None else _text(model.adapter_sha256),
        *(_text(model.base_sha256), run.collected),
        encode(replace(run, results=())),
    )


def result_rows(run: Run) -> Iterator[Row]:
    """Rows of ``results``."""
    for place, result in enumerate(run.results):
        yield (
            *(_text(run.id), place, _text(result.case.set_name), _text(result.case.id), str(result.outcome)),
            None if result.completion is None else _text(result.completion.text),
            encode(result),
        )


def score_rows(run: Run) -> Iterator[Row]:
    """Rows of ``scores``: each score, and each metric that broke."""
    for result in run.results:
        case = (_text(run.id), _text(result.case.set_name), _text(result.case.id))
        for score in result.scores:
            yield (*case, _text(score.metric), score.value, score.threshold, score.passed, None)
        for error in result.errors:
            yield (*case, _text(error.metric), None, None, None, _text(error.error))


def gate_row(record: GateRecord) -> Row:
    """Row of ``gates``."""
    return (
        _text(record.run.id),
        None if record.baseline is None else _text(record.baseline.id),
        None if record.verdict is None else str(record.verdict.outcome),
        encode({"comparison": record.comparison, "verdict": record.verdict}),
    )


def comparison_rows(run_id: str, comparison: Comparison) -> Iterator[Row]:
    """Rows of ``comparisons``.

    Args:
        run_id: The candidate's run.
        comparison: The comparison.

    Returns:
        One row per metric, in the order of the table's columns.
    """
    for place, row in enumerate(comparison.metrics):
        yield (
            *(_text(run_id), place, _text(row.set_name), _text(row.metric), row.kind, row.n),
            *(row.candidate.mean.estimate, row.baseline.mean.estimate),
            *(row.drop.estimate, row.drop.low, row.drop.high, row.p_value, row.p_adjusted),
            *(len(row.lost), len(row.gained), row.margin, row.minimum_detectable_drop, _verdict(row)),
        )


def retention_rows(run_id: str, comparison: Comparison) -> Iterator[Row]:
    """Rows of ``retentions``: one for each skill of the baseline.

    Args:
        run_id: The candidate's run.
        comparison: The comparison.

    Returns:
        One row per skill, in the order of the table's columns.
    """
    for place, row in enumerate(comparison.forgetting.by_skill if comparison.forgetting else ()):
        yield (
            *(_text(run_id), place, _text(row.skill), row.passed_by_baseline, row.retained),
            *(row.rate.low, row.rate.high),
        )


def _verdict(row: MetricComparison) -> str | None:
    return None if row.verdict is None else str(row.verdict)


def _text(text: str) -> str:
    """The text with lone surrogates as question marks, which SQLite can't store; the facts keep the text."""
    return text.encode("utf-8", "replace").decode("utf-8")
