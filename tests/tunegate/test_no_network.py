"""A plain run connects to nothing: not for the model, not for a metric's library, not for usage statistics."""

import pytest

# An audit hook sees what any library does, also through C.
HOOK = """\
import os, sys, traceback

def note(event, arguments):
    if event in {"socket.connect", "socket.getaddrinfo", "socket.gethostbyname", "socket.sendto"}:
        with open(os.environ["SOCKETS"], "a") as file:
            file.write(f"{event} {arguments[-1]!r}\\n{''.join(traceback.format_stack(limit=12))}\\n")

sys.addaudithook(note)
"""
SET = """\
name: words
generation: {max_new_tokens: 4}
cases:
  - {id: a, prompt: w1 what is w4, references: [w1 w2], checks: [{type: contains}, {type: f1, threshold: 0.5}]}
  - {id: b, prompt: w2 what is w4, references: [w1 w2], checks: [{type: rouge-l, threshold: 0.5}, {type: bleu, threshold: 0.1}]}
  - {id: c, prompt: w3 what is w4, references: ['{}'], checks: [{type: is-json}, {type: json-equals}]}
"""
ONLINE = {"HF_HUB_OFFLINE": "0", "TRANSFORMERS_OFFLINE": "0", "HF_DATASETS_OFFLINE": "0"}


@pytest.fixture
def watched(installation, write, tmp_path):
    """Runs a command in a project, and answers its exit status and what it did with sockets."""
    project = write(
        {"pyproject.toml": "[tool.tunegate]\n", "golden_sets/words.yaml": SET, "hook/sitecustomize.py": HOOK}
    )
    noted = tmp_path / "sockets.txt"

    def run(*command):
        done = installation.run_new(
            project, *command, PYTHONPATH=str(project / "hook"), SOCKETS=str(noted), **ONLINE
        )
        return done, noted.read_text() if noted.exists() else ""

    return run


def test_a_gate_connects_to_nothing(watched, tiny_adapter_dir):
    done, sockets = watched("pytest", f"--model={tiny_adapter_dir}", "-k", "words")
    assert sockets == ""
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("command", [("golden", "lint"), ("runs", "list"), ("model", "list"), ("--version",)])
def test_a_command_connects_to_nothing(watched, command):
    assert watched("tunegate", *command)[1] == ""


def test_the_hook_sees_a_socket(watched):
    done, sockets = watched(
        "python",
        "-c",
        "import socket\ntry: socket.create_connection(('127.0.0.1', 9), 1)\nexcept OSError: pass",
    )
    assert done.returncode == 0, done.stderr
    assert "socket.connect" in sockets
