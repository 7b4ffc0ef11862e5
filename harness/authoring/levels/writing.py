"""The three levels as golden sets: their text, and the files that hold it.

``python -m harness.authoring.levels.writing`` rewrites the files.
"""

from collections.abc import Callable, Iterable
from typing import Any

from harness.authoring.levels import (
    arithmetic,
    conversations,
    instructions,
    knowledge,
    languages,
    long_context,
    programs,
    reasoning,
    safety,
    structured_answers,
    word_problems,
)
from harness.authoring.levels.families import LEVELS, Family, Probe
from harness.authoring.render import case_text
from harness.golden.load import level_directory
from harness.types.storage import write_whole

# Of the numbers, names and texts that are drawn.
SEED = 20261126
_SKILLS: tuple[Callable[[int], list[Family]], ...] = (
    knowledge.families,
    arithmetic.families,
    word_problems.families,
    reasoning.families,
    instructions.families,
    structured_answers.families,
    programs.families,
    languages.families,
    safety.families,
    conversations.families,
    long_context.families,
)
_HEAD = """\
# Written by python -m harness.authoring.levels.writing; change the tables there, not this file.
# The questions were written for this set and are under the project's licence (Apache-2.0); no other data set is in it.
# A cluster is one family: questions made in one way. The reference is an answer that passes, not the only one.
name: {level}
description: Probes of skills, level {level}; tunegate probes calibrate picks those that fit a base
probes_forgetting: true
cases:
"""


def all_families(seed: int = SEED) -> list[Family]:
    """All families of all skills.

    Args:
        seed: Of the drawn values.
    """
    return [family for skill in _SKILLS for family in skill(seed)]


def level_text(level: str, families: Iterable[Family]) -> str:
    """The golden set of a level.

    Args:
        level: One of :data:`harness.authoring.levels.families.LEVELS`.
        families: All families; those of other levels are left out.
    """
    cases = [
        case_text(case, "  ") for family in families if family.level == level for case in cases_of(family)
    ]
    return _HEAD.format(level=level) + "".join(cases)


def cases_of(family: Family) -> list[dict[str, Any]]:
    """A family's cases with the keys of a golden set, one for each probe, in order."""
    return [
        _case(family, probe, f"{family.name}-{number}" if len(family.probes) > 1 else family.name)
        for number, probe in enumerate(family.probes, 1)
    ]


def _case(family: Family, probe: Probe, case_id: str) -> dict[str, Any]:
    checked = {"checks": list(probe.earlier_checks)} if probe.earlier_checks else {}
    turns = [*({"user": turn, **checked} for turn in probe.earlier), {"user": probe.ask}]
    return {
        "id": case_id,
        **({"turns": turns} if probe.earlier else {"prompt": probe.ask}),
        "references": [probe.right],
        "checks": list(probe.checks),
        "tags": [family.skill, *family.tags],
        "cluster": family.name,
        "generation": {"max_new_tokens": family.tokens},
    }


def main() -> None:
    """Rewrite the files of all levels."""
    families = all_families()
    for level in LEVELS:
        path = level_directory() / f"{level}.yaml"
        write_whole(path, level_text(level, families))


if __name__ == "__main__":
    main()
