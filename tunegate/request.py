"""Whether a pytest session concerns the gate, and by which of its options, without loading it."""

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tunegate.project import read_table

if TYPE_CHECKING:
    import pytest

_SHORT, _LONG, _PREFIX = "--model", "--gate-model", "--gate-"
_GOLDEN_FOLDER = "golden_sets"
HELP = {"-h", "--help"}
# Our options; the package that declares them is loaded only for a gate, and a test compares the two.
SWITCHES = (
    "--gate-no-forgetting",
    "--gate-no-cache",
    "--gate-accept-dirty",
    "--gate-allow-python",
    "--gate-allow-code",
)
WITH_VALUE = (
    "--gate-model",
    "--gate-base",
    "--gate-baseline",
    "--gate-golden",
    "--gate-margin",
    "--gate-forgetting-margin",
    "--gate-dtype",
    "--gate-weights",
    "--gate-device",
    "--gate-batch-tokens",
    "--gate-workers",
    "--gate-fail-on",
    "--gate-confirm",
    "--gate-directory",
    "--gate-accept",
    "--gate-accept-reason",
    "--gate-chat-template-kwargs",
    "--gate-history",
    "--gate-keep-runs",
    "--gate-judge",
    "--gate-judge-concurrency",
    "--gate-judge-timeout",
    "--gate-judge-prices",
    "--gate-report",
    "--gate-json",
    "--gate-markdown",
    "--gate-track",
    "--gate-looks",
    "--gate-engine",
    "--gate-model-id",
    "--gate-server",
    "--gate-server-args",
    "--gate-server-concurrency",
    "--gate-server-prices",
    "--gate-server-timeout",
)
ALL_OPTIONS = frozenset((*WITH_VALUE, *SWITCHES, "--model"))


def is_model_option(argument: str) -> bool:
    """Whether an argument is ``--model`` or ``--model=...``, which projects may have too."""
    return argument.partition("=")[0] == _SHORT


def is_gate_option(argument: str) -> bool:
    """Whether an argument is, or may be, an option of this package."""
    return is_model_option(argument) or argument.startswith(_PREFIX)


def needs_model_option(arguments: Sequence[str]) -> bool:
    """Whether to declare ``--model``: it is used, may be used in a file of arguments, or help is asked."""
    return any(is_model_option(each) or each.startswith("@") or each in HELP for each in arguments)


def with_long_name(argument: str) -> str:
    """``--model`` under its unique name."""
    return argument.replace(_SHORT, _LONG, 1) if is_model_option(argument) else argument


def with_short_name(argument: str) -> str:
    """``--gate-model`` as ``--model``."""
    return argument.replace(_LONG, _SHORT, 1) if argument.partition("=")[0] == _LONG else argument


def concerns_gate(arguments: Sequence[str], root: Path) -> bool:
    """Whether the gate has to be loaded at once: for a model, for one of its options, or for the help.

    Args:
        arguments: The command line, including arguments from the configuration.
        root: Where the project's pyproject.toml is.
    """
    given = any(is_gate_option(each) or each.startswith("@") for each in arguments)
    return given or names_a_model(arguments, root)


def golden_places(root: Path) -> tuple[Path, ...]:
    """Files and folders of a project's golden sets, as its settings name them, where they are well-formed.

    Args:
        root: The project's folder.
    """
    written = os.environ.get("TUNEGATE_GOLDEN") or (read_table(root) or {}).get("golden", _GOLDEN_FOLDER)
    names = written.split(os.pathsep) if isinstance(written, str) else written
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        # Whoever loads the gate is told what is wrong with it.
        names = [_GOLDEN_FOLDER]
    return tuple(Path(os.path.normpath(root / name)) for name in names)


def names_a_model(arguments: Sequence[str], root: Path) -> bool:
    """Whether the command line, a variable or the configuration names a model, or help is requested.

    Args:
        arguments: The command line, including arguments from the configuration.
        root: Where the project's pyproject.toml is.
    """
    return (
        needs_model_option([with_short_name(each) for each in arguments])
        or "TUNEGATE_MODEL" in os.environ
        or "model" in (read_table(root) or ())
    )


def asks_for_gate(arguments: Sequence[str], root: Path, *, model_is_taken: bool) -> str | None:
    """The option, variable or key that names a model, and so asks for a gate; None if there is none.

    Args:
        arguments: The command line, including arguments from the configuration.
        root: Where the project's pyproject.toml is.
        model_is_taken: Whether ``--model`` is a foreign option in this session.
    """
    for argument in arguments:
        name = argument.partition("=")[0]
        if name == _LONG or (name == _SHORT and not model_is_taken):
            return name
    if "TUNEGATE_MODEL" in os.environ:
        return "TUNEGATE_MODEL"
    return "[tool.tunegate] model" if "model" in (read_table(root) or ()) else None


def free_options(config: "pytest.Config", arguments: Sequence[str]) -> frozenset[str]:
    """The options that are used, or may be, and that no conftest file or other plugin has declared.

    Args:
        config: The session's configuration, with the options that are declared so far.
        arguments: The command line, including arguments from the configuration.
    """
    given = {each.partition("=")[0] for each in arguments}
    # Any may be in a file of arguments, and the help lists all.
    all_used = not given.isdisjoint(HELP) or any(each.startswith("@") for each in arguments)
    used = ALL_OPTIONS if all_used else ALL_OPTIONS & given
    return used - taken_options(config, used)


def taken_options(config: "pytest.Config", names: Iterable[str]) -> frozenset[str]:
    """Which of some options are declared, before the gate has declared its own.

    Args:
        config: The session's configuration.
        names: Names such as ``--gate-margin``.
    """
    unknown = object()
    return frozenset(name for name in names if config.getoption(name, unknown) is not unknown)


def without_values(arguments: Sequence[str]) -> list[str]:
    """The arguments without the values that follow one of our options: they are no paths of tests."""
    with_value = {*WITH_VALUE, "--model"}
    return [
        each
        for before, each in zip(("", *arguments), arguments, strict=False)
        if before not in with_value or each.startswith("-")
    ]
