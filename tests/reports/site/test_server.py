"""``tunegate ui``: on this machine alone, read-only, with new runs at the next load."""

import http.client
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlencode

import pytest

from harness.errors import SettingsError
from harness.history.store import open_history
from harness.types import GateRecord
from reports.site.gathering import SiteSource
from reports.site.server import open_server


@pytest.fixture
def served(invented: Callable[..., GateRecord], days: Callable, tmp_path: Path) -> Iterator[tuple[int, Path]]:
    path = tmp_path / "history.sqlite"
    with open_history(path) as stored:
        for number in (1, 2):
            stored.save(days(invented(orders=12, probes=8, lost=number), number))
    with open_server(SiteSource(history=path, project=tmp_path, limit=9), 0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_address[1], path
        server.shutdown()
        thread.join()


def get(port: int, path: str, method: str = "GET", host: str = "") -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request(method, path, headers={"Host": host or f"127.0.0.1:{port}"})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_pages_reports_and_comparisons_are_served_and_new_runs_appear(
    served: tuple[int, Path], invented: Callable[..., GateRecord], days: Callable
) -> None:
    port, path = served
    status, page = get(port, "/")
    assert status == 200
    assert 'href="runs/20260107-090000-0002"' in page
    assert get(port, "/trends.html")[0] == 200
    status, report = get(port, "/runs/20260107-090000-0002")
    assert status == 200
    assert "REGRESS" in report or "INCONCLUSIVE" in report
    pair = urlencode({"baseline": "20260106-090000-0001", "candidate": "20260107-090000-0002"})
    status, compared = get(port, f"/compare?{pair}")
    assert status == 200
    assert "20260107-090000-0002" in compared
    with open_history(path) as stored:
        stored.save(days(invented(orders=12, probes=8, lost=0), 3))
    assert 'href="runs/20260108-090000-0003"' in get(port, "/index.html")[1]
    assert get(port, "/index.html", "HEAD") == (200, "")


@pytest.mark.parametrize(
    ("path", "method", "host", "status"),
    [
        ("/nothing", "GET", "", 404),
        ("/runs/never", "GET", "", 404),
        ("/runs/..%2f..%2fetc%2fpasswd", "GET", "", 404),
        ("/compare?baseline=never", "GET", "", 404),
        ("/", "GET", "evil.example", 403),
        ("/", "POST", "", 501),
        ("/", "DELETE", "", 501),
    ],
)
def test_everything_else_is_refused(
    served: tuple[int, Path], path: str, method: str, host: str, status: int
) -> None:
    assert get(served[0], path, method, host)[0] == status


def test_only_this_machine_can_connect_and_a_taken_port_is_named(
    served: tuple[int, Path], source: SiteSource
) -> None:
    with pytest.raises(SettingsError, match=rf"--port {served[0]}: can't listen at 127.0.0.1:{served[0]}"):
        open_server(source, served[0])
