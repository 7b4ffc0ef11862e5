"""The record of a gate: two runs, their comparison and the verdict."""

from dataclasses import dataclass

from harness.types.comparison import Comparison
from harness.types.findings import Verdict
from harness.types.run import Run


@dataclass(frozen=True, slots=True, kw_only=True)
class GateRecord:
    """Everything that one ``pytest --model`` session found out; what history keeps and reports show."""

    run: Run
    baseline: Run | None = None
    comparison: Comparison | None = None
    verdict: Verdict | None = None
