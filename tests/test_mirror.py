"""Whoever changes a module knows where its tests are: by name, by an import, or by ``mirror.txt``.

The tests of ``harness/statistics/clusters.py`` are ``tests/statistics/test_clusters.py``, and a part of it has
``test_clusters_rates.py``; trainers and reports have folders of their own. A module may also be tested by name in
another file, which then imports it. What is left is a part of something that is only seen whole: a pytest session,
a training run, a rendered report, an answer of an engine. ``mirror.txt`` says where that is tested.
"""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
PARTS = dict(
    line.split(": ", 1) for line in (ROOT / "tests" / "mirror.txt").read_text(encoding="utf-8").splitlines()
)


def imported() -> set[str]:
    """Modules that a test names in an import, and names that it takes out of them."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and node.module:
                found |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
            elif isinstance(node, ast.Import):
                found |= {name.name for name in node.names}
    return found


def has_functions(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return any(isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) for node in ast.walk(tree))


def modules() -> list[str]:
    """All modules with functions, by their paths."""
    return [
        str(path.relative_to(ROOT))
        for package in ("harness", "trainers", "reports")
        for path in sorted((ROOT / package).rglob("*.py"))
        if has_functions(path)
    ]


def has_tests_by_name(module: str) -> bool:
    place = Path(module.removeprefix("harness/"))
    return (ROOT / "tests" / place.parent / f"test_{place.name}").exists()


def test_it_is_known_where_a_module_is_tested():
    named = imported()
    unknown = [
        module
        for module in modules()
        if not has_tests_by_name(module)
        and module.removesuffix(".py").removesuffix("/__init__").replace("/", ".") not in named
        and module not in PARTS
    ]
    assert unknown == []


def test_what_is_seen_whole_alone_is_there():
    """Modules that moved leave the list, and so do tests, and modules that got tests of their name."""
    assert [module for module in PARTS if has_tests_by_name(module)] == []
    assert [module for module in PARTS if not (ROOT / module).exists()] == []
    assert [place for place in PARTS.values() if not (ROOT / place).exists()] == []
