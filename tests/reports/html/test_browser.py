"""What a person meets in a browser: the verdict first, on any screen, by keyboard, without script, in the dark."""

import contextlib
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.baselines.accept import accept_run
from harness.baselines.file import load_baseline
from harness.types import Finding, GateVerdict, SharedTrait, TraitsFinding
from reports.earlier_runs import EarlierRuns
from reports.html import render_report
from reports.metric_history import PastMetric

# Without playwright the browser fixture skips or fails; nothing below runs.
with contextlib.suppress(ImportError):
    from playwright.sync_api import expect
from tests.reports.html.opened_page import KINDS, ON_PAGE, Invented, Opener, keys, unfold

pytestmark = pytest.mark.browser

HOSTILE = (
    "\ud83d</script><img src=x onerror=alert(1)>" + "W" * 400 + "\u202e\x1b[31m<script>alert(2)</script>"
)


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["desktop", "phone"])
@pytest.mark.parametrize("kind", KINDS)
def test_verdict_reason_and_next_step_are_seen_without_scrolling(
    open_report: Opener, invented: Invented, kind: str, size: tuple[int, int]
) -> None:
    page = open_report(invented(**KINDS[kind]), *size)
    assert page.locator("h1").inner_text().strip() == kind.upper()
    parts = ["h1", ".lead", ".next b"]
    if kind == "regress":
        parts += [".shared h2", ".example"]
    if size[0] > 1000:
        parts += [".sides-table"]
    for part in parts:
        box = page.locator(part).first.bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= size[1]


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_the_page_never_scrolls_sideways(open_report: Opener, invented: Invented, width: int) -> None:
    page = open_report(invented(lost=6, errored=1), width)
    unfold(page)
    assert page.evaluate("document.documentElement.scrollWidth") <= width


NARROWEST = "(parts) => Math.min(...parts.map((part) => part.getBoundingClientRect().width))"


@pytest.mark.parametrize("media", ["screen", "print"])
def test_the_first_screen_is_whole_at_every_width(
    open_report: Opener, invented: Invented, media: str
) -> None:
    """Also between a phone and a desktop, and on paper: nothing is squeezed, and what was compared is named."""
    record = invented(lost=25, orders=60, probes_lost=14)
    page = open_report(record)
    page.emulate_media(media=media)
    # The line about lost skills.
    skills = (
        '<ul><li><span class="what">general skills lost</span> <b>118 of 118</b> '
        "<small>arithmetic 19/19, format 30/30, instructions 36/36, knowledge 33/33</small></li></ul>"
    )
    page.locator(".shared h2").evaluate("(title, html) => title.insertAdjacentHTML('afterend', html)", skills)
    for width in (390, 640, 700, 794, 1000, 1100):
        page.set_viewport_size({"width": width, "height": 1000})
        assert page.locator(".shared .what").evaluate_all(NARROWEST) > 60, width
        head = page.locator(".sides-table thead th").first.bounding_box()
        assert head["width"] > 60, width
        assert head["height"] > 20, width
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("size", [(1280, 800), (768, 1024), (390, 844)], ids=["desktop", "tablet", "phone"])
def test_a_fall_against_the_accepted_run_is_seen_first_and_its_column_fits(
    open_report: Opener, invented: Invented, tmp_path: Path, size: tuple[int, int]
) -> None:
    """The widest table: three sides with long names, a description, every figure, and a history."""
    run = replace(invented().run, id="20260101-000000-aaaa")
    run = replace(run, model=replace(run.model, label="adapters/orders-of-january"))
    accepted = load_baseline(accept_run(run, "main", "first", tmp_path, allow_dirty=True))
    points = tuple(
        PastMetric(
            run_id=f"run-{number}",
            started_at="2026-01-31T14:25:01+00:00",
            model="m",
            set_name=set_name,
            metric="pass-rate",
            mean=mean,
            verdict=None,
        )
        for set_name in ("orders", "general")
        for number, mean in enumerate((0.95, 0.9))
    )
    record = invented(both_fail=40, probes_lost=20)
    sets = tuple(
        replace(each, description="Plain questions and instructions that a fine-tune should still answer")
        for each in record.run.golden_sets
    )
    findings = tuple(
        replace(each, verdict=GateVerdict.INCONCLUSIVE) if each.set_name == "orders" else each
        for each in record.verdict.findings
    )
    record = replace(
        record,
        run=replace(record.run, golden_sets=sets),
        verdict=replace(record.verdict, findings=findings),
    )
    page = open_report(record, *size, earlier=EarlierRuns(metrics=points, accepted=accepted))
    for part in (".accepted", ".next b"):
        box = page.locator(part).first.bounding_box()
        assert box["y"] + box["height"] <= size[1]
    assert "accepted as “main”: 95.0" in page.locator(".accepted").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_hostile_answers_do_nothing(open_report: Opener, invented: Invented, spoiled: Any) -> None:
    page = open_report(spoiled(invented(lost=2), HOSTILE), 390, address="#show=")
    unfold(page)
    assert page.locator("img").count() == 0
    assert page.locator("script:not([type])").count() == 1
    assert "</script><img src=x" in page.locator("#case-list").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_without_script_all_but_the_cases_is_read_and_the_page_says_so(
    open_report: Opener, invented: Invented
) -> None:
    page = open_report(invented(**KINDS["regress"]), script=False)
    assert page.locator(".example dd").last.is_visible()
    assert page.locator("#metrics table").first.is_visible()
    assert page.locator("#case-list").is_hidden()
    assert page.locator("button:visible").count() == 0
    assert "tunegate runs show" in page.locator("#cases").inner_text()


def test_a_browser_that_cannot_unpack_says_so(browser: Any, invented: Invented, tmp_path: Any) -> None:
    path = tmp_path / "report.html"
    path.write_text(render_report(invented(lost=2)), encoding="utf-8")
    context = browser.new_context()
    page = context.new_page()
    page.add_init_script("delete globalThis.DecompressionStream")
    page.goto(path.as_uri())
    assert page.locator("#cases-problem").is_visible()
    assert page.locator("#case-list").is_hidden()
    context.close()


def choose(page: Any, name: str, option: str) -> None:
    page.locator(f"[data-filter={name}]").select_option(label=option)


def test_cases_are_filtered_and_the_address_says_how(open_report: Opener, invented: Invented) -> None:
    page = open_report(invented(orders=60, probes=60, lost=5, gained=2, both_fail=3))
    status = page.locator("#case-list [role=status]")
    expect(status).to_have_text("5 of 120 cases")
    choose(page, "show", "all (120)")
    expect(status).to_have_text("all 120 cases")
    choose(page, "show", "failed (8)")
    expect(status).to_have_text("8 of 120 cases")
    choose(page, "set", "general (60)")
    expect(status).to_have_text("0 of 120 cases")
    choose(page, "show", "all (120)")
    choose(page, "tag", "arithmetic (15)")
    expect(status).to_have_text("15 of 120 cases")
    page.get_by_label("Text").fill("what is")
    expect(status).to_have_text("15 of 120 cases")
    expect(page).to_have_url(re.compile("q=what"))
    address = page.url.partition("#")[2]
    assert set(address.split("&")) == {"show=", "q=what+is", "set=general", "tag=arithmetic"}
    shown = keys(page)
    again = open_report(invented(orders=60, probes=60, lost=5, gained=2, both_fail=3), address=f"#{address}")
    expect(again.locator("#case-list [role=status]")).to_have_text("15 of 120 cases")
    assert keys(again) == shown
    assert again.get_by_label("Text").input_value() == "what is"
    assert 0 <= again.locator("#case-list").bounding_box()["y"] < 200  # a link to a choice leads to it


def test_a_choice_that_no_field_offers_is_left_out_of_an_address(
    open_report: Opener, invented: Invented
) -> None:
    page = open_report(
        invented(orders=120, probes=60, lost=2), address="#show=all&set=gone&tag=gone&sort=gone"
    )
    expect(page.locator("#case-list [role=status]")).to_have_text("all 180 cases")


def test_cases_are_sorted_and_paged(open_report: Opener, invented: Invented) -> None:
    page = open_report(invented(orders=120, probes=0, lost=2), address="#show=&sort=name")
    first = keys(page)
    assert first == sorted(first)
    assert len(first) == ON_PAGE
    page.get_by_role("button", name="Next page").click()
    expect(page.locator("[data-pager]")).to_contain_text("page 2 of 4")
    assert keys(page)[0] > first[-1]
    assert "page=2" in page.url
    choose(page, "sort", "longest answers first")
    expect(page.locator("[data-pager]")).to_contain_text("page 1 of 4")
    tokens = page.locator("details.card .side:last-child figcaption small")
    page.get_by_role("button", name="Unfold all").click()
    expect(page.locator("details.card > .body")).to_have_count(ON_PAGE)
    sizes = [int(text.split()[0]) for text in tokens.all_inner_texts()]
    assert sizes[0] == max(sizes)


def test_a_link_to_a_case_opens_it(open_report: Opener, invented: Invented) -> None:
    record = invented(orders=120, probes=0, lost=2)
    key = record.run.results[99].key
    page = open_report(record, address=f"#case={key}")
    card = page.locator("details.card[open]")
    expect(card.locator("h3")).to_have_text(key)
    assert card.locator(".body").is_visible()
    assert (
        card.get_by_role("link", name="Link to this case").get_attribute("href").startswith("#case=orders%2F")
    )
    page.get_by_role("link", name="Metrics").click()
    assert keys(page)[0] == record.run.results[90].key  # a section's anchor changes no filter
    page.evaluate("location.hash = '#case=orders/of-another-run'")
    expect(page.locator("#case-list [role=status]")).to_contain_text("no case orders/of-another-run")
    choose(page, "show", "lost (2)")
    expect(page.locator("#case-list [role=status]")).not_to_contain_text("no case")


def test_lost_cases_are_grouped_by_what_they_share(open_report: Opener, invented: Invented) -> None:
    record = invented(orders=60, probes=0, lost=12)
    assert record.verdict is not None
    lost = next(row.lost for row in record.comparison.metrics if row.metric == "pass-rate")
    trait = SharedTrait(
        set_name="orders",
        trait="answer begins with 'sure'",
        lost=5,
        of_lost=12,
        kept=0,
        of_kept=46,
        p_value=0.001,
        keys=lost[:5],
    )
    finding = Finding(set_name="orders", data=TraitsFinding(traits=(trait,)))
    verdict = replace(record.verdict, findings=(*record.verdict.findings, finding))
    page = open_report(replace(record, verdict=verdict))
    groups = page.locator(".group").all_inner_texts()
    assert groups == ["answer begins with 'sure' 5", "without a shared trait 7"]
    assert page.locator(".shared .what").first.inner_text() == "answer begins with sure"
    assert page.locator(".shared li b").first.inner_text() == "5 of 12"
    assert keys(page)[:5] == sorted(lost[:5], key=[each.key for each in record.run.results].index)


def test_a_command_is_copied(open_report: Opener, invented: Invented) -> None:
    page = open_report(invented(**KINDS["regress"]))
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator(".next .copy").click()
    expect(page.locator(".next .copy")).to_have_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()") == "pytest --model=adapters/orders"
