"""The pages of a site, made anew when the history has changed."""

import threading

from harness.history.listing import RunLine
from harness.history.location import history_place
from harness.history.store import open_history
from harness.types import GateRecord
from reports.earlier_runs import earlier_runs_of
from reports.html import render_report
from reports.site.gathering import SiteData, SiteSource
from reports.site.pages import render_page


class LivePages:
    """The pages as of now; what didn't change since the last request is not read again."""

    def __init__(self, source: SiteSource) -> None:
        """Serve what a source reads."""
        self._source = source
        self._lock = threading.Lock()
        self._state: list[RunLine] | None = None
        self._data: SiteData | None = None

    def page(self, name: str) -> str:
        """One of the pages.

        Args:
            name: Its file's name.
        """
        with self._lock:
            listed = self._source.listed()
            # Baselines and trainings are few, and read anew with each page.
            if (
                self._data is None
                or listed != self._state
                or name in {"index.html", "trends.html", "training.html"}
            ):
                self._data, self._state = self._source.gather(), listed
            data = self._data
        return render_page(name, data, live=True)

    def report(self, run_id: str) -> str:
        """The report of a stored run.

        Args:
            run_id: Its whole id, or any reference to it.
        """
        with open_history(history_place(self._source.history), to_read=True) as stored:
            record = stored.load_record(run_id)
        return self._report(record)

    def comparison(self, baseline: str, candidate: str) -> str:
        """The report of the gate's comparison of any two stored runs; nothing is stored.

        Args:
            baseline: A run's id.
            candidate: A run's id.
        """
        from harness.baselines.paired_runs import require_pairs
        from harness.comparison.gate import run_gate
        from harness.comparison.pairing import pair_runs
        from harness.run.opponents import as_one_question, opponent_of

        with open_history(history_place(self._source.history), to_read=True) as stored:
            then, now = (stored.load_record(each, with_baseline=False) for each in (baseline, candidate))
        before = as_one_question(now.run, then.run, (opponent_of(then), opponent_of(now)))
        pairing = pair_runs(now.run, before)
        require_pairs(pairing.unpaired, pairing.pairs)
        comparison, verdict = run_gate(now.run, before)
        return self._report(GateRecord(run=now.run, baseline=before, comparison=comparison, verdict=verdict))

    def _report(self, record: GateRecord) -> str:
        earlier = earlier_runs_of(record, history_place(self._source.history), self._source.project)
        return render_report(record, earlier)
