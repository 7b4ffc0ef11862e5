"""The trackers by name, and how a run is sent to those that are named."""

import importlib.util
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from harness.engines.served.address import shown
from harness.errors import OverdueError, SettingsError, first_line, handled_faults
from harness.registry import Registry, Sink, active, load_function
from harness.types import GateRecord

_ROOM = "harness.run.trackers"
# The module that each needs, and its distribution.
_LIBRARIES = {
    "mlflow": ("mlflow", "mlflow-skinny"),
    "wandb": ("wandb", "wandb"),
    "tensorboard": ("tensorboardX", "tensorboardX"),
    "trackio": ("trackio", "trackio"),
}
BUILTIN_SINKS: Mapping[str, Sink] = {
    name: Sink(name=name, send=f"{_ROOM}.{module}:send", chosen=True)
    for name, module in (
        ("mlflow", "mlflow_runs"),
        ("wandb", "wandb_runs"),
        ("tensorboard", "tensorboard_runs"),
        ("trackio", "trackio_runs"),
    )
}


def check_trackers(specs: Iterable[str]) -> None:
    """Refuse a tracker that is unknown or not installed, before any work is done.

    Raises:
        SettingsError: There is none of that name, or its library is missing.
    """
    for spec in specs:
        name = spec.partition(":")[0]
        _sink_of(spec)
        module, distribution = _LIBRARIES.get(name, (None, ""))
        if module is not None and importlib.util.find_spec(module) is None:
            problem = f"--gate-track {spec}: is not installed: pip install {distribution}"
            raise SettingsError(without_secrets(problem, spec))


def send_to_sinks(record: GateRecord, directory: Path, track: Iterable[str] = ()) -> list[str]:
    """Send a record to every plug-in's sink, and to the trackers that are named.

    One that breaks, is down or does not end causes a warning and never affects the verdict.

    Args:
        record: The stored run with its comparison and verdict.
        directory: The run's own directory; it exists.
        track: Trackers: a name, perhaps with a colon and where to, such as ``mlflow:http://127.0.0.1:5000``.

    Returns:
        The paths and addresses that sinks returned, to be printed.
    """
    registry, written = active(), list[str]()
    for sink in registry.merged(Sink, BUILTIN_SINKS).values():
        if sink.chosen:
            continue
        place = f"sink {sink.name!r}"
        with handled_faults(partial(_note, registry, f"{place} broke on run {record.run.id}", "")):
            path = _in_time(partial(load_function(sink.send, place), record, directory), place)
            # An address is no path, which would lose one of its slashes.
            written += [path if isinstance(path, str) else str(Path(path))] if path is not None else []
    for spec in track:
        what = f"{spec}: run {record.run.id} was not sent"
        remedy = f"; tunegate runs push {record.run.id} --track {spec} sends it again"
        with handled_faults(partial(_note, registry, what, remedy, spec=spec)):
            _in_time(partial(push, record, directory, spec), f"tracker {spec.partition(':')[0]!r}")
    return written


def _in_time(send: Callable[[], Any], place: str) -> Any:
    """What a sink gives; the process, which holds the verdict, is not ended for one that does not end.

    Raises:
        TimeoutError: It did not end in time.
    """
    from harness.metrics.call_limit import LIMIT_S, limited_call, spared_process

    try:
        with spared_process():
            return limited_call(send, place, LIMIT_S, "one run")
    except OverdueError as error:
        raise TimeoutError(str(error)) from error


def _note(registry: Registry, what: str, remedy: str, error: BaseException, *, spec: str = "") -> None:
    registry.note(without_secrets(f"{what}: {first_line(error)}{remedy}", spec))


def without_secrets(text: str, spec: str) -> str:
    """A message without the password of a tracker's address, which its library repeats.

    Args:
        text: What is told.
        spec: The tracker's name, perhaps with a colon and where to.
    """
    target = spec.partition(":")[2]
    return text.replace(target, shown(target)) if target else text


def push(record: GateRecord, directory: Path, spec: str) -> str:
    """Send a record to one tracker. A run that it has is renewed, not sent twice, where it can tell.

    Args:
        record: The stored run.
        directory: The run's own directory, with its report.
        spec: The tracker's name, perhaps with a colon and where to.

    Returns:
        Where the run is now, in words.

    Raises:
        Exception: Whatever the tracker's library raises.
    """
    sink = _sink_of(spec)
    target = spec.partition(":")[2]
    return str(load_function(sink.send, f"sink {sink.name!r}")(record, directory, target))


def _sink_of(spec: str) -> Sink:
    name = spec.partition(":")[0]
    known = {sink.name: sink for sink in active().merged(Sink, BUILTIN_SINKS).values() if sink.chosen}
    if name not in known:
        problem = f"--gate-track {spec}: no such tracker (allowed: {', '.join(known)})"
        raise SettingsError(without_secrets(problem, spec))
    return known[name]
