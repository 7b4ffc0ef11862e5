"""The ``tunegate`` command: it uses our packages, whatever is in the folder or on the path."""

import importlib

from tunegate.own_packages import use_our_packages


def main() -> None:
    """Run the command."""
    use_our_packages()
    importlib.import_module("harness.cli.main").main()
