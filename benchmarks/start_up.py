"""How long a user waits before anything runs: collecting cases, and what plain pytest takes beside it.

    python benchmarks/start_up.py [--cases 1000]

Prints seconds and the ratio to an empty pytest run, measured side by side: the limit of any plugin.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CASE = """\
  - id: case-{0}
    prompt: What is {0} plus one?
    references: ["{1}"]
    checks: [{{type: contains}}, {{type: length, max: 40}}]
    tags: [sums]
"""


def collect(directory: Path) -> float:
    """Seconds of the quickest of three collections."""
    took_s = []
    for _ in range(3):
        started = time.perf_counter()
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", "."]
        subprocess.run(command, cwd=directory, capture_output=True, check=False)
        took_s.append(time.perf_counter() - started)
    return min(took_s)


def main() -> None:
    """Measure an empty project, then one with many cases."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, default=1000)
    cases = parser.parse_args().cases
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "pyproject.toml").write_text("")
        (directory / "test_one.py").write_text("def test_one(): pass\n")
        empty_s = collect(directory)
        (directory / "golden_sets").mkdir()
        rows = "".join(CASE.format(number, number + 1) for number in range(cases))
        (directory / "golden_sets" / "many.yaml").write_text(f"name: many\ncases:\n{rows}")
        full_s = collect(directory)
    print(f"pytest with one test       {empty_s:6.2f} s")
    print(f"and {cases} golden cases     {full_s:6.2f} s  {full_s / empty_s:5.2f} x")


if __name__ == "__main__":
    main()
