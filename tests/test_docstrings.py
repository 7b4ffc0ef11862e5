"""Public functions say what they take and give back, where their names can't say it.

A function with two or more parameters documents each of them under ``Args``. If it gives back several values,
a mapping, or a list of numbers, ``Returns`` tells which, in what order and unit.
"""

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
# The signatures of pytest's hooks are documented where they are specified.
HOOKS = re.compile(r"pytest_")
OURS = {"harness", "trainers", "reports", "tunegate", "pydantic"}
NEEDS_RETURNS = re.compile(r"tuple\[(?!.*\.\.\.\])|dict\[|Mapping\[|(list|Sequence)\[(float|int)\]")


def functions(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef]]:
    """Public functions and methods of public classes, by qualified name.

    Methods of a class that extends a library's are left out: that library says what it calls them with.
    """
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.name.startswith("_"):
            yield node.name, node
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_") and not extends(node, tree):
            for method in node.body:
                if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
                    yield f"{node.name}.{method.name}", method


def extends(node: ast.ClassDef, tree: ast.Module) -> bool:
    """Whether a class extends one of a library beyond Python's own and pydantic."""
    origin = {}
    for statement in ast.walk(tree):
        if isinstance(statement, ast.ImportFrom | ast.Import):
            for name in statement.names:
                module = statement.module if isinstance(statement, ast.ImportFrom) else name.name
                origin[(name.asname or name.name).partition(".")[0]] = str(module).partition(".")[0]
    roots = {origin.get(re.match(r"\w*", ast.unparse(base))[0], "builtins") for base in node.bases}
    return bool(roots - OURS - sys.stdlib_module_names)


def parameters(node: ast.FunctionDef) -> list[str]:
    """Names of what a caller gives."""
    arguments = node.args
    several = [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    every = [*arguments.posonlyargs, *arguments.args, *several, *arguments.kwonlyargs]
    return [one.arg for one in every if one.arg not in {"self", "cls"} and not one.arg.startswith("_")]


def section(docstring: str, *names: str) -> str | None:
    """The lines below one of these headings; None without any."""
    found = re.search(rf"^(?:{'|'.join(names)}):\n((?:    .*\n|\n)*)", docstring + "\n", re.MULTILINE)
    return found[1] if found else None


def is_command(node: ast.FunctionDef) -> bool:
    """Whether typer makes an option of each parameter, which has its help beside it."""
    arguments = [*node.args.args, *node.args.kwonlyargs]
    written = [ast.unparse(one.annotation) for one in arguments if one.annotation is not None]
    return any("typer.Option(" in one or "typer.Argument(" in one for one in written)


def is_protocol(node: ast.AST) -> bool:
    """Whether it is a class that says what other classes have to offer."""
    return isinstance(node, ast.ClassDef) and any("Protocol" in ast.unparse(one) for one in node.bases)


def promised() -> set[tuple[str, ...]]:
    """Name and parameters of each method that a protocol asks for; the protocol says what it means."""
    return {
        (method.name, *parameters(method))
        for path in sources()
        for node in ast.parse(path.read_text(encoding="utf-8")).body
        if is_protocol(node)
        for method in node.body
        if isinstance(method, ast.FunctionDef)
    }


def sources() -> Iterator[Path]:
    """Files of the three packages."""
    for package in ("harness", "trainers", "reports"):
        yield from sorted((ROOT / package).rglob("*.py"))


def lacking(name: str, node: ast.FunctionDef) -> str | None:
    """What a function's docstring lacks."""
    wanted = parameters(node)
    if len(wanted) < 2 or is_command(node) or HOOKS.match(name.rpartition(".")[2]):
        return None
    docstring = ast.get_docstring(node) or ""
    listed = section(docstring, "Args")
    if listed is None:
        return "Args"
    named = set(re.findall(r"^    \*{0,2}(\w+):", listed, re.MULTILINE))
    if missing := [one for one in wanted if one not in named]:
        return f"Args: {', '.join(missing)}"
    returned = "" if node.returns is None else ast.unparse(node.returns)
    if NEEDS_RETURNS.match(returned) and section(docstring, "Returns", "Yields") is None:
        return "Returns"
    return None


def undocumented() -> dict[str, str]:
    """What is lacking, by file and function."""
    found, of_protocols = {}, promised()
    for path in sources():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        protocols = {node.name for node in tree.body if is_protocol(node)}
        for name, node in functions(tree):
            owner, _, method = name.rpartition(".")
            documented_there = owner not in {"", *protocols} and (method, *parameters(node)) in of_protocols
            if not documented_there and (problem := lacking(name, node)) is not None:
                found[f"{path.relative_to(ROOT).as_posix()}::{name}"] = problem
    return found


def test_public_functions_say_what_they_take_and_give_back():
    assert undocumented() == {}


def test_a_lack_is_found():
    """Each rule on a function that breaks it, so that the rules can't die unnoticed."""
    sources = {
        'def f(a, b):\n    """Add."""': "Args",
        'def f(a, b):\n    """Add.\n\n    Args:\n        a: One.\n    """': "Args: b",
        'def f(a, b) -> tuple[int, str]:\n    """Add.\n\n    Args:\n        a: One.\n        b: Two.\n    """': "Returns",
        'def f(a, b) -> tuple[int, ...]:\n    """Add.\n\n    Args:\n        a: One.\n        b: Two.\n    """': None,
        'def f(a):\n    """Double."""': None,
        'def f(self, a, _b):\n    """Double."""': None,
    }
    for source, problem in sources.items():
        (node,) = ast.parse(source).body
        assert isinstance(node, ast.FunctionDef)
        assert lacking("f", node) == problem, source
