"""A pytest plugin that gives a session our packages though a project's have their names.

``tunegate gate`` loads it. What the session imports as ``harness``, ``reports`` or ``trainers`` is ours then;
the project's own packages of those names can't be imported in it.
"""

from collections.abc import Generator

import pytest
from _pytest.config import ConftestImportFailure

from tunegate.own_packages import ALL_PACKAGES, foreign_package, use_our_packages
from tunegate.project import session_project
from tunegate.request import names_a_model

use_our_packages()


@pytest.hookimpl(wrapper=True)
def pytest_load_initial_conftests(
    early_config: pytest.Config, args: list[str]
) -> Generator[None, None, None]:
    """Refuse a session without a model, and a conftest file that needs the project's own packages.

    Raises:
        pytest.UsageError: One line that says what to do.
    """
    if not names_a_model(args, session_project(early_config)):
        raise pytest.UsageError("no model: give --model=DIR")
    try:
        yield
    except ConftestImportFailure as error:
        foreign = foreign_package([early_config.rootpath, early_config.invocation_params.dir])
        missed = error.cause.name if isinstance(error.cause, ImportError) else None
        if foreign is None or missed is None or missed.partition(".")[0] not in ALL_PACKAGES:
            raise
        raise pytest.UsageError(
            f"{error.path}: {error.cause} ({foreign} can't be imported beside tunegate's own package: "
            f"add --noconftest to gate without the project's conftest files)"
        ) from error
