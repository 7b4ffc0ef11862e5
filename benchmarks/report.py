"""The report in Chromium: size, time until it can be used, time of a filter, number of elements.

    python benchmarks/report.py [--cases 1000 10000] [--sets 1]

Each case has a prompt of about 60 words and two answers of about 80, made of random words. Exit status 1
where a figure is above its limit. A busy machine takes longer: run it on a quiet one.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from harness.comparison.gate import run_gate
from harness.types import (
    CaseResult,
    Check,
    Completion,
    Environment,
    ExecutionPlan,
    GateRecord,
    GoldenCase,
    GoldenSet,
    Message,
    MetricFacts,
    ModelRef,
    Outcome,
    Run,
    Score,
)
from reports.html import render_report

LIMITS = {1_000: 2_000_000, 10_000: 10_000_000}
USABLE_S, FILTER_S, ELEMENTS = 1.0, 0.1, 5_000
CHECK = Check(type="contains", value="order")
# The time from a typed word to the drawn list, without the pause that waits for the typist.
FILTER = """(word) => new Promise((done) => {
  const field = document.querySelector("input[type=search]");
  const rows = document.querySelector("[data-rows]");
  const begun = performance.now();
  const seen = new MutationObserver(() => (seen.disconnect(), done(performance.now() - begun)));
  seen.observe(rows, {childList: true});
  field.value = word;
  field.dispatchEvent(new Event("change"));
})"""


def sentence(pick: random.Random, words: list[str], length: int) -> str:
    """Random words."""
    return " ".join(pick.choices(words, k=length))


def set_name(number: int) -> str:
    """The name of a golden set."""
    return "orders" if number == 0 else f"orders-{number}"


def side(label: str, results: list[CaseResult], case_count: int, set_count: int = 1) -> Run:
    """One run."""
    return Run(
        id=f"20260131-142501-{label}",
        started_at="2026-01-31T14:25:01+00:00",
        duration_s=60,
        model=ModelRef(label=label, base_model="base", base_sha256="0" * 64),
        plan=ExecutionPlan(engine="transformers", dtype="float32", device="cpu", batch_tokens=4096),
        environment=Environment(python="3.11", platform="Linux", packages={}),
        golden_sets=tuple(
            GoldenSet(name=name, path=f"golden_sets/{name}.yaml") for name in map(set_name, range(set_count))
        ),
        collected=case_count,
        results=tuple(results),
        metrics={"contains": MetricFacts(kind="binary")},
    )


def made_up(case_count: int, set_count: int = 1) -> GateRecord:
    """A gate in which a twentieth of the cases is lost and most answers changed."""
    pick = random.Random(0)
    words = ["".join(pick.choices("abcdefghijklmnopqrstuvwxyz", k=pick.randint(2, 9))) for _ in range(5_000)]
    results: tuple[list[CaseResult], list[CaseResult]] = ([], [])
    for number in range(case_count):
        case = GoldenCase(
            id=f"case-{number:05}",
            set_name=set_name(number % set_count),
            messages=(Message(role="user", content=sentence(pick, words, 60)),),
            references=(sentence(pick, words, 20),),
            checks=(CHECK,),
            tags=(f"tag-{number % 20}",),
        )
        for place, of_side in enumerate(results):
            passed = place == 1 or number % 20 > 0
            text = sentence(pick, words, 80)
            prompt = f"<|user|>{case.messages[0].content}<|assistant|>"
            done = Completion(
                text=text,
                stop_reason="stop",
                prompt_tokens=80,
                completion_tokens=110,
                latency_s=pick.random(),
                prompt=prompt,
                prompt_sha256="0" * 64,
            )
            score = Score(metric="contains", value=float(passed), passed=passed, explanation="'order'")
            outcome = Outcome.PASSED if passed else Outcome.FAILED
            of_side.append(CaseResult(case=case, completion=done, scores=(score,), outcome=outcome))
    run, baseline = (
        side(label, of_side, case_count, set_count)
        for label, of_side in zip(("new", "old"), results, strict=True)
    )
    comparison, verdict = run_gate(run, baseline)
    return GateRecord(run=run, baseline=baseline, comparison=comparison, verdict=verdict)


def measured(browser: Any, path: Path) -> tuple[float, float, float, int]:
    """Seconds until the cases can be used, until all can be searched, of a filter, and the most elements."""
    page = browser.new_page(viewport={"width": 1280, "height": 800})
    began = time.perf_counter()
    page.goto(path.as_uri())
    page.locator("html[data-ready]").wait_for(state="attached")
    usable_s = time.perf_counter() - began
    page.locator("html[data-searchable]").wait_for(state="attached")
    searchable_s = time.perf_counter() - began
    page.locator("[data-filter=show]").select_option("")
    filter_s = max(page.evaluate(FILTER, word) for word in ("tag-7", "case-00", "an", "zq")) / 1_000
    elements = 0
    for part in ("verdict", "metrics", "slices", "cases", "manifest"):
        page.evaluate(f"location.hash = '{part}'")
        page.wait_for_timeout(100)
        elements = max(elements, page.evaluate("document.querySelectorAll('*').length"))
    page.close()
    return usable_s, searchable_s, filter_s, elements


def main() -> None:
    """Measure, print, and fail where a limit is passed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--cases", type=int, nargs="+", default=[1_000, 10_000])
    parser.add_argument("--sets", type=int, default=1, help="golden sets that the cases are of")
    asked = parser.parse_args()
    from playwright.sync_api import sync_playwright

    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    beyond = []
    with tempfile.TemporaryDirectory() as name, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        for cases in asked.cases:
            record = made_up(cases, asked.sets)
            began = time.perf_counter()
            page = render_report(record)
            rendered_s = time.perf_counter() - began
            path = Path(name) / f"{cases}.html"
            path.write_text(page, encoding="utf-8")
            usable_s, searchable_s, filter_s, elements = measured(browser, path)
            size = path.stat().st_size
            print(f"{cases:6} cases: {size / 1e6:5.2f} MB, written in {rendered_s:.1f} s")
            print(f"    usable after {usable_s:.2f} s, all searchable after {searchable_s:.2f} s")
            print(f"    slowest filter {filter_s * 1000:.0f} ms, {elements} elements at most")
            beyond.append(size > LIMITS.get(cases, size) or usable_s > USABLE_S)
            beyond.append(filter_s > FILTER_S or elements >= ELEMENTS)
        browser.close()
    sys.exit(any(beyond))


if __name__ == "__main__":
    main()
