"""The rewards for a configuration's ``rewards``: the built-in ones, then those of plug-ins."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, Union

from pydantic import Field

from harness.errors import SettingsError
from harness.registry import RewardKind, active, load_function
from trainers.rewards.settings import WeightedReward

BUILTIN_REWARDS: dict[str, RewardKind] = {
    name: RewardKind(
        name=name,
        settings=f"trainers.rewards.settings:{settings}",
        build=f"trainers.rewards.builtin:{build}",
    )
    for name, settings, build in (
        ("json-valid", "ValidJson", "json_valid"),
        ("exact-answer", "ExactAnswer", "exact_answer"),
        ("regex", "RegexFormat", "regex_format"),
        ("length", "Length", "length"),
        ("check", "GoldenCheck", "check"),
        ("python", "PythonFunction", "python"),
        ("reward-model", "RewardModel", "reward_model"),
    )
}


def reward_kinds() -> Mapping[str, RewardKind]:
    """All rewards by name."""
    return active().merged(RewardKind, BUILTIN_REWARDS)


def settings_classes() -> list[type[WeightedReward]]:
    """The settings of each reward; invalid ones of a plug-in are left out with one line of warning."""
    found: list[type[WeightedReward]] = []
    for name, kind in reward_kinds().items():
        try:
            made: Any = load_function(kind.settings, f"reward {name!r}")
        except SettingsError as error:
            active().note(f"{error}; the reward is left out")
            continue
        is_settings = (
            isinstance(made, type) and issubclass(made, WeightedReward) and "type" in made.model_fields
        )
        if is_settings and made.model_fields["type"].annotation is not None and name in _names(made):
            found.append(made)
        else:
            rule = f"its settings are no subclass of WeightedReward with type: Literal[{name!r}]"
            active().note(f"reward {name!r} is left out: {rule}")
    return found


def _names(settings: type[WeightedReward]) -> tuple[Any, ...]:
    return getattr(settings.model_fields["type"].annotation, "__args__", ())


if TYPE_CHECKING:
    RewardSettings: TypeAlias = WeightedReward
else:
    # Configurations are classes: their allowed values are fixed when this module is first imported.
    RewardSettings = Annotated[Union[tuple(settings_classes())], Field(discriminator="type")]  # noqa: UP007
