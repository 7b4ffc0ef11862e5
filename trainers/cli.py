"""``tunegate train METHOD CONFIG.yaml``."""

from pathlib import Path
from typing import Annotated

import typer

from trainers.config import SftConfig, example, load_config

app = typer.Typer(help="Train an adapter: tunegate train sft CONFIG.yaml", no_args_is_help=True)


@app.callback()
def _methods() -> None:
    """Train an adapter: one command a method."""


@app.command()
def sft(
    config: Annotated[Path | None, typer.Argument(help="YAML configuration.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Adapter directory, in place of the configuration's.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    init: Annotated[bool, typer.Option("--init", help="Print a commented configuration and stop.")] = False,
) -> None:
    """Supervised fine-tuning (QLoRA by default)."""
    if init:
        typer.echo(
            example(SftConfig, {"base": "smollm2", "data": "train.jsonl", "output": "adapters/sft"}), nl=False
        )
        return
    if config is None:
        raise typer.BadParameter("give a configuration, or --init for an example")
    from trainers.sft import train

    raise typer.Exit(train(load_config(config, SftConfig, {"output": output}), resume=resume))
