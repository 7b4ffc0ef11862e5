"""What a person meets in a browser: the verdict first, on any screen, by keyboard, without script, in the dark."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest

from harness.types import GateRecord

# Without playwright the browser fixture skips or fails; nothing below runs.
with contextlib.suppress(ImportError):
    from playwright.sync_api import expect

pytestmark = pytest.mark.browser

Opener = Callable[..., Any]
Invented = Callable[..., GateRecord]
KINDS = {
    "pass": {"orders": 120, "probes": 120, "lost": 1, "gained": 2},
    "regress": {"lost": 25, "orders": 60, "probes_lost": 14, "loss_rise": 0.4},
    "inconclusive": {"lost": 3, "gained": 2, "errored": 2, "unscored": 3, "collected": 140},
    "no baseline": {"compared": False, "lost": 4},
}
HOSTILE = "</script><img src=x onerror=alert(1)>" + "W" * 400 + "\u202e\x1b[31m<script>alert(2)</script>"


@pytest.mark.parametrize("size", [(1280, 800), (390, 844)], ids=["desktop", "phone"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_verdict_is_seen_without_scrolling(
    open_report: Opener, invented: Invented, kind: str, size: tuple[int, int]
) -> None:
    page = open_report(invented(**KINDS[kind]), *size)
    assert page.locator("h1").inner_text().strip() == kind.upper()
    for part in ("h1", ".lead", ".sides-line", ".tiles"):
        box = page.locator(part).first.bounding_box()
        assert box["y"] >= 0
        assert box["y"] + box["height"] <= size[1]


@pytest.mark.parametrize("width", [390, 768, 1280])
def test_the_page_never_scrolls_sideways(open_report: Opener, invented: Invented, width: int) -> None:
    page = open_report(invented(lost=6, errored=1), width)
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_hostile_answers_do_nothing(open_report: Opener, invented: Invented, spoiled: Any) -> None:
    page = open_report(spoiled(invented(lost=2), HOSTILE), 390)
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    assert page.locator("img").count() == 0
    assert page.locator("script").count() == 1
    assert "</script><img src=x" in page.locator("main").inner_text()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_lost_cases_read_whole_without_script(open_report: Opener, invented: Invented) -> None:
    page = open_report(invented(**KINDS["regress"]), script=False)
    first = page.locator("#lost .card").first
    assert first.locator("figure").count() == 2
    assert first.locator(".answer").first.is_visible()
    assert first.locator(".checks .why").first.is_visible()
    assert page.locator("#case-filter").is_hidden()
    assert page.locator("button:visible").count() == 0
    page.get_by_text("cases, with their answers and checks").click()
    page.locator(".rows summary").first.click()
    assert page.locator(".rows .body").first.is_visible()


def shown(page: Any) -> int:
    return page.locator(".rows > li:visible").count()


def test_cases_are_filtered_by_text_outcome_change_set_and_tag(
    open_report: Opener, invented: Invented
) -> None:
    page = open_report(invented(orders=60, probes=60, lost=5, gained=2, both_fail=3))
    page.get_by_role("link", name="All cases").click()
    assert shown(page) == 120
    assert page.get_by_role("status").inner_text() == "all 120 cases"
    page.get_by_label("Change").select_option(label="lost (5)")
    assert shown(page) == 5
    assert page.get_by_role("status").inner_text() == "5 of 120 cases"
    page.get_by_label("Change").select_option(label="all")
    page.get_by_label("Outcome").select_option(label="failed (8)")
    assert shown(page) == 8
    page.get_by_label("Golden set").select_option(label="general (60)")
    assert shown(page) == 0
    page.get_by_label("Outcome").select_option(label="all")
    page.get_by_label("Tag").select_option(label="arithmetic (15)")
    assert shown(page) == 15
    page.get_by_label("Golden set").select_option(label="all")
    page.get_by_label("Tag").select_option(label="all")
    page.get_by_label("Text").fill("what is")
    expect(page.get_by_role("status")).to_have_text("15 of 120 cases")
    assert shown(page) == 15
    page.get_by_label("Text").press("Escape")
    assert shown(page) == 120


def test_everything_is_reached_and_worked_by_keyboard(open_report: Opener, invented: Invented) -> None:
    page = open_report(invented(orders=60, lost=12))
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the verdict"
    card = page.locator("#lost .card").last
    assert card.get_attribute("open") is None
    card.locator("summary").first.focus()
    page.keyboard.press("Enter")
    assert card.get_attribute("open") is not None
    button = page.get_by_role("button", name="Unfold all").first
    button.focus()
    page.keyboard.press("Enter")
    assert page.locator("#lost .card:not([open])").count() == 0
    assert page.locator("#lost button").inner_text() == "Fold all"
    page.get_by_role("link", name="All cases").focus()
    page.keyboard.press("Enter")
    page.get_by_label("Text").focus()
    page.keyboard.type("kettle")
    expect(page.get_by_role("status")).to_contain_text(" of ")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.filter") == "outcome"
    page.get_by_label("Text").press("Escape")
    page.locator(".rows summary").first.focus()
    page.keyboard.press("Space")
    assert page.locator(".rows .body").first.is_visible()


def test_a_long_answer_unfolds_by_keyboard(open_report: Opener, invented: Invented) -> None:
    page = open_report(invented(orders=60, lost=40))
    page.get_by_role("button", name="Unfold all").first.click()
    box = page.locator("#lost .unfold").first
    answer = page.locator("#lost .unfold + .answer").first
    before = answer.bounding_box()["height"]
    box.focus()
    page.keyboard.press("Space")
    assert answer.bounding_box()["height"] > before


def test_a_thousand_cases_stay_usable(open_report: Opener, invented: Invented) -> None:
    page = open_report(invented(orders=900, probes=100, lost=40, gained=10))
    page.get_by_role("link", name="All cases").click()
    assert shown(page) == 1_000
    took = page.evaluate(
        """() => new Promise((done) => {
          const search = document.querySelector("input[type=search]");
          const begun = performance.now();
          new MutationObserver(() => done(performance.now() - begun))
            .observe(document.querySelector("[data-shown]"), {childList: true});
          search.value = "kettle";
          search.dispatchEvent(new Event("input"));
        })"""
    )
    assert took < 2_000  # milliseconds, 120 of them waiting for the typist


STRUCTURE = """() => {
  const problems = [];
  const all = (selector) => [...document.querySelectorAll(selector)];
  for (const landmark of ["main", "nav[aria-label]", "header"])
    if (all(landmark).length !== 1) problems.push(`${landmark}: ${all(landmark).length}`);
  if (all("h1").length !== 1) problems.push("h1");
  let level = 1;
  for (const heading of all("h1, h2, h3")) {
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
    if (!document.getElementById(link.getAttribute("href").slice(1))) problems.push(`dead link ${link.href}`);
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
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    assert page.evaluate(CONTRAST) == []


def test_print_leaves_out_the_controls_and_cuts_no_answer(open_report: Opener, invented: Invented) -> None:
    page = open_report(invented(orders=60, lost=25))
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.emulate_media(media="print")
    assert page.locator("nav").is_hidden()
    assert page.locator("#lost .card:not([open])").count() == 0
    cut = "(answers) => answers.filter((a) => a.scrollHeight > a.clientHeight + 1).length"
    assert page.locator("#lost .answer").evaluate_all(cut) == 0
