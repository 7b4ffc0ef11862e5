"""From a gate's record to the content of the page."""

from datetime import UTC, datetime

from harness.types import GateRecord
from reports.html.banners import banners
from reports.html.cases import case_views
from reports.html.groups import case_groups, case_list
from reports.html.metrics import metrics_view
from reports.html.panels import forgetting_views, manifest, set_rows, training_view
from reports.html.text import one_line
from reports.html.verdict import verdict_view
from reports.html.view import ReportView


def build_view(record: GateRecord) -> ReportView:
    """The content of the page, in order.

    Args:
        record: The run, its baseline, their comparison and the verdict.
    """
    verdict = verdict_view(record)
    cases = case_views(record)
    return ReportView(
        title=f"{verdict.word.upper()} – {verdict.candidate} – tunegate",
        run_id=one_line(record.run.id),
        started=_moment(record.run.started_at),
        verdict=verdict,
        banners=tuple(banners(record)),
        metrics=metrics_view(record),
        groups=tuple(case_groups(record, cases)),
        cases=case_list(cases),
        forgetting=tuple(forgetting_views(record)),
        training=training_view(record),
        sets=tuple(set_rows(record)),
        manifest=tuple(manifest(record)),
    )


def _moment(iso: str) -> str:
    """A time as ``31 Jan 2026, 14:25 UTC``; a text that is not an ISO 8601 time stays unchanged."""
    try:
        moment = datetime.fromisoformat(iso).astimezone(UTC)
    except (ValueError, OverflowError):
        return one_line(iso)
    return f"{moment.day} {moment:%b %Y, %H:%M} UTC"
