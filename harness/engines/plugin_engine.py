"""Models and engines of plug-ins, checked for the gate's requirements: a fault is one line."""

import math
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from harness.engines.base import SERVED, Engine, GenerationRequest, LossRequest
from harness.engines.precision import refuse_split
from harness.errors import CasesFailedError, EngineError, ModelError, TextsUnmeasuredError, faults_of
from harness.registry import EngineKind, active, load_function
from harness.registry.field_types import wrong_field
from harness.types import Completion, ExecutionPlan, ModelRef, TextLoss
from harness.types.training import TrainingManifest

_T = TypeVar("_T", Completion, TextLoss)


def describe_plugin_model(kind: EngineKind, reference: str, model_id: str | None = None) -> ModelRef:
    """A model of a plug-in's engine, or behind a server.

    Args:
        kind: The engine.
        reference: The part after its name.
        model_id: The user's word for what the weights behind a server are.

    Raises:
        InputError: The plug-in refuses it, or breaks.
    """
    label = f"{kind.name}:{reference}"
    describe = load_function(kind.describe, f"engine {kind.name!r}")
    with faults_of(label, ModelError):
        model = describe(reference) if model_id is None else describe(reference, model_id)
    if not isinstance(model, ModelRef) or not model.base_sha256:
        raise ModelError(f"{label}: the engine gave no ModelRef with a base_sha256")
    if model.training is not None and not isinstance(model.training, TrainingManifest):
        raise ModelError(f"{label}: the engine's ModelRef has a training that is not a TrainingManifest")
    if wrong := wrong_field(named := replace(model, label=label, engine=kind.name)):
        raise ModelError(f"{label}: the engine's ModelRef: {wrong}")
    return named


def open_plugin_engine(
    kind: EngineKind, sides: Mapping[str, ModelRef], plan: ExecutionPlan
) -> "PluginEngine":
    """Load the models of all sides.

    Args:
        kind: The engine.
        sides: The models, by side.
        plan: The plan, as far as the engine can follow it.

    Raises:
        EngineError: Loading failed.
        SettingsError: The models are to be split among devices.
    """
    place = f"engine {kind.name!r}"
    refuse_split(plan.device, f"the {place}")
    opened = load_function(kind.open, place)
    with faults_of(place, EngineError):
        return PluginEngine(place=place, engine=opened(sides, plan), planned=plan)


@dataclass(frozen=True, slots=True, kw_only=True)
class PluginEngine:
    """A plug-in's engine: its exceptions become EngineErrors, and missing answers are noticed.

    Attributes:
        is_kept: Whether only whoever opened it closes it.
    """

    place: str
    engine: Any
    planned: ExecutionPlan
    is_kept: bool = False

    @property
    def plan(self) -> ExecutionPlan:
        """The plan as the engine followed it, if it says so."""
        followed = getattr(self.engine, "plan", None)
        return followed if isinstance(followed, ExecutionPlan) else self.planned

    def close(self) -> None:
        """Release what the engine holds between two sessions' questions."""
        close = getattr(self.engine, "close", None)
        if close is not None and not self.is_kept:
            with faults_of(self.place, EngineError):
                close()

    def render(self, *_: object, **__: object) -> None:
        """None: it reads conversations, not rendered prompts."""

    def context(self, *_: object) -> None:
        """None: it reports itself when a prompt is too long."""

    def generate(
        self,
        requests: Sequence[GenerationRequest],
        on_batch: Callable[[Mapping[int, Completion]], None],
        on_text: object = None,
    ) -> None:
        """As an Engine's; texts are not shown during generation."""
        with _all_of(self.place, len(requests), Completion, on_batch) as counted:
            self.engine.generate(requests, counted)

    def losses(
        self, requests: Sequence[LossRequest], on_batch: Callable[[Mapping[int, TextLoss]], None]
    ) -> None:
        """As an Engine's; why texts were not measured is told, as servers' last lines tell it."""
        try:
            with _all_of(self.place, len(requests), TextLoss, on_batch) as counted:
                self.engine.losses(requests, counted)
        except TextsUnmeasuredError as error:
            if self.plan.engine not in SERVED:
                told, reason = "texts were not scored, and checks that need it are unscored", str(error)
                active().note(f"{self.place}: {told}: {' '.join(reason.split())}")
            raise

    def largest_logit_change(self, *arguments: Any) -> float:
        """As an Engine's; called only for a model with an ``adapter_dir``."""
        with faults_of(self.place, EngineError):
            return float(self.engine.largest_logit_change(*arguments))


def kept(engine: Engine) -> Engine:
    """The engine, which no part of a session closes: what it holds elsewhere stays for the next part."""
    return replace(engine, is_kept=True) if isinstance(engine, PluginEngine) else engine


def close_kept(engine: Engine) -> None:
    """Close an engine that was kept; if that breaks, it is a warning: all that it was asked is answered."""
    if isinstance(engine, PluginEngine):
        try:
            replace(engine, is_kept=False).close()
        except EngineError as error:
            warnings.warn(str(error), RuntimeWarning, stacklevel=2)


@contextmanager
def _all_of(
    place: str, number: int, kind: type[_T], on_batch: Callable[[Mapping[int, _T]], None]
) -> Iterator[Callable[[Mapping[int, _T]], None]]:
    """A callback that checks and counts results; afterwards each has arrived, or the engine said why not."""
    given: set[int] = set()

    def counted(batch: Mapping[int, _T]) -> None:
        if problem := _wrong_results(batch, number, kind, given):
            raise EngineError(f"{place}: {problem}")
        given.update(batch)
        on_batch(batch)

    try:
        with faults_of(place, EngineError):
            yield counted
    except (CasesFailedError, TextsUnmeasuredError) as error:
        reasons = error.reasons if isinstance(error, TextsUnmeasuredError) else {}
        _refuse_gaps(place, number, given.union(error.failures, reasons))
        raise
    _refuse_gaps(place, number, given)


def _refuse_gaps(place: str, number: int, told: set[int]) -> None:
    """Check that each request has a result, or a reason why it has none.

    Raises:
        EngineError: Some have neither.
    """
    if told != set(range(number)):
        raise EngineError(f"{place}: gave {len(told & set(range(number)))} of {number} results")


def _wrong_results(batch: object, number: int, kind: type[Completion | TextLoss], given: set[int]) -> str:
    """What is wrong with a batch, before any of it is stored; empty if nothing.

    Args:
        batch: What the engine gave.
        number: How many requests there are.
        kind: The class of the results.
        given: The requests that have a result already.
    """
    if not isinstance(batch, Mapping):
        return f"gave a {type(batch).__name__} (allowed: a mapping of a request's index to a {kind.__name__})"
    for index, result in batch.items():
        if index not in range(number):
            return f"gave a result of request {index!r} (allowed: 0 to {number - 1})"
        if not isinstance(result, kind):
            return f"gave a {type(result).__name__} (allowed: a {kind.__name__})"
        if problem := wrong_field(result) or _wrong_number(result):
            return f"gave a {kind.__name__} with {problem}"
        if index in given:
            return f"gave a second result of request {index}"
    return ""


def _wrong_number(result: Completion | TextLoss) -> str:
    """The first number of a result that none can have, and what is allowed; empty if all are fine."""
    for field in fields(result):
        value = getattr(result, field.name)
        if isinstance(value, int | float) and not math.isfinite(value):
            return f"{field.name}: found {value} (allowed: a finite number)"
        # A divergence may be a little below 0.
        if isinstance(result, Completion) and isinstance(value, int | float) and value < 0:
            return f"{field.name}: found {value} (allowed: a number from 0)"
    return ""
