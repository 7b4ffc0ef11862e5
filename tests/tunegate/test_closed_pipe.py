"""A reader that goes away ends nothing: the exit status stays the command's own, and nothing is lost."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tunegate.streams import outlive_readers

CASES = "name: words\ngeneration: {max_new_tokens: 4}\ncases:\n" + "".join(
    f"  - {{id: c{number}, prompt: 'w{number} what is w4', checks: [{{type: regex, value: 'w[0-9]*[{number}]'}}]}}\n"
    for number in range(8)
)


def cut_short(installation, folder, *command, lines=1):
    """Run a command whose reader closes the pipe after some lines; answers its exit status and errors."""
    pipe, errors = folder / "pipe", folder / "errors"
    os.mkfifo(pipe)
    wait = installation.start(folder, *command, output=pipe, errors=errors)
    with pipe.open() as reader:
        for _ in range(lines):
            reader.readline()
    pipe.unlink()
    return wait(), errors.read_text()


@pytest.mark.processes
def test_a_gate_without_a_reader_still_says_its_verdict_by_its_status(installation, write, tiny_adapter_dir):
    """No reader at all, and one that reads a line; the second gate has its answers from the cache."""
    project = write({"pyproject.toml": "[tool.tunegate]\n", "golden_sets/words.yaml": CASES})
    gate = ("pytest", f"--model={tiny_adapter_dir}", "--gate-no-forgetting")
    for lines in (0, 1):
        status, errors = cut_short(installation, project, *gate, lines=lines)
        assert (status, errors) == (0, "")
    runs = json.loads(installation.run(project, "tunegate", "runs", "list", "--json").stdout)
    assert len(runs) == 2
    assert {run["verdict"] for run in runs} <= {"pass", "inconclusive"}


@pytest.mark.parametrize(
    "command",
    [("golden", "schema"), ("model", "list"), ("--help",), ("golden", "lint")],
)
def test_a_command_without_a_reader_ends_as_it_would(installation, write, command):
    project = write({"pyproject.toml": "[tool.tunegate]\n", "golden_sets/words.yaml": CASES})
    whole = installation.run(project, "tunegate", *command)
    for lines in (0, 1):
        status, errors = cut_short(installation, project, "tunegate", *command, lines=lines)
        assert (status, errors) == (whole.returncode, whole.stderr)


def test_output_that_a_terminal_cant_encode_is_escaped(installation, tmp_path):
    """The list of runs has signs that ASCII lacks."""
    done = installation.run_new(tmp_path, "tunegate", "--help", PYTHONIOENCODING="ascii", PYTHONUTF8="0")
    assert done.returncode == 0
    assert "Traceback" not in done.stderr


def test_a_foreign_stream_stays():
    code = "import sys, io; sys.stdout = mine = io.StringIO(); from tunegate.streams import outlive_readers; outlive_readers(); assert sys.stdout is mine"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_written_to_a_closed_output_is_dropped(monkeypatch):
    """``>&-`` leaves no stream at all: that ends no session with the status of a regression."""
    for name in ("stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    outlive_readers()
    with sys.stdout as stdout, sys.stderr as stderr:
        assert stdout.write("x") == stderr.write("x") == 1


def to_a_full_disk(installation, folder, *command):
    """Run a command whose output can't be written; answers its exit status and errors."""
    errors = folder / "errors"
    wait = installation.start(folder, *command, output="/dev/full", errors=errors)
    return wait(), errors.read_text()


@pytest.mark.processes
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_to_a_full_disk_is_one_line_and_no_regression(installation, write, tiny_adapter_dir):
    project = write({"pyproject.toml": "[tool.tunegate]\n", "golden_sets/words.yaml": CASES})
    line = "the output could not be written: No space left on device\n"
    assert to_a_full_disk(installation, project, "tunegate", "model", "list") == (4, f"tunegate: {line}")
    gate = ("pytest", f"--model={tiny_adapter_dir}", "--gate-no-forgetting")
    assert to_a_full_disk(installation, project, *gate) == (4, f"ERROR: {line}")
    assert len(json.loads(installation.run(project, "tunegate", "runs", "list", "--json").stdout)) == 1
