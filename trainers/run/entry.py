"""The command line of one trainer module."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

from harness.errors import SettingsError
from harness.presentation.boundary import run_process
from trainers.config import RunConfigT, with_leaks
from trainers.config_file import load_config, located_faults
from trainers.run.processes import refuse_sharding


class _Parser(argparse.ArgumentParser):
    """A wrong command line is bad input like any other."""

    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{self.prog}: {message}")


def run_module(
    module: str,
    kind: type[RunConfigT],
    train: Callable[..., int],
    arguments: list[str] | None = None,
) -> int:
    """``python -m MODULE CONFIG [OPTION…]``; bad input is one line and status 4.

    Args:
        module: The name that the user ran, such as ``trainers.methods.sft``.
        kind: Its configuration class.
        train: Its train function, called with the configuration and ``resume``.
        arguments: In place of the process's own.

    Returns:
        The exit status.
    """
    parser = _Parser(prog=f"python -m {module}", description=kind.__doc__, exit_on_error=False)
    parser.add_argument("config", type=Path, help="YAML configuration")
    parser.add_argument(
        "--output", type=Path, default=None, help="adapter directory, in place of the config's"
    )
    parser.add_argument("--resume", action="store_true", help="continue from the last checkpoint")
    parser.add_argument(
        "--allow-leakage", action="store_true", help="train although golden cases are in the data"
    )
    return run_process(lambda: _train(parser, kind, train, arguments))


def _train(
    parser: argparse.ArgumentParser,
    kind: type[RunConfigT],
    train: Callable[..., int],
    arguments: list[str] | None,
) -> int:
    try:
        chosen = parser.parse_args(arguments)
    except SystemExit:  # the help was printed
        return 0
    refuse_sharding()
    given: dict[str, Any] = {"output": chosen.output}
    config = load_config(chosen.config, kind, given)
    with located_faults(chosen.config, kind):
        return train(with_leaks(config) if chosen.allow_leakage else config, resume=chosen.resume)
