"""The command starts a server that says where it is, and ends when it is told to."""

import json
import subprocess
import sys
import urllib.request

import pytest


@pytest.mark.processes
def test_it_serves_until_it_is_ended(tiny_model_dir):
    code = "import sys; from harness.cli.main import main; main()"
    arguments = ["serve", "--model", str(tiny_model_dir), "--port", "0"]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            line = server.stdout.readline()
            assert line.startswith(f"serving {tiny_model_dir.name} at http://127.0.0.1:")
            with urllib.request.urlopen(line.split()[-1] + "/models", timeout=10) as reply:
                assert tiny_model_dir.name in [model["id"] for model in json.load(reply)["data"]]
        finally:
            server.terminate()
    assert server.returncode == 2
