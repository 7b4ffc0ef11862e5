"""Commands that are imported when they are run: help and completion need only their name and one line."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperCommand, TyperGroup

from harness.errors import SettingsError
from tunegate.printable import printable_line, say

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


_COMPLETION = {"install_completion", "show_completion"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DeferredCommand:
    """A command, or a group of them, in a module that is not imported yet.

    Attributes:
        target: ``module:name`` of a typer app or of a command's function.
        help: Its line in the list of commands: the first line of its own help.
        context_settings: Settings for parsing its arguments, if it is a function.
    """

    target: str
    help: str
    context_settings: Mapping[str, Any] | None = None


class PlaceholderCommand(TyperCommand):
    """An entry in the list of commands; it imports the command itself when it is run."""

    def __init__(self, name: str, deferred: DeferredCommand) -> None:
        super().__init__(name=name, help=deferred.help)
        self._deferred = deferred

    @property
    def command(self) -> Any:
        """The command itself."""
        module, _, attribute = self._deferred.target.partition(":")
        found = getattr(import_module(module), attribute)
        return as_command(self.name or "", found, self._deferred.context_settings)

    def make_context(self, info_name: str | None, args: list[str], parent: Any = None, **extra: Any) -> Any:
        """The command's own context."""
        return self.command.make_context(info_name, args, parent=parent, **extra)


class DeferredGroup(TyperGroup):
    """A group's own commands, then those of a table, then those of other packages.

    Attributes:
        table: By name, in the order of the help.
        entry_points: The group of entry points under which other packages declare commands; None for none.
    """

    table: Mapping[str, DeferredCommand] = {}
    entry_points: str | None = None

    def list_commands(self, ctx: Any) -> list[str]:
        """All names, in the order of the help."""
        return list(dict.fromkeys([*super().list_commands(ctx), *self.table, *sorted(self._declared())]))

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of a name, or its placeholder; None if there is none."""
        if (own := super().get_command(ctx, cmd_name)) is not None:
            return own
        if cmd_name in self.table:
            return PlaceholderCommand(cmd_name, self.table[cmd_name])
        entry = self._declared().get(cmd_name)
        if entry is None:
            return None
        try:
            found = entry.load()
        except Exception as error:  # any exception is a fault of the distribution that declares it
            line = printable_line(f"{type(error).__name__}: {error}")
            say(f"tunegate: warning: command {cmd_name} is left out: {line}", err=True)
            return None
        is_deferred = isinstance(found, DeferredCommand)
        return PlaceholderCommand(cmd_name, found) if is_deferred else as_command(cmd_name, found)

    def _declared(self) -> "Mapping[str, EntryPoint]":
        if self.entry_points is None:
            return {}
        from importlib.metadata import entry_points

        return {entry.name: entry for entry in entry_points(group=self.entry_points)}


def as_command(name: str, target: Any, context_settings: Mapping[str, Any] | None = None) -> Any:
    """A typer app, or a function, as the command of a name.

    Args:
        name: Its name.
        target: The app or function.
        context_settings: Settings for parsing a function's arguments.
    """
    if not isinstance(target, typer.Typer):
        function, target = target, typer.Typer(add_completion=False)
        target.command(name, context_settings=dict(context_settings or {}))(function)
    command = typer.main.get_command(target)
    command.name = name
    # Only tunegate itself can be completed; its parts would offer to install it for their own names.
    command.params = [each for each in command.params if each.name not in _COMPLETION]
    return command


def run_sibling(context: Any, name: str, arguments: Sequence[str]) -> None:
    """Run another ``tunegate`` command, whichever package has it.

    Args:
        context: The running command's.
        name: The other command's.
        arguments: Its arguments.

    Raises:
        SettingsError: There is no such command.
    """
    root = context.find_root()
    command = root.command.get_command(root, name)
    if command is None:
        raise SettingsError(f"tunegate {name} is missing: install tunegate with all of its packages")
    with command.make_context(name, list(arguments), parent=root) as own:
        own.command.invoke(own)
