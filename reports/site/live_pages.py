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
        from harness.run.stored_comparison import compare_stored

        with open_history(history_place(self._source.history), to_read=True) as stored:
            then, now = (stored.load_record(each, with_baseline=False) for each in (baseline, candidate))
            noise = stored.load_noise()
        return self._report(compare_stored(now, then, noise))

    def _report(self, record: GateRecord) -> str:
        earlier = earlier_runs_of(record, history_place(self._source.history), self._source.project)
        return render_report(record, earlier)
