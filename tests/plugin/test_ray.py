"""--gate-engine=ray: a session on a cluster ends as on this machine, also where a node is lost in its work."""

import json
import re
import socket
import sys

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
WITHOUT_RAY = "import sys\n\nsys.modules['ray'] = None\n"


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


def test_a_cluster_that_is_not_there_is_refused_in_one_line(gate):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{held.getsockname()[1]}"
        refused(gate(f"--gate-engine=ray:{address}")[0], f"--gate-engine ray:{address}: no cluster answers")


def test_without_ray_it_is_refused_in_one_line(gate, pytester):
    pytester.makeconftest(WITHOUT_RAY)
    refused(gate("--gate-engine=ray")[0], r"--gate-engine ray: ray is not installed: pip install")
