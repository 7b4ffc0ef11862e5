"""One model alone, for tools that use a single one."""

from harness.engines.base import CANDIDATE, Engine
from harness.engines.open import choose_plan, describe_model, open_sides


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
    model = describe_model(reference, base)
    return open_sides({CANDIDATE: model}, choose_plan(dtype, device, None, [model]))
