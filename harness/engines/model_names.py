"""The models that a user names: directories of adapters are expanded, each gets a short name."""

from collections.abc import Sequence
from pathlib import Path

from harness.engines.adapter import is_adapter
from harness.engines.kinds import engine_kinds
from harness.engines.multitask.directory import is_multitask


def named_models(references: Sequence[str]) -> list[str]:
    """The named models, each once; a directory of adapters means all of them."""
    found: dict[str, str] = {}
    for reference in _whole(references):
        for each in _adapters_in(Path(reference).expanduser()) or [reference]:
            directory = Path(each).expanduser()
            found.setdefault(str(directory.resolve()) if directory.is_dir() else each, each)
    return list(found.values())


def _whole(references: Sequence[str]) -> list[str]:
    """The references, with those joined that a variable's separator split: upper:shout."""
    whole: list[str] = []
    for reference in references:
        if whole and whole[-1] in engine_kinds() and not Path(whole[-1]).exists():
            whole[-1] += f":{reference}"
        else:
            whole.append(reference)
    return whole


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
    if directory.is_dir():
        return directory.resolve().parts[1:] or directory.resolve().parts
    return tuple(reference.split("/"))
