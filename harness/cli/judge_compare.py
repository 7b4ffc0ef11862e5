"""``tunegate judge compare``: compares several models by a judge's preferences."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import typer
from rich.table import Table

from harness.cli.kept import kept_in, open_cache
from harness.cli.options import HistoryOption, SetOption
from harness.cli.progress import watched_bar
from harness.errors import BaselineError
from harness.history.location import history_place
from harness.history.store import History, open_history
from harness.judge.calibration import CalibrationLimits
from harness.judge.trust import find_calibration
from harness.presentation.console import table_console
from harness.presentation.terminal import interval, share
from harness.run.judging import open_panel, trusted_with
from harness.settings import settings_of_command
from harness.studies.tournament.standings import Tournament, compare_models
from harness.types import Interval, JudgeUsage, Run
from harness.types.storage import to_json
from tunegate.printable import say
from tunegate.streams import prints_aside

_ERRORS_SHOWN = 3


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(help="Stored runs: ids, latest, latest~1. One alone is compared with its baseline."),
    ],
    *,
    judge: Annotated[
        list[str], typer.Option(help="openai:MODEL@URL, local:MODEL or reward:DIR; repeated, a panel.")
    ],
    sets: SetOption = None,
    against: Annotated[
        str | None, typer.Option(help="The run that the others are compared with (default: the first).")
    ] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="How many questions are sent at a time.")] = 8,
    timeout: Annotated[float, typer.Option(min=0.1, help="Longest time for one attempt, in seconds.")] = 60.0,
    history: HistoryOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON, with every pair.")] = False,
) -> None:
    """Compare stored runs' answers pair by pair, by a judge's preferences, and order their models.

    Every two answers to a case are shown in both orders; a preference that changes with the order is a tie.
    """
    with open_history(history_place(history), to_read=True) as stored:
        chosen, reference = _load(stored, runs, against)
    settings = settings_of_command(judge=tuple(judge), judge_concurrency=concurrency, judge_timeout_s=timeout)
    kept = kept_in(history)
    with open_cache(kept / "cache.sqlite") as cache:
        panel = open_panel(settings, cache)
        assert panel is not None
        with prints_aside(as_json), panel, watched_bar("judging") as on_progress:
            trust = trusted_with("pairwise", find_calibration(kept, panel.identity), panel.identity)
            found = compare_models(
                panel, chosen, against=reference, golden_sets=sets or (), on_progress=on_progress
            )
            identity, usage = panel.identity, panel.usage
    if as_json:
        say(to_json({"judge": identity, "trust": trust, "usage": usage, "comparison": found}))
        return
    for line in _head(found, identity, trust, usage):
        say(line)
    console = table_console(pipe_width=120)
    for table in (_strengths(found), _rates(found)):
        console.print()
        console.print(table)


def _load(stored: History, references: Sequence[str], against: str | None) -> tuple[list[Run], Run | None]:
    """The runs, and the one that the others are compared with; None for the first."""
    if len(references) == 1:
        record = stored.load_record(references[0])
        if record.baseline is None:
            raise BaselineError(f"run {record.run.id} was not gated against another: name two runs or more")
        chosen, default = [record.run, record.baseline], record.baseline
    else:
        chosen, default = [stored.load_run(reference) for reference in references], None
    return chosen, default if against is None else stored.load_run(against)


def _head(found: Tournament, identity: str, trust: str, usage: JudgeUsage) -> Iterator[str]:
    yield f"judge     {identity}: {trust}"
    yield f"          {usage.requests} requests, {usage.from_cache} cached replies" + (
        f"; {found.agreement}" if found.agreement else ""
    )
    clustered = f" in {found.clusters} clusters" if found.clusters < found.cases else ""
    missing = "; ".join(f"{reason}: {count}" for reason, count in found.left_out.items())
    left_out = f"; left out: {missing}" if missing else ""
    yield f"cases     {found.cases}{clustered} that all models answered{left_out}"
    ties = ", ".join(f"{count} {kind}" for kind, count in found.ties.items())
    yield f"pairs     {len(found.pairs)}; ties: {sum(found.ties.values())}" + (f" ({ties})" if ties else "")
    if found.order is not None:
        yield f"order     {_share(found.order)} of {found.order_n} preferences are the same in both orders"
    if found.errors:
        failed = sum(found.errors.values())
        beyond = failed > CalibrationLimits().errored * len(found.pairs)
        yield f"errored   {failed} of {len(found.pairs)} pairs: no verdict, not counted" + (
            "; so many are missing that the figures may be wrong" if beyond else ""
        )
        shown = sorted(found.errors.items(), key=lambda error: -error[1])
        for reason, count in shown[:_ERRORS_SHOWN]:
            yield f"          {count} × {reason}"
        if len(shown) > _ERRORS_SHOWN:
            yield f"          and {len(shown) - _ERRORS_SHOWN} other reasons"


def _strengths(found: Tournament) -> Table:
    table = Table(
        *("model", "run", "comparisons", "strength [90 %]", "expected win rate [90 %]"),
        title="Bradley-Terry strengths",
        title_justify="left",
        box=None,
    )
    for one in found.strengths:
        table.add_row(
            *(one.model, found.models[one.model], str(one.comparisons)),
            *(interval(one.strength), _share(one.win_rate)),
        )
    return table


def _rates(found: Tournament) -> Table:
    table = Table(
        *("model", "n", "win rate [90 %]", "at equal length [90 %]"),
        title=f"against {found.against}",
        title_justify="left",
        box=None,
    )
    for one in found.rates:
        table.add_row(one.model, str(one.n), _share(one.win_rate), _share(one.at_equal_length))
    return table


def _share(value: Interval | None) -> str:
    return "–" if value is None else share(value)
