"""From a gate's record to the content of the page."""

from harness.types import GateRecord
from reports.earlier_runs import NO_EARLIER_RUNS, EarlierRuns
from reports.html.banners import banners
from reports.html.cases import case_views, text_limit
from reports.html.distributions import distributions, usage_view
from reports.html.groups import case_list
from reports.html.metrics import metrics_view
from reports.html.panels import forgetting_views, manifest, set_rows, training_view
from reports.html.sides import moment
from reports.html.slices import slices_view
from reports.html.text import one_line
from reports.html.verdict import verdict_view
from reports.html.view import CaseList, ReportView


def build_view(
    record: GateRecord, earlier: EarlierRuns = NO_EARLIER_RUNS, *, longest_text: int | None = None
) -> ReportView:
    """The content of the page, in order.

    Args:
        record: The run, its baseline, their comparison and the verdict.
        earlier: What the run is shown beside.
        longest_text: Most characters of one text of a case, if it isn't chosen by their number.
    """
    verdict = verdict_view(record, earlier)
    return ReportView(
        title=f"{verdict.word.upper()} – {verdict.candidate} – tunegate",
        run_id=one_line(record.run.id),
        started=moment(record.run.started_at),
        verdict=verdict,
        banners=tuple(banners(record, earlier.problems)),
        metrics=metrics_view(record),
        slices=slices_view(record),
        cases=build_cases(record, earlier, longest_text),
        distributions=tuple(distributions(record)),
        usage=usage_view(record),
        forgetting=tuple(forgetting_views(record)),
        training=training_view(record),
        sets=tuple(set_rows(record, earlier.project)),
        manifest=tuple(manifest(record, earlier.project)),
    )


def build_cases(record: GateRecord, earlier: EarlierRuns, longest_text: int | None = None) -> CaseList:
    """The cases of the page; arguments as in :func:`build_view`.

    Args:
        record: The gate's record.
        earlier: What the run is shown beside.
        longest_text: Most characters of one text.
    """
    limit = text_limit(record) if longest_text is None else longest_text
    return case_list(record, case_views(record, limit, earlier.project), limit)
