"""Findings about how both sides were computed, measured and scored."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from harness.types.run import ExecutionPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class PlansFinding:
    """The two sides have different plans, which can flip cases without a change of the model."""

    kind: Literal["plans"] = "plans"
    candidate: ExecutionPlan
    baseline: ExecutionPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class TimesFinding:
    """Times are compared that were measured under different conditions.

    Attributes:
        conditions: What differs: the machine, the device, the batches.
    """

    kind: Literal["times"] = "times"
    conditions: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScorersFinding:
    """A metric is compared that another judge, encoder or library, by their names, may have scored."""

    kind: Literal["scorers"] = "scorers"
    candidate: Mapping[str, str]
    baseline: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnSettingsFinding:
    """Cases that a model answered without settings of its own that change greedy answers.

    Attributes:
        candidate: The judged model's settings, such as ``repetition_penalty: 1.1``.
        baseline: Those of the model that it was compared with.
    """

    kind: Literal["own-settings"] = "own-settings"
    candidate: tuple[str, ...]
    baseline: tuple[str, ...]
