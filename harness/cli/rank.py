"""``tunegate rank``: compares several candidates with one baseline."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from harness.cli.kept import kept_in, open_cache
from harness.cli.options import (
    BaseOption,
    DeviceOption,
    DirectoryOption,
    DtypeOption,
    ForgettingOption,
    GoldenOption,
    JudgeOption,
    TemplateValuesOption,
)
from harness.cli.progress import stage_bars
from harness.cli.prompting import asking_settings, is_served
from harness.errors import AdapterError, HistoryError
from harness.golden.load import load_gate_sets
from harness.history.store import check_history
from harness.presentation.console import open_console
from harness.presentation.tables import render_ranking
from harness.run.conclusion import make_directory, save
from harness.run.inputs import Inputs, make_ready, prepare
from harness.run.judging import describe_judging, open_panel
from harness.run.scoring import Judging
from harness.run.trackers.kinds import send_to_sinks
from harness.settings import Settings, settings_of_command
from harness.studies.ranking import RankedModel, rank_models
from harness.types import GateRecord
from harness.types.storage import to_json
from tunegate.exit_status import ExitStatus
from tunegate.printable import say
from tunegate.project import command_project
from tunegate.streams import prints_aside


def rank(
    models: Annotated[list[str], typer.Argument(help="Models, or a directory of several adapters.")],
    baseline: Annotated[
        str,
        typer.Option(
            "--baseline",
            "--gate-baseline",
            help="The baseline of all: another model, a stored or an accepted run.",
        ),
    ] = "base",
    golden: GoldenOption = None,
    forgetting: ForgettingOption = True,
    margin: Annotated[
        float | None, typer.Option(min=0, max=1, help="Largest tolerated drop of a task set's pass rate.")
    ] = None,
    forgetting_margin: Annotated[
        float | None, typer.Option(min=0, max=1, help="The same for the forgetting probes.")
    ] = None,
    judge: JudgeOption = None,
    dtype: DtypeOption = "auto",
    device: DeviceOption = "auto",
    base: BaseOption = None,
    chat_template_kwargs: TemplateValuesOption = None,
    directory: DirectoryOption = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with every candidate's whole gate.")
    ] = False,
) -> None:
    """Gate several models at once and rank them; exit status 1 if any regressed.

    They answer together on one loaded base. Each is judged at the level of 5 % divided by their number, so
    the probability of any false alarm is that of a single gate.
    """
    asking = asking_settings(chat_template_kwargs, base)
    settings = settings_of_command(
        model=tuple(models),
        baseline=baseline,
        margin=margin,
        forgetting_margin=forgetting_margin,
        forgetting=forgetting,
        dtype=dtype,
        device=device,
        directory=str(Path.cwd() / kept_in(directory)),
        history=asking.history if directory is None else None,
        judge=tuple(judge or ()),
        base=asking.base,
        chat_template_kwargs=asking.chat_template_kwargs,
        allow_python_checks=asking.allow_python_checks,
        allow_code_checks=asking.allow_code_checks,
        # A model of one's own needs no word for its weights.
        model_id=asking.model_id if any(map(is_served, (*models, baseline))) else None,
        server_concurrency=asking.server_concurrency,
        server_timeout_s=asking.server_timeout_s,
        server_prices=asking.server_prices,
    )
    with prints_aside(as_json):
        ranked = _ranked(settings, golden)
    _tell(*ranked, as_json=as_json)


def _tell(found: list[RankedModel], notes: list[str], problems: list[str], *, as_json: bool) -> None:
    """Print the ranking, and decide the exit status."""
    if as_json:
        say(to_json(found))
    else:
        console = open_console()
        console.print(render_ranking(found, console.width))
        for line in notes:
            say(line)
    for problem in problems:
        say(f"tunegate: {problem}", err=True)
    if any(ranked.regressed for ranked in found):
        raise typer.Exit(ExitStatus.FAILED)
    if problems:
        raise typer.Exit(ExitStatus.BAD_INPUT)


@contextmanager
def _told(inputs: Inputs) -> Iterator[dict[str, GateRecord]]:
    """The ranking as one gate of OpenTelemetry, where its variables are set; what is added here is told."""
    records: dict[str, GateRecord] = {}
    if not any(name.startswith("OTEL_EXPORTER_OTLP") for name in os.environ):
        yield records
        return
    from harness.run.open_telemetry import open_telemetry

    telemetry = open_telemetry(os.environ, inputs)
    try:
        yield records
    finally:
        if telemetry is not None:
            telemetry.close(records)


def _ranked(
    settings: Settings, golden: Sequence[Path] | None
) -> tuple[list[RankedModel], list[str], list[str]]:
    """The ranked models, the judge's calibration in words, and why a run could not be saved."""
    inputs = prepare(settings, command_project(Path.cwd()))
    if len(inputs.candidates) < 2:
        raise AdapterError(
            f"{', '.join(settings.model)}: give two or more different models, or a directory of adapters"
        )
    sets = load_gate_sets(golden or None, forgetting=inputs.settings.forgetting)
    directory = inputs.directory
    make_directory(directory)
    inputs = replace(inputs, noise=check_history(inputs.history))
    with (
        open_cache(directory / "cache.sqlite") as cache,
        open_panel(settings, cache) or nullcontext() as panel,
    ):
        judging, note = make_ready(
            sets,
            Judging(panel=panel),
            directory,
            engine=inputs.plan.engine,
            allowed=settings.permissions,
        )
        with _told(inputs) as records, stage_bars() as on_progress:
            found = rank_models(inputs, sets, cache, on_progress, judging)
            records.update({each.name: each.record for each in found})
        problems = []
        for ranked in found:
            # The ranking is still printed.
            try:
                save(ranked.record, directory, inputs.history)
            except HistoryError as error:
                problems.append(str(error))
            own = directory / "runs" / ranked.record.run.id
            send_to_sinks(ranked.record, own, settings.track)
        return found, [] if panel is None else describe_judging(panel, note), problems
