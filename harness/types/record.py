"""The record of a gate: two runs, their comparison and the verdict; and how it is stored."""

from dataclasses import dataclass

from harness.types.comparison import Comparison
from harness.types.findings import Verdict
from harness.types.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRecord:
    """All results of one ``pytest --model`` session, as stored in the history and shown in reports."""

    run: Run
    baseline: Run | None = None
    comparison: Comparison | None = None
    verdict: Verdict | None = None

    def lacking(self) -> str | None:
        """A case that was lost, but has no answer in a run: the record is damaged; None if there is none."""
        lost = {
            key
            for row in (self.comparison.metrics if self.comparison else ())
            if row.metric == "pass-rate"
            for key in row.lost
        }
        for run in (self.run, self.baseline):
            if run is not None and (gone := lost - {result.key for result in run.results}):
                return f"{min(gone)} has no answer in run {run.id}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFacts:
    """What the history stores of a gate beside its runs."""

    comparison: Comparison | None
    verdict: Verdict | None
