"""Builds rewards from settings, and checks them with the data before a model loads."""

from collections.abc import Sequence
from typing import Any

from harness.errors import DataError, SettingsError, faults_of
from harness.registry import load_function
from trainers.data.rows import Examples
from trainers.rewards.catalogue import BUILTIN_REWARDS, RewardSettings, reward_kinds
from trainers.rewards.definition import BuiltReward, Reward


def build_rewards(
    settings: Sequence[RewardSettings], *data: Examples, key: str | None = None
) -> list[Reward]:
    """Make the rewards, and check that every row has the columns that they read.

    Args:
        settings: The configuration.
        data: The prompts that will be answered.
        key: Name in messages of a single reward that is not under ``rewards``.

    Returns:
        One per setting, in order.

    Raises:
        SettingsError: A reward can't be made.
        DataError: A row lacks a column.
    """
    rewards: list[Reward] = []
    for number, one in enumerate(settings):
        kind = str(getattr(one, "type"))  # noqa: B009 # each subclass declares its own
        place = key or f"rewards[{number}] ({kind})"
        built = _build(kind, one, place)
        name, taken = built.name or kind, [reward.name for reward in rewards]
        rewards.append(
            Reward(
                name=name if name not in taken else f"{name}-{number}",
                place=place,
                weight=one.weight,
                function=built.function,
                column=built.column,
                facts=built.facts,
            )
        )
        for examples in data:
            _require_column(examples, built.column, place)
    return rewards


def _build(kind: str, settings: RewardSettings, place: str) -> BuiltReward:
    build = load_function(reward_kinds()[kind].build, place)
    if kind in BUILTIN_REWARDS:
        built: Any = build(settings, place)
    else:
        with faults_of(place, SettingsError):
            built = build(settings, place)
    if not isinstance(built, BuiltReward):
        raise SettingsError(f"{place}: build gave a {type(built).__name__} (allowed: a BuiltReward)")
    return built


def _require_column(examples: Examples, column: str | None, place: str) -> None:
    if column is None:
        return
    for (path, line), row in zip(examples.places, examples.rows, strict=True):
        if row["columns"].get(column) is None:
            found = ", ".join(row["columns"]) or "none"
            raise DataError(path, line, f"{place} reads the column {column} (found: {found})")
