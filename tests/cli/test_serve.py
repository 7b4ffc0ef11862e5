"""The command starts a server that says where it is, and ends when it is told to."""

import json
import socket
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


@pytest.mark.parametrize(
    ("host", "told"),
    [
        ("127.0.0.1", "Address already in use"),
        # Of no machine.
        ("192.0.2.1", "Cannot assign requested address"),
        ("no-such-host.invalid", ""),
    ],
)
def test_where_nobody_can_listen_nothing_is_loaded(tunegate, tiny_model_dir, host, told):
    """The default port is usual: a minute of loading would end in a line of uvicorn's, and status 3."""
    pytest.importorskip("uvicorn")
    pytest.importorskip("fastapi")
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        result = tunegate("serve", "--model", tiny_model_dir, "--host", host, "--port", port)
    assert result.returncode == 4
    assert result.stderr.startswith(f"tunegate: --host {host} --port {port}: can't listen there: {told}")
    assert result.stderr.count("\n") == 1
