"""``tunegate monitor``: are the answers in production still as good as those that were gated?"""

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from harness.cli.options import HistoryOption, JsonOption
from harness.errors import SettingsError
from tunegate.exit_status import ExitStatus
from tunegate.printable import printable_line, say

if TYPE_CHECKING:
    from harness.studies.monitoring.production_log import ProductionAnswer
    from harness.studies.monitoring.watch import Watch, Window
    from harness.types import Check

_WINDOWS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}


def monitor(
    logs: Annotated[
        list[Path],
        typer.Argument(
            help="Answers of production: rows, logs of a server, or OTLP spans; all since the release."
        ),
    ],
    reference: Annotated[
        str,
        typer.Option(
            help="The gated run: a stored run's id, or latest. Or a log of production from a good time."
        ),
    ] = "latest",
    golden: Annotated[
        Path | None,
        typer.Option(help="A golden set: the checks that all of its cases have and that need no reference."),
    ] = None,
    window: Annotated[Literal["hour", "day", "week"], typer.Option(help="Length of a window.")] = "day",
    rise: Annotated[
        float, typer.Option(min=0, max=1, help="How much larger than in the reference a rate may be.")
    ] = 0.05,
    slow_after: Annotated[
        float | None,
        typer.Option(min=0, help="Seconds from which on an answer is slow.", show_default="reference's 95 %"),
    ] = None,
    candidates: Annotated[
        Path | None, typer.Option(help="Write doubtful answers as cases of this new golden set.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, help="Most of those cases.")] = 20,
    prometheus: Annotated[
        Path | None, typer.Option(help="Write the figures in Prometheus' text format.")
    ] = None,
    history: HistoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare answers in production with the run that was gated; exit status 1 if a rate has risen."""
    from harness.studies.monitoring.exposition import exposition
    from harness.studies.monitoring.production_log import read_answers
    from harness.studies.monitoring.watch import watch
    from harness.types.storage import to_json, write_whole

    if candidates is not None and candidates.exists():
        raise SettingsError(f"--candidates={candidates}: it exists already: name a new file")
    checks, notes = _checks(golden)
    found_before = _reference(reference, history)
    answers = read_answers(logs)
    found = watch(answers, found_before, checks, window=_WINDOWS[window], rise=rise, slow_s=slow_after)
    notes += [f"{name} is not watched: {reason}" for name, reason in found.left_out.items()]
    if as_json:
        say(to_json({"reference": reference, "watch": found, "notes": notes}))
    else:
        _show(found, notes)
    if prometheus is not None:
        write_whole(prometheus, exposition(found))
    if candidates is not None:
        said = _write_cases(candidates, answers, found, most)
        say(said, err=as_json)
    if found.has_risen:
        raise typer.Exit(ExitStatus.FAILED)


def _write_cases(path: Path, answers: "Sequence[ProductionAnswer]", found: "Watch", most: int) -> str:
    """Write the doubtful answers' conversations, and say how many."""
    from harness.authoring.doubtful_cases import DoubtfulAnswer, doubtful_set
    from harness.types.storage import write_whole

    doubtful = (
        DoubtfulAnswer(
            messages=(answer := answers[index]).messages,
            description=f"{answer.time:%Y-%m-%d}, {answer.id}: {', '.join(reasons)}",
            refused="refused" in reasons,
        )
        for index, reasons in found.doubtful
    )
    text, count = doubtful_set(path.stem, doubtful, most)
    if not count:
        return "no doubtful answer: no cases are written"
    write_whole(path, text)
    return f"wrote {count} case{'s' if count > 1 else ''} to {path}"


def _reference(given: str, history: str | None) -> "list[ProductionAnswer]":
    """The answers of a stored run, or of a log."""
    from harness.history.location import history_place
    from harness.history.store import open_history
    from harness.studies.monitoring.events import answers_of_run
    from harness.studies.monitoring.production_log import read_answers

    if (path := Path(given).expanduser()).is_file():
        return read_answers([path])
    with open_history(history_place(history), to_read=True) as stored:
        found = answers_of_run(stored.load_run(given))
    if not found:
        raise SettingsError(
            f"--reference={given}: this run has no answers to compare with: choose another run"
        )
    return found


def _checks(golden: Path | None) -> "tuple[tuple[Check, ...], list[str]]":
    from harness.golden.load import load_golden_set
    from harness.studies.monitoring.events import common_checks

    if golden is None:
        return (), []
    checks, unfit = common_checks(load_golden_set(golden).cases)
    notes = [f"check {name} is not watched: it needs more than an answer" for name in unfit]
    if not checks:
        raise SettingsError(
            f"--golden={golden}: no check without a reference is in all of its cases: add one under defaults"
        )
    return checks, notes


def _show(found: "Watch", notes: Sequence[str]) -> None:
    from rich.table import Table

    from harness.presentation.console import open_console

    console = open_console()
    first, last = found.windows[0], found.windows[-1]
    total = sum(each.answers for each in found.windows)
    console.print(f"{total} answers in {len(found.windows)} windows, {_shown(first)} to {_shown(last)} UTC")
    if last.latency_s is not None:
        console.print(
            f"latency in the last window: median {last.latency_s[0]:.2f} s, 95 % {last.latency_s[1]:.2f} s"
        )
    table = Table(
        "event", "reference", "limit", "in production", "n", "last window", "evidence", "", box=None
    )
    for each in found.events:
        (count, n), rate = each.windows[-1], each.rate
        table.add_row(
            printable_line(each.name),
            f"{each.reference[0]}/{each.reference[1]}",
            f"{each.limit:.3f}",
            "–" if rate is None else f"{rate.estimate:.3f} [{rate.low:.3f}, {rate.high:.3f}]",
            str(sum(n for _, n in each.windows)),
            f"{count}/{n}",
            f"{each.evidence[-1]:.2g} of {found.needed:.0f}",
            "" if each.alarm is None else "RISEN",
        )
    console.print(table)
    for each in found.events:
        if each.alarm is not None and each.since is not None:
            since, alarm = _shown(found.windows[each.since]), _shown(found.windows[each.alarm])
            console.print(f"{printable_line(each.name)} has risen since {since}, shown by {alarm}")
    for note in notes:
        console.print(f"• {printable_line(note)}", style="dim", markup=False)


def _shown(window: "Window") -> str:
    """Start of a window, to the minute, in UTC."""
    return window.starts_at[:16].replace("T", " ")
