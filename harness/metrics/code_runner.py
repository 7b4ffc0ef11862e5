"""The child process of ``code`` checks: runs a model's code and its tests under limits. A script of its own.

The answer runs in a process of its own, confined by the kernel where that is possible, which learns nothing
of the tests except the calls that they make.
"""

import builtins
import json
import linecache
import os
import socket
import struct
import sys
import types
from typing import Any

sys.path.insert(0, sys.argv[2])
from harness.golden.code_tests import read_code_tests
from harness.metrics.code_answer_side import AnswerSide, NamesOfTests
from harness.metrics.code_confinement import confine, cut_network, hide_memory
from harness.metrics.code_link import AnswerEndedError, Link
from harness.metrics.code_processes import end_with_parent, limit, watch
from harness.metrics.code_sides import NamesOfBoth, TestsSide, run_in_both

sys.path.remove(sys.argv[2])
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


def _run_answer(job: dict[str, Any], link: Link, directory: str, unlimited: list[str]) -> None:
    """The process of the answer: its code, then what the tests ask for."""
    end_with_parent()
    missing = [*confine(directory), *unlimited]
    watch(directory)
    # By its name it is found for pickling and type hints; a main guard is for programs, not for tests.
    module = types.ModuleType("answer")
    sys.modules["answer"] = module
    known = NamesOfTests(vars(builtins))
    if job["classes"]:
        module.__dict__["__builtins__"] = known
    failed = _executed(job["code"].removeprefix("\ufeff"), "answer.py", module.__dict__)
    link.send([failed, missing])
    if failed is None:
        known.side = AnswerSide(link, module.__dict__)
        known.side.connect_streams()
        known.side.serve()


def _run_tests(tests: str, link: Link, *, as_root: bool) -> tuple[bool, str]:
    """Whether the answer passes its tests, and why not."""
    try:
        failed, missing = link.receive()
        if failed is None:
            failed = _tested(tests, link)
    except (AnswerEndedError, ValueError, TypeError, RecursionError):
        return False, _ENDED
    if failed is not None:
        return False, str(failed)
    if not missing:
        return True, "all tests pass"
    root = "; the code ran as root" if as_root else ""
    return True, f"all tests pass (this system's kernel can't confine {' and '.join(missing)}{root})"


def _tested(tests: str, link: Link) -> str | None:
    """What the tests failed with, or None. They are the main module, as unittest expects."""
    module = types.ModuleType("__main__")
    sys.modules["__main__"], sys.argv = module, ["tests.py"]
    written, names = read_code_tests(tests), module.__dict__
    side = TestsSide(link, written, names)
    names["__builtins__"] = NamesOfBoth(side, written.redefined)
    run_in_both(side, tests)
    cases = _UnittestRun() if "unittest" in tests else None
    failed = _executed(tests, "tests.py", names)
    if failed is None and written.uncalled:
        calls = "\n".join(f"{name}()" for name in written.uncalled)
        failed = _executed(calls, "tests.py", names)
    if failed is None and cases is not None:
        failed = cases.failed(names)
    side.require_alive()
    return failed


class _UnittestRun:
    """What test cases of unittest found, whoever ran them; where nobody did, they are run."""

    def __init__(self) -> None:
        """Watch unittest from now on."""
        import unittest

        self._found: list[str] = []
        self._ran = False
        original = unittest.TestCase.run

        def run(case: Any, result: Any = None) -> Any:
            self._ran = True
            return original(case, result)

        unittest.TestCase.run = run  # type: ignore[method-assign, assignment]
        for name in ("addFailure", "addError", "addUnexpectedSuccess", "addSkip"):
            setattr(unittest.TestResult, name, self._kept(getattr(unittest.TestResult, name)))
        subtest: Any = unittest.TestResult.addSubTest

        def add_subtest(result: Any, case: Any, one: Any, error: Any) -> None:
            if error is not None:
                self._found.append(f"{one}: {_described(error[1], 'tests.py')}")
            subtest(result, case, one, error)

        unittest.TestResult.addSubTest = add_subtest  # type: ignore[method-assign, assignment]
        main: Any = unittest.main

        class Main(main):  # type: ignore[misc]
            """Without an exit, which would end the tests."""

            def runTests(self) -> None:  # noqa: N802 # unittest's name
                self.exit = False
                super().runTests()

        unittest.main = Main

    def _kept(self, add: Any) -> Any:
        def added(result: Any, case: Any, *told: Any) -> None:
            error = told[0] if told else "an unexpected success"
            self._found.append(
                f"{case}: {_described(error[1], 'tests.py') if isinstance(error, tuple) else error}"
            )
            add(result, case, *told)

        return added

    def failed(self, names: dict[str, Any]) -> str | None:
        """The first failure, or None.

        Args:
            names: The namespace of the tests, with their classes.
        """
        import unittest

        if not self._ran:
            suite = unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])
            suite.run(unittest.TestResult())
        return self._found[0] if self._found else None


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
    # In a network of its own the process is nobody by its number, and still root to files.
    as_root = os.geteuid() == 0
    cut_network()
    unlimited = limit(job["seconds"], job["memory"], job["file_size"])
    ours, theirs = socket.socketpair()
    # Before the tests are read, so that the answer's process never holds them.
    child = os.fork()
    if child == 0:
        os.dup2(null, 0)
        os.close(result)
        ours.close()
        try:
            _run_answer(job, Link(theirs), directory, unlimited)
        finally:
            os._exit(0)
    theirs.close()
    hide_memory()
    tests = _read()
    os.dup2(null, 0)
    watch(directory)
    passed, reason = _run_tests(tests, Link(ours), as_root=as_root)
    line = json.dumps({"passed": passed, "reason": reason})
    os.write(result, line.encode("utf-8", "replace"))
    # Ending this process ends the other one; the parent ends the whole group.
    os._exit(0)


if __name__ == "__main__":
    main()
