"""The built-in rewards, each built from its settings."""

from trainers.rewards import answers
from trainers.rewards.checks import golden_check
from trainers.rewards.definition import BuiltReward
from trainers.rewards.function import load_function
from trainers.rewards.model import model_reward
from trainers.rewards.settings import (
    ExactAnswer,
    GoldenCheck,
    Length,
    PythonFunction,
    RegexFormat,
    RewardModel,
    ValidJson,
)


def json_valid(settings: ValidJson, _place: str) -> BuiltReward:
    """``json-valid``."""
    return BuiltReward(function=answers.json_valid(settings))


def exact_answer(settings: ExactAnswer, _place: str) -> BuiltReward:
    """``exact-answer``."""
    return BuiltReward(function=answers.exact_answer(settings), column=settings.column)


def regex_format(settings: RegexFormat, _place: str) -> BuiltReward:
    """``regex``."""
    return BuiltReward(function=answers.regex_format(settings))


def length(settings: Length, _place: str) -> BuiltReward:
    """``length``."""
    return BuiltReward(function=answers.length(settings))


def check(settings: GoldenCheck, place: str) -> BuiltReward:
    """``check``; its name in logs is the check's type.

    Args:
        settings: The configuration.
        place: Where the reward is written, for messages.

    Raises:
        SettingsError: The check is not valid.
    """
    function = golden_check(settings, place)
    return BuiltReward(function=function, column=settings.references, name=str(settings.check["type"]))


def python(settings: PythonFunction, place: str) -> BuiltReward:
    """``python``; its name in logs is the function's name.

    Args:
        settings: The configuration.
        place: Where the reward is written, for messages.

    Raises:
        SettingsError: There is no such function.
    """
    function, digest = load_function(settings.path, place)
    name = str(settings.path).rpartition(":")[2]
    return BuiltReward(function=function, facts={"sha256": digest}, name=name)


def reward_model(settings: RewardModel, place: str) -> BuiltReward:
    """``reward-model``.

    Args:
        settings: The configuration.
        place: Where the reward is written, for messages.

    Raises:
        InputError: The directory is not that of a reward model.
    """
    function, digest = model_reward(settings.path, place)
    return BuiltReward(function=function, facts={"sha256": digest})
