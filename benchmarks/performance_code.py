"""Which code takes the time of a part of ``performance.py``: its figures are old once that code changes.

Comments, docstrings and layout take no time, so that they are left out. Where a model answers here, the time
is that of loading, batching and computing: what surrounds them takes a hundredth of it, and what only other
engines or commands use takes none. The page names the commits that were measured.
"""

import ast
import hashlib
from collections.abc import Iterator
from pathlib import Path

_ANSWERING = (
    *("harness/engines", "harness/models"),
    *("harness/run/workload.py", "harness/run/generation.py", "harness/run/cache.py"),
)
_PARTS = {
    "speed": _ANSWERING,
    "served": (*_ANSWERING, "harness/serving"),
    "training": ("harness/models", "trainers"),
    "workers": ("harness/engines",),
}
_ALL = ("harness", "trainers", "reports", "tunegate")
# A gate of a local adapter and its base, with a plain check, enters none of these.
_ELSEWHERE = {
    "speed": (
        *("harness/engines/served/", "harness/engines/multitask/", "harness/engines/workers/ray_"),
        *("harness/engines/workers/served_models", "harness/engines/split", "harness/engines/plugin_engine"),
        *("harness/engines/text_losses", "harness/engines/library_faults", "harness/engines/micro_batch"),
        *("harness/models/fetch", "harness/models/download", "harness/models/convert"),
    ),
}
# Rows of programs that aren't ours stay as long as the machine and its packages do.
_OTHERS = ("bare loop", "bare loop busy", "one call", "lm-eval", "inspect", "pytest alone", "bare")


def code_of(part: str, root: Path) -> str:
    """Names the code that takes a part's time.

    Args:
        part: The part's name.
        root: The repository.
    """
    found = hashlib.sha256()
    for path in _files(part, root):
        tree = ast.parse(path.read_text("utf-8"))
        found.update(f"{path.relative_to(root)} {ast.dump(_without_docstrings(tree))}\n".encode())
    return found.hexdigest()[:16]


def is_of_others(row: str) -> bool:
    """Whether a row's figures are those of a program that isn't ours.

    Args:
        row: As in "64 distinct/bare loop", or "24 bare".
    """
    if "/tuning/" in row:
        return True
    return row.rpartition("/")[2] in _OTHERS or row.partition(" ")[2] in _OTHERS


def _files(part: str, root: Path) -> Iterator[Path]:
    elsewhere = _ELSEWHERE.get(part, ())
    for package in _PARTS.get(part, _ALL):
        within = root / package
        for path in [within] if within.suffix else sorted(within.rglob("*.py")):
            if not path.relative_to(root).as_posix().startswith(elsewhere):
                yield path


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return tree
