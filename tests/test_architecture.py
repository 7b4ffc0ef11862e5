"""The house: the page shows the layers of today, rooms stay few, functions and files stay small."""

import ast
import importlib.util
import re
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
PACKAGES = ("harness", "trainers", "reports", "tunegate")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
_MEDIAN_LINES, _MOST_LINES, _MOST_LINES_OF_A_FUNCTION, _MOST_ROOMS = 120, 400, 60, 25


def drawn():
    spec = importlib.util.spec_from_file_location("draw_layers", ROOT / "docs" / "draw_layers.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_shows_todays_layers():
    """Renew it with ``python docs/draw_layers.py --write``."""
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert drawn().renewed(page) == page


def test_each_room_says_what_it_is_for():
    module = drawn()
    rooms = [
        (package, room)
        for package in ("harness", "trainers")
        for floor in module.layers(package)
        for room in floor
    ]
    assert [room for room in rooms if not module.purpose(*room)] == []


def test_the_phases_of_a_session_name_files_that_exist():
    """Files are joined and renamed; what tells the way through them has to follow."""
    phases = ast.get_docstring(ast.parse((ROOT / "harness" / "plugin" / "__init__.py").read_text()))
    named = re.findall(r"``([a-z_.]+)``", phases)
    assert len(named) >= 6
    for name in named:
        path = ROOT / name.replace(".", "/") if "." in name else ROOT / "harness" / "plugin" / name
        assert path.is_dir() or path.with_suffix(".py").is_file(), name


def test_rooms_stay_few():
    """The harness's rooms, and the two packages above it."""
    rooms = [room for floor in drawn().layers("harness") for room in floor]
    assert len(rooms) + 2 <= _MOST_ROOMS


def test_files_stay_small():
    """Those of the sources and those of the tests."""
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in SOURCES + TESTS
    }
    assert {name: count for name, count in lines.items() if count > _MOST_LINES} == {}
    assert median(lines[str(path.relative_to(ROOT))] for path in SOURCES) < _MEDIAN_LINES


def test_functions_stay_small():
    lines = {
        f"{path.relative_to(ROOT)}: {node.name}": node.end_lineno - node.lineno + 1
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert {name: count for name, count in lines.items() if count > _MOST_LINES_OF_A_FUNCTION} == {}


# Where a process or a thread ends: there, Ctrl-C is a case of its own, or the language's rules are another's.
_BOUNDARIES = {
    "harness/engines/workers/template.py",
    "harness/errors.py",
    "harness/metrics/call_limit.py",
    "harness/metrics/code_remote.py",
    "harness/metrics/code_runner.py",
    "harness/metrics/definition.py",
    "harness/plugin/delivery.py",
    "harness/plugin/hooks.py",
    "harness/presentation/boundary.py",
    "harness/registry/plugins.py",
    "harness/registry/process_guard.py",
}


def test_faults_of_others_code_are_handled_in_one_way():
    """``handled_faults`` and ``faults_of``: elsewhere whatever is caught is raised again after a clean-up."""
    found = {
        str(path.relative_to(ROOT))
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and ast.unparse(node.type or ast.Name("")) == "BaseException"
        and not (isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None)
    }
    assert found - _BOUNDARIES == set()
