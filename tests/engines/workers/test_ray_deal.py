"""The measurement of how well batches are dealt to a Ray cluster fits the engine that it measures."""

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("ray", reason="pip install 'tunegate[ray]'")

ROOT = Path(__file__).parents[3]


def test_the_workers_of_a_cluster_are_measured():
    """How large the shares are depends on the machine: they are shares of the time that passed."""
    line = [sys.executable, "-m", "benchmarks.ray_workers", "--seconds", "0.5"]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows = [row.split() for row in done.stdout.splitlines()]
    assert [row[0] for row in rows] == ["1", "2", "100"]
    assert all(0 < float(row[1]) <= 1 for row in rows)
