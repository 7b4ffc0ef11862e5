"""The child process of ``code`` checks: runs a model's code and its tests under limits. A script of its own.

The answer runs in a process of its own, confined by the kernel where that is possible, which learns nothing
of the tests except the calls that they make. Tests that need the answer in their own interpreter (they import
more than mathematics, or define classes) run beside it, where an answer could forge their outcome.
"""

import ast
import json
import linecache
import os
import secrets
import socket
import struct
import sys
import types
from typing import Any

sys.path.insert(0, sys.argv[2])
from harness.metrics.code_confinement import (
    confine,
    cut_network,
    end_with_parent,
    hide_memory,
    limit,
    watch,
)
from harness.metrics.code_remote import AnswerSide, NamesOfBoth, TestsSide
from harness.metrics.code_wire import AnswerEndedError, Link

sys.path.remove(sys.argv[2])
# A name that the last line of tests sets that run beside the answer.
_LAST = "__last_line__"
_ENDED = "the program ended before its tests did"


def _executed(source: str, file: str, names: dict[str, Any]) -> str | None:
    """Run a source; what it failed with, or None."""
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    try:
        exec(compile(source, file, "exec", dont_inherit=True), names)
    except AnswerEndedError:
        raise
    except BaseException as error:  # SystemExit is an end before the tests, too
        return _described(error, file)
    return None


def _described(error: BaseException, file: str) -> str:
    line, trace = getattr(error, "lineno", None), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    text = str(error).partition("\n")[0][:200]
    what = f"{type(error).__name__}: {text}" if text else type(error).__name__
    return f"{file}:{line}: {what}" if line else f"{file}: {what}"


def _run_answer(job: dict[str, Any], link: Link, directory: str) -> None:
    """The process of the answer: its code, then what the tests ask for, or the tests themselves."""
    end_with_parent()
    missing = confine(directory)
    watch(directory)
    # By its name it is found for pickling and type hints; a main guard is for programs, not for tests.
    module = types.ModuleType("answer")
    sys.modules["answer"] = module
    failed = _executed(job["code"].removeprefix("\ufeff"), "answer.py", module.__dict__)
    link.send([failed, missing])
    if failed is not None:
        return
    if job["apart"]:
        AnswerSide(link, module.__dict__).serve()
        return
    failed = _executed(link.receive(), "tests.py", module.__dict__)
    link.send([failed, module.__dict__.get(_LAST)])


def _run_tests(job: dict[str, Any], tests: str, link: Link) -> tuple[bool, str]:
    """Whether the answer passes its tests, and why not."""
    try:
        failed, missing = link.receive()
        if failed is None and job["apart"]:
            used = {node.id for node in ast.walk(ast.parse(tests)) if isinstance(node, ast.Name)}
            both = NamesOfBoth(TestsSide(link), used)
            names: dict[str, Any] = {"__name__": "tests", "__builtins__": both}
            failed = _executed(tests, "tests.py", names)
        elif failed is None:
            word = secrets.token_hex(16)
            link.send(f"{tests}\n{_LAST} = {word!r}\n")
            failed, last = link.receive()
            if failed is None and last != word:
                return False, _ENDED
    except (AnswerEndedError, ValueError, TypeError):
        return False, _ENDED
    if failed is not None:
        return False, str(failed)
    told = f" (this system's kernel can't confine {' and '.join(missing)})" if missing else ""
    return True, f"all tests pass{told}"


def _read() -> Any:
    """The next part of the job. Nothing is read ahead: the answer's process would have it in its memory."""

    def exactly(size: int) -> bytes:
        parts = b""
        while len(parts) < size:
            part = os.read(0, size - len(parts))
            if not part:
                raise EOFError("the job is incomplete")
            parts += part
        return parts

    return json.loads(exactly(*struct.unpack("!I", exactly(4))))


def main() -> None:
    """Read the job from standard input, do it, and write the result to the descriptor in the arguments."""
    job = _read()
    result = int(sys.argv[1])
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (1, 2):
        os.dup2(null, descriptor)
    directory = os.path.realpath(".")
    cut_network()
    limit(job["seconds"], job["memory"], job["file_size"])
    ours, theirs = socket.socketpair()
    # Before the tests are read, so that the answer's process never holds them.
    child = os.fork()
    if child == 0:
        os.dup2(null, 0)
        os.close(result)
        ours.close()
        try:
            _run_answer(job, Link(theirs), directory)
        finally:
            os._exit(0)
    theirs.close()
    hide_memory()
    tests = _read()
    os.dup2(null, 0)
    watch(directory)
    passed, reason = _run_tests(job, tests, Link(ours))
    line = json.dumps({"passed": passed, "reason": reason})
    os.write(result, line.encode("utf-8", "replace"))
    # Ending this process ends the other one; the parent ends the whole group.
    os._exit(0)


if __name__ == "__main__":
    main()
