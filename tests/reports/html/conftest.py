"""A real browser for the report."""

import base64
import gzip
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harness.types import GateRecord
from reports.earlier_runs import NO_EARLIER_RUNS, EarlierRuns
from reports.html import render_report


@pytest.fixture
def open_report(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open a record's report; at the end nothing may have been requested, logged as an error, or thrown."""
    asked: list[str] = []
    errors: list[str] = []
    contexts: list[Any] = []

    def open_page(
        record: GateRecord,
        width: int = 1280,
        height: int = 800,
        scheme: str = "light",
        script: bool = True,
        address: str = "",
        earlier: EarlierRuns = NO_EARLIER_RUNS,
    ) -> Any:
        path = tmp_path / f"report-{len(contexts)}.html"
        path.write_text(render_report(record, earlier), encoding="utf-8")
        context = browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=scheme, java_script_enabled=script
        )
        contexts.append(context)

        def allow_the_file_only(route: Any) -> None:
            if route.request.url.partition("#")[0] == path.as_uri():
                route.continue_()
            else:
                asked.append(route.request.url)
                route.abort()

        context.route("**/*", allow_the_file_only)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: (errors.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.goto(f"{path.as_uri()}{address}")
        if script:
            page.locator("html[data-searchable]").wait_for(state="attached")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert asked == []
    assert errors == []


def unpacked(page: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The index and all details of the cases in a page."""
    parts = re.findall(r'<script type="application/gzip">([A-Za-z0-9+/=]+)</script>', page)
    index, *details = [json.loads(gzip.decompress(base64.b64decode(part))) for part in parts]
    return index, [one for part in details for one in part]


@pytest.fixture(name="unpacked", scope="session")
def unpacked_fixture() -> Callable[[str], tuple[dict[str, Any], list[dict[str, Any]]]]:
    """The function that reads the cases in a page."""
    return unpacked
