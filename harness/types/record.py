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


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFacts:
    """What the history stores of a gate beside its runs."""

    comparison: Comparison | None
    verdict: Verdict | None
