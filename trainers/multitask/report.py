"""The interference report: compares each task after training with the others and after training alone."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console

from harness.statistics.paired_binary import holm
from trainers.multitask.config import MultitaskConfig
from trainers.multitask.data import TaskData
from trainers.multitask.evaluate import compared, measured
from tunegate.figures import figures_of

LEVEL = 0.05


def held_out_facts(
    tasks: Mapping[str, TaskData], answers: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, Any]]:
    """The written model's metrics on each task's held-out rows.

    Args:
        tasks: The data, by task.
        answers: The model's answers to held-out rows, by task.

    Returns:
        By task, the result of ``measured``.
    """
    return {name: measured(tasks[name], answers[name]) for name in answers}


def interference_report(
    config: MultitaskConfig,
    tasks: Mapping[str, TaskData],
    together: Mapping[str, Sequence[str]],
    alone: Mapping[str, Sequence[str]],
) -> dict[str, Any]:
    """The effect of sharing an encoder on each task.

    Args:
        config: The run's configuration.
        tasks: The data.
        together: Answers to the held-out rows by task, from the network that was trained as configured.
        alone: The same from the networks that learnt one task each, on the same batches.

    Returns:
        ``rows``, a comparison for each task and metric, its p-value adjusted over all rows; or, without
        rows, ``reason``.
    """
    if not alone:
        if config.mode == "per-task":
            reason = "each task has its own adapter, so tasks can't interfere"
        elif len(tasks) == 1:
            reason = "there is one task only"
        elif not config.interference:
            reason = "interference: false"
        else:
            reason = "no task has held-out data"
        return {"rows": [], "reason": reason}
    rows = [row for name in alone for row in compared(tasks[name], together[name], alone[name])]
    for row, adjusted in zip(rows, holm([row["p_no_drop"] for row in rows]), strict=True):
        row["p_adjusted"] = adjusted
        row["finding"] = _finding(row)
    return {"mode": config.mode, "gradients": config.gradients, "rows": rows}


def _finding(row: Mapping[str, Any]) -> str:
    if row["p_adjusted"] <= LEVEL:
        return "harmed"
    return "helped" if row["drop"]["high"] < 0 else "no difference shown"


def show(console: Console, held_out: Mapping[str, Mapping[str, Any]], report: Mapping[str, Any]) -> None:
    """Print the comparison, or the metrics if there is none.

    Args:
        console: The console.
        held_out: The result of held_out_facts.
        report: The result of interference_report.
    """
    if report["rows"]:
        cells: list[tuple[str, ...]] = [
            ("task", "metric", "n", "alone", "together", "change", "p", "finding")
        ]
        cells += [_cells(row) for row in report["rows"]]
        widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
        for line in cells:
            console.print("  ".join(map(str.ljust, line, widths)).rstrip(), markup=False)
        console.print(
            "change: together minus alone, with its 90 % interval; p: of no harm, corrected over the rows"
        )
        return
    for name, found in held_out.items():
        for metric, interval in found.items():
            if isinstance(interval, Mapping):
                console.print(f"held out  {name} {metric} {_interval(interval)}, n={found['n']}")
    console.print(f"no interference report: {report['reason']}")


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    drop = row["drop"]
    change, low, high = (0.0 - drop[key] for key in ("estimate", "high", "low"))  # never a negative zero
    return (
        row["task"],
        row["metric"],
        str(row["n"]),
        _interval(row["alone"]),
        _interval(row["together"]),
        "{} [{}, {}]".format(*figures_of((change, low, high), 3, sign="+", size=1.0)),
        f"{row['p_adjusted']:.3f}",
        row["finding"],
    )


def _interval(found: Mapping[str, Any]) -> str:
    return f"{found['estimate']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"
