"""Parts of a gate that a session leaves out: by paths, ``-k``, ``-m``, ``--lf`` or node ids."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from harness.golden.gate_content import GateContent
from harness.plugin.hand_written import asks_a_model

_MOST_NAMED = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnTests:
    """The project's own tests that belong to a gate.

    Attributes:
        roots: Files and directories.
        only_asking: Whether only those tests belong that ask the model: of pytest's ``testpaths``, where
            the setting ``paths`` names none.
    """

    roots: tuple[Path, ...] = ()
    only_asking: bool = False

    def belong(self, item: pytest.Item) -> bool:
        """Whether a collected test belongs to the gate; one that was asked for by its path always does."""
        return not (self.only_asking and _is_below(item.path, self.roots)) or asks_a_model(item)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """The parts that a session leaves out.

    Attributes:
        cases: How many of how many cases, by golden set.
        tests: Tests and folders of tests.
    """

    cases: dict[str, tuple[int, int]]
    tests: tuple[str, ...]

    def line(self) -> str | None:
        """One line for the terminal; None where nothing is left out."""
        named = [f"{name} {out}/{total}" for name, (out, total) in self.cases.items()] + list(self.tests)
        if not named:
            return None
        more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
        cases = sum(out for out, _ in self.cases.values())
        what = [f"{cases} cases"] * bool(cases) + ["tests"] * bool(self.tests)
        return (
            f"tunegate: partial run, left out: {' and '.join(what)} ({', '.join(named[:_MOST_NAMED])}{more})"
        )


def left_out_cases(content: GateContent, keys: Collection[str]) -> dict[str, tuple[int, int]]:
    """By golden set, how many of how many of its cases are not selected; without sets that are whole.

    Args:
        content: The content of the gate.
        keys: Of the selected cases.

    Returns:
        By name of the set, the number of its cases that are not selected, and of all its cases.
    """
    found = {}
    for golden_set in content.sets:
        out = sum(case.key not in keys for case in golden_set.cases)
        if out:
            found[golden_set.name] = (out, len(golden_set.cases))
    return found


def left_out_roots(roots: Iterable[Path], arguments: Sequence[str], here: Path) -> tuple[str, ...]:
    """Files and folders of own tests that are below none of the collected paths.

    Args:
        roots: Where the project's own tests are.
        arguments: The paths that pytest collects, perhaps with node ids.
        here: Where pytest was started: relative arguments begin there.
    """
    collected = [(here / argument.partition("::")[0]).resolve() for argument in arguments]
    return tuple(
        str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
        for path in roots
        if not _is_below(path.resolve(), collected)
    )


def _is_below(path: Path, roots: Collection[Path]) -> bool:
    return path in roots or any(root in path.parents for root in roots)
