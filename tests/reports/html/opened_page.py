"""Kinds of gates that a browser opens, and how a test works the page."""

import contextlib
from collections.abc import Callable
from typing import Any

from harness.types import GateRecord

# Without playwright the browser fixture skips or fails; nothing below runs.
with contextlib.suppress(ImportError):
    from playwright.sync_api import expect


Opener = Callable[..., Any]
Invented = Callable[..., GateRecord]
ON_PAGE = 30
KINDS = {
    "pass": {"orders": 120, "probes": 120, "lost": 1, "gained": 2},
    "regress": {"lost": 25, "orders": 60, "probes_lost": 14, "loss_rise": 0.4},
    "inconclusive": {"lost": 3, "gained": 2, "errored": 2, "unscored": 3, "collected": 140},
    "no baseline": {"compared": False, "lost": 4},
}


def unfold(page: Any) -> None:
    """Open everything, and wait until the cases of the page are drawn."""
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    expect(page.locator("details.card:not(:has(> .body))")).to_have_count(0)
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")


def keys(page: Any) -> list[str]:
    return page.locator("details.card").evaluate_all("(cards) => cards.map((card) => card.dataset.key)")
