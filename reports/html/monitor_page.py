"""The page of ``tunegate monitor``: rates by window, evidence, doubtful answers. No script."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.statistics.clusters import wilson
from harness.studies.monitoring.ledger import DoubtfulText, Ledger, read_ledger
from harness.studies.monitoring.watch import EventRate, Watch, conclude
from reports.html import figures
from reports.html.case_view import excerpt
from reports.html.line_charts import LineChart, line_chart
from reports.html.render import page_environment, page_policy, page_style
from reports.html.view import Fact

_CONFIDENCE = 0.90
_LONGEST = 1200


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table; the first cell of a row is its name."""

    caption: str
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventView:
    """One kind of event: its charts, and the same figures as a table."""

    title: str
    has_risen: bool
    charts: tuple[LineChart, ...]
    table: Table


@dataclass(frozen=True, slots=True, kw_only=True)
class DoubtfulView:
    """A doubtful answer, as it is shown."""

    id: str
    time: str
    reasons: str
    prompt: str
    answer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorPage:
    """All that the page shows.

    Attributes:
        title: What the watch found, in a few words.
        tone: ``regress`` if a rate has risen, else ``pass``.
        span: The time that the windows cover.
        lines: When each rate has risen, and what is not watched.
        windows: Charts of requests, latency and tokens.
    """

    title: str
    tone: str
    span: str
    lines: tuple[str, ...]
    numbers: tuple[Fact, ...]
    rates: Table
    events: tuple[EventView, ...]
    windows: tuple[LineChart, ...]
    requests: Table
    doubtful: tuple[DoubtfulView, ...]


def render_monitor(path: Path) -> str:
    """One self-contained HTML document, without script.

    Args:
        path: The state of a monitor.

    Raises:
        DataError: It is none.
    """
    style = page_style("style.css", "training_page.css")
    template = page_environment().get_template("monitor_page.html.jinja")
    return template.render(page=monitor_page(read_ledger(path)), style=style, policy=page_policy(style))


def monitor_page(ledger: Ledger) -> MonitorPage:
    """The page's content.

    Args:
        ledger: What was counted so far.
    """
    _, found = conclude(ledger)
    starts = [_time(each.starts_at) for each in found.windows]
    risen = [each for each in found.events if each.alarm is not None]
    names = ", ".join(each.name for each in risen)
    total = sum(each.answers for each in found.windows)
    numbers = {
        "answers": figures.count(total),
        "windows": figures.count(len(starts)),
        "compared with": ledger.reference,
        "tolerated rise": f"{ledger.rise:g}",
        "all looks wrong with at most": figures.percent(ledger.level),
        "an alarm needs evidence of": figures.mean(found.needed),
    }
    return MonitorPage(
        title=f"Risen: {names}" if risen else "No rate is shown to have risen",
        tone="regress" if risen else "pass",
        span=f"{starts[0]} to {starts[-1]} UTC" if starts else "",
        lines=tuple(_lines(risen, starts, found.left_out)),
        numbers=tuple(
            Fact(name=name, value=excerpt(value, _LONGEST)) for name, value in numbers.items() if value
        ),
        rates=_rates(found),
        events=tuple(
            _event(each, found.needed, starts)
            # What has risen comes first.
            for each in sorted(found.events, key=lambda each: each.alarm is None)
        ),
        windows=tuple(_window_charts(found, starts)),
        requests=_requests(found, starts),
        doubtful=tuple(map(_doubtful, ledger.doubtful)),
    )


def _lines(risen: Sequence[EventRate], starts: Sequence[str], left_out: Mapping[str, str]) -> Iterator[str]:
    for each in risen:
        if each.since is not None and each.alarm is not None:
            yield f"{each.name} has risen since {starts[each.since]}, shown by {starts[each.alarm]}."
    for name, reason in left_out.items():
        yield f"{name} is not watched: {reason}."


def _rates(found: Watch) -> Table:
    return Table(
        caption="Rates in production, with intervals of 90 %",
        heads=("event", "reference", "limit", "in production", "n", "last window", "evidence", "finding"),
        rows=tuple(
            (
                each.name,
                f"{each.reference[0]} of {each.reference[1]}",
                figures.percent(each.limit),
                _rate(*(sum(part) for part in zip(*each.windows, strict=True))),
                figures.count(sum(n for _, n in each.windows)),
                f"{each.windows[-1][0]} of {each.windows[-1][1]}",
                f"{each.evidence[-1]:.2g}",
                "not shown to have risen" if each.alarm is None else "has risen",
            )
            for each in found.events
        ),
    )


def _rate(count: int, n: int) -> str:
    if not n:
        return "–"
    found = wilson(count, n, _CONFIDENCE)
    return f"{figures.percent(count / n)} [{found.low * 100:.1f}, {found.high * 100:.1f}]"


def _event(each: EventRate, needed: float, starts: Sequence[str]) -> EventView:
    told = [(number, count, n) for number, (count, n) in enumerate(each.windows) if n]
    rates = {
        "rate": [(number, count / n) for number, count, n in told],
        "upper end of its interval": [
            (number, wilson(count, n, _CONFIDENCE).high) for number, count, n in told
        ],
        "limit": [(number, each.limit) for number, _, _ in told],
    }
    evidence = {
        "evidence": [(number, math.log10(max(value, 1e-9))) for number, value in enumerate(each.evidence)],
        "alarm": [(number, math.log10(needed)) for number in range(len(each.evidence))],
    }
    since = each.since if each.alarm is not None else None
    charts = (
        _chart(f"{each.name}: rate", rates, starts, mark=since),
        _chart(f"{each.name}: evidence", evidence, starts, unit="powers of ten", mark=since),
    )
    rows = zip(starts, each.windows, each.evidence, strict=True)
    return EventView(
        title=each.name,
        has_risen=each.alarm is not None,
        charts=tuple(chart for chart in charts if chart is not None),
        table=Table(
            caption=f"{each.name}: {figures.count(len(starts))} windows",
            heads=("window", "happened", "of", "rate [90 %]", "evidence"),
            rows=tuple(
                (start, figures.count(count), figures.count(n), _rate(count, n), f"{value:.2g}")
                for start, (count, n), value in rows
            ),
        ),
    )


def _window_charts(found: Watch, starts: Sequence[str]) -> Iterator[LineChart]:
    windows = list(enumerate(found.windows))
    latency = [(number, each.latency_s) for number, each in windows if each.latency_s is not None]
    charts = (
        _chart("Answers", {"answers": [(number, each.answers) for number, each in windows]}, starts),
        _chart(
            "Latency",
            {
                "median": [(number, seconds[0]) for number, seconds in latency],
                "95 %": [(number, seconds[1]) for number, seconds in latency],
            },
            starts,
            unit="seconds",
        ),
        _chart(
            "Tokens of an answer",
            {"mean": [(number, each.completion_tokens) for number, each in windows]},
            starts,
        ),
    )
    yield from (chart for chart in charts if chart is not None)


def _requests(found: Watch, starts: Sequence[str]) -> Table:
    return Table(
        caption=f"Requests: {figures.count(len(starts))} windows",
        heads=("window", "answers", "median latency", "95 % latency", "mean tokens"),
        rows=tuple(
            (
                start,
                figures.count(each.answers),
                *(("–", "–") if each.latency_s is None else map(figures.duration, each.latency_s)),
                "–" if each.completion_tokens is None else figures.mean(each.completion_tokens),
            )
            for start, each in zip(starts, found.windows, strict=True)
        ),
    )


def _chart(
    title: str,
    series: Mapping[str, Sequence[tuple[int, object]]],
    starts: Sequence[str],
    *,
    unit: str = "",
    mark: int | None = None,
) -> LineChart | None:
    """A chart by window, with times below it; a single window is in the table alone."""
    found = line_chart(title, series, unit=unit, mark=mark)
    if found is None or not found.lines or len(starts) < 2:
        return None
    ticks = [tick for tick in found.x_ticks if tick.label.isdecimal() and int(tick.label) < len(starts)]
    return replace(
        found,
        # Every other time: they are longer than numbers of steps.
        x_ticks=tuple(replace(tick, label=starts[int(tick.label)][5:10]) for tick in ticks[::2]),
        drawing=found.drawing.replace("at step", "in window"),
        first_left_out=None,
    )


def _doubtful(each: DoubtfulText) -> DoubtfulView:
    return DoubtfulView(
        id=each.id,
        time=_time(each.time),
        reasons=", ".join(each.reasons),
        prompt=each.prompt or "(not in the log)",
        answer=each.answer or "(empty)",
    )


def _time(moment: str) -> str:
    return moment[:16].replace("T", " ")
