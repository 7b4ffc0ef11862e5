"""--gate-engine=ray: a session on a cluster ends as on this machine, also where a node is lost in its work."""

import json
import re
import socket
import sys
import time
from pathlib import Path

import pytest

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone"),
]
PROMPTS = ("what is one", "the cat sat on the mat", "w1 w2 w3 w4", "two", "w9 w8 the w7", "is the mat")
# The first node that gets a batch is killed with it, in the session's own process.
KILLING = """\
import os
import signal
import sys

import ray.cloudpickle

from harness.engines.workers import ray_cluster

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
give, killed = ray_cluster._Transport.give, []


def process(node):
    return os.getpid()


def give_and_kill(transport, worker, batch):
    if not killed:
        node, _ = transport._workers[worker]
        killed.append(ray.get(node.actor.__ray_call__.remote(process)))
        os.kill(killed[0], signal.SIGKILL)
    give(transport, worker, batch)


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"killed: {len(killed)}")


ray_cluster._Transport.give = give_and_kill
"""
# Of nodes with servers, first one's server is killed, and then a node.
KILLING_SERVED = """\
import os
import pathlib
import shutil
import signal
import sys

import ray.cloudpickle

from harness.engines.workers import ray_cluster

ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
give, killed = ray_cluster._Transport.give, []


def server(node):
    port = node._models._engine.engine._loaded.url.rpartition(":")[2].partition("/")[0]
    return int((pathlib.Path(shutil.which("vllm")).parent / port).read_text())


def process(node):
    return os.getpid()


def give_and_kill(transport, worker, batch):
    if len(killed) < 2:
        node, _ = transport._workers[worker]
        killed.append(ray.get(node.actor.__ray_call__.remote(process if killed else server)))
        os.kill(killed[-1], signal.SIGKILL)
    give(transport, worker, batch)


def pytest_terminal_summary(terminalreporter):
    terminalreporter.write_line(f"killed: {len(killed)}")


ray_cluster._Transport.give = give_and_kill
"""
# Writes down who it is, under its port; serves what vLLM would.
VLLM = """\
#!{python}
import os, pathlib, sys
arguments = sys.argv[1:]
port = arguments[arguments.index("--port") + 1]
(pathlib.Path(__file__).parent / port).write_text(str(os.getpid()))
from harness.cli.main import main
sys.argv = ["tunegate", "serve", "--model", arguments[1], "--port", port, "--runtime-adapters"]
main()
"""
# Nothing may be loaded for hand-written tests in the session's own process.
LOADING_NOTHING = """\
from harness.plugin import progress

progress.open_sides = None
"""
HAND_WRITTEN = """\
import pathlib

def test_one(generate):
    said = [generate(prompt, max_new_tokens=8).text for prompt in {prompts}]
    pathlib.Path("said.txt").write_text(repr(said))
"""
WITHOUT_RAY = "import sys\n\nsys.modules['ray'] = None\n"


@pytest.fixture(scope="module", autouse=True)
def started_servers(tmp_path_factory):
    """Gives the processes of the servers that nodes have started by their command ``vllm``."""
    directory = tmp_path_factory.mktemp("vllm")
    command = directory / "vllm"
    command.write_text(VLLM.format(python=sys.executable))
    command.chmod(0o755)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", str(directory), prepend=":")
        yield lambda: [int(each.read_text()) for each in directory.glob("[0-9]*")]


@pytest.fixture
def gate(pytester, write_golden, tiny_adapter_dir):
    """Runs a gate of six prompts in a process of its own; what it printed, and its record."""
    cases = "".join(
        f"  - {{id: c{place}, prompt: {prompt}, checks: [{{type: contains, value: w1}}]}}\n"
        for place, prompt in enumerate(PROMPTS)
    )
    write_golden(pytester, "one", f"name: one\ngeneration: {{max_new_tokens: 8}}\ncases:\n{cases}")

    def run(*options):
        record = pytester.path / "record.json"
        record.unlink(missing_ok=True)
        given = ("-p", "no:xdist", "--gate-no-forgetting", "--gate-device=cpu", f"--gate-json={record}")
        result = pytester.runpytest_subprocess(f"--model={tiny_adapter_dir}", *given, *options)
        return result, json.loads(record.read_text()) if record.exists() else {}

    return run


def texts(record):
    return {
        side: [result["completion"]["text"] for result in record[side]["results"]]
        for side in ("run", "baseline")
    }


def outcome(result, record):
    """What a session decided: its exit status, verdict, texts and scores."""
    scores = [[score["value"] for score in each["scores"]] for each in record["run"]["results"]]
    return result.ret, record["verdict"], texts(record), scores


def refused(result, line):
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    errors = [each for each in result.errlines + result.outlines if each.startswith("ERROR")]
    assert len(errors) == 1
    assert re.search(line, errors[0])


def test_a_session_with_a_killed_node_ends_as_in_one_process(gate, cluster, pytester):
    """And the answers, from wherever they came, are those of any later session."""
    alone = gate("--gate-no-cache", "--gate-workers=1")
    engine = f"--gate-engine=ray:{cluster.address}"
    pytester.makeconftest(KILLING)
    killed = gate(engine)
    killed[0].stdout.fnmatch_lines(["killed: 1"])
    killed[0].stderr.fnmatch_lines(["*RuntimeWarning: node *are computed again"])
    assert outcome(*killed) == outcome(*alone)
    warm = gate(engine)
    warm[0].stdout.fnmatch_lines(["killed: 0"])
    assert outcome(*warm) == outcome(*alone)


@pytest.mark.parametrize("engine", ["ray", "ray+vllm"])
def test_a_hand_written_test_is_answered_by_the_nodes(gate, cluster, pytester, engine):
    pytester.makepyfile(test_hand=HAND_WRITTEN.format(prompts=PROMPTS[:2]))
    said = pytester.path / "said.txt"
    gate("--gate-no-cache", "--gate-workers=1")
    alone = said.read_text()
    said.unlink()
    pytester.makeconftest(LOADING_NOTHING)
    gate("--gate-no-cache", f"--gate-engine={engine}:{cluster.address}")
    assert said.read_text() == alone


def lives(process):
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def test_a_session_with_servers_on_nodes_that_are_killed_ends_as_in_one_process(
    gate, cluster, pytester, started_servers
):
    """Once the server alone, once its node with it; no server is left."""
    alone = gate("--gate-no-cache", "--gate-workers=1")
    pytester.makeconftest(KILLING_SERVED)
    served = gate(f"--gate-engine=ray+vllm:{cluster.address}")
    served[0].stdout.fnmatch_lines(["killed: 2", "server: * requests, *"])
    served[0].stderr.fnmatch_lines(["*RuntimeWarning: node *vllm serve ended with status 137*computed again"])
    ended, ended_alone = outcome(*served), outcome(*alone)
    # What a server computes in is unknown, so its findings can't say that these very answers come out again.
    assert ended[1]["outcome"] == ended_alone[1]["outcome"]
    assert (ended[0], *ended[2:]) == (ended_alone[0], *ended_alone[2:])
    assert len(started_servers()) >= 3
    end = time.monotonic() + 40
    while any(map(lives, started_servers())) and time.monotonic() < end:
        time.sleep(0.1)
    assert not any(map(lives, started_servers()))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("--gate-server=http://127.0.0.1:9/v1", "--gate-server: each node of the Ray cluster starts its own"),
        ("--gate-server-args=-tp two", "--gate-server-args: -tp: found 'two'"),
    ],
)
def test_what_nodes_with_servers_have_no_use_for_is_refused(gate, given, said):
    refused(gate("--gate-engine=ray+vllm", given)[0], said)


def test_a_cluster_that_is_not_there_is_refused_in_one_line(gate):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        refused(gate(f"--gate-engine=ray:{address}")[0], f"--gate-engine ray:{address}: no cluster answers")


def test_without_ray_it_is_refused_in_one_line(gate, pytester):
    pytester.makeconftest(WITHOUT_RAY)
    refused(gate("--gate-engine=ray")[0], r"--gate-engine ray: ray is not installed: pip install")
