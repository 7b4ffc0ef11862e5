"""One model alone, for tools that use a single one."""

from harness.engines.base import CANDIDATE, Engine
from harness.engines.open import choose_plan, describe_model, open_sides
from harness.types import ModelRef


def open_engine(
    reference: str, base: str | None = None, *, dtype: str = "auto", device: str = "auto"
) -> Engine:
    """Load one model as the candidate, for tools that use a single model.

    Args:
        reference: As for describe_model.
        base: As for describe_model.
        dtype: A dtype's name, or ``auto``.
        device: ``cpu``, ``cuda`` or ``auto``.

    Raises:
        InputError: The model is not usable. EngineError: A library is missing or the device is unavailable.
    """
    return open_described(describe_model(reference, base), dtype=dtype, device=device)


def open_described(model: ModelRef, *, dtype: str = "auto", device: str = "auto") -> Engine:
    """As open_engine, a model that was described before.

    Args:
        model: The model; its files are still those that were described.
        dtype: As for open_engine.
        device: As for open_engine.

    Raises:
        InputError: The model is not usable, or its files are others now.
        EngineError: A library is missing or the device is unavailable.
    """
    return open_sides({CANDIDATE: model}, choose_plan(dtype, device, None, [model]))
