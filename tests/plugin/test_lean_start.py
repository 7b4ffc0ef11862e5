"""Start-up stays lean: help, collection and score-only reruns never import torch."""

import subprocess
import sys

import pytest

import harness

pytestmark = pytest.mark.processes
PROBE = """
import sys, pytest
status = pytest.main({arguments!r})
heavy = sorted(name for name in ("torch", "transformers", "numpy", "pandas", "scipy") if name in sys.modules)
print("heavy:", heavy)
"""


def heavy_modules(cwd, *arguments: str) -> str:
    code = PROBE.format(arguments=[*arguments, "-p", "no:cacheprovider"])
    done = subprocess.run([sys.executable, "-c", code], cwd=cwd, capture_output=True, text=True, check=False)
    line = next(line for line in done.stdout.splitlines() if line.startswith("heavy:"))
    # What the session said is shown where the line is not as expected.
    print(done.stdout)
    return line + done.stderr


def test_a_process_elsewhere_runs_the_tested_packages(tmp_path):
    """Another version's cache revision, such as an installed one's, would not find the answers."""
    code = "import harness; print(harness.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == harness.__file__


def test_help_imports_nothing_heavy(tmp_path):
    assert heavy_modules(tmp_path, "--help") == "heavy: []"


def test_collection_imports_nothing_heavy(project):
    line = heavy_modules(project.pytester.path, f"--model={project.adapter}", "--co", "-q")
    assert line == "heavy: []"


def test_a_score_only_rerun_imports_no_torch(project):
    """The second run of a gate finds its answers in the cache."""
    project.run().assert_outcomes(passed=10)
    line = heavy_modules(project.pytester.path, f"--model={project.adapter}", "--gate-no-forgetting")
    assert "torch" not in line
    assert "transformers" not in line
