"""The page of a monitor: what it says, and in a browser."""

import re
from datetime import UTC, datetime, timedelta
from html import unescape

import pytest

from harness.studies.monitoring.events import events_of
from harness.studies.monitoring.ledger import add, write_ledger
from harness.studies.monitoring.production_log import ProductionAnswer
from harness.studies.monitoring.watch import begin, conclude
from harness.types import Message
from reports.html.monitor_page import monitor_page, render_monitor

HOSTILE = "</script><img src=x onerror=alert(1)>\u202e\x1b[31m" + "W" * 600
REFUSAL = "I'm sorry, but I can't help with that."


def answers(name, days, *, refusing=0, text="It is Tuesday.", n=40):
    return [
        ProductionAnswer(
            id=f"{name}-{day}-{number}",
            time=datetime(2026, 3, 2, tzinfo=UTC) + timedelta(days=day, minutes=number),
            messages=(Message(role="user", content=HOSTILE),),
            text=REFUSAL if number < refusing else text,
            latency_s=0.5 + number / 100,
            completion_tokens=10 + number % 3,
        )
        for day in days
        for number in range(n)
    ]


def ledger_of(new):
    begun = begin(answers("before", range(5)), name=HOSTILE)
    return conclude(add(begun, new, events_of(new, begun.limits)))[0]


@pytest.fixture
def risen():
    return ledger_of([*answers("calm", range(8)), *answers("worse", range(8, 12), refusing=20)])


def test_what_has_risen_comes_first_and_each_figure_is_in_a_table(risen):
    page = monitor_page(risen)
    assert (page.title, page.tone) == ("Risen: refused", "regress")
    assert page.lines[0] == "refused has risen since 2026-03-10 00:00, shown by 2026-03-10 00:00."
    assert page.events[0].title == "refused"
    first = page.events[0]
    assert [chart.title for chart in first.charts] == ["refused: rate", "refused: evidence"]
    assert len(first.table.rows) == 12
    assert first.table.rows[8][:3] == ("2026-03-10 00:00", "20", "40")
    assert first.table.rows[8][3].startswith("50.0")
    assert len(page.requests.rows) == 12
    assert len(page.doubtful) == 30
    rates = {row[0]: row for row in page.rates.rows}
    assert rates["refused"][1:3] == ("0 of 200", f"{risen_limit(risen):.1f}\u202f%")


def risen_limit(ledger):
    return 100 * next(each.limit for each in conclude(ledger)[1].events if each.name == "refused")


def test_calm_and_a_single_window(tmp_path):
    page = monitor_page(ledger_of(answers("calm", range(1))))
    assert (page.title, page.tone) == ("No rate is shown to have risen", "pass")
    # A line needs two points; the table has the one.
    assert all(not each.charts and len(each.table.rows) == 1 for each in page.events)
    write_ledger(tmp_path / "state.json", ledger_of(answers("calm", range(2))))
    text = unescape(render_monitor(tmp_path / "state.json"))
    assert "cut is not watched: unknown in the reference." in text


def test_nothing_of_an_answer_is_run(risen, tmp_path):
    write_ledger(tmp_path / "state.json", risen)
    page = render_monitor(tmp_path / "state.json")
    assert "<script" not in page
    assert "<img" not in page
    assert not re.search(r'(?:src|href)="(?!#|data:)', page)
    assert "default-src 'none'" in unescape(page)


@pytest.mark.browser
@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (390, "dark")])
def test_it_is_read_on_any_screen(browser, risen, tmp_path, width, scheme):
    """No fault in the console, nothing wider than the screen, no finding of axe."""
    from axe_playwright_python.sync_playwright import Axe

    write_ledger(tmp_path / "state.json", risen)
    path = tmp_path / "monitor.html"
    path.write_text(render_monitor(tmp_path / "state.json"), encoding="utf-8")
    context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
    page, said = context.new_page(), []
    page.on("console", lambda message: said.append(message.text))
    page.goto(path.as_uri())
    page.evaluate("for (const each of document.querySelectorAll('details')) each.open = true")
    assert page.locator("h1").inner_text() == "Risen: refused"
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert Axe().run(page).response["violations"] == []
    assert said == []
    context.close()
