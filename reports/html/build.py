"""From a gate's record to the content of the page."""

from harness.types import GateRecord
from reports.earlier_runs import NO_EARLIER_RUNS, EarlierRuns
from reports.html.banners import banners
from reports.html.commands import show_command
from reports.html.distributions import distributions, usage_view
from reports.html.forgetting_panel import forgetting_views
from reports.html.metrics import metrics_view
from reports.html.page_size import fitting_cases
from reports.html.panels import manifest, set_rows, training_view
from reports.html.side_names import moment
from reports.html.slices import slices_view
from reports.html.text import one_line
from reports.html.verdict import verdict_view
from reports.html.view import CaseList, ReportView


def build_view(
    record: GateRecord, earlier: EarlierRuns = NO_EARLIER_RUNS, cases: CaseList | None = None
) -> ReportView:
    """The content of the page, in order.

    Args:
        record: The run, its baseline, their comparison and the verdict.
        earlier: What the run is shown beside.
        cases: The cases, if they are built already.
    """
    verdict = verdict_view(record, earlier)
    return ReportView(
        title=f"{verdict.word.upper()} – {verdict.candidate} – tunegate",
        run_id=one_line(record.run.id),
        one_case=show_command(record, earlier.unsaved, earlier.place),
        started=moment(record.run.started_at),
        verdict=verdict,
        banners=tuple(banners(record, earlier.problems, earlier.unsaved)),
        metrics=metrics_view(record),
        slices=slices_view(record),
        cases=fitting_cases(record, earlier)[0] if cases is None else cases,
        distributions=tuple(distributions(record)),
        usage=usage_view(record),
        forgetting=tuple(forgetting_views(record)),
        training=training_view(record),
        sets=tuple(set_rows(record, earlier.project)),
        manifest=tuple(manifest(record, earlier.project)),
    )
