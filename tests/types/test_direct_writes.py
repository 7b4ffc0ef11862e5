"""Files are written whole: no module writes one by itself."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    path
    for package in ("harness", "trainers", "reports", "tunegate")
    for path in (ROOT / package).rglob("*.py")
)
# What these write is a part of a directory that is renamed, or counts, only when it is complete.
ALLOWED = {
    "harness/types/storage.py": {"open"},
    "harness/history/export.py": {"open"},
    # The null device.
    "tunegate/streams.py": {"open"},
    "harness/models/fetch.py": {"open", "copyfileobj"},
    "harness/models/download.py": {"open"},
    "trainers/multitask/steps.py": {"save_file", "save"},
    "trainers/multitask/network_directory.py": {"save_file"},
    "trainers/shared/actor_critic.py": {"save"},
    "trainers/shared/result.py": {"copy2"},
    "trainers/callback/kept_checkpoint.py": {"copy2"},
}
WRITES = {"write_text", "write_bytes", "copy", "copy2", "copyfile", "copyfileobj", "copytree", "move"}


def writes(source):
    """Names of calls that write a file by themselves; appending to a journal is none of them."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        called = ast.unparse(node.func)
        owner, _, name = called.rpartition(".")
        if name in {"write_text", "write_bytes"} or (owner == "shutil" and name in WRITES):
            found.add(name)
        elif name == "dump" and owner in {"json", "yaml", "pickle"}:
            found.add(called)
        elif name in {"save_file", "NamedTemporaryFile", "mkstemp"} or called == "torch.save":
            found.add(name)
        elif name in {"open", "fdopen"}:
            modes = [
                each.value
                for each in (*node.args, *(key.value for key in node.keywords))
                if isinstance(each, ast.Constant)
            ]
            if any(
                isinstance(mode, str) and set(mode) <= set("rwxabt+") and set(mode) & set("wx+")
                for mode in modes
            ):
                found.add(name)
    return found


def test_no_module_writes_a_file_by_itself():
    found = {str(path.relative_to(ROOT)): writes(path.read_text(encoding="utf-8")) for path in SOURCES}
    beyond = {name: calls - ALLOWED.get(name, set()) for name, calls in found.items()}
    assert {name: calls for name, calls in beyond.items() if calls} == {}


@pytest.mark.parametrize(
    "line",
    [
        "p.write_text('x')",
        "open(p, 'w')",
        "p.open(mode='xb')",
        "json.dump(x, f)",
        "shutil.copy(a, b)",
        "torch.save(x, p)",
    ],
)
def test_writing_is_found(line):
    assert writes(line)


@pytest.mark.parametrize(
    "line", ["p.open('a')", "open(p)", "p.open('rb')", "webbrowser.open('x.html')", "json.dumps(x)"]
)
def test_reading_and_appending_are_free(line):
    assert not writes(line)
