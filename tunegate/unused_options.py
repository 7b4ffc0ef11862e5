"""The gate's options where it is off: accepted, and without effect; and those that are a project's own."""

from collections.abc import Collection, Sequence

import pytest

from tunegate.request import ALL_OPTIONS, SWITCHES, free_options

# Where a setting's name says more than its option.
_ENDS = {"--gate-judge-timeout": "_S", "--gate-server-timeout": "_S"}
_ENDS |= {"--gate-allow-python": "_CHECKS", "--gate-allow-code": "_CHECKS"}
_ASKING = ("--gate-model", "--model")
# They choose what is collected, with a model or without.
_COLLECTING = frozenset({"--gate-golden", "--gate-no-forgetting"})
# Whoever gives one of these waits for a verdict.
_DEMANDING = ("--gate-accept", "--gate-baseline", "--gate-fail-on")
_LISTING = frozenset({"--co", "--collect-only", "--collectonly", "--markers", "--fixtures", "--version"})
_DEST, _MODEL = "tunegate_unused", "tunegate_unused_model"


def declare_unused_options(config: pytest.Config, parser: pytest.Parser, arguments: Sequence[str]) -> None:
    """Declare the options that are used, unless they are the project's own.

    Args:
        config: The session's configuration.
        parser: Its options, of which those of conftest files are declared.
        arguments: The command line, including arguments from the configuration.
    """
    group = parser.getgroup("tunegate", "tunegate, which is off in this project")
    for name in free_options(config, arguments):
        group.addoption(
            name,
            action="store_true" if name in SWITCHES else "store",
            dest=_MODEL if name in _ASKING else _DEST,
            default=None,
            help="not used",
        )


def without_model(typed: Sequence[str], taken: Collection[str] = ()) -> tuple[str, bool]:
    """What of a command line does nothing in a session without a model.

    Args:
        typed: The command line, without arguments from the configuration.
        taken: Options that are the project's own.

    Returns:
        One line, empty where nothing is idle; and whether an option waits for a verdict.
    """
    names = {each.partition("=")[0] for each in typed} & ALL_OPTIONS - _COLLECTING - set(taken)
    demanding = not names.isdisjoint(_DEMANDING) and _LISTING.isdisjoint(typed)
    have = "has" if len(names) == 1 else "have"
    line = f"{', '.join(sorted(names))} {have} no effect without --model" if names else ""
    return line, demanding


def own_options_line(taken: Collection[str]) -> str:
    """Say which options belong to the project, and how the gate's settings of these names are given.

    Args:
        taken: Their names.
    """
    ours = dict.fromkeys(
        "--gate-model" if name == "--model" and "--gate-model" not in taken else variable_of(name)
        for name in sorted(taken)
    )
    owned = "is this project's own option" if len(taken) == 1 else "are this project's own options"
    gate = "is" if len(ours) == 1 else "are"
    return f"{' and '.join(sorted(taken))} {owned} here; the gate's {gate} {' and '.join(ours)}"


def variable_of(name: str) -> str:
    """The environment variable of one of our options."""
    setting = name.removeprefix("--").removeprefix("gate-").removeprefix("no-")
    return f"TUNEGATE_{setting.upper().replace('-', '_')}{_ENDS.get(name, '')}"


def unused_model(config: pytest.Config) -> str | None:
    """The model that an option names without effect."""
    named: str | None = config.getoption(_MODEL, None)
    return named
