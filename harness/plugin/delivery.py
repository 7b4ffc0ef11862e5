"""Saves, reports, sends and accepts runs after the verdicts are known.

A failure here never changes a verdict: each failed step causes one line and the exit status.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from harness.errors import InputError, TunegateError
from harness.plugin.acceptance import accept_record
from harness.run.inputs import Inputs
from harness.run.records import save
from harness.run.sinks import send_to_sinks
from harness.types import GateRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """A failed step: one line, and the exit status if the gate itself passed."""

    text: str
    status: pytest.ExitCode


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """The written files and failed steps.

    Attributes:
        written: Each model's files, by its name.
        problems: The failed steps.
    """

    written: dict[str, list[Path]] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def deliver(
    config: pytest.Config, inputs: Inputs, records: Mapping[str, GateRecord], *, not_accepted: str | None
) -> Delivery:
    """Save each record, write its reports, send it to the sinks, and accept it if requested.

    Args:
        config: The pytest session's configuration.
        inputs: The gate's inputs.
        records: By the models' names.
        not_accepted: Why this session accepts no run, whatever the verdict; None if it may.
    """
    found = Delivery()
    for name, record in records.items():
        directory = inputs.directory / "runs" / record.run.id
        found.written[name] = []
        with _noted(found, "the run was not saved"):
            save(record, inputs.directory)
        with _noted(found, "not every report was written"):
            directory.mkdir(parents=True, exist_ok=True)
            paths = config.hook.pytest_tunegate_report(
                config=config, record=record, directory=directory, label=name
            )
            found.written[name] += [path for path in paths if path is not None]
        found.written[name] += send_to_sinks(record, directory)
    if inputs.settings.accept is not None:
        # Refused for several models, before anything was loaded.
        ((name, record),) = records.items()
        with _noted(found, "the run was not accepted"):
            path = accept_record(
                record, inputs.settings.accept, inputs.settings, inputs.root, problem=not_accepted
            )
            found.written[name].append(path)
    return found


@contextmanager
def _noted(found: Delivery, what: str) -> Iterator[None]:
    """Turn an error into a problem of one line, including exceptions of foreign hooks."""
    try:
        yield
    except (InputError, pytest.UsageError, OSError) as error:
        found.problems.append(_problem(str(error) or what, pytest.ExitCode.USAGE_ERROR))
    except TunegateError as error:
        found.problems.append(_problem(str(error), pytest.ExitCode.INTERNAL_ERROR))
    except Exception as error:
        text = f"{what}: {type(error).__name__}: {error}"
        found.problems.append(_problem(text, pytest.ExitCode.INTERNAL_ERROR))


def _problem(text: str, status: pytest.ExitCode) -> Problem:
    return Problem(text=text.strip().partition("\n")[0], status=status)
