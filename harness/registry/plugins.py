"""Plug-ins: how they are found, what they add, what is refused, and the current registry of this process.

A plug-in that breaks, or uses an existing name, causes one line of warning, never a traceback. Built-in names
never change their meaning.
"""

import inspect
import re
from collections.abc import Callable, Mapping
from functools import partial
from importlib import import_module, metadata
from pathlib import Path
from typing import Any, TypeAlias, TypeVar, cast

from harness.errors import SettingsError, first_line, handled_faults
from harness.registry.builtin_names import BUILTIN_NAMES, PREFIXES
from harness.registry.field_types import wrong_field, wrong_meaning
from harness.registry.metric import Metric
from harness.registry.process_guard import guarded_process
from harness.registry.records import (
    EngineKind,
    Function,
    JudgeKind,
    RewardKind,
    RunReader,
    Sink,
    TrainMethod,
)
from tunegate.printable import say
from tunegate.project_conftest import HOOK, hook_of, registering_conftest
from tunegate.streams import output_to_errors

GROUP = "tunegate.plugins"


Record: TypeAlias = Metric | JudgeKind | EngineKind | RewardKind | TrainMethod | Sink | RunReader


_KINDS: dict[type, str] = {
    Metric: "metric",
    JudgeKind: "judge",
    EngineKind: "engine",
    RewardKind: "reward",
    TrainMethod: "training method",
    Sink: "sink",
    RunReader: "log reader",
}


_NAME = re.compile(r"(?!not-)[a-z][a-z0-9-]*")


_R = TypeVar("_R", bound=Record)


class Registrar:
    """The argument of a plug-in's ``pytest_tunegate_register(registry)``."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.records: list[Record] = []

    def add(self, *records: Record) -> None:
        """Register metrics, judges, engines, rewards, training methods, sinks or log readers.

        Raises:
            TypeError: Something else was given.
        """
        for record in records:
            if type(record) not in _KINDS:
                raise TypeError(f"add() takes records of harness.registry, not {type(record).__name__}")
        self.records += records


class Registry:
    """The records of plug-ins, by kind.

    Attributes:
        warnings: What was left out, one line each.
    """

    def __init__(self, warn: Callable[[str], None] = lambda line: None, conftest: Path | None = None) -> None:
        """Start empty; plug-ins are loaded when a name is first looked up.

        Args:
            warn: Called with each warning.
            conftest: A project's conftest.py with the hook, if pytest doesn't load it.
        """
        self.warnings: list[str] = []
        self._warn = warn
        self._added: dict[type, dict[str, tuple[Record, str]]] = {kind: {} for kind in _KINDS}
        self._merged: dict[type, Mapping[str, Record]] = {}
        self._registered: set[Any] = set()
        self._conftest = conftest
        self._is_loaded = False

    def merged(self, kind: type[_R], built_in: Mapping[str, _R]) -> Mapping[str, _R]:
        """The built-in records of a kind, then those of plug-ins.

        Args:
            kind: The records' class.
            built_in: The built-in records by name; they can't be replaced.

        Returns:
            The records by name.
        """
        if kind not in self._merged:
            self._load()
            added = {name: record for name, (record, _) in self._added[kind].items()}
            # A built-in record stays whatever is added.
            self._merged[kind] = {**built_in, **added, **built_in}
        return cast("Mapping[str, _R]", self._merged[kind])

    def has_added(self, kind: type[Record]) -> bool:
        """Whether plug-ins have added a record of a kind."""
        self._load()
        return bool(self._added[kind])

    def register(self, source: str, function: Callable[[Registrar], object], identity: object = None) -> None:
        """Let a plug-in add its records: all of them, or none if it breaks.

        Args:
            source: The plug-in's name in warnings.
            function: Its ``pytest_tunegate_register``.
            identity: Identifies the plug-in if it is found several times; the function itself by default.
        """
        identity = function if identity is None else identity
        if identity in self._registered:
            return
        self._registered.add(identity)
        registrar, records = Registrar(), list[Record]()
        with handled_faults(partial(self._note_fault, f"plug-in {source} is left out")):
            self._guarded(source, lambda: _call(function, registrar))
            records = list(registrar.records)
        for record in records:
            try:
                self._add(record, source)
            except Exception as error:  # a field's own code, or no record at all
                self.note(f"plug-in {source}: a record is left out: {first_line(error)}")

    def note(self, warning: str) -> None:
        """Store a warning once, and pass it on."""
        if warning not in self.warnings:
            self.warnings.append(warning)
            self._warn(warning)

    def _note_fault(self, what: str, error: BaseException) -> None:
        self.note(f"{what}: {first_line(error)}")

    def _guarded(self, source: str, call: Callable[[], Any]) -> Any:
        """Call a plug-in's code; what it prints is not of the command's output, which other programs read."""
        with guarded_process(source, _print) as changed, output_to_errors():
            result = call()
        if changed:
            self.note(f"plug-in {source} changed the process's {', '.join(changed)}: restored")
        return result

    def _load(self) -> None:
        """Register what distributions declare under ``tunegate.plugins``, and the project itself."""
        if self._is_loaded:
            return
        self._is_loaded = True
        if (path := self._conftest) is not None:
            self.register(str(path), lambda registrar: hook_of(path)(registry=registrar))
        for entry in sorted(metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
            with handled_faults(partial(self._note_fault, f"plug-in {entry.name} is left out")):
                loaded = self._guarded(entry.name, entry.load)
                function = loaded if callable(loaded) else getattr(loaded, HOOK)
                self.register(entry.name, function)

    def _add(self, record: Record, source: str) -> None:
        kind = type(record)
        if kind not in _KINDS:
            self.note(f"plug-in {source}: a {kind.__name__} is left out: it is no record of harness.registry")
        elif wrong := wrong_field(record):
            self._leave_out(source, record, wrong)
        elif not _NAME.fullmatch(record.name):
            rule = "a name is lower-case letters, digits and hyphens, and does not start with not-"
            self._leave_out(source, record, rule)
        elif isinstance(record, Metric) and (wrong := wrong_meaning(record)):
            self._leave_out(source, record, wrong)
        elif record.name in BUILTIN_NAMES[kind]:
            self._leave_out(source, record, f"the built-in {_KINDS[kind]} of that name stays")
        elif isinstance(record, EngineKind) and record.name in PREFIXES:
            self._leave_out(source, record, f"{record.name}: has a meaning of its own in a model's name")
        elif isinstance(record, EngineKind | JudgeKind) and len(record.name) == 1:
            self._leave_out(source, record, f"{record.name}: is a drive of Windows")
        elif record.name in self._added[kind]:
            self._leave_out(source, record, f"plug-in {self._added[kind][record.name][1]} has that name")
        else:
            self._added[kind][record.name] = (record, source)
            self._merged.pop(kind, None)

    def _leave_out(self, source: str, record: Record, why: str) -> None:
        self.note(f"plug-in {source}: {_KINDS[type(record)]} {record.name!r} is left out: {why}")


def load_function(function: Function, place: str) -> Any:
    """The function or class that a record names.

    Args:
        function: Itself, or its path ``module:name``.
        place: Where it is needed, for the message.

    Raises:
        SettingsError: It can't be imported.
    """
    if not isinstance(function, str):
        return function
    module, _, name = function.partition(":")
    try:
        return getattr(import_module(module), name)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # an error of the plug-in that registered it
        raise SettingsError(f"{place}: {function} can't be imported: {first_line(error)}") from error


class _CurrentRegistry:
    registry: Registry | None = None


def active() -> Registry:
    """The process's registry.

    At first it has the installed plug-ins, and in a command those of the project's conftest.py; it warns on
    standard error.
    """
    if _CurrentRegistry.registry is None:
        _CurrentRegistry.registry = Registry(warn=_print, conftest=registering_conftest())
    return _CurrentRegistry.registry


def use_registry(registry: Registry | None) -> Registry | None:
    """Use another registry from now on.

    Args:
        registry: The new one; None for a new one at the next use.

    Returns:
        The previous one, so that it can be restored.
    """
    before, _CurrentRegistry.registry = _CurrentRegistry.registry, registry
    return before


def _print(warning: str) -> None:
    say(f"tunegate: warning: {warning}", err=True)


def _call(function: Callable[[Registrar], object], registrar: Registrar) -> None:
    """Call a plug-in.

    Raises:
        TypeError: The function is one that Python only prepares when it is called.
    """
    made = function(registrar)
    if inspect.iscoroutine(made) or inspect.isgenerator(made):
        made.close()
        raise TypeError(f"{HOOK} is a coroutine or a generator, not a plain function")
