"""The engines that a model's name can choose, as ``NAME:REFERENCE``: ours, then those of plug-ins."""

from collections.abc import Mapping
from pathlib import Path

from harness.registry import EngineKind, active

# Ours are chosen by what a model is; their names are theirs all the same.
BUILTIN_ENGINES: dict[str, EngineKind] = {
    name: EngineKind(
        name=name,
        summary=summary,
        describe="harness.engines.open:describe_own",
        open="harness.engines.open:open_own",
        measures_text=measures_text,
    )
    for name, summary, measures_text in (
        ("transformers", "Base models and adapters, in batches.", True),
        ("multitask", "Encoders with heads for labels, entities and spans.", False),
    )
}


def engine_kinds() -> Mapping[str, EngineKind]:
    """All engines by name."""
    return active().merged(EngineKind, BUILTIN_ENGINES)


def is_own(engine: str) -> bool:
    """Whether an execution plan's engine is tunegate's own, so that its libraries are needed."""
    return engine in BUILTIN_ENGINES


def split_reference(reference: str) -> tuple[EngineKind, str] | None:
    """The engine and the reference behind the colon; None where no engine is named."""
    # A path that holds a colon is a path.
    name, colon, rest = reference.partition(":")
    if not colon or not rest or Path(reference).exists():
        return None
    kind = engine_kinds().get(name)
    return None if kind is None else (kind, rest)
