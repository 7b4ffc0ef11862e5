"""``tunegate gate``: pytest's gate, also in a project with packages of our names."""

import os

import typer

from tunegate.request import with_long_name


def gate(context: typer.Context) -> None:
    """Gate a model: the same as pytest --model=DIR, with all of pytest's options.

    It also works in a project that has a package harness, reports or trainers of its own, and where a
    conftest.py has an option --model.
    """
    import pytest

    arguments = [with_long_name(argument) for argument in context.args]
    # Where no plugin is loaded by itself, the gate's own is named.
    named = ["-p", "tunegate"] if os.environ.get("PYTEST_DISABLE_PLUGIN_AUTOLOAD") else []
    raise typer.Exit(int(pytest.main(["-p", "tunegate.pinned", *named, *arguments])))
