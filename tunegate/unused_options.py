"""Which of the gate's options a session declares: those that it uses, unless they are the project's own.

Where the gate is off they are accepted, and without effect. The package that declares them can't be imported
then, so their names are written here again; a test compares the two.
"""

from collections.abc import Collection, Iterable, Sequence

import pytest

from tunegate.request import HELP

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
# Where a setting's name says more than its option.
_ENDS = {"--gate-judge-timeout": "_S", "--gate-server-timeout": "_S"}
_ENDS |= {"--gate-allow-python": "_CHECKS", "--gate-allow-code": "_CHECKS"}
_ASKING = ("--gate-model", "--model")
ALL_OPTIONS = frozenset((*WITH_VALUE, *SWITCHES, "--model"))
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


def free_options(config: pytest.Config, arguments: Sequence[str]) -> frozenset[str]:
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


def taken_options(config: pytest.Config, names: Iterable[str]) -> frozenset[str]:
    """Which of some options are declared, before the gate has declared its own.

    Args:
        config: The session's configuration.
        names: Names such as ``--gate-margin``.
    """
    unknown = object()
    return frozenset(name for name in names if config.getoption(name, unknown) is not unknown)


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


def without_values(arguments: Sequence[str]) -> list[str]:
    """The arguments without the values that follow one of our options: they are no paths of tests."""
    with_value = {*WITH_VALUE, "--model"}
    return [
        each
        for before, each in zip(("", *arguments), arguments, strict=False)
        if before not in with_value or each.startswith("-")
    ]
