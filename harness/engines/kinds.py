"""The engines of model names ``NAME:REFERENCE``: the built-in ones, then those of plug-ins."""

import os
from collections.abc import Mapping

from harness.registry import EngineKind, active

# These two are chosen by the kind of a model, and open each other's models; their names are still reserved.
_DESCRIBE, _OPEN = "harness.engines.open:describe_own", "harness.engines.open:open_own"
BUILTIN_ENGINES: dict[str, EngineKind] = {
    kind.name: kind
    for kind in (
        EngineKind(
            name="transformers",
            summary="Base models and adapters, in batches.",
            describe=_DESCRIBE,
            open=_OPEN,
            measures_text=True,
        ),
        EngineKind(
            name="multitask",
            summary="Encoders with heads for labels, entities and spans.",
            describe=_DESCRIBE,
            open=_OPEN,
        ),
    )
}


def engine_kinds() -> Mapping[str, EngineKind]:
    """All engines by name."""
    return active().merged(EngineKind, BUILTIN_ENGINES)


def is_own(engine: str) -> bool:
    """Whether an execution plan's engine is tunegate's own, so that its libraries are needed."""
    return engine in BUILTIN_ENGINES and BUILTIN_ENGINES[engine].open == _OPEN


def split_reference(reference: str) -> tuple[EngineKind, str] | None:
    """The engine and the reference after the colon; None if no engine is named."""
    # A path with a colon is a path; what is too long for one, such as a URL, is not.
    name, colon, rest = reference.partition(":")
    if not colon or not rest or os.path.exists(reference):  # noqa: PTH110 # Path.exists raises for those
        return None
    kind = engine_kinds().get(name)
    return None if kind is None else (kind, rest)
