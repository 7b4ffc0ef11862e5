"""Hooks that tunegate calls; a plugin or conftest may implement them."""

from pathlib import Path

import pytest

from harness.types import GateRecord


@pytest.hookspec
def pytest_tunegate_report(
    config: pytest.Config, record: GateRecord, directory: Path, label: str
) -> Path | None:
    """Show or send what a finished gate found.

    Called at the end of a ``pytest --model`` session for each model, after its run was saved. The path
    returned is printed in the terminal section; None prints nothing.

    Example, in a conftest.py::

        def pytest_tunegate_report(config, record, directory):
            if record.verdict is not None:
                (directory / "verdict.txt").write_text(record.verdict.outcome)
                return directory / "verdict.txt"

    Args:
        config: The pytest session's configuration.
        record: The run, its baseline, their comparison and the verdict.
        directory: The run's own directory; it exists.
        label: What tells the model from the session's others; empty where it is the only one.
    """
