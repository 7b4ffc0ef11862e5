"""The gate's section at the end of pytest's output."""

from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from harness.judge.panel import Panel, describe_agreement
from harness.terminal import render_gate
from harness.types import GateRecord


def print_gate(terminal: pytest.TerminalReporter, record: GateRecord, written: Sequence[Path]) -> None:
    """Print the verdict, the figures behind it, and where the reports are."""
    writer = terminal._tw  # pytest gives plugins no other way to its width and colour
    terminal.section("tunegate", sep="=")
    text = StringIO()
    console = Console(
        file=text,
        width=writer.fullwidth,
        force_terminal=writer.hasmarkup,
        color_system="auto" if writer.hasmarkup else None,
        highlight=False,
    )
    console.print(render_gate(record, width=writer.fullwidth))
    writer.write(text.getvalue())
    for path in written:
        terminal.write_line(f"report: {path}")
    terminal.write_line(f"run:    {record.run.id}  (tunegate runs show {record.run.id})")


def print_judging(terminal: pytest.TerminalReporter, panel: Panel, note: str) -> None:
    """Print what judging took, and what is known of the judge."""
    usage = panel.usage
    if note:
        terminal.write_line(f"judge:  {panel.identity}: {note}")
    if not usage.requests and not usage.from_cache:
        return
    parts = [f"{usage.requests} requests", f"{usage.from_cache} kept replies"]
    parts += [f"{usage.retried} retried"] if usage.retried else []
    parts += [f"{usage.failed} without a verdict"] if usage.failed else []
    parts += [f"{usage.prompt_tokens} + {usage.completion_tokens} tokens"] if usage.prompt_tokens else []
    parts += [f"cost {usage.cost:.4f}"] if usage.cost is not None else []
    terminal.write_line(f"        {', '.join(parts)}")
    for task, votes in panel.votes.items():
        if (agreement := describe_agreement(votes)) is not None:
            terminal.write_line(f"        {task}: {agreement}")
