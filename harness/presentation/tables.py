"""A ranking for the terminal: the table, and the reasons of verdicts that are no pass."""

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from harness.presentation.console import STYLES, open_console
from harness.presentation.sentences import is_reason, sentence_of
from harness.presentation.terminal import confidences, interval, lacks_verdicts, outcome_counts, share
from harness.studies.ranking import RankedModel
from harness.types import GateVerdict, MetricFinding

# No table of figures is as wide.
_WIDEST = 10_000


def render_ranking(found: Sequence[RankedModel], width: int) -> RenderableType:
    """The table, best first, then why models did not pass, and which runs are partial or lack verdicts.

    Args:
        found: The ranked models.
        width: Characters of a line; where the names need the room, the runs are on lines of their own.
    """
    notes = [Text(f"• {note}") for note in _notes(found)]
    failed = "; cases without a verdict count as failed for it, and in the order"
    lacks = any(lacks_verdicts(ranked.record.run) for ranked in found)
    best = "* no other model is at least as good in gain and kept, and better in one of them"
    common = "; in both, and in the order, only cases count that all models were asked"
    alike = not any(ranked.uncommon for ranked in found)
    star = Text(f"{best}{failed if lacks else ''}{'' if alike else common}", style="dim")
    table, runs = _table(found, with_runs=True), list[Text]()
    if open_console(width=_WIDEST).measure(table).maximum > width:
        table = _table(found, with_runs=False)
        runs = [Text(f"• {ranked.name}: run {ranked.record.run.id}") for ranked in found]
    return Group(Text(_title(found)), table, star, *runs, *notes)


def _title(found: Sequence[RankedModel]) -> str:
    baseline = found[0].record.baseline
    against = "the baseline" if baseline is None else baseline.model.label
    parts = [f"{len(found)} models against {against}"]
    if any(ranked.gain for ranked in found):
        parts.append(f"gain over n={_range(ranked.cases for ranked in found)} cases")
    if any(ranked.kept for ranked in found):
        parts.append(f"kept of n={_range(ranked.probes for ranked in found)} probes")
    measured = [each for ranked in found for each in (ranked.gain, ranked.kept) if each is not None]
    if measured:
        parts.append(f"intervals at {confidences(measured).replace(' %', '%')}, each by itself")
    return "; ".join(parts)


def _range(counts: Iterator[int]) -> str:
    found = sorted(set(counts))
    return f"{found[0]}" if len(found) == 1 else f"{found[0]}–{found[-1]}"


def _table(found: Sequence[RankedModel], *, with_runs: bool) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    # The only column that may wrap: figures, verdicts and run ids are never cut.
    table.add_column("model", overflow="fold")
    for header in ("verdict", "task gain", "probes kept", "", *["run"] * with_runs):
        table.add_column(header, no_wrap=True, min_width=len(header))
    for ranked in found:
        verdict = ranked.record.verdict
        word = "–" if verdict is None else str(verdict.outcome)
        table.add_row(
            ranked.name,
            Text(word, style="" if verdict is None else STYLES[verdict.outcome]),
            "–" if ranked.gain is None else interval(ranked.gain),
            "–" if ranked.kept is None else share(ranked.kept),
            "*" if ranked.on_front else "",
            *[ranked.record.run.id] * with_runs,
        )
    return table


def _notes(found: Sequence[RankedModel]) -> Iterator[str]:
    for ranked in found:
        for reason in _reasons(ranked):
            yield f"{ranked.name}: {reason}"
    baseline = found[0].record.baseline
    if baseline is not None and lacks_verdicts(baseline):
        yield f"baseline: {outcome_counts(baseline)}"
    for ranked in found:
        run = ranked.record.run
        if run.partial or lacks_verdicts(run):
            yield f"{ranked.name}: {outcome_counts(run)}{_cost(ranked)}"


def _reasons(ranked: RankedModel) -> Iterator[str]:
    """Why it did not pass: the first finding, and each metric with too few cases to regress by itself."""
    verdict = ranked.record.verdict
    if verdict is None or verdict.outcome is GateVerdict.PASS:
        return
    deciding = (each for each in verdict.findings if each.verdict is verdict.outcome and is_reason(each))
    for place, finding in enumerate(deciding):
        data = finding.data
        if place == 0 or (isinstance(data, MetricFinding) and data.too_few is not None):
            yield sentence_of(finding)


def _cost(ranked: RankedModel) -> str:
    """What the cases without a verdict cost a model in the order; empty if there is none to count."""
    if not ranked.lacking:
        return ""
    lost = "none as lost: the baseline failed them too"
    if ranked.lacking_passed:
        lost = f"the {ranked.lacking_passed:.3g} that the baseline passed as lost"
    return f"; {ranked.lacking} that another model answered count as failed, and {lost}"
