"""The pages on this machine: read-only, at 127.0.0.1 alone."""

import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from harness.errors import SettingsError, TunegateError
from harness.history.listing import RunLine
from harness.history.location import history_place
from harness.history.store import open_history
from harness.types import GateRecord
from reports.earlier_runs import earlier_runs_of
from reports.html import render_report
from reports.site.gathering import SiteData, SiteSource
from reports.site.pages import PAGES, render_page

HOST = "127.0.0.1"


class LivePages:
    """The pages as of now; what didn't change since the last request is not read again."""

    def __init__(self, source: SiteSource) -> None:
        """Serve what a source reads."""
        self._source = source
        self._lock = threading.Lock()
        self._state: list[RunLine] | None = None
        self._data: SiteData | None = None

    def page(self, name: str) -> str:
        """One of the pages.

        Args:
            name: Its file's name.
        """
        with self._lock:
            listed = self._source.listed()
            # Baselines and trainings are few, and read anew with each page.
            if (
                self._data is None
                or listed != self._state
                or name in {"index.html", "trends.html", "training.html"}
            ):
                self._data, self._state = self._source.gather(), listed
            data = self._data
        return render_page(name, data, live=True)

    def report(self, run_id: str) -> str:
        """The report of a stored run.

        Args:
            run_id: Its whole id, or any reference to it.
        """
        with open_history(history_place(self._source.history), to_read=True) as stored:
            record = stored.load_record(run_id)
        return self._report(record)

    def comparison(self, baseline: str, candidate: str) -> str:
        """The report of the gate's comparison of any two stored runs; nothing is stored.

        Args:
            baseline: A run's id.
            candidate: A run's id.
        """
        from harness.baselines.run_file import aligned, require_pairs
        from harness.comparison.gate import run_gate
        from harness.comparison.pairing import pair_runs

        with open_history(history_place(self._source.history), to_read=True) as stored:
            runs = {reference: stored.load_run(reference) for reference in (baseline, candidate)}
        before = aligned(runs[candidate], runs[baseline], "id+content")
        pairing = pair_runs(runs[candidate], before)
        require_pairs(pairing.unpaired, pairing.pairs)
        comparison, verdict = run_gate(runs[candidate], before)
        return self._report(
            GateRecord(run=runs[candidate], baseline=before, comparison=comparison, verdict=verdict)
        )

    def _report(self, record: GateRecord) -> str:
        earlier = earlier_runs_of(record, history_place(self._source.history), self._source.project)
        return render_report(record, earlier)


def open_server(source: SiteSource, port: int) -> ThreadingHTTPServer:
    """A server that is bound and does not serve yet.

    Args:
        source: What it shows.
        port: Its port; 0 for a free one.

    Raises:
        SettingsError: The port can't be bound.
    """
    pages = LivePages(source)

    class Handler(PageHandler):
        live = pages

    try:
        server = ThreadingHTTPServer((HOST, port), Handler)
    except OSError as error:
        raise SettingsError(f"--port {port}: can't listen at {HOST}:{port}: {error.strerror}") from error
    server.daemon_threads = True
    return server


class PageHandler(BaseHTTPRequestHandler):
    """Answers GET and HEAD; the standard library refuses any other method."""

    live: LivePages
    server_version, sys_version = "tunegate", ""

    def do_GET(self) -> None:
        """Send a page, a run's report, or a comparison."""
        # Another site's page can't read this one under a name of its own (DNS rebinding).
        port = self.connection.getsockname()[1]
        if self.headers.get("Host") not in {f"{HOST}:{port}", f"localhost:{port}"}:
            self._send(HTTPStatus.FORBIDDEN, "only at 127.0.0.1\n")
            return
        try:
            found = self._found()
        except TunegateError as error:
            self._send(HTTPStatus.NOT_FOUND, f"{error}\n")
            return
        if found is None:
            self._send(HTTPStatus.NOT_FOUND, "no such page\n")
        else:
            self._send(HTTPStatus.OK, found, "text/html")

    def do_HEAD(self) -> None:
        """Send the headers alone."""
        self.do_GET()

    def _found(self) -> str | None:
        address = urlsplit(self.path)
        name = address.path.lstrip("/") or "index.html"
        if name in PAGES:
            return self.live.page(name)
        if name.startswith("runs/"):
            return self.live.report(unquote(name.removeprefix("runs/")))
        if name == "compare":
            asked = parse_qs(address.query)
            baseline, candidate = (asked.get(side, [""])[0] for side in ("baseline", "candidate"))
            return self.live.comparison(baseline, candidate)
        return None

    def _send(self, status: HTTPStatus, text: str, kind: str = "text/plain") -> None:
        content = text.encode("utf-8", errors="replace")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing.

        Args:
            format: A pattern for the line that is left out.
            args: What belongs in it.
        """
