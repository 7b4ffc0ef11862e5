"""From settings to rewards, each checked against the data before a model loads."""

from collections.abc import Mapping, Sequence

from harness.errors import DataError
from trainers.data.rows import Examples
from trainers.rewards import answers
from trainers.rewards.checks import golden_check
from trainers.rewards.definition import Reward, RewardFunction
from trainers.rewards.function import load_function
from trainers.rewards.model import model_reward
from trainers.rewards.settings import (
    ExactAnswer,
    GoldenCheck,
    JsonValid,
    Length,
    PythonFunction,
    RegexFormat,
    RewardModel,
    RewardSettings,
)


def build_rewards(
    settings: Sequence[RewardSettings], *data: Examples, key: str | None = None
) -> list[Reward]:
    """Make the rewards, and check that every row has the columns that they read.

    Args:
        settings: As configured.
        data: The prompts that will be answered.
        key: What messages call the only reward, where it doesn't stand under ``rewards``.

    Raises:
        SettingsError: A reward can't be made.
        DataError: A row lacks a column.
    """
    rewards: list[Reward] = []
    for number, one in enumerate(settings):
        place = key or f"rewards[{number}] ({one.type})"
        function, column, facts = _function(one, place)
        taken = [reward.name for reward in rewards]
        name = str(one.path).rpartition(":")[2] if isinstance(one, PythonFunction) else one.type
        if isinstance(one, GoldenCheck):
            name = str(one.check["type"])
        rewards.append(
            Reward(
                name=name if name not in taken else f"{name}-{number}",
                place=place,
                weight=one.weight,
                function=function,
                column=column,
                facts=facts,
            )
        )
        for examples in data:
            _require_column(examples, column, place)
    return rewards


def _function(one: RewardSettings, place: str) -> tuple[RewardFunction, str | None, Mapping[str, str]]:
    """The reward's function, the column that it reads, and facts for the manifest."""
    column: str | None = None
    facts: Mapping[str, str] = {}
    match one:
        case JsonValid():
            function = answers.json_valid(one)
        case ExactAnswer():
            function, column = answers.exact_answer(one), one.column
        case RegexFormat():
            function = answers.regex_format(one)
        case Length():
            function = answers.length(one)
        case GoldenCheck():
            function, column = golden_check(one, place), one.references
        case PythonFunction():
            function, digest = load_function(one.path, place)
            facts = {"sha256": digest}
        case RewardModel():
            function, digest = model_reward(one.path, place)
            facts = {"sha256": digest}
    return function, column, facts


def _require_column(examples: Examples, column: str | None, place: str) -> None:
    if column is None:
        return
    for (path, line), row in zip(examples.places, examples.rows, strict=True):
        if row["columns"].get(column) is None:
            found = ", ".join(row["columns"]) or "none"
            raise DataError(path, line, f"{place} reads the column {column} (found: {found})")
