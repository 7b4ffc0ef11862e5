"""``tunegate judge correct``: corrects a judge's scores by people's labels."""

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness.cli.label import LABELS_FILE
from harness.cli.options import HistoryOption, JsonOption
from harness.golden.schema import CHECK_TYPES
from harness.history.location import history_place
from harness.history.store import open_history
from harness.labelling.correction import Corrections, correct_scores
from harness.labelling.label import current_labels
from harness.labelling.stored_labels import read_labels
from harness.presentation.console import table_console
from harness.types import Interval
from harness.types.storage import to_json
from tunegate.figures import figures_of, rates_of
from tunegate.printable import say


def correct(
    run: Annotated[str, typer.Argument(help="Id of a stored run, start of one, latest, or latest~1.")],
    *,
    labels: Annotated[
        list[Path] | None, typer.Option(help="A file of labels, labels.jsonl by default; repeated.")
    ] = None,
    metric: Annotated[
        list[str] | None, typer.Option(help="Only this judged metric, such as llm-rubric; repeated.")
    ] = None,
    history: HistoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Correct a judge's means by people's labels of a random part of the answers.

    Estimates people's mean over all answers, with an interval that is valid however wrong the judge is.
    """
    with open_history(history_place(history), to_read=True) as stored:
        record = stored.load_record(run)
    found = correct_scores(record, current_labels(read_labels(labels or [LABELS_FILE])), metric or ())
    if as_json:
        say(to_json(found))
        return
    unused = ", ".join(f"{count} {reason}" for reason, count in found.unused.items())
    say(f"run {found.run_id}: {found.used} of {found.labels} labels used" + (f"; {unused}" if unused else ""))
    console = table_console(pipe_width=140)
    console.print(_table(found))
    if found.differences:
        console.print()
        console.print(_differences(found))


def _table(found: Corrections) -> Table:
    table = Table(
        *("set", "metric", "side", "n", "judge [90 %]", "labelled", "people [90 %]", "corrected [90 %]", ""),
        box=None,
    )
    for row in found.rows:
        left_out = "; ".join(f"left out: {count} {reason}" for reason, count in row.left_out.items())
        table.add_row(
            *(row.set_name, row.metric, row.side, str(row.n), _mean(row.judge, row.metric)),
            *(str(row.labelled), _mean(row.people, row.metric), _mean(row.corrected, row.metric)),
            "; ".join(part for part in (row.note, left_out) if part),
        )
    return table


def _differences(found: Corrections) -> Table:
    table = Table(
        *("set", "metric", "n", "judge [90 %]", "labelled", "corrected [90 %]", ""),
        title="candidate minus baseline, paired by case",
        title_justify="left",
        box=None,
    )
    for row in found.differences:
        table.add_row(
            *(row.set_name, row.metric, str(row.n), _mean(row.judge, row.metric, sign="+")),
            *(f"{row.labelled[0]} and {row.labelled[1]}", _mean(row.corrected, row.metric, sign="+")),
            row.note,
        )
    return table


def _mean(value: Interval | None, metric: str, sign: str = "") -> str:
    """A rate as a percentage, a grade unchanged; only nothing is 0, and only all of it 100%."""
    if value is None:
        return "–"
    ends, binary = (value.estimate, value.low, value.high), CHECK_TYPES[metric].kind == "binary"
    if binary and not sign:
        return rates_of(*ends)
    scale, decimals, unit = (100, 0, "%") if binary else (1, 2, "")
    told = figures_of([end * scale for end in ends], decimals, sign=sign)
    estimate, low, high = (f"{each}{unit}" for each in told)
    return f"{estimate} [{low}, {high}]"
