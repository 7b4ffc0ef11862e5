"""``tunegate train METHOD CONFIG.yaml``."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from harness.errors import EngineError, SettingsError, faults_of
from harness.registry import TrainMethod, load_function
from trainers.config import RunConfig, StrictModel, with_leaks
from trainers.config_file import example, load_config, located_faults
from trainers.methods.catalogue import METHODS, train_methods
from trainers.run.processes import refuse_sharding
from tunegate.printable import say

# A process can give no other.
_LARGEST_STATUS = 255


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
        if not (isinstance(kind, type) and issubclass(kind, StrictModel)):
            raise SettingsError(f"{place}: its configuration is no subclass of trainers.config.StrictModel")
        if init:
            say(example(kind, method.example), end="")
            return
        if config is None:
            raise typer.BadParameter(f"give a configuration, or --init for an example of {method.name}")
        refuse_sharding()
        settings = load_config(config, kind, {"output": output})
        if allow_leakage:
            if not isinstance(settings, RunConfig):
                raise SettingsError(f"--allow-leakage: {place} has no check for golden cases in its data")
            settings = with_leaks(settings)
        train = load_function(method.train, place)
        if method.name in METHODS:
            with located_faults(config, kind):
                raise typer.Exit(train(settings, resume=resume))
        raise typer.Exit(_status_of_plugin(lambda: train(settings, resume=resume), place))

    return run


def _status_of_plugin(train: Callable[[], object], place: str) -> int:
    """The exit status of a plug-in's training; whatever it raises or gives else is one line."""
    with faults_of(place, EngineError):
        try:
            status = train()
        except SystemExit as error:
            status = error.code or 0
    if isinstance(status, bool) or not isinstance(status, int) or not 0 <= status <= _LARGEST_STATUS:
        told = f"(allowed: a whole number from 0 to {_LARGEST_STATUS})"
        raise EngineError(f"{place}: gave {status!r} in place of an exit status {told}")
    return status


for _method in METHODS.values():
    app.command(_method.name, help=_method.help)(_command(_method))
