"""The pages on this machine: read-only, at 127.0.0.1 alone."""

from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from harness.errors import SettingsError, TunegateError
from reports.site.gathering import SiteSource
from reports.site.live_pages import LivePages
from reports.site.pages import PAGES

HOST = "127.0.0.1"


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
