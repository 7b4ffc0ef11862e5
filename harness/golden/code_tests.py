"""The tests of a ``code`` check as they are written: what they take from the answer, and what they can't do.

They run in another process than the answer, which then can't forge their outcome. What needs the answer's own
interpreter, or would let the answer's texts run as code, is refused, and so are tests that never run.
"""

import ast
import builtins
from collections.abc import Iterator
from dataclasses import dataclass

# What is used with the values that the answer gives, and acts on nothing of its process.
_MODULE_NAMES = """
__future__ abc array ast asyncio base64 binascii bisect calendar cmath collections contextlib copy csv
dataclasses datetime decimal difflib enum fractions functools hashlib heapq html io itertools json keyword
math numbers numpy operator os pathlib pprint pytest queue random re secrets shutil statistics string struct
sys tempfile textwrap time traceback types typing unicodedata unittest uuid warnings zlib zoneinfo
"""
_MODULES = frozenset(_MODULE_NAMES.split())
# Of modules that also act on their own process: what may be used.
_OF_SYS = "stdin stdout stderr maxsize float_info int_info version_info byteorder getsizeof"
_OF_OS = """
path sep linesep getcwd listdir scandir walk mkdir makedirs remove unlink rename replace rmdir stat fspath
PathLike
"""
_OF_ASYNCIO = """
run gather sleep wait_for timeout iscoroutinefunction iscoroutine TimeoutError CancelledError Lock Event Queue
Semaphore
"""
_PARTS = {
    "sys": frozenset(_OF_SYS.split()),
    "os": frozenset(_OF_OS.split()),
    "asyncio": frozenset(_OF_ASYNCIO.split()),
}
_REFUSED_NAMES = frozenset(
    (
        "__import__",
        "__builtins__",
        "builtins",
        "eval",
        "exec",
        "compile",
        "globals",
        "locals",
        "vars",
        "breakpoint",
    )
)
# They look for modules in the folder that the answer can write to, or replace what the answer doesn't see.
_REFUSED_ATTRIBUTES = frozenset(("discover", "loadTestsFromName", "loadTestsFromNames"))
_PATCHED = frozenset(("builtins.input", "sys.stdin", "sys.stdout", "sys.stderr"))
_STREAMS = frozenset(("stdin", "stdout", "stderr"))
# Functions of Python's that a task may ask for under their own names.
_FUNCTION_NAMES = """
abs all any ascii bin chr divmod enumerate filter format hash hex iter len map max min next oct ord pow range
reversed round sorted sum zip
"""
_FUNCTIONS = frozenset(_FUNCTION_NAMES.split())
# Tests with one of these look at files that the answer wrote.
_FILES = frozenset(("open", "os", "pathlib", "Path", "shutil", "csv"))


class CodeTestsError(ValueError):
    """Tests that can't judge an answer from a process of their own."""

    def __init__(self, problem: str, remedy: str) -> None:
        """What is wrong and what to write.

        Args:
            problem: As a sentence without its end.
            remedy: What to write in its place.
        """
        super().__init__(f"{problem}: {remedy}")
        self.problem, self.remedy = problem, remedy


@dataclass(frozen=True, slots=True, kw_only=True)
class CodeTests:
    """What tests say about themselves.

    Attributes:
        redefined: The function that is tested, if it is named like one of Python's.
        classes: Names, written as classes are, that the tests use and don't define.
        own_classes: Plain classes that they define, which an answer may use by name.
        uncalled: Their functions ``test_…`` without parameters that they never call.
    """

    redefined: str | None
    classes: frozenset[str]
    own_classes: frozenset[str]
    uncalled: tuple[str, ...]


def read_code_tests(tests: str) -> CodeTests:
    """Read tests.

    Args:
        tests: Python code.

    Raises:
        CodeTestsError: They need the answer's interpreter, or never run.
        SyntaxError: They are not Python.
    """
    tree = ast.parse(tests)
    nodes = list(ast.walk(tree))
    imported = {
        alias.asname or alias.name.partition(".")[0]
        for node in nodes
        if isinstance(node, ast.Import)
        for alias in node.names
    }
    for node in nodes:
        _require_apart(node, imported)
    _require_imported_as_they_are(nodes)
    bound = set(_bound(nodes))
    used = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    free = {name for name in used - bound if not hasattr(builtins, name) and not name.startswith("__")}
    _require_own_bases(tree, free)
    attributes = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return CodeTests(
        redefined=None if free else _redefined(used - (bound - _FILES)),
        classes=frozenset(name for name in (free | attributes) if name.lstrip("_")[:1].isupper()),
        own_classes=frozenset(_plain_classes(tree)),
        uncalled=_uncalled(tree, used | attributes),
    )


def _require_apart(node: ast.AST, imported: set[str]) -> None:
    if isinstance(node, ast.Name) and node.id in _REFUSED_NAMES:
        raise CodeTestsError(
            f"line {node.lineno}: the tests use {node.id}, which can't reach the answer's process",
            "call the answer's functions by their names, and read texts with ast.literal_eval or json",
        )
    if isinstance(node, ast.Attribute) and node.attr in _REFUSED_ATTRIBUTES:
        raise CodeTestsError(
            f"line {node.lineno}: {node.attr} would read tests from the answer's folder",
            "define the test cases here; they are run without a call",
        )
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in imported:
        allowed = _PARTS.get(node.value.id)
        if allowed is not None and node.attr not in allowed:
            raise _unreachable(node.lineno, f"{node.value.id}.{node.attr}")
        if isinstance(node.ctx, ast.Store | ast.Del) and node.attr not in _STREAMS:
            raise _unreachable(node.lineno, f"{node.value.id}.{node.attr} = …")
    if isinstance(node, ast.Call):
        _require_reaching(node, imported)


def _require_reaching(node: ast.Call, imported: set[str]) -> None:
    """A patch must be of what the answer's process takes from that of the tests: input and output."""
    words = ast.unparse(node.func).split(".")
    if "patch" in words:
        target = node.args[0].value if node.args and isinstance(node.args[0], ast.Constant) else None
        if words[-1] != "patch" or target not in _PATCHED:
            raise _unreachable(node.lineno, f"{'.'.join(words)}({target!r})")
    if (
        words == ["setattr"]
        and node.args
        and isinstance(node.args[0], ast.Name)
        and node.args[0].id in imported
    ):
        raise _unreachable(node.lineno, f"setattr({node.args[0].id}, …)")


def _unreachable(line: int, what: str) -> CodeTestsError:
    return CodeTestsError(
        f"line {line}: {what} would change the tests' process only, not the answer's",
        "give the answer's functions what they need as arguments; sys.stdin, sys.stdout and input may be "
        "replaced",
    )


def _require_imported_as_they_are(nodes: list[ast.AST]) -> None:
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                _require_known(alias.name, node.lineno)
                if alias.asname is not None and alias.name in _PARTS:
                    told = f"line {node.lineno}: {alias.name} has another name"
                    raise CodeTestsError(told, f"write import {alias.name}")
        elif isinstance(node, ast.ImportFrom):
            _require_known(node.module or ".", node.lineno)
            parts = _PARTS.get(node.module or "")
            for alias in node.names:
                if parts is not None and alias.name not in parts:
                    raise _unreachable(node.lineno, f"{node.module}.{alias.name}")


def _require_known(module: str, line: int) -> None:
    if module.partition(".")[0] not in _MODULES:
        raise CodeTestsError(
            f"line {line}: the tests import {module}, which acts on its own process and not on the answer's",
            "compare values that the answer's functions give; modules that compute may be imported, and io, "
            "random, unittest, asyncio, pytest",
        )


def _bound(nodes: list[ast.AST]) -> Iterator[str]:
    """All names that the tests give something to, in whatever scope."""
    for node in nodes:
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.alias):
            yield (node.asname or node.name).partition(".")[0]
        elif (isinstance(node, ast.ExceptHandler) and node.name) or (
            isinstance(node, ast.MatchAs | ast.MatchStar) and node.name
        ):
            yield node.name


def _redefined(used: set[str]) -> str | None:
    """The one function of Python's that tests may mean, where they use no name of the answer's own."""
    meant = [] if used & _FILES else sorted(used & _FUNCTIONS)
    if len(meant) > 1:
        raise CodeTestsError(
            f"the tests use no function of the answer but may mean {' or '.join(meant)}",
            "write expected values out, so that one function is left, or give the tested one another name",
        )
    return meant[0] if meant else None


def _require_own_bases(tree: ast.Module, free: set[str]) -> None:
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            names = {one.id for base in node.bases for one in ast.walk(base) if isinstance(one, ast.Name)}
            if taken := sorted(names & free):
                raise CodeTestsError(
                    f"line {node.lineno}: {node.name} is derived from the answer's {taken[0]}",
                    "use the answer's class itself; it is in another process",
                )


def _plain_classes(tree: ast.Module) -> Iterator[str]:
    """Classes of values; not of test cases, whose methods decide."""
    known = {"object", "Exception", "ValueError", "RuntimeError", "NamedTuple", "Enum"}
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and not node.keywords:
            bases = {base.id for base in node.bases if isinstance(base, ast.Name)}
            if len(bases) == len(node.bases) and bases <= known:
                known.add(node.name)
                yield node.name


def _uncalled(tree: ast.Module, used: set[str]) -> tuple[str, ...]:
    found = []
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or node.name in used:
            continue
        remedy = f"such as {node.name}(…)"
        if isinstance(node, ast.ClassDef):
            remedy = "derive it from unittest.TestCase"
            if any("Test" in ast.unparse(base) for base in node.bases):
                continue
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test") and not ast.unparse(node.args):
            found.append(node.name)
        elif any(isinstance(inner, ast.Assert) for inner in ast.walk(node)):
            raise CodeTestsError(f"line {node.lineno}: the tests define {node.name} and never use it", remedy)
    return tuple(found)
