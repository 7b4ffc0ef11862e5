"""Whoever follows one gate through the code enters few files, and seldom goes back up the layers."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "benchmarks" / "road.py"


@pytest.mark.processes
def test_one_gate_enters_fewer_than_80_files():
    shown = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True, check=False)
    counts = dict(re.findall(r"^(\w.*?) {2,}(\d+)$", shown.stdout, re.MULTILINE))
    assert int(counts["files of the harness entered"]) < 80, shown.stdout
    assert int(counts["steps back up the layers"]) <= 7, shown.stdout
