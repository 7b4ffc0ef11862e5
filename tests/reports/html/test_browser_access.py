"""The report by keyboard, read aloud, in the dark and on paper."""

import contextlib
from dataclasses import replace

import pytest

from harness.comparison.findings import metric_findings
from harness.types import GateRecord

# Without playwright the browser fixture skips or fails; nothing below runs.
with contextlib.suppress(ImportError):
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import expect
from tests.reports.html.opened_page import KINDS, ON_PAGE, Invented, Opener, keys, unfold

pytestmark = pytest.mark.browser


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


def with_sets(record: GateRecord, count: int) -> GateRecord:
    """The gate of many golden sets: the first one's row of figures, under other names."""
    assert record.comparison is not None
    first = record.comparison.metrics[0]
    rows = tuple(replace(first, set_name=f"set-{number:03}") for number in range(count))
    sets = tuple(
        replace(record.run.golden_sets[0], name=row.set_name, path=f"{row.set_name}.yaml") for row in rows
    )
    comparison = replace(record.comparison, metrics=rows)
    assert record.verdict is not None
    verdict = replace(record.verdict, findings=tuple(metric_findings(comparison, {})))
    return replace(record, run=replace(record.run, golden_sets=sets), comparison=comparison, verdict=verdict)


def test_rows_of_many_sets_are_drawn_when_they_are_seen(open_report: Opener, invented: Invented) -> None:
    """At the bottom of the page as few elements as at its top; printed, all rows."""
    page = open_report(with_sets(invented(orders=60, lost=25), 300))
    names = "document.querySelectorAll('#metrics table.compared tbody th').length"
    assert page.evaluate("document.querySelectorAll('*').length") < 5_000
    for part in ("#metrics", "#cases", "#manifest"):
        page.evaluate(f"location.hash = '{part}'")
        page.wait_for_timeout(60)
        assert page.evaluate("document.querySelectorAll('*').length") < 5_000
    assert page.evaluate(names) < 300
    assert Axe().run(page).violations_count == 0
    # The browser's own search finds a set that is not drawn.
    assert page.get_by_text("set-298").count() > 0
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(names) == 300
    assert page.locator(".gap").count() == 0
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(names) < 300


def test_further_rows_need_no_script(open_report: Opener, invented: Invented) -> None:
    page = open_report(with_sets(invented(orders=60, lost=25), 60), script=False)
    assert page.locator("#metrics table.compared tbody th").count() == 60
    assert page.locator("#verdict .sides-table tbody th").count() == 60
    assert page.locator("#manifest tbody th").count() == 60


def test_a_rare_tag_is_chosen_by_the_address(open_report: Opener, invented: Invented) -> None:
    """A filter offers what many cases have; a link to another value still works."""
    record = invented(orders=300, lost=5)
    results = tuple(
        replace(each, case=replace(each.case, tags=(f"only-{place:03}",)))
        for place, each in enumerate(record.run.results)
    )
    record = replace(record, run=replace(record.run, results=results))
    page = open_report(record, address="#show=&tag=only-299")
    assert page.locator("[data-filter=tag] option").count() < 220
    assert page.locator("[data-filter=tag]").input_value() == "only-299"
    assert len(keys(page)) == 1
