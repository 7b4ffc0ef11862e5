"""Answers that are programs: what passes, what fails, and what they can't do."""

import re
import sys

import pytest

from harness.errors import SettingsError
from harness.golden.value_rules import TogetherError, check_together
from harness.metrics import code_check
from harness.metrics.code_check import run_code
from harness.metrics.code_processes import limit
from harness.metrics.definition import ScoringRequest
from harness.run.inputs import require_permitted
from harness.run.scoring import Judging, score_cases
from harness.types import Check, Completion, GoldenCase, Outcome, Permissions

TESTS = "assert add(1, 2) == 3"
ADD = "def add(a, b):\n    return a + b\n"
unix = pytest.mark.skipif(sys.platform == "win32", reason="limits of Unix")


@pytest.mark.parametrize(
    "code",
    [
        ADD,
        ADD + "print('x' * 10**6)\n",
        "import math, json, re, collections, itertools, functools, random, datetime\n" + ADD,
        ADD + "open('f', 'w').write('x')\nimport os\nos.remove('f')\n",
        ADD
        + "import tempfile\nwith tempfile.TemporaryDirectory() as t:\n    open(t + '/x', 'w').write('1')\n",
        ADD + "if __name__ == '__main__':\n    add(1, 1)\n",
        ADD + "import threading\nthreading.Thread(target=lambda: [None for _ in iter(int, 1)]).start()\n",
    ],
)
def test_a_right_program_passes(code):
    assert run_code(code, TESTS) == (True, "all tests pass")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def add(a, b):\n    return a - b", "tests.py:1: AssertionError"),
        ("", "tests.py:1: NameError: name 'add' is not defined"),
        ("x = (", "answer.py:1: SyntaxError"),
        ("Sure! Here it is", "answer.py:1: SyntaxError"),
        ("\n\n1 / 0", "answer.py:3: ZeroDivisionError: division by zero"),
        (ADD + "import sys\nsys.exit(0)", "answer.py:4: SystemExit: 0"),
        (ADD + "import os\nos._exit(0)", "the program ended before its tests did"),
        ("raise KeyboardInterrupt", "answer.py:1: KeyboardInterrupt"),
        ("def f():\n    f()\nf()", "answer.py:2: RecursionError"),
        ("import nothing_of_this_name", "answer.py:1: ModuleNotFoundError"),
        ("input()", "answer.py:1: EOFError"),
        ("\ud800", "answer.py: UnicodeEncodeError"),
        ("x = 1\0", "answer.py"),
    ],
)
def test_a_wrong_program_fails_with_its_reason(code, reason):
    passed, told = run_code(code, TESTS)
    assert not passed
    assert told.startswith(reason)


@unix
@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("while True:\n    pass", "stopped by the limit of 1 s"),
        ("import time\ntime.sleep(60)", "stopped by the limit of 1 s"),
        ("x = 'a' * (2 * 2**30)", "answer.py:1: MemoryError"),
        ("open('f', 'w').write('x' * 2**25)", "answer.py:1: OSError"),
    ],
)
def test_limits(code, reason):
    passed, told = run_code(code, TESTS, seconds=1, megabytes=512)
    assert not passed
    assert told.startswith(reason)


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os\nos.unlink({file!r})", "change only its own directory"),
        (
            "import os\nd = os.open({folder!r}, os.O_RDONLY)\nos.unlink('precious.txt', dir_fd=d)",
            "PermissionError",
        ),
        ("import shutil\nshutil.rmtree({folder!r})", "change only its own directory"),
        ("import os\nos.rename({file!r}, 'x')", "change only its own directory"),
        ("import os\nos.truncate({file!r}, 0)", "change only its own directory"),
        ("open({file!r}, 'w')", "write only in its own directory"),
        ("open({file!r}, 'a')", "write only in its own directory"),
        (
            "import os\nos.symlink({folder!r}, 'e')\nopen('e/precious.txt', 'w')",
            "write only in its own directory",
        ),
        ("import os\nos.chdir('/')", "may not use os.chdir"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "may use no network"),
        ("import socket\nsocket.getaddrinfo('localhost', 80)", "may use no network"),
        ("import subprocess\nsubprocess.run(['true'])", "may start no process"),
        ("import os\nos.system('true')", "may start no process"),
        ("import os\nos.fork()", "may start no process"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGTERM)", "may not use os.kill"),
    ],
)
def test_nothing_outside_of_its_directory_is_changed(tmp_path, code, reason):
    """Each only tries it on a file made for it."""
    file = tmp_path / "precious.txt"
    file.write_text("kept")
    passed, told = run_code(code.format(file=str(file), folder=str(tmp_path)), TESTS)
    assert not passed
    assert f"PermissionError: this code may {reason.removeprefix('may ')}" in told or reason in told
    assert file.read_text() == "kept"


linux = pytest.mark.skipif(sys.platform != "linux", reason="what Linux refuses")


ESCAPES = [
    "import ctypes\nctypes.pythonapi.system(b'touch {file}')",
    "import ctypes\nassert ctypes.pythonapi.fork() < 0",
    "import ctypes\nassert ctypes.pythonapi.socket(2, 1, 0) < 0",
    "import ctypes\nctypes.pythonapi.creat(b'{file}', 0o644)",
    "import multiprocessing.util as u\ntry:\n    u.spawnv_passfds(b'/bin/touch', [b'touch', b'{file}'], [])\nexcept OSError:\n    pass",
    "import os\ntry:\n    os.spawnv(os.P_NOWAIT, '/bin/touch', ['touch', '{file}'])\nexcept OSError:\n    pass",
    "import sqlite3\ntry:\n    sqlite3.connect('{file}').execute('create table t(a)')\nexcept Exception:\n    pass",
    "import os\ntry:\n    d = os.open('{folder}', os.O_PATH)\n    os.open('made', os.O_CREAT | os.O_WRONLY, dir_fd=d)\nexcept OSError:\n    pass",
    "import os\nfor make in (os.mkfifo, os.mknod):\n    try:\n        make('{file}')\n    except OSError:\n        pass",
    "import os\nfor link in (os.symlink, os.link):\n    try:\n        link('/etc/passwd', '{file}')\n    except OSError:\n        pass",
    "import os\ntry:\n    os.symlink('{folder}', 'l')\n    open('l/made', 'w')\nexcept OSError:\n    pass",
    "for path in ('/etc/shadow', '/proc/self/root/etc/shadow', '/proc/1/cmdline', '/proc/1/environ', '/root/.profile'):\n    try:\n        open(path).read()\n        raise SystemExit\n    except OSError:\n        pass",
    "try:\n    open('{folder}/secret').read()\n    open('/dev/null', 'w').write('1')\n    raise SystemExit\nexcept OSError:\n    pass",
]


@linux
def test_what_python_doesn_t_report_is_refused_by_the_kernel(tmp_path):
    """None leaves a trace, and the answer is right but for them; one after the other in one process."""
    if kernel_lacks():
        pytest.skip(f"this kernel can't confine {' and '.join(kernel_lacks())}")
    (tmp_path / "secret").write_text("kept")
    code = "\n".join(one.format(file=tmp_path / "made", folder=tmp_path) for one in ESCAPES)
    assert run_code(f"{code}\n{ADD}", TESTS) == (True, "all tests pass")
    assert [one.name for one in tmp_path.iterdir()] == ["secret"]


PATCHED = """
import os, runpy, sys
sys.path.insert(0, sys.argv[2])
import harness.metrics.code_confinement as confinement
sys.path.remove(sys.argv[2])
os.geteuid = lambda: {before}
confinement.cut_network = lambda: setattr(os, "geteuid", lambda: {after})
confinement.confine = lambda directory: ["files"]
runpy.run_path({runner!r}, run_name="__main__")
"""


@unix
@pytest.mark.parametrize(("uid", "told"), [(0, "; the code ran as root"), (1000, "")])
def test_that_the_code_ran_as_root_is_told_whatever_number_it_has_then(tmp_path, monkeypatch, uid, told):
    """Without a network root is user 65534, and the files of root can still be written."""
    runner = tmp_path / "runner.py"
    runner.write_text(PATCHED.format(before=uid, after=65534, runner=str(code_check._RUNNER)))
    monkeypatch.setattr(code_check, "_RUNNER", runner)
    passed, reason = run_code(ADD, TESTS)
    assert passed
    assert reason.startswith("all tests pass (this system's kernel can't confine files")
    assert reason.endswith(f"{told})")


@unix
@pytest.mark.parametrize(
    ("platform", "kept", "missing"),
    [
        ("linux", 2**20, []),
        ("linux", 2**19, []),
        ("linux", -1, ["memory"]),
        ("linux", 2**21, ["memory"]),
        ("darwin", 2**20, ["memory"]),
    ],
)
def test_a_limit_of_memory_that_the_system_refuses_is_told(monkeypatch, platform, kept, missing):
    """As macOS does; a smaller one that was there before is one."""

    def refuse(kind, limits):
        raise ValueError("current limit exceeds maximum limit")

    monkeypatch.setattr("resource.setrlimit", refuse)
    monkeypatch.setattr("resource.getrlimit", lambda kind: (kept, kept))
    monkeypatch.setattr("signal.setitimer", lambda which, seconds: None)
    monkeypatch.setattr("harness.metrics.code_processes.sys.platform", platform)
    assert limit(1.0, 2**20, 2**10) == missing


def kernel_lacks() -> list[str]:
    """What a passing check says that this kernel can't confine."""
    told = run_code(ADD, TESTS)[1].removeprefix("all tests pass")
    return (
        re.split(r"; |\)", told.removeprefix(" (this system's kernel can't confine "))[0].split(" and ")
        if told
        else []
    )


def test_a_refused_process_is_said_so():
    start = "import multiprocessing\nmultiprocessing.Process(target=print).start()"
    assert "this code may start no process" in run_code(start, TESTS)[1]


def test_the_environment_is_not_given(monkeypatch):
    monkeypatch.setenv("TUNEGATE_JUDGE_API_KEY", "secret")
    assert run_code("import os", "assert 'TUNEGATE_JUDGE_API_KEY' not in os.environ")[0]


def run(text: str, *, allowed: bool = True, **check: object):
    made = Check(type="code", value=TESTS, **check)
    case = GoldenCase(id="a", set_name="s", messages=(), checks=(made,))
    answer = Completion(text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=1.0)
    return score_cases([case], {case.key: answer}, judging=Judging(allowed=Permissions(code=allowed)))[0]


def test_a_code_block_is_taken_out_by_a_transform():
    block = f"Here:\n```python\n{ADD}```\nIt adds."
    assert run(block).outcome is Outcome.FAILED
    assert run(block, transform=("code-block",)).outcome is Outcome.PASSED
    assert run(" ").scores[0].explanation == "the answer is empty"


def test_without_permission_nothing_runs():
    result = run(ADD, allowed=False)
    assert result.outcome is Outcome.ERRORED
    assert "allow that with --gate-allow-code" in result.errors[0].error
    with pytest.raises(SettingsError, match="s/a: code: it runs code that a model wrote"):
        require_permitted([result.case], Permissions(python=True))
    require_permitted([result.case], Permissions(code=True))


def test_tests_that_cannot_judge_are_refused():
    with pytest.raises(TogetherError, match="the tests are not Python: line 1: invalid syntax"):
        check_together("code", "assert add(1, 2) = = 3", {}, ())
    with pytest.raises(TogetherError, match="the tests are not Python: nested too deeply"):
        check_together("code", "-" * 200_000 + "1", {}, ())
    with pytest.raises(TogetherError, match="the tests define check and never use it"):
        check_together("code", "def check(f):\n    assert f(1) == 2", {}, ())


def test_the_options_reach_the_process():
    request = ScoringRequest(
        case=GoldenCase(id="a", set_name="s", messages=()),
        check=Check(type="code", value="x = 1", options={"timeout": 1.0, "memory": 256}),
        text="b = bytearray(300 * 2**20)",
        allowed=Permissions(code=True),
    )
    from harness.metrics.code_check import code

    (result,) = code([request])
    if sys.platform == "linux":
        assert result.explanation == "answer.py:1: MemoryError"


@unix
@pytest.mark.parametrize(
    "code",
    [
        "n = 0\nwhile True:\n    open(f'f{n}', 'w').write('x' * 10**6)\n    n += 1\n",
        "n = 0\nwhile True:\n    open(f'f{n}', 'w').close()\n    n += 1\n",
        "import os\nn = 0\nwhile True:\n    os.makedirs(f'd{n}/d/d')\n    n += 1\n",
    ],
    ids=["large", "many", "nested"],
)
def test_a_program_that_fills_the_disk_is_stopped(code):
    passed, told = run_code(ADD + code, TESTS)
    assert (passed, told) == (False, "stopped by the limit of 256 MiB, or 10000 files")
