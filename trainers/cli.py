"""``tunegate train METHOD CONFIG.yaml``."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from harness.registry import TrainMethod, load_function
from trainers.config import with_leaks
from trainers.config_file import example, load_config
from trainers.methods.catalogue import METHODS, train_methods
from trainers.run.processes import refuse_sharding
from tunegate.printable import say


class _Methods(TyperGroup):
    """The methods' commands; those of plug-ins are looked up when they are asked for.

    The types of contexts and commands are private to typer.
    """

    def list_commands(self, ctx: Any) -> list[str]:
        return [*super().list_commands(ctx), *(name for name in train_methods() if name not in METHODS)]

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        if cmd_name in METHODS or cmd_name not in train_methods():
            return super().get_command(ctx, cmd_name)
        method = train_methods()[cmd_name]
        single = typer.Typer(add_completion=False)
        single.command(cmd_name, help=method.help)(_command(method))
        return typer.main.get_command(single)


app = typer.Typer(cls=_Methods, help="Train an adapter: tunegate train sft CONFIG.yaml", no_args_is_help=True)


@app.callback()
def _methods() -> None:
    """Train an adapter: one command a method."""


def _command(method: TrainMethod) -> Callable[..., None]:
    def run(
        config: Annotated[Path | None, typer.Argument(help="YAML configuration.")] = None,
        output: Annotated[
            Path | None, typer.Option(help="Adapter directory, in place of the configuration's.")
        ] = None,
        resume: Annotated[bool, typer.Option("--resume", help="Continue from the last checkpoint.")] = False,
        allow_leakage: Annotated[
            bool, typer.Option("--allow-leakage", help="Train although golden cases are in the data.")
        ] = False,
        init: Annotated[
            bool, typer.Option("--init", help="Print a commented configuration and stop.")
        ] = False,
    ) -> None:
        place = f"training method {method.name!r}"
        kind = load_function(method.config, place)
        if init:
            say(example(kind, method.example), end="")
            return
        if config is None:
            raise typer.BadParameter(f"give a configuration, or --init for an example of {method.name}")
        refuse_sharding()
        settings = load_config(config, kind, {"output": output})
        train = load_function(method.train, place)
        raise typer.Exit(train(with_leaks(settings) if allow_leakage else settings, resume=resume))

    return run


for _method in METHODS.values():
    app.command(_method.name, help=_method.help)(_command(_method))
