"""A simulation says that a figure is about right; beside each stands one that is known exactly."""

import ast
from pathlib import Path

import pytest

FILES = sorted(Path(__file__).parent.glob("test_*.py"))
MARK = "@pytest.mark.simulation"


def marked_tests(path: Path) -> dict[str, bool]:
    """Each test of a file, and whether it is a simulation."""
    functions = [
        node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
    ]
    return {
        function.name: any(MARK.endswith(ast.unparse(decorator)) for decorator in function.decorator_list)
        for function in functions
        if function.name.startswith("test_")
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_beside_a_simulation_stands_a_worked_example(path):
    simulated = marked_tests(path)
    if any(simulated.values()):
        exact = [name for name, is_simulation in simulated.items() if not is_simulation]
        assert any("worked_example" in name or "published_example" in name for name in exact)


def test_there_are_simulations():
    assert sum(sum(marked_tests(path).values()) for path in FILES) > 30
