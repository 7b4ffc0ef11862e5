"""``tunegate train METHOD CONFIG.yaml``."""

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from trainers.config import example, load_config, with_leaks
from trainers.methods.catalogue import METHODS, Method

app = typer.Typer(help="Train an adapter: tunegate train sft CONFIG.yaml", no_args_is_help=True)


@app.callback()
def _methods() -> None:
    """Train an adapter: one command a method."""


def _command(name: str, method: Method) -> Callable[..., None]:
    def run(
        config: Annotated[Path | None, typer.Argument(help="YAML configuration.")] = None,
        output: Annotated[
            Path | None, typer.Option(help="Adapter directory, in place of the configuration's.")
        ] = None,
        resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
        allow_leakage: Annotated[
            bool, typer.Option("--allow-leakage", help="Train although golden cases stand in the data.")
        ] = False,
        init: Annotated[
            bool, typer.Option("--init", help="Print a commented configuration and stop.")
        ] = False,
    ) -> None:
        module: Any = import_module(method.module)
        kind = getattr(module, method.config)
        if init:
            typer.echo(example(kind, method.example), nl=False)
            return
        if config is None:
            raise typer.BadParameter(f"give a configuration, or --init for an example of {name}")
        settings = load_config(config, kind, {"output": output})
        raise typer.Exit(module.train(with_leaks(settings) if allow_leakage else settings, resume=resume))

    return run


for _name, _method in METHODS.items():
    app.command(_name, help=_method.help)(_command(_name, _method))
