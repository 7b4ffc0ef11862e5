"""A command that takes the place of vLLM's own."""

import stat
import sys

import pytest

from harness.engines.served import process


@pytest.fixture
def vllm_command(tmp_path, monkeypatch):
    """A command ``vllm`` that starts ``tunegate serve`` instead, and writes down its arguments."""
    command = tmp_path / "bin" / "vllm"
    command.parent.mkdir()
    command.write_text(
        f"""#!{sys.executable}
import json, os, sys
arguments = sys.argv[1:]
assert os.environ["VLLM_ALLOW_RUNTIME_LORA_UPDATING"] == "True"
open({str(tmp_path / "arguments.json")!r}, "w").write(json.dumps(arguments))
if "--broken" in arguments:
    sys.exit("RuntimeError: no device")
from harness.cli.main import main
port = arguments[arguments.index("--port") + 1]
sys.argv = ["tunegate", "serve", "--model", arguments[1], "--port", port, "--runtime-adapters"]
main()
"""
    )
    command.chmod(command.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", str(command.parent), prepend=":")
    yield tmp_path / "arguments.json"
    for started in process._STARTED.values():
        process._end(started.process, started.log)
    process._STARTED.clear()
