"""The target of a comparison: a model in the same session, a stored or accepted run, or nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from harness.baselines.file import Baseline, run_of
from harness.types import GoldenCase, ModelRef, Run

TargetKind: TypeAlias = Literal["none", "model", "run", "accepted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonTarget:
    """The target that candidates are compared with. Made by the functions below, one for each kind.

    Attributes:
        kind: ``none`` for no comparison, ``model`` for one that answers in this session, ``run`` for a stored
            run, ``accepted`` for a run that a baseline's file stores.
        model: The model behind the baseline's answers; None for no comparison.
        run: The stored run, for kind ``run``.
        accepted: The accepted baseline, for kind ``accepted``.
    """

    kind: TargetKind
    model: ModelRef | None = None
    run: Run | None = None
    accepted: Baseline | None = None

    @property
    def live_model(self) -> ModelRef | None:
        """The model that answers in this session; None if answers are stored, or nothing is compared."""
        return self.model if self.kind == "model" else None

    @property
    def is_stored(self) -> bool:
        """Whether there are only stored answers, and no model."""
        return self.kind in {"run", "accepted"}


NO_TARGET = ComparisonTarget(kind="none")


def model_target(model: ModelRef) -> ComparisonTarget:
    """A model that answers in the same session."""
    return ComparisonTarget(kind="model", model=model)


def run_target(run: Run) -> ComparisonTarget:
    """A run from the history."""
    return ComparisonTarget(kind="run", model=run.model, run=run)


def accepted_target(baseline: Baseline) -> ComparisonTarget:
    """An accepted baseline."""
    return ComparisonTarget(kind="accepted", model=baseline.model, accepted=baseline)


def stored_run(target: ComparisonTarget, cases: Sequence[GoldenCase]) -> Run | None:
    """The run to compare with, as far as it is stored.

    Args:
        target: The target.
        cases: The current golden cases, for the results in an accepted baseline's file.

    Returns:
        The run; None if a model answers in this session, or there is no comparison.
    """
    return target.run if target.accepted is None else run_of(target.accepted, cases)


def describe_target(target: ComparisonTarget) -> str:
    """The target in words, for the line that says what is gated."""
    if target.accepted is not None:
        accepted = target.accepted
        return f"against {accepted.name}, accepted {accepted.accepted_at[:10]}: {accepted.reason}"
    if target.run is not None:
        return f"against run {target.run.id}"
    return "no baseline" if target.model is None else f"against {target.model.label}"
