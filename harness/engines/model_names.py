"""The models that a user names: directories of adapters are expanded, each gets a short name."""

from collections.abc import Sequence
from pathlib import Path

from harness.engines.adapter import is_adapter
from harness.engines.kinds import split_reference
from harness.engines.multitask.directory import is_multitask


def named_models(references: Sequence[str]) -> list[str]:
    """The named models, each once; a directory of adapters means all of them."""
    found: dict[str, str] = {}
    for reference in references:
        if split_reference(reference) is not None:
            # An engine reads its own reference, which may be no path.
            found.setdefault(reference, reference)
            continue
        for each in _adapters_in(Path(reference).expanduser()) or [reference]:
            directory = Path(each).expanduser()
            found.setdefault(str(directory.resolve()) if directory.is_dir() else each, each)
    return list(found.values())


def _adapters_in(directory: Path) -> list[str]:
    """The adapters in a directory that is not a model itself (a model may contain checkpoints)."""
    if not directory.is_dir() or is_adapter(directory) or is_multitask(directory):
        return []
    if (directory / "config.json").is_file():
        return []
    return sorted(str(path) for path in directory.iterdir() if path.is_dir() and is_adapter(path))


def short_names(references: Sequence[str]) -> list[str]:
    """For each model the last part of its path, with as many parts before it as make it unique."""
    paths = [_parts(reference) for reference in references]
    names = []
    for parts in paths:
        depth = 1
        while depth < len(parts) and sum(other[-depth:] == parts[-depth:] for other in paths) > 1:
            depth += 1
        names.append("/".join(parts[-depth:]))
    return names


def _parts(reference: str) -> tuple[str, ...]:
    directory = Path(reference).expanduser()
    if split_reference(reference) is None and directory.is_dir():
        return directory.resolve().parts[1:] or directory.resolve().parts
    return tuple(reference.split("/"))
