"""What a person meets in a browser: the verdict first, on any screen, by keyboard, without script, in the dark."""

import contextlib
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.baselines.accept import accept_run
from harness.baselines.file import load_baseline
from harness.history.listing import PastMetric
from harness.types import Finding, GateRecord, GateVerdict, SharedTrait, TraitsFinding
from reports.earlier_runs import EarlierRuns
from reports.html import render_report

# Without playwright the browser fixture skips or fails; nothing below runs.
with contextlib.suppress(ImportError):
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import expect

pytestmark = pytest.mark.browser

Opener = Callable[..., Any]
Invented = Callable[..., GateRecord]
ON_PAGE = 30
KINDS = {
    "pass": {"orders": 120, "probes": 120, "lost": 1, "gained": 2},
    "regress": {"lost": 25, "orders": 60, "probes_lost": 14, "loss_rise": 0.4},
    "inconclusive": {"lost": 3, "gained": 2, "errored": 2, "unscored": 3, "collected": 140},
    "no baseline": {"compared": False, "lost": 4},
}
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


def unfold(page: Any) -> None:
    """Open everything, and wait until the cases of the page are drawn."""
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    expect(page.locator("details.card:not(:has(> .body))")).to_have_count(0)
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")


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


def keys(page: Any) -> list[str]:
    return page.locator("details.card").evaluate_all("(cards) => cards.map((card) => card.dataset.key)")


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


def test_everything_is_reached_and_worked_by_keyboard(open_report: Opener, invented: Invented) -> None:
    page = open_report(invented(orders=60, lost=12))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
    card = page.locator("details.card").last
    assert card.get_attribute("open") is None
    card.locator("summary").first.focus()
    page.keyboard.press("Enter")
    expect(card.locator(".body")).to_be_visible()
    button = page.get_by_role("button", name="Unfold all")
    button.focus()
    page.keyboard.press("Enter")
    assert page.locator("details.card:not([open])").count() == 0
    assert page.locator("[data-unfold]").inner_text() == "Fold all on this page"
    page.get_by_label("Text").focus()
    page.keyboard.type("kettle")
    expect(page.locator("#case-list [role=status]")).to_contain_text(" of ")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.filter") == "set"


def test_a_long_answer_unfolds_by_keyboard(open_report: Opener, invented: Invented) -> None:
    record = invented(orders=60, lost=2)
    long = tuple(
        replace(result, completion=replace(result.completion, text="word " * 600))
        for result in record.run.results
    )
    page = open_report(replace(record, run=replace(record.run, results=long)))
    box = page.locator(".unfold").first
    answer = page.locator(".unfold + .answer").first
    before = answer.bounding_box()["height"]
    box.focus()
    page.keyboard.press("Space")
    assert answer.bounding_box()["height"] > before


@pytest.mark.parametrize("cases", [1_000, 10_000])
def test_many_cases_are_few_elements(open_report: Opener, invented: Invented, cases: int) -> None:
    page = open_report(
        invented(orders=cases * 9 // 10, probes=cases // 10, lost=40, gained=10), address="#show="
    )
    assert len(keys(page)) == ON_PAGE
    assert page.evaluate("document.querySelectorAll('*').length") < 5_000
    page.get_by_role("button", name="Unfold all").click()
    expect(page.locator("details.card > .body")).to_have_count(ON_PAGE)
    assert page.evaluate("document.querySelectorAll('*').length") < 5_000
    page.get_by_label("Text").fill("kettle")
    expect(page.locator("#case-list [role=status]")).to_contain_text(" of ")


STRUCTURE = """() => {
  const problems = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  for (const landmark of ["main", "nav.parts[aria-label]", "header"])
    if (all(landmark).length !== 1) problems.push(`${landmark}: ${all(landmark).length}`);
  if (all("h1").length !== 1) problems.push("h1");
  let level = 1;
  for (const heading of all("h1, h2, h3, h4")) {
    const own = Number(heading.tagName[1]);
    if (own > level + 1) problems.push(`heading ${heading.textContent} skips a level`);
    level = own;
  }
  for (const table of all("table")) if (!table.caption) problems.push(`table without caption: ${table.className}`);
  for (const section of all("section"))
    if (!document.getElementById(section.getAttribute("aria-labelledby"))) problems.push(`section ${section.id}`);
  for (const svg of all("svg"))
    if (svg.getAttribute("aria-hidden") !== "true" && !(svg.getAttribute("role") === "img" && svg.getAttribute("aria-label")))
      problems.push(`svg ${svg.className.baseVal}`);
  for (const field of all("input, select, button"))
    if (!field.labels?.length && !field.getAttribute("aria-label") && !field.textContent.trim())
      problems.push(`unnamed ${field.outerHTML.slice(0, 80)}`);
  const ids = all("[id]").map((element) => element.id);
  for (const id of ids) if (ids.indexOf(id) !== ids.lastIndexOf(id)) problems.push(`id ${id} twice`);
  for (const link of all("a[href^='#']"))
    if (!link.getAttribute("href").startsWith("#case=") && !document.getElementById(link.getAttribute("href").slice(1))) problems.push(`dead link ${link.href}`);
  return problems;
}"""


@pytest.mark.parametrize("kind", KINDS)
def test_the_page_is_structured_for_screen_readers(
    open_report: Opener, invented: Invented, kind: str
) -> None:
    assert open_report(invented(**KINDS[kind])).evaluate(STRUCTURE) == []


# Every visible text against the opaque grounds painted behind it (WCAG 2.2, 1.4.3).
CONTRAST = """() => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = parse(getComputedStyle(at).backgroundColor);
      if (colour.length === 3 || colour[3] === 1) return colour;
    }
    return [255, 255, 255];
  };
  const problems = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || ["SCRIPT", "OPTION"].includes(element.tagName)) continue;
    if (!element.checkVisibility()) continue;
    const style = getComputedStyle(element);
    const ink = light(parse(element.closest("svg") ? style.fill : style.color));
    const paper = light(ground(element));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < 4.5) problems.add(`${ratio.toFixed(2)} ${element.tagName}.${element.className}: ${walker.currentNode.textContent.trim().slice(0, 30)}`);
  }
  return [...problems];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_text_has_enough_contrast(
    open_report: Opener, invented: Invented, kind: str, scheme: str
) -> None:
    page = open_report(invented(**KINDS[kind]), scheme=scheme)
    unfold(page)
    assert page.evaluate(CONTRAST) == []


@pytest.mark.parametrize("view", ["light", "dark", "phone"])
@pytest.mark.parametrize("kind", KINDS)
def test_axe_finds_nothing(open_report: Opener, invented: Invented, kind: str, view: str) -> None:
    """All rules of axe-core, on everything unfolded."""
    size = (390, 844) if view == "phone" else (1280, 800)
    page = open_report(invented(**KINDS[kind]), *size, scheme="dark" if view == "dark" else "light")
    unfold(page)
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()


def test_print_shows_what_the_screen_shows(open_report: Opener, invented: Invented) -> None:
    """The chosen cases, as folded or unfolded as they are; no controls, and no answer cut."""
    page = open_report(invented(orders=60, lost=25))
    opened = "(cards) => cards.map((card) => card.open)"
    before = page.locator("details.card").evaluate_all(opened)
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator(".parts").is_hidden()
    assert page.locator(".filter").is_hidden()
    assert page.locator("button:visible").count() == 0
    assert page.locator("details.card").evaluate_all(opened) == before
    assert any(before)
    cut = "(answers) => answers.filter((a) => a.scrollHeight > a.clientHeight + 1).length"
    assert page.locator(".card .answer").evaluate_all(cut) == 0
