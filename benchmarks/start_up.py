"""How long somebody waits before anything runs, beside pytest and Python without us.

    python benchmarks/start_up.py [--cases 1000] [--pairs 10]

Prints processor time, which a busy machine changes least; exit status 1 where a figure is above its limit:

- what an installed tunegate adds to a pytest session that doesn't gate (median of pairs);
- commands that a user waits for;
- a session that collects golden sets, as a ratio to one without.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

CASE = """\
  - id: case-{0}
    prompt: What is {0} plus one?
    references: ["{1}"]
    checks: [{{type: contains}}, {{type: length, max: 40}}]
    tags: [sums]
"""
# Without the plugins of other distributions: some of them take longer than pytest itself.
PYTEST = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "--disable-plugin-autoload")
WITH_US = (*PYTEST, "-p", "tunegate.pytest_plugin")
ADDED_S, COMMAND_S = 0.03, 0.3
COMMANDS = (("--help",), ("golden", "lint"), ("runs", "list"))


def processor_s(directory: Path, *arguments: str) -> float:
    """Processor time of Python with these arguments, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    # Who installs a package doesn't compile it at each start.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, *arguments]
    subprocess.run(command, cwd=directory, env=environment, capture_output=True, check=False)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def least_s(directory: Path, arguments: Sequence[str], times: int) -> float:
    """The least processor time of several runs: what others do to the machine only adds to it."""
    return min(processor_s(directory, *arguments) for _ in range(times))


def write_project(directory: Path, cases: int) -> None:
    """One test and one golden set, and an empty history."""
    (directory / "pyproject.toml").write_text("")
    (directory / "test_one.py").write_text("def test_one(): pass\n")
    (directory / "golden_sets").mkdir()
    rows = "".join(CASE.format(number, number + 1) for number in range(cases))
    (directory / "golden_sets" / "many.yaml").write_text(f"name: many\ncases:\n{rows}")
    code = "from pathlib import Path; from harness.history.store import open_history\n"
    code += "Path('.tunegate').mkdir()\nwith open_history(Path('.tunegate/history.sqlite')): pass"
    subprocess.run([sys.executable, "-c", code], cwd=directory, check=True)


def main() -> None:
    """Measure, print, and fail where a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    parser.add_argument("--pairs", type=int, default=10)
    asked = parser.parse_args()
    slow = []
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_project(directory, 1)
        pairs = [
            (processor_s(directory, *PYTEST, "test_one.py"), processor_s(directory, *WITH_US, "test_one.py"))
            for _ in range(asked.pairs)
        ]
        plain_s, added_s = (
            statistics.median(plain for plain, _ in pairs),
            statistics.median(ours - plain for plain, ours in pairs),
        )
        print(f"a pytest session without us      {plain_s:6.3f} s")
        print(f"what we add where nothing gates  {added_s:+6.3f} s  (limit {ADDED_S:.2f})")
        slow += [added_s > ADDED_S]
        for command in COMMANDS:
            took_s = least_s(directory, ("-m", "tunegate", *command), asked.pairs)
            print(f"tunegate {' '.join(command):<23} {took_s:6.3f} s  (limit {COMMAND_S:.2f})")
            slow += [took_s > COMMAND_S]
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        write_project(directory, asked.cases)
        full_s = least_s(directory, (*WITH_US, "--collect-only"), 3)
        print(f"collecting {asked.cases} golden cases   {full_s:8.3f} s  {full_s / plain_s:5.2f} x")
    sys.exit(any(slow))


if __name__ == "__main__":
    main()
