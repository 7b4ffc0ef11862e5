"""Pages as of now: a new run appears, what did not change is not read again, and nothing is stored."""

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from harness.baselines.accept import accept_run
from harness.errors import BaselineError
from harness.history.store import open_history
from harness.run.session import metric_facts
from harness.types import GateRecord, Stability
from reports.site.gathering import SiteData, SiteSource
from reports.site.live_pages import LivePages
from reports.site.pages import PAGES

FIRST, SECOND = "20260106-090000-0001", "20260107-090000-0002"


@pytest.fixture
def history(invented: Callable[..., GateRecord], days: Callable, tmp_path: Path) -> Path:
    """A history of two runs."""
    path = tmp_path / "history.sqlite"
    with open_history(path) as stored:
        for number in (1, 2):
            stored.save(days(invented(orders=12, probes=8, lost=number), number))
    return path


@pytest.fixture
def pages(history: Path) -> LivePages:
    return LivePages(SiteSource(history=history, project=history.parent, limit=9))


@pytest.fixture
def gathered(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the content was read."""
    times: list[float] = []
    gather = SiteSource.gather

    def counting(source: SiteSource) -> SiteData:
        times.append(time.monotonic())
        return gather(source)

    monkeypatch.setattr(SiteSource, "gather", counting)
    return times


@pytest.mark.parametrize("name", PAGES)
def test_each_page_is_one_of_a_server(pages: LivePages, name: str) -> None:
    """It links to reports and comparisons that a file can't make."""
    assert 'data-live="1"' in pages.page(name)


def test_what_did_not_change_is_not_read_again(
    pages: LivePages,
    history: Path,
    gathered: list[float],
    invented: Callable[..., GateRecord],
    days: Callable,
) -> None:
    kept = sorted({*PAGES} - {"index.html", "trends.html", "training.html"})
    for name in (*kept, *kept):
        pages.page(name)
    assert len(gathered) == 1
    with open_history(history) as stored:
        stored.save(days(invented(orders=12, probes=8, lost=3), 3))
    for name in (*kept, *kept):
        pages.page(name)
    assert len(gathered) == 2


def test_a_run_that_was_judged_again_is_read_again(
    pages: LivePages, history: Path, gathered: list[float]
) -> None:
    """Its id is the same, and its verdict another one."""
    pages.page("compare.html")
    with open_history(history) as stored:
        record = stored.load_record(SECOND)
        with stored.database.writing():
            stored.database.execute("UPDATE gates SET verdict = NULL WHERE run_id = ?", [record.run.id])
    pages.page("compare.html")
    assert len(gathered) == 2


def test_a_baseline_that_was_accepted_since_is_shown(pages: LivePages, history: Path) -> None:
    """No run has changed by that, so the list of runs does not tell."""
    before = pages.page("trends.html")
    (history.parent / "pyproject.toml").write_text("")
    with open_history(history) as stored:
        record = stored.load_record(FIRST)
    clean = replace(record.run, environment=replace(record.run.environment, dirty=False))
    accept_run(clean, "shipped", "good enough", history.parent)
    assert pages.page("trends.html") != before


def test_two_readers_at_once_read_the_history_once(pages: LivePages, gathered: list[float]) -> None:
    readers = [threading.Thread(target=pages.page, args=("compare.html",)) for _ in range(4)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join()
    assert len(gathered) == 1


def test_a_report_is_that_of_the_stored_run(pages: LivePages) -> None:
    report = pages.report(SECOND)
    assert SECOND in report
    assert 'id="metrics"' in report
    assert pages.report("latest") == report
    with pytest.raises(BaselineError, match=r"no run .never."):
        pages.report("never")


def test_a_comparison_is_the_gates_of_the_two_runs_and_is_not_stored(pages: LivePages, history: Path) -> None:
    compared = pages.comparison(FIRST, SECOND)
    assert FIRST in compared
    assert SECOND in compared
    assert pages.comparison(SECOND, FIRST) != compared
    with open_history(history) as stored:
        assert [line.id for line in stored.list_runs()] == [SECOND, FIRST]


def test_a_comparison_uses_the_noise_record_of_the_baseline(pages: LivePages, history: Path) -> None:
    with open_history(history) as stored:
        run = stored.load_record(FIRST).run
        cases = [each.case for each in run.results]
        before = pages.comparison(FIRST, SECOND)
        noted = {case.key: Stability(passed=9, answers=20) for case in cases}
        stored.save_noise(run.model, run.plan.dtype, cases, noted, metric_facts)
    assert pages.comparison(FIRST, SECOND) != before


def test_runs_without_a_common_case_are_refused(pages: LivePages, history: Path) -> None:
    with open_history(history) as stored:
        record = stored.load_record(SECOND)
        results = tuple(
            replace(each, case=replace(each.case, id=f"other-{each.case.id}")) for each in record.run.results
        )
        stored.save(replace(record, run=replace(record.run, id="other", results=results), comparison=None))
    with pytest.raises(BaselineError, match="no case can be compared"):
        pages.comparison(FIRST, "other")
