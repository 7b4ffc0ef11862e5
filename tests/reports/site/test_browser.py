"""The pages in a browser: drawn without an error, readable by everyone, at links that keep their choices."""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import permutations, product
from pathlib import Path
from typing import Any

import pytest

from harness.comparison.pairing import is_decided, pair_runs
from harness.history.store import open_history
from harness.run.opponents import as_one_question, opponent_of
from harness.statistics.paired_binary import tango_interval
from harness.types import CaseResult, Check, GateRecord, Score
from reports.site.digest import RunDigest
from reports.site.gathering import SiteSource
from reports.site.pages import PAGES, render_page

with contextlib.suppress(ImportError):
    from axe_playwright_python.sync_playwright import Axe

pytestmark = pytest.mark.browser
HOSTILE = "</script><img src=x onerror=alert(1)><script>alert(2)</script>" + "W" * 200


@pytest.fixture(scope="module")
def written(source: SiteSource, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    data = source.gather()
    for name in PAGES:
        (out / name).write_text(render_page(name, data), encoding="utf-8")
    return out


@pytest.fixture(scope="module")
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open a page of a site; nothing but files of its folder may be loaded, and nothing may go wrong."""
    errors: list[str] = []
    contexts: dict[tuple[int, str], Any] = {}

    def opened(folder: Path, address: str, width: int = 1280, scheme: str = "light") -> Any:
        context = contexts.get((width, scheme))
        if context is None:
            size = {"width": width, "height": 800}
            context = contexts[width, scheme] = browser.new_context(viewport=size, color_scheme=scheme)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: (errors.append(f"dialog {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: request.url.startswith("file:") or errors.append(request.url))
        page.goto(f"{folder.as_uri()}/{address}")
        page.locator("html[data-ready]").wait_for(state="attached")
        return page

    yield opened
    for context in contexts.values():
        context.close()
    assert errors == []


@pytest.mark.parametrize("name", PAGES)
def test_axe_finds_nothing_on_a_phone_in_the_dark(open_page: Callable, written: Path, name: str) -> None:
    page = open_page(written, name, 390, "dark")
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    found = Axe().run(page)
    assert found.violations_count == 0, found.generate_report()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.close()


def test_the_first_screen_says_what_is_worse(open_page: Callable, written: Path) -> None:
    page = open_page(written, "index.html")
    for part in ("h1", ".lead", ".states tbody tr:first-child .worse", ".states tbody tr:last-child"):
        box = page.locator(part).bounding_box()
        assert box["y"] + box["height"] <= 800
    page.locator("#filter select[name=verdict]").select_option("regress")
    assert page.locator("table.runs tbody tr:visible").count() == 6
    assert page.url.endswith("#verdict=regress")
    page.locator(".states a").first.click()
    page.locator(".plot canvas").first.wait_for()
    assert page.locator(".plot").count() == 1
    page.close()


def test_links_keep_their_choices(open_page: Callable, written: Path) -> None:
    runs = "baseline=20260105-090000-0000&candidate=20260116-090000-000b"
    page = open_page(written, f"compare.html#{runs}")
    lead = page.locator(".lead").inner_text()
    lost = page.locator("section[aria-label=Lost] li").count()
    assert lead.startswith(f"{lost} lost, ")
    assert lost >= 8
    # The interval of the table is the gate's own.
    row = (
        page.locator("table", has_text="The drop between these two")
        .locator("tbody tr", has_text="orders")
        .first
    )
    _, _, _, drop, interval, n = row.locator("th, td").all_inner_texts()
    flips = (page.locator(f"section[aria-label={side}] li").all_inner_texts() for side in ("Lost", "Gained"))
    own = tango_interval(*(sum(each.startswith("orders/") for each in side) for side in flips), int(n), 0.9)
    assert drop == f"+{100 * own.estimate:.1f}"
    assert interval == f"[{100 * own.low:.1f}, {100 * own.high:.1f}]".replace("-", "\u2212")
    page.locator("section[aria-label=Lost] a").first.click()
    page.locator("details.card[open] .moment").first.wait_for()
    assert page.locator("details.card").count() == 1
    assert "passed" in page.locator(".strip").get_attribute("aria-label")
    page.close()
    page = open_page(written, "training.html#q=grpo")
    assert page.locator("table tbody tr").last.inner_text().count("grpo") == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.close()


def test_what_another_judge_scored_is_no_drop(
    open_page: Callable,
    invented: Callable[..., GateRecord],
    days: Callable,
    tmp_path: Path,
) -> None:
    """The cases that it decided are counted and named, and all others are compared."""
    with open_history(tmp_path / "history.sqlite") as stored:
        for number in (1, 2):
            record = days(invented(orders=24, probes=12, lost=number), number)
            facts = record.run.metrics["json-equals"]
            metrics = {
                **record.run.metrics,
                "json-equals": replace(facts, scored_by={"judge": f"no. {number}"}),
            }
            stored.save(replace(record, run=replace(record.run, metrics=metrics)))
    data = SiteSource(history=tmp_path, project=tmp_path, limit=9).gather()
    for name in ("compare.html", "cases.html"):
        (tmp_path / name).write_text(render_page(name, data), encoding="utf-8")
    page = open_page(tmp_path, "cases.html#set=orders&sort=flips")
    page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
    page.locator(".chip.note").first.wait_for()
    assert {*page.locator(".chip.note").all_inner_texts()} == {"json-equals: scored otherwise before"}
    page.close()
    page = open_page(tmp_path, "compare.html")
    text = page.locator("#drawn").inner_text()
    assert (
        "Not compared: 24 cases decided by json-equals, which another judge decided in the baseline." in text
    )
    assert "of 12 cases that are the same in both runs" in page.locator(".lead").inner_text()
    drops = page.locator("table", has_text="The drop between these two").locator("tbody th")
    assert drops.all_inner_texts() == ["general"]
    page.close()


# Checks that ask for pairs: one that informs, one that decides, and a member of a group that decides.
PAIRS: dict[str, tuple[Check, Score]] = {
    "inform": (Check(type="pairwise"), Score(metric="pairwise", value=0.5)),
    "decide": (Check(type="pairwise", threshold=0.5), Score(metric="pairwise", value=1.0, passed=True)),
    "group": (
        Check(type="any-of", checks=(Check(type="equals"), Check(type="pairwise"))),
        Score(metric="any-of", value=1.0, passed=True),
    ),
}


def scored_by(record: GateRecord, judge: str, version: str, opponent: str, pairs: str) -> GateRecord:
    """The record with another judge of the orders, version of the probes' check, and opponent of pairs."""
    assert record.comparison is not None
    facts = record.run.metrics
    others = {
        "json-equals": replace(facts["json-equals"], scored_by={"judge": judge} if judge else None),
        "contains": replace(facts["contains"], version=version),
    }
    check, score = PAIRS[pairs]

    def asked(result: CaseResult) -> CaseResult:
        case = replace(result.case, checks=(*result.case.checks, check))
        return replace(result, case=case, scores=(*result.scores, score))

    results = tuple(asked(result) if place % 2 else result for place, result in enumerate(record.run.results))
    run = replace(record.run, metrics={**facts, **others}, results=results)
    return replace(record, run=run, comparison=replace(record.comparison, baseline_run=opponent))


@pytest.mark.parametrize("pairs", PAIRS)
def test_the_page_compares_the_cases_that_the_gate_compares(
    open_page: Callable, invented: Callable[..., GateRecord], days: Callable, tmp_path: Path, pairs: str
) -> None:
    records = [
        scored_by(days(invented(orders=12, probes=6, lost=2, seed=place), place), *other, pairs)
        for place, other in enumerate(product(("", "A", "B"), ("1", "2"), ("p", "q")))
    ]
    with open_history(tmp_path / "history.sqlite") as stored:
        for record in records:
            stored.save(replace(record, baseline=replace(record.baseline, id=record.comparison.baseline_run)))
    data = SiteSource(history=tmp_path, project=tmp_path, limit=20).gather()
    (tmp_path / "compare.html").write_text(render_page("compare.html", data), encoding="utf-8")
    page = open_page(tmp_path, "compare.html")
    for before, now in permutations(records, 2):
        page.evaluate(f"location.hash = 'baseline={before.run.id}&candidate={now.run.id}'")
        code = f"tunegate compare {before.run.id} {now.run.id}"
        page.locator("code", has_text=code).wait_for(state="attached")
        baseline = as_one_question(now.run, before.run, (opponent_of(before), opponent_of(now)))
        compared = [pair for pair in pair_runs(now.run, baseline).pairs if is_decided(pair)]
        assert f" of {len(compared)} cases that are the same" in page.locator(".lead").inner_text(), code
    page.close()


@pytest.mark.parametrize("opponent", ["a", "b"])
def test_a_group_that_asks_for_pairs_has_a_drop_between_runs_with_one_opponent_alone(
    open_page: Callable, source: SiteSource, tmp_path: Path, opponent: str
) -> None:
    data = source.gather()

    def against(run: RunDigest, opponent: str) -> RunDigest:
        values = {"any-of": 0.5, "all-of": 0.25}
        cases = {
            key: replace(case, values=values) if key.startswith("orders/") else case
            for key, case in run.cases.items()
        }
        groups = frozenset({("orders", "any-of")})
        return replace(run, cases=cases, groups_of_pairs=groups, opponent=opponent)

    runs = (against(data.runs[-2], "a"), against(data.runs[-1], opponent))
    shown = render_page("compare.html", replace(data, runs=runs))
    (tmp_path / "compare.html").write_text(shown, encoding="utf-8")
    page = open_page(tmp_path, "compare.html")
    drops = page.locator("table", has_text="The drop between these two").locator("tbody th").all_inner_texts()
    assert "orders all-of" in drops
    assert ("orders any-of" in drops) is (opponent == "a")
    told = "Not compared: orders any-of, which compared the answers with those of another run."
    assert (told in page.locator("#drawn").inner_text()) is (opponent == "b")
    page.close()


def test_hostile_names_and_answers_do_nothing(
    open_page: Callable,
    invented: Callable[..., GateRecord],
    spoiled: Callable,
    days: Callable,
    tmp_path: Path,
) -> None:
    with open_history(tmp_path / "history.sqlite") as stored:
        stored.save(days(invented(lost=2), 1))
        stored.save(days(spoiled(invented(lost=2), HOSTILE), 2, HOSTILE))
    data = SiteSource(history=tmp_path, project=tmp_path, limit=9).gather()
    for name in PAGES:
        (tmp_path / name).write_text(render_page(name, data), encoding="utf-8")
        page = open_page(tmp_path, name, 390, "dark")
        page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        assert page.locator("img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= 390, name
        page.close()
