"""The lines of ``tunegate runs list``: whole ids on 80 columns."""

from collections.abc import Sequence
from datetime import datetime

from rich.text import Text

from harness.history.listing import RunLine
from harness.presentation.console import STYLES, open_console
from harness.types import GateVerdict
from tunegate.printable import printable_line

# From this width on a run is one line; below it, the model has a line of its own.
_WIDE = 110
_COMMIT_DIGITS = 7
_GAP = 2
_HEADERS = ("run", "date", "commit", "passed", "change", "verdict")


def print_runs(lines: Sequence[RunLine]) -> None:
    """Print runs, each with its time, commit, passed cases, change and verdict, then its model.

    Args:
        lines: The runs, in the order of the list.
    """
    console = open_console(soft_wrap=True)
    rows = [_HEADERS, *(_cells(line) for line in lines)]
    widths = [max(len(row[place]) for row in rows) for place in range(len(_HEADERS))]
    is_wide = console.width >= _WIDE
    console.print(Text(_joined(_HEADERS, widths) + ("model" if is_wide else ""), style="dim"))
    for line, row in zip(lines, rows[1:], strict=True):
        shown = Text(_joined(row, widths))
        shown.stylize(_style(line), sum(widths[:-1]) + _GAP * (len(widths) - 1))
        model = Text(_model(line), style="dim")
        console.print(shown.append_text(model) if is_wide else shown)
        if not is_wide:
            console.print(Text("  ").append_text(model))


def _cells(line: RunLine) -> tuple[str, ...]:
    return (
        printable_line(line.id),
        _date(line),
        _commit(line),
        _passed(line),
        _change(line),
        line.verdict or "–",
    )


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "".join(cell.ljust(width + _GAP) for cell, width in zip(cells, widths, strict=True))


def _style(line: RunLine) -> str:
    return "" if line.verdict is None else STYLES[GateVerdict(line.verdict)]


def _model(line: RunLine) -> str:
    """The model, and what the counts leave out."""
    others = [
        f"{count} {outcome}"
        for outcome, count in line.outcomes.items()
        if outcome not in {"passed", "failed"}
    ]
    early = f"stopped at look {line.stopped_at}" if line.stopped_at else "partial"
    return "; ".join([printable_line(line.model), *others, *([early] if line.partial else [])])


def _date(line: RunLine) -> str:
    """Local time of the start; of other years the day."""
    started = datetime.fromisoformat(line.started_at).astimezone()
    return (
        f"{started:%d %b %H:%M}"
        if started.year == datetime.now().astimezone().year
        else f"{started:%d %b %Y}"
    )


def _commit(line: RunLine) -> str:
    if line.commit is None:
        return "–"
    return line.commit[:_COMMIT_DIGITS] + ("*" if line.dirty else "")


def _passed(line: RunLine) -> str:
    passed, failed = line.outcomes.get("passed", 0), line.outcomes.get("failed", 0)
    return f"{passed}/{passed + failed}"


def _change(line: RunLine) -> str:
    """Lost and gained cases."""
    if line.lost is None or line.gained is None:
        return "–"
    parts = [f"-{line.lost}"] * bool(line.lost) + [f"+{line.gained}"] * bool(line.gained)
    return " ".join(parts) or "none"
