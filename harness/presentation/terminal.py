"""The gate for the terminal: readable in ten seconds, on 80 columns."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from harness.comparison.decisions import standing
from harness.golden.counted_outcomes import GRADED, counted_outcomes
from harness.presentation.console import STYLES
from harness.presentation.sentences import (
    empty_metrics,
    instead_of_verdict,
    is_reason,
    rows_without_value,
    sentence_of,
)
from harness.types import (
    CaseResult,
    Comparison,
    ExecutionPlan,
    Forgetting,
    GateRecord,
    GateVerdict,
    Interval,
    MetricComparison,
    NoVerdictFinding,
    Outcome,
    RetentionFinding,
    Run,
    ServerUse,
    Standing,
)
from harness.types.training import TrainingManifest
from tunegate.figures import both_of, figures_of, rates_of
from tunegate.printable import printable_line


def plan_lines(plan: ExecutionPlan) -> list[str]:
    """What is to be said about how answers were computed: of servers, and of weights that were unpacked.

    Args:
        plan: How they were computed.
    """
    return [*([] if plan.server is None else _server_lines(plan.server)), *_unpacked_lines(plan)]


def _server_lines(use: ServerUse) -> list[str]:
    """What asking servers took, and what it could not do.

    Args:
        use: How they were asked.
    """
    parts = [f"{use.requests} requests"]
    parts += [f"{use.retried} retried"] if use.retried else []
    parts += [f"{use.prompt_tokens} + {use.completion_tokens} tokens"] if use.prompt_tokens else []
    parts += [f"cost {use.cost:.4f}"] if use.cost is not None else []
    parts += [f"reported as {', '.join(use.reported)}"] if use.reported else []
    lines = [f"server: {', '.join(parts)}"] if use.requests else []
    lines += [f"server: {note}" for note in use.notes]
    if use.unmeasured:
        # Below the line of what was asked, where something was.
        place = " " * 8 if lines else "server: "
        lines.append(f"{place}texts were not scored, and checks that need it are unscored: {use.unmeasured}")
    return lines


def _unpacked_lines(plan: ExecutionPlan) -> list[str]:
    """Of sides whose base was not computed with as it is stored, what it is stored in.

    Args:
        plan: How the answers were computed.
    """
    sides: dict[str, list[str]] = {}
    for placement in plan.placements:
        if placement.unpacked is not None:
            sides.setdefault(placement.unpacked, []).append(placement.side)
    return [
        f"weights: stored in {stored}, turned into {plan.dtype} on {plan.device}: {', '.join(names)}"
        for stored, names in sides.items()
    ]


def canary_lines(training: TrainingManifest | None) -> list[str]:
    """Each canary with its means at the start and the end of training, such as ``length 84 → 31 (n=64, 64)``.

    Args:
        training: The training manifest. It comes from a file: a line that can't be printed is left out.
    """
    if training is None or training.canaries is None:
        return []
    return [" ".join(line.split()) for line in training.canaries.summary if line.isprintable()]


_SHOWN_CASES = 5


_EXCERPT = 60


def render_gate(record: GateRecord, width: int = 80) -> RenderableType:
    """Verdict first, then the figures behind it, then the lost cases.

    Args:
        record: The session's result.
        width: Columns of the terminal.
    """
    parts: list[RenderableType] = [_headline(record)]
    if record.comparison is not None and record.baseline is not None:
        parts.append(metric_table(record.comparison, record))
        parts += _reasons(record)
        comparison = record.comparison
        if comparison.forgetting is not None:
            parts.append(_forgetting_line(comparison.forgetting, "forgetting  ", "the baseline"))
        if comparison.forgetting_since_base is not None:
            base = record.run.model.base_model
            parts.append(_forgetting_line(comparison.forgetting_since_base, "since base  ", base))
        parts += _lost_cases(record, width)
    else:
        parts.append(Text(f"{outcome_counts(record.run)}; no baseline, so no verdict"))
    if canaries := canary_lines(record.run.model.training):
        parts.append(Text.assemble(("canaries    ", "dim"), "; ".join(canaries)))
    return Group(*parts)


def _headline(record: GateRecord) -> Text:
    if record.verdict is None:
        return Text(printable_line(record.run.model.label), style="bold")
    word = record.verdict.outcome
    against = record.baseline.model.label if record.baseline else "no baseline"
    line = Text()
    line.append(f" {word.upper()} ", style=f"bold reverse {STYLES[word]}")
    line.append(printable_line(f"  {record.run.model.label} against {against}"))
    return line


def metric_table(comparison: Comparison, record: GateRecord | None = None) -> Table:
    """Gated metrics first, then graded scores; each mean is over the n pairs in its row.

    Binary checks that aren't gated are only in the report: they are part of the pass rate. Where most cases
    have no value, that is said in place of a mean.

    Args:
        comparison: The comparison, its gated rows judged.
        record: Its record, which says of which rows a pass is none.
    """
    empty = frozenset[tuple[str, str]]() if record is None else empty_metrics(record)
    lacking = {} if record is None else rows_without_value(record)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    # Names and ranges may wrap, between words if there is room: figures and verdicts are never cut.
    table.add_column("metric", overflow="fold", min_width=len("pass-rate"))
    shown = [row for row in comparison.metrics if row.verdict is not None]
    shown += [row for row in comparison.metrics if row.verdict is None and row.kind == "graded"]
    counts = max((pairs(row, comparison) for row in shown), key=len, default="")
    drop = f"drop [{confidences(row.drop for row in shown)}]"
    for header, widest in (("n", counts), ("baseline → now", ""), (drop, "+0.00 [+0.00, +0.00]")):
        table.add_column(header, no_wrap=True, min_width=max(len(header), len(widest)))
    table.add_column("detects", min_width=len("to 0.16"))
    table.add_column("verdict", no_wrap=True, min_width=12)
    for row in shown:
        verdict = Text("–", style="dim")
        if row.verdict is not None:
            verdict = Text(", ".join(_words(row)), style=STYLES[row.verdict])
        told = lacking.get((row.set_name, row.metric))
        if record is not None and (word := instead_of_verdict(record, row, told, empty)):
            verdict = Text(word, style=STYLES[GateVerdict.INCONCLUSIVE])
        table.add_row(
            f"{row.set_name} {row.metric}",
            pairs(row, comparison),
            told or " → ".join(both_of(row.baseline.mean.estimate, row.candidate.mean.estimate, 2)),
            interval(row.drop, abs(row.baseline.mean.estimate)),
            detectable(row),
            verdict,
            style="" if row.verdict is not None else "dim",
        )
    return table


def _words(row: MetricComparison) -> list[str]:
    """The verdict, and what is also shown about a metric that passed."""
    found = standing(row)
    return [str(row.verdict), *([found] if found in {Standing.BETTER, Standing.EQUAL} else [])]


def pairs(row: MetricComparison, comparison: Comparison) -> str:
    """The number of cases of a row, with the total if some could not be compared.

    Args:
        row: The compared metric.
        comparison: The comparison, with the cases that were not compared.
    """
    for counts in comparison.counts:
        if counts.set_name == row.set_name and (lost := sum(counts.unpaired.values())):
            return f"{row.n}/{counts.paired + lost}"
    return str(row.n)


def interval(value: Interval, size: float = 1.0) -> str:
    """An estimate and its bounds.

    Args:
        value: The interval.
        size: That of what it was computed from, which tells rounding from a small change.
    """
    return "{} [{}, {}]".format(*figures_of((value.estimate, value.low, value.high), 2, sign="+", size=size))


def share(value: Interval) -> str:
    """A rate and its bounds, in percent."""
    return rates_of(value.estimate, value.low, value.high)


def confidences(intervals: Iterable[Interval]) -> str:
    """The confidence of intervals in percent, from the smallest to the largest: looks have wider ones."""
    found = sorted({round(each.confidence * 100) for each in intervals}) or [90]
    return f"{found[0]} %" if len(found) == 1 else f"{found[0]} to {found[-1]} %"


def detectable(row: MetricComparison) -> str:
    """The minimum detectable drop; a dash where nothing is gated and none was computed."""
    if row.verdict is None and row.minimum_detectable_drop is None:
        return "–"
    return detectable_range(row.minimum_detectable_drop, row.minimum_detectable_cluster_drop)


def detectable_range(alone: float | None, whole: float | None) -> str:
    """The minimum detectable drop, in clusters up to that of a drop that takes whole ones.

    Args:
        alone: The drop that takes cases one by one; None if none is found.
        whole: The one that takes whole clusters; None without clusters.
    """
    if alone is None:
        return "none"
    ends = figures_of([each for each in (alone, whole) if each is not None], 2)
    return f"≥ {' to '.join(dict.fromkeys(ends))}"


def outcome_counts(run: Run) -> str:
    """The outcomes of the cases, each count with its denominator."""
    counts = Counter(counted_outcomes(run))
    named = ", ".join(f"{counts[word]} {word}" for word in (*Outcome, GRADED) if counts[word])
    selected = f"{len(run.results)} of {run.collected} cases" if run.lacks_cases else f"{run.collected} cases"
    return f"{selected}: {named or 'none'}"


def _reasons(record: GateRecord) -> Iterator[Text]:
    """Reasons that the table doesn't show clearly."""
    if record.verdict is None:
        return
    for finding in record.verdict.findings:
        # Retained skills have a line of their own.
        if is_reason(finding) and not isinstance(finding.data, RetentionFinding):
            yield Text(f"• {sentence_of(finding)}")
    for run, side in ((record.run, "candidate"), (record.baseline, "baseline")):
        if run is not None and lacks_verdicts(run, _told(record, side)):
            yield Text(f"• {side}: {outcome_counts(run)}")


def lacks_verdicts(run: Run, told: Mapping[str, int] | None = None) -> bool:
    """Whether cases errored or are unscored.

    Args:
        run: The run.
        told: How many of them are told already, by outcome.
    """
    lacking = {result.outcome for result in run.results} & {Outcome.ERRORED, Outcome.UNSCORED}
    counts = Counter(counted_outcomes(run) if lacking else ())
    return any(counts[word] > (told or {}).get(word, 0) for word in lacking)


def _told(record: GateRecord, side: str) -> dict[str, int]:
    """How many cases of a side have no verdict by the findings, by outcome."""
    told = Counter[str]()
    for finding in record.verdict.findings if record.verdict is not None else ():
        if isinstance(finding.data, NoVerdictFinding) and finding.data.side == side:
            told[finding.data.outcome] += finding.data.cases
    return told


def _forgetting_line(forgetting: Forgetting, title: str, before_it: str) -> Text:
    line = Text(title, style="dim")
    if forgetting.overall is not None:
        kept = forgetting.overall
        line.append(
            f"kept {kept.retained} of {kept.passed_by_baseline} probes that {before_it} passed "
            f"({share(kept.rate)})",
            style="default",
        )
    for skill in forgetting.by_skill:
        if skill.retained < skill.passed_by_baseline:
            line.append(f"  {skill.skill} {skill.retained}/{skill.passed_by_baseline}", style="default")
    compared = forgetting.passages or (0, 0)
    is_whole = compared[0] == compared[1]
    if forgetting.loss_change is None and not is_whole:
        alike = "{} of {} passages have as many tokens on both sides".format(*compared)
        line.append(f"\n            general text is not compared: {alike}", style="default")
    if forgetting.loss_change is not None:
        style = "yellow" if forgetting.tripped else "default"
        of = "" if is_whole else " ({} of {} passages)".format(*compared)
        change = interval(forgetting.loss_change)
        line.append(f"\n            general text{of} {change} nats/token", style=style)
        if forgetting.divergence is not None:
            apart = forgetting.divergence
            told = figures_of((apart.estimate, apart.low, apart.high), 2)
            line.append(", KL {} [{}, {}]".format(*told), style="default")
    if forgetting.loss_by_kind:
        kinds = (
            f"{kind} {figures_of((change.estimate,), 2, sign='+')[0]}"
            for kind, change in forgetting.loss_by_kind.items()
        )
        line.append(f"\n            other text {', '.join(kinds)} (for information)", style="default")
    if forgetting.refusals is not None and forgetting.refusals[0] != forgetting.refusals[1]:
        before, now = forgetting.refusals
        line.append(f"\n            refused probes {before} → {now}", style="default")
    return line


def _lost_cases(record: GateRecord, width: int) -> Iterator[RenderableType]:
    """The first lost cases with the prompt's end, both answers, and the failed checks."""
    if record.comparison is None or record.baseline is None:
        return
    lost = [key for row in record.comparison.metrics if row.metric == "pass-rate" for key in row.lost]
    if not lost:
        return
    now = {result.key: result for result in record.run.results}
    before = {result.key: result for result in record.baseline.results}
    unstable = record.comparison.unstable
    known = sum(key in unstable for key in lost)
    told = f", {known} of them unstable in the baseline's own reruns" if known else ""
    yield Text(f"lost cases ({len(lost)}{told})", style="dim")
    # A case that the baseline itself sometimes fails says least: it comes last, in grey.
    for key in sorted(lost, key=lambda key: key in unstable)[:_SHOWN_CASES]:
        noted = unstable.get(key)
        style = "bold" if noted is None else "dim"
        title = key if noted is None else f"{key}  (reruns passed {noted.passed} of {noted.answers})"
        yield Padding(Text(title, style=style), (0, 0, 0, 2))
        yield Padding(Text(f"was  {_answer(before[key], width)}", no_wrap=True), (0, 0, 0, 4))
        yield Padding(Text(f"now  {_answer(now[key], width)}", no_wrap=True), (0, 0, 0, 4))
    if len(lost) > _SHOWN_CASES:
        yield Padding(Text(f"and {len(lost) - _SHOWN_CASES} more in the report", style="dim"), (0, 0, 0, 2))


def _answer(result: CaseResult, width: int) -> str:
    if result.completion is None:
        return "(the text was not stored)"
    text = " ".join(result.completion.text.split())
    limit = max(width - 12, _EXCERPT)
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")
