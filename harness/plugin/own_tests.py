"""Which of a project's own tests belong to a gate, where they are, and which of them asked the model."""

import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.plugin.asking_tests import may_ask
from tunegate.project import configured_project

# The fixture with the model's name; its name is not one that a project may use itself.
CANDIDATE_NAME = "_tunegate_candidate"
FIXTURE_NAMES = frozenset({"generate", "golden", "judge", "model", CANDIDATE_NAME})


def asked_model(item: pytest.Item) -> str | None:
    """The name of the only model that an asking test uses; None if it uses all."""
    callspec = getattr(item, "callspec", None)
    return None if callspec is None else callspec.params.get(CANDIDATE_NAME)


@dataclass(frozen=True, slots=True, kw_only=True)
class Root:
    """A place of tests.

    Attributes:
        path: A file or directory.
        inside: A class or test of the file, as in its node id; empty for all of them.
    """

    path: Path
    inside: str = ""

    def holds(self, path: Path, inside: str) -> bool:
        """Whether a test is in this place.

        Args:
            path: Its file.
            inside: The rest of its node id.
        """
        if path != self.path and self.path not in path.parents:
            return False
        return self.inside in {"", inside} or inside.startswith((f"{self.inside}::", f"{self.inside}["))

    def __str__(self) -> str:
        """As pytest takes it."""
        return f"{self.path}::{self.inside}" if self.inside else str(self.path)


def root_of(argument: str, project: Path) -> Root:
    """The place that a path or node id names.

    Args:
        argument: As pytest takes it.
        project: What it is relative to.
    """
    # A parameter's id may have any characters.
    base, bracket, parameters = argument.partition("[")
    name, _, inside = base.partition("::")
    path = Path(os.path.normpath(project / name))
    return Root(path=path, inside=inside + bracket + parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTests:
    """The project's own tests that belong to a gate.

    Attributes:
        roots: Where they are.
        only_asking: Whether only those tests of them belong that ask the model: where the setting ``paths``
            names none.
        run_all: Whether the others are run too: paths on the command line ask for them.
        project: The project's folder; a folder in it that is configured as a project is none of it.
    """

    roots: tuple[Root, ...] = ()
    only_asking: bool = False
    run_all: bool = False
    project: Path | None = None

    def is_run(self, item: pytest.Item) -> bool:
        """Whether a collected test is run; one that was asked for by its path always is."""
        return self.run_all or not self.only_asking or not self.is_here(item) or self._asks(item)

    def _asks(self, item: pytest.Item) -> bool:
        nearest = None if self.project is None else configured_project(item.path.parent)
        return may_ask(item) and (nearest is None or self.project not in nearest.parents)

    def belongs(self, item: pytest.Item) -> bool:
        """Whether a gate without this test is partial."""
        return self._asks(item) or (not self.only_asking and self.is_here(item))

    def is_here(self, item: pytest.Item) -> bool:
        """Whether a test is in one of the places."""
        return any(root.holds(item.path, inside_file(item)) for root in self.roots)


def inside_file(item: pytest.Item) -> str:
    """The part of a test's node id after its file."""
    return item.nodeid.partition("::")[2]
