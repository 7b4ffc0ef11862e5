"""What candidates are compared with: a model that answers beside them, a stored or accepted run, nothing."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from harness.baselines.file import Baseline, run_of
from harness.types import GoldenCase, ModelRef, Run

TargetKind: TypeAlias = Literal["none", "model", "run", "accepted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonTarget:
    """What candidates are compared with. Made by the functions below, one for each kind.

    Attributes:
        kind: ``none`` for no comparison, ``model`` for one that answers in this session, ``run`` for a stored
            run, ``accepted`` for a run that a baseline's file stores.
        model: Whose answers are compared with; None for no comparison.
        run: The stored run, of that kind.
        accepted: The accepted baseline, of that kind.
    """

    kind: TargetKind
    model: ModelRef | None = None
    run: Run | None = None
    accepted: Baseline | None = None

    @property
    def live_model(self) -> ModelRef | None:
        """The model that answers in this session; None where answers are stored, or nothing is compared."""
        return self.model if self.kind == "model" else None

    @property
    def is_stored(self) -> bool:
        """Whether only answers are there, and no model that could be asked."""
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
        target: What is compared with.
        cases: The golden cases of today, of which an accepted baseline's file stores the results.

    Returns:
        The run; None where a model answers in this session, or there is no comparison.
    """
    return target.run if target.accepted is None else run_of(target.accepted, cases)


def describe_target(target: ComparisonTarget) -> str:
    """What is compared with, for the line that says what is gated."""
    if target.accepted is not None:
        accepted = target.accepted
        return f"against {accepted.name}, accepted {accepted.accepted_at[:10]}: {accepted.reason}"
    if target.run is not None:
        return f"against run {target.run.id}"
    return "no baseline" if target.model is None else f"against {target.model.label}"
