"""A server that is run for a process ends with it, however that process ends."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness.engines.served import supervisor

# A server with a worker, both of which write down who they are.
SERVER = """
import os, signal, subprocess, sys, time
if "deaf" in sys.argv: signal.signal(signal.SIGTERM, signal.SIG_IGN)
worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
with open(sys.argv[1] + ".new", "w") as place: place.write(f"{os.getpid()} {worker.pid}")
os.replace(sys.argv[1] + ".new", sys.argv[1])
if "ends" in sys.argv: sys.exit(3)
if "killed" in sys.argv: os.kill(os.getpid(), 9)
time.sleep(60)
"""
# A process that wants the server, and does not end it.
WANTS = """
import subprocess, sys, time
subprocess.Popen(sys.argv[1:], stdin=subprocess.PIPE, start_new_session=True)
print("started", flush=True)
time.sleep(60)
"""


def server(place, *words):
    return [sys.executable, "-c", SERVER, str(place), *words]


def supervised(place, *words):
    return [sys.executable, "-ISE", supervisor.__file__, *server(place, *words)]


def processes(place):
    end = time.monotonic() + 30
    while not place.exists():
        assert time.monotonic() < end
        time.sleep(0.02)
    return [int(each) for each in place.read_text().split()]


def lives(process):
    """Whether a process runs; one that only waits to be counted does not."""
    try:
        with Path(f"/proc/{process}/stat").open() as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def all_ended(found, within_s=15.0):
    end = time.monotonic() + within_s
    while any(map(lives, found)) and time.monotonic() < end:
        time.sleep(0.02)
    return not any(map(lives, found))


@pytest.fixture
def place(tmp_path):
    yield tmp_path / "processes"
    for process in processes(tmp_path / "processes"):
        if lives(process):
            os.kill(process, signal.SIGKILL)


pytestmark = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads /proc")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_the_process_that_wants_it(place, number):
    line = [sys.executable, "-c", WANTS, *supervised(place)]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as wants:
        assert wants.stdout.readline() == b"started\n"
        found = processes(place)
        assert all(map(lives, found))
        wants.send_signal(number)
    assert all_ended(found)


def test_it_ends_also_where_the_children_of_the_process_are_killed_with_it(place):
    """As Ray does with an actor's."""
    line = [sys.executable, "-c", WANTS, *supervised(place)]
    with subprocess.Popen(line, stdout=subprocess.PIPE) as wants:
        assert wants.stdout.readline() == b"started\n"
        found = processes(place)
        children = Path(f"/proc/{wants.pid}/task/{wants.pid}/children").read_text().split()
        assert len(children) == 1
        for process in (*map(int, children), wants.pid):
            os.kill(process, signal.SIGKILL)
    assert all_ended(found)


@pytest.mark.parametrize("ask", ["its input ends", "a signal"])
def test_it_ends_when_it_is_asked_to(place, ask):
    with subprocess.Popen(supervised(place), stdin=subprocess.PIPE) as running:
        found = processes(place)
        if ask == "a signal":
            running.send_signal(signal.SIGTERM)
            assert running.wait(15) == 128 + signal.SIGTERM
        # Popen's end closes its input.
    assert running.returncode == 128 + signal.SIGTERM
    assert all_ended(found)


def test_one_that_does_not_listen_is_killed(place):
    code = "import sys; from harness.engines.served.supervisor import supervise; sys.exit(supervise(sys.argv[1:], 0.2))"
    line = [sys.executable, "-c", code, *server(place, "deaf")]
    with subprocess.Popen(line, stdin=subprocess.PIPE) as running:
        found = processes(place)
    assert running.returncode == 128 + signal.SIGKILL
    assert all_ended(found)


@pytest.mark.parametrize(("how", "status"), [("ends", 3), ("killed", 128 + 9)])
def test_its_status_is_the_servers_and_no_worker_stays(place, how, status):
    with subprocess.Popen(supervised(place, how), stdin=subprocess.PIPE) as running:
        assert running.wait(15) == status
    assert all_ended(processes(place))
