"""The ``tunegate`` command: the harness's own groups, and those that other packages hang in."""

import sys
from importlib import metadata
from typing import Annotated

import typer

import harness.cli.bisect
import harness.cli.gate
import harness.cli.golden
import harness.cli.judge
import harness.cli.model
import harness.cli.noise
import harness.cli.parity
import harness.cli.power
import harness.cli.rank
import harness.cli.runs
import harness.cli.serve
from harness.errors import InputError, TunegateError

# pytest's own numbers: 3 is its internal error, 4 its usage error.
_FAILED, _BAD_INPUT = 3, 4

app = typer.Typer(
    name="tunegate",
    help="A regression gate for fine-tuned language models. The gate itself is: pytest --model=DIR",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.add_typer(harness.cli.model.app, name="model")
app.add_typer(harness.cli.golden.app, name="golden")
app.add_typer(harness.cli.runs.app, name="runs")
app.add_typer(harness.cli.judge.app, name="judge")
app.command("gate", context_settings=harness.cli.gate.PASSED_ON)(harness.cli.gate.gate)
app.command("serve")(harness.cli.serve.serve)
app.command("power")(harness.cli.power.power)
app.command("noise")(harness.cli.noise.noise)
app.command("parity")(harness.cli.parity.parity)
app.command("rank")(harness.cli.rank.rank)
app.command("bisect")(harness.cli.bisect.bisect)
for _entry in sorted(metadata.entry_points(group="tunegate.commands"), key=lambda entry: entry.name):
    app.add_typer(_entry.load(), name=_entry.name)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"tunegate {metadata.version('tunegate')}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Take the options that stand before a command."""


def main() -> None:
    """Run the command; bad input is one line and exit status 4, any other known failure 3."""
    try:
        app()
    except InputError as error:
        print(f"tunegate: {error}", file=sys.stderr)
        sys.exit(_BAD_INPUT)
    except TunegateError as error:
        print(f"tunegate: {error}", file=sys.stderr)
        sys.exit(_FAILED)
