"""The ``tunegate`` command: it takes our packages, whatever stands in the folder or on the path."""

import importlib

from tunegate.own_packages import use_our_packages


def main() -> None:
    """Run the command."""
    use_our_packages()
    importlib.import_module("harness.cli.main").main()
