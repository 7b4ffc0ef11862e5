"""A plug-in leaves the process as it was: its outputs, working directory, locale and signals; and how it ends."""

import os
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# What the module of a plug-in does at its import, and what is said about it.
DEEDS = {
    "import sys; sys.stdout.close()": "",
    "import sys; sys.stderr.close()": "",
    "import sys; sys.stdout.buffer.close(); sys.stderr.buffer.close()": "",
    "import sys; sys.__stdout__.close()": "",
    "import sys; sys.stdout = sys.stderr = None": "",
    "import sys; sys.stdout = object()": "",
    "import os; os.close(1); os.close(2)": "",
    "import os; os.chdir('/')": "changed the process's working directory: restored",
    "import locale; locale.setlocale(locale.LC_ALL, 'C.UTF-8')": "changed the process's locale: restored",
    "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); signal.signal(signal.SIGCHLD, signal.SIG_IGN)": "changed the process's signal handlers: restored",
    "import os, signal; os.chdir('/'); signal.signal(signal.SIGTERM, signal.SIG_IGN)": "changed the process's working directory, signal handlers: restored",
    "import os; os.chdir('/'); 1 / 0": "is left out: ZeroDivisionError: division by zero",
    "import atexit; atexit.register(int, 'x')": "its exit handler failed: ValueError: invalid literal for int() with base 10: 'x'",
    "import atexit, sys; atexit.register(sys.exit, 3)": "its exit handler failed: SystemExit: 3",
    "import atexit; end = atexit.register(lambda: 1 / 0); atexit.unregister(end)": "",
}
SHOW = (
    "import locale, os, signal; from tunegate.streams import outlive_readers; outlive_readers(); "
    "from harness.registry import Sink, active; "
    "before = os.getcwd(), locale.setlocale(locale.LC_ALL), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGCHLD); "
    "names = list(active().merged(Sink, {})); "
    "after = os.getcwd(), locale.setlocale(locale.LC_ALL), signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGCHLD); "
    "print(names, before == after); raise SystemExit(1)"
)


@pytest.fixture
def load(copies, tmp_path):
    """Loads a plug-in, by its code, in a process of its own."""

    def load(code):
        information = tmp_path / "made-1.dist-info"
        information.mkdir()
        (information / "METADATA").write_text("Metadata-Version: 2.1\nName: made\nVersion: 1\n")
        (information / "entry_points.txt").write_text("[tunegate.plugins]\nmade = made_plugin\n")
        (tmp_path / "made_plugin.py").write_text(
            f"from harness.registry import Sink\n{code}\n"
            "def pytest_tunegate_register(registry):\n    registry.add(Sink(name='made', send='a:b'))\n"
        )
        path = os.pathsep.join([str(tmp_path), str(ROOT)])
        return copies(sys.executable).run(
            ["-c", SHOW], tmp_path, {**os.environ, "PYTHONPATH": path, "LC_ALL": "C"}
        )

    return load


@pytest.mark.parametrize("code", DEEDS)
def test_what_a_plug_in_changes_is_restored_and_said_in_one_line(load, code):
    ended = load(code)
    names = [] if "1 / 0" in code and "chdir" in code else ["made"]
    assert (ended.returncode, ended.stdout) == (1, f"{names} True\n")
    told = DEEDS[code]
    separator = ": " if told.startswith("its") else " "
    assert ended.stderr == (f"tunegate: warning: plug-in made{separator}{told}\n" if told else "")
