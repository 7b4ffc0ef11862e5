"""The ``tunegate`` command: the harness's own groups, and those of other packages."""

import sys
from typing import Annotated

import typer

from harness.cli.deferred import DeferredCommand, DeferredGroup
from harness.presentation.boundary import run_process
from tunegate.printable import say
from tunegate.project_conftest import conftest_of_project

_COMMANDS = {
    "model": DeferredCommand(
        target="harness.cli.model:app", help="Base models and encoders: fetch, list, show."
    ),
    "golden": DeferredCommand(target="harness.cli.golden:app", help="Golden sets: add cases, lint, schema."),
    "runs": DeferredCommand(
        target="harness.cli.runs:app",
        help="Stored runs: list, show, compare, accept, recover, push, trend, export, prune.",
    ),
    "judge": DeferredCommand(
        target="harness.cli.judge:app", help="Judges: calibrate them on labels, compare models by them."
    ),
    "gate": DeferredCommand(
        target="harness.cli.gate:gate",
        help="Gate a model: the same as pytest --model=DIR, with all of pytest's options.",
        # pytest parses all further arguments.
        context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
    ),
    "compare": DeferredCommand(
        target="harness.cli.compare:compare",
        help="Compare any two runs, ours or other tools' logs, by the gate; exit status 1 on a regression.",
    ),
    "verify": DeferredCommand(
        target="harness.cli.verify:verify",
        help="Compute scores and verdict of a gate's JSON file again; exit status 1 if regressed or different.",
    ),
    "monitor": DeferredCommand(
        target="harness.cli.monitor:monitor",
        help="Compare answers in production with the run that was gated; exit status 1 if a rate has risen.",
    ),
    "serve": DeferredCommand(
        target="harness.cli.serve:serve",
        help="Serve a model and its adapters by name, over the OpenAI protocol, with the gate's own engine.",
    ),
    "power": DeferredCommand(
        target="harness.cli.power:power",
        help="Say which drop the golden sets can detect, and what more cases or answers buy. No model is loaded.",
    ),
    "probes": DeferredCommand(
        target="harness.cli.probes:app", help="A base's own forgetting probes: choose them by its answers."
    ),
    "noise": DeferredCommand(
        target="harness.cli.noise:noise",
        help="Measure the noise floor: rerun one model under other batches, seeds and dtypes.",
    ),
    "parity": DeferredCommand(
        target="harness.cli.parity:parity",
        help="Run one model with several plans and compare every two; exit status 1 if one is worse than the first.",
    ),
    "rank": DeferredCommand(
        target="harness.cli.rank:rank",
        help="Gate several models at once and rank them; exit status 1 if any regressed.",
    ),
    "bisect": DeferredCommand(
        target="harness.cli.bisect:bisect",
        help="Score all checkpoints of a training run and name the step where a case was lost.",
    ),
}


class _Commands(DeferredGroup):
    table = _COMMANDS
    entry_points = "tunegate.commands"


app = typer.Typer(
    name="tunegate",
    cls=_Commands,
    help="A regression gate for fine-tuned language models. To run the gate: pytest --model=DIR",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib import metadata

        say(f"tunegate {metadata.version('tunegate')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Read the options before a command."""


def main() -> None:
    """Run the command; its exit status is one of :class:`tunegate.exit_status.ExitStatus`."""
    with conftest_of_project():
        status = run_process(lambda: app(prog_name="tunegate", standalone_mode=False))
    sys.exit(status)
