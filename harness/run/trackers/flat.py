"""A record as trackers take it: flat parameters, numbers by name, and a row per case."""

import re
from collections.abc import Iterator

from harness.golden.counted_outcomes import counted_outcomes
from harness.types import CaseResult, GateRecord

# What MLflow allows in a metric's name; the others allow more.
_NOT_ALLOWED = re.compile(r"[^A-Za-z0-9_\-. :/]")
COLUMNS = ("case", "outcome", "baseline_outcome", "prompt", "answer", "baseline_answer", "scores")


def parameters(record: GateRecord) -> dict[str, str]:
    """What was run, by name."""
    run = record.run
    facts = {
        "run": run.id,
        "model": run.model.label,
        "base_model": run.model.base_model,
        "adapter_sha256": run.model.adapter_sha256 or "",
        "base_sha256": run.model.base_sha256,
        "engine": run.plan.engine,
        "dtype": run.plan.dtype,
        "device": run.plan.device,
        "commit": run.environment.commit or "",
        "verdict": "" if record.verdict is None else str(record.verdict.outcome),
        **(
            {}
            if record.baseline is None
            else {"baseline": record.baseline.model.label, "baseline_run": record.baseline.id}
        ),
        **{f"golden/{each.name}": each.content_sha256 for each in run.golden_sets},
    }
    return {key: value for key, value in facts.items() if value}


def numbers(record: GateRecord) -> dict[str, float]:
    """Each compared metric's means and drop with its interval, and the counts of outcomes, by name."""
    found: dict[str, float] = {}
    for row in record.comparison.metrics if record.comparison is not None else ():
        start = _NOT_ALLOWED.sub("_", f"{row.set_name}/{row.metric}")
        found[f"{start}/candidate"] = row.candidate.mean.estimate
        found[f"{start}/candidate_low"] = row.candidate.mean.low
        found[f"{start}/candidate_high"] = row.candidate.mean.high
        found[f"{start}/baseline"] = row.baseline.mean.estimate
        found[f"{start}/drop"] = row.drop.estimate
        found[f"{start}/drop_low"] = row.drop.low
        found[f"{start}/drop_high"] = row.drop.high
        found[f"{start}/p_value"] = row.p_value if row.p_adjusted is None else row.p_adjusted
        found[f"{start}/n"] = float(row.n)
    for word in counted_outcomes(record.run):
        name = f"cases/{word}"
        found[name] = found.get(name, 0.0) + 1.0
    return found


def case_rows(record: GateRecord) -> Iterator[tuple[str, ...]]:
    """One row per case, in the order of :data:`COLUMNS`."""
    before = {result.key: result for result in (record.baseline.results if record.baseline else ())}
    for result in record.run.results:
        other = before.get(result.key)
        prompt = result.case.messages[-1].shown if result.case.messages else ""
        yield (
            result.key,
            str(result.outcome),
            "" if other is None else str(other.outcome),
            prompt,
            _answer(result),
            "" if other is None else _answer(other),
            ", ".join(f"{score.metric} {score.value:.6g}" for score in result.scores),
        )


def _answer(result: CaseResult) -> str:
    return "" if result.completion is None else result.completion.text
