"""Hooks that tunegate calls; a plugin or conftest may implement them."""

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from harness.registry import Registrar
    from harness.types import GateRecord


@pytest.hookspec
def pytest_tunegate_report(
    config: pytest.Config, record: "GateRecord", directory: Path, label: str, unsaved: str | None
) -> Path | None:
    """Show or send the result of a finished gate.

    Called at the end of a ``pytest --model`` session for each model, after its run was saved, or could
    not be. The returned path is printed in the terminal section; None prints nothing.

    Example, in a conftest.py::

        def pytest_tunegate_report(config, record, directory):
            if record.verdict is not None:
                (directory / "verdict.txt").write_text(record.verdict.outcome)
                return directory / "verdict.txt"

    Args:
        config: The pytest session's configuration.
        record: The run, its baseline, their comparison and the verdict.
        directory: The run's own directory; it exists.
        label: The model's name, unique in the session; empty if it is the only one.
        unsaved: None if the history has the run. Otherwise the command that saves it later, or an empty text
            if the run is lost to all commands.
    """


@pytest.hookspec
def pytest_tunegate_register(registry: "Registrar") -> None:
    """Register your own metrics, judges, engines, sinks or log readers for this session.

    Called once, before options are checked. A plug-in that breaks is left out with one line of warning;
    existing names can't be replaced. ``docs/extending.md`` has an example of each kind.

    Example, in a conftest.py::

        from harness.metrics.definition import binary, one_by_one
        from harness.registry import Metric

        def shouts(request):
            return binary(request, request.text.isupper(), "letters are upper-case")

        def pytest_tunegate_register(registry):
            registry.add(
                Metric(
                    name="shouts",
                    kind="binary",
                    summary="The answer is in upper case.",
                    function=one_by_one(shouts),
                )
            )

    Args:
        registry: Accepts records with ``add``.
    """
