"""The conftest.py of a project's root as a plug-in of commands, which have no pytest that would load it.

It is imported only by a command that looks a name up, and only if it defines the hook for plug-ins.
"""

import importlib.util
import sys
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tunegate.project import command_project

if TYPE_CHECKING:
    import ast

HOOK = "pytest_tunegate_register"
_NAME = "conftest"


class _Process:
    runs_command = False


@contextmanager
def conftest_of_project() -> Iterator[None]:
    """Let plug-ins be read from the project's conftest.py: a command runs, which is not pytest's own."""
    before, _Process.runs_command = _Process.runs_command, True
    try:
        yield
    finally:
        _Process.runs_command = before


def registering_conftest() -> Path | None:
    """The conftest.py of the current command's project, if it defines the hook."""
    path = Path.cwd() / command_project(Path.cwd()) / f"{_NAME}.py"
    return path if _is_command() and _defines_hook(path) else None


def _is_command() -> bool:
    """Whether a command runs, or a trainer by ``python -m``, which looks names up while it is imported."""
    module = getattr(sys.modules.get("__main__"), "__spec__", None)
    return _Process.runs_command or (module is not None and module.name.startswith("trainers."))


def hook_of(path: Path) -> Callable[..., Any]:
    """Import a conftest.py as pytest would, with its folder first on the path, and give its hook."""
    for folder in reversed([path.parent, *_python_path(path.parent)]):
        if str(folder) not in sys.path:
            sys.path.insert(0, str(folder))
    spec = importlib.util.spec_from_file_location(_NAME, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[_NAME] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[_NAME]
        raise
    hook: Callable[..., Any] = getattr(module, HOOK)
    return hook


def _defines_hook(path: Path) -> bool:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False
    if HOOK not in text:
        return False
    import ast

    try:
        return any(_binds_hook(node) for node in ast.parse(text).body)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        # It is imported, so that whoever imports it says what is wrong with it.
        return True


def _binds_hook(node: "ast.stmt") -> bool:
    """Whether a statement at the top of a module defines the hook, or imports it."""
    import ast

    if isinstance(node, ast.FunctionDef):
        return node.name == HOOK
    return isinstance(node, ast.ImportFrom) and any(HOOK in {name.name, name.asname} for name in node.names)


def _python_path(root: Path) -> list[Path]:
    """The folders that pytest's setting ``pythonpath`` in pyproject.toml adds."""
    try:
        tool = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8")).get("tool", {})
        pytest_table = tool.get("pytest", {})
        written = pytest_table.get("ini_options", pytest_table).get("pythonpath", [])
    except (OSError, ValueError, AttributeError, RecursionError):
        return []
    names = written.split() if isinstance(written, str) else written
    return [root / name for name in names if isinstance(name, str)]
