"""The gate's options in a session in which it is off: accepted, and without effect.

The package that declares them can't be imported then, so their names are written here again; a test compares
the two.
"""

from collections.abc import Sequence

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
_ASKING = ("--gate-model", "--model")
_DEST, _MODEL = "tunegate_unused", "tunegate_unused_model"


def declare_unused_options(config: pytest.Config, parser: pytest.Parser, arguments: Sequence[str]) -> None:
    """Declare the options that are used, unless they are the project's own.

    Args:
        config: The session's configuration.
        parser: Its options, of which those of conftest files are declared.
        arguments: The command line, including arguments from the configuration.
    """
    group, unknown = parser.getgroup("tunegate", "tunegate, which is off in this project"), object()
    given = {each.partition("=")[0] for each in arguments}
    # Any may be in a file of arguments.
    all_used = not given.isdisjoint(HELP) or any(each.startswith("@") for each in arguments)
    for name in (*WITH_VALUE, *SWITCHES, "--model"):
        if (all_used or name in given) and config.getoption(name, unknown) is unknown:
            group.addoption(
                name,
                action="store_true" if name in SWITCHES else "store",
                dest=_MODEL if name in _ASKING else _DEST,
                default=None,
                help="not used",
            )


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
