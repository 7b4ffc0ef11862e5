"""The gate's section at the end of pytest's output."""

from collections.abc import Mapping, Sequence
from io import StringIO
from pathlib import Path

import pytest
from rich.console import RenderableType

from harness.plugin.progress import write_line
from harness.plugin.session import GateSession
from harness.presentation.console import open_console
from harness.presentation.tables import render_ranking
from harness.presentation.terminal import render_gate, server_lines
from harness.run.judging import describe_judging
from harness.studies.ranking import rank_records
from harness.types import GateRecord


def print_summary(terminal: pytest.TerminalReporter, gate: GateSession) -> None:
    """Print the findings, the paths of the reports, and the cost of judging.

    Args:
        terminal: The terminal.
        gate: A session that has judged one model or several.
    """
    if len(gate.records) == 1:
        ((name, record),) = gate.records.items()
        _print_gate(terminal, record, gate.delivery.written.get(name, ()))
    else:
        _print_ranking(terminal, gate.records, gate.delivery.written)
    for use in dict.fromkeys(record.run.plan.server for record in gate.records.values()):
        for line in server_lines(use) if use is not None else ():
            write_line(terminal, line)
    if gate.judging.panel is not None:
        for line in describe_judging(gate.judging.panel, gate.judge_note):
            write_line(terminal, line)


def _print_gate(terminal: pytest.TerminalReporter, record: GateRecord, written: Sequence[Path]) -> None:
    """Print the verdict, its figures, and the paths of the reports."""
    terminal.section("tunegate", sep="=")
    _render(terminal, render_gate(record, width=terminal._tw.fullwidth))
    for path in written:
        write_line(terminal, f"report: {path}")
    write_line(terminal, f"run:    {record.run.id}  (tunegate runs show {record.run.id})")


def _print_ranking(
    terminal: pytest.TerminalReporter,
    records: Mapping[str, GateRecord],
    written: Mapping[str, Sequence[Path]],
) -> None:
    """Print the ranked models, the reasons of regressions, and the paths of the reports."""
    found = rank_records(records)
    terminal.section("tunegate", sep="=")
    _render(terminal, render_ranking(found))
    for ranked in found:
        for path in written.get(ranked.name, ()):
            write_line(terminal, f"report: {ranked.name}: {path}")


def _render(terminal: pytest.TerminalReporter, shown: RenderableType) -> None:
    writer = terminal._tw  # pytest has no public API for its width and colour
    text = StringIO()
    console = open_console(
        file=text,
        width=writer.fullwidth,
        force_terminal=writer.hasmarkup,
        color_system="auto" if writer.hasmarkup else None,
        highlight=False,
    )
    console.print(shown)
    writer.write(text.getvalue())
