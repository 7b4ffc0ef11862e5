"""``tunegate monitor``: are the answers in production still as good as those that were gated?"""

import time
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli.monitor_look import Order, look
from harness.cli.options import HistoryOption, JsonOption
from harness.errors import SettingsError
from tunegate.exit_status import ExitStatus
from tunegate.printable import say

_WINDOWS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(weeks=1)}

_LogsArgument = Annotated[
    list[Path],
    typer.Argument(help="Answers of production: rows, server's logs or OTLP spans; files or directories."),
]
_ReferenceOption = Annotated[
    str,
    typer.Option(help="The gated run: a stored run's id, or latest; or a log of a good time in production."),
]
_GoldenOption = Annotated[
    Path | None,
    typer.Option(help="A golden set: the checks that all of its cases have and that need no reference."),
]
_JudgeOption = Annotated[
    list[str] | None,
    typer.Option(help="A judge for the set's judged checks, on a sample; may be repeated."),
]
_JudgedOption = Annotated[int, typer.Option(min=1, help="Most answers of a window that the judge sees.")]
_JudgeMostOption = Annotated[int, typer.Option(min=1, help="Most questions to the judge in one look.")]
_SeedOption = Annotated[int, typer.Option(help="Chooses the sample.")]
_WindowOption = Annotated[Literal["hour", "day", "week"], typer.Option(help="Length of a window.")]
_RiseOption = Annotated[
    float, typer.Option(min=0, max=1, help="How much larger than in the reference a rate may be.")
]
_SlowAfterOption = Annotated[
    float | None,
    typer.Option(min=0, help="Seconds from which on an answer is slow.", show_default="reference's 95 %"),
]
_StateOption = Annotated[
    Path | None,
    typer.Option(help="What was counted so far: the next look reads only what is new in the logs."),
]
_EveryOption = Annotated[
    float | None,
    typer.Option(min=1, help="Look again after so many seconds, until Ctrl-C; needs --state."),
]
_PageOption = Annotated[Path | None, typer.Option(help="Write a page with charts and tables.")]
_CandidatesOption = Annotated[
    Path | None, typer.Option(help="Write doubtful answers as cases of this new golden set.")
]
_MostOption = Annotated[int, typer.Option(min=1, help="Most of those cases.")]


def monitor(
    context: typer.Context,
    logs: _LogsArgument,
    reference: _ReferenceOption = "latest",
    golden: _GoldenOption = None,
    judge: _JudgeOption = None,
    judged: _JudgedOption = 20,
    judge_most: _JudgeMostOption = 200,
    seed: _SeedOption = 0,
    window: _WindowOption = "day",
    rise: _RiseOption = 0.05,
    slow_after: _SlowAfterOption = None,
    state: _StateOption = None,
    every: _EveryOption = None,
    page: _PageOption = None,
    candidates: _CandidatesOption = None,
    most: _MostOption = 20,
    prometheus: Annotated[
        Path | None, typer.Option(help="Write the figures in Prometheus' text format.")
    ] = None,
    history: HistoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Compare answers in production with the run that was gated; exit status 1 if a rate has risen."""
    if every is not None and state is None:
        raise SettingsError("--every needs --state=FILE: each look goes on from what was counted")
    if every is not None and candidates is not None:
        raise SettingsError("--every and --candidates: leave one out; a golden set is written once")
    if judge and golden is None:
        raise SettingsError("--judge needs --golden=FILE: a set whose cases all have a judged check")
    order = Order(
        context=context,
        logs=logs,
        reference=reference,
        golden=golden,
        window=_WINDOWS[window],
        rise=rise,
        slow_after=slow_after,
        judge=tuple(judge or ()),
        judged=judged,
        judge_most=judge_most,
        seed=seed,
        state=state,
        page=page,
        candidates=candidates,
        most=most,
        prometheus=prometheus,
        history=history,
        as_json=as_json,
    )
    risen = look(order)
    try:
        while every is not None:
            time.sleep(every)
            risen = look(order)
    except KeyboardInterrupt:
        say("stopped: the same command goes on", err=True)
    if risen:
        raise typer.Exit(ExitStatus.FAILED)
