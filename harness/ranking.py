"""Several candidates at once: one loaded base, a verdict each, a ranking that doesn't overstate itself.

Each candidate is compared with the same baseline at the level alpha / k (Bonferroni): any of them is wrongly
called a regression with the probability of a single gate, and a column's intervals hold for all rows at
1 - 2 alpha. Between two candidates no claim is made but the one that the intervals make: who is called the
best is so for this set of cases.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeAlias

from harness.answers import Progress, answer_cases
from harness.cache import Cache
from harness.engines.adapter import is_adapter
from harness.engines.base import BASELINE
from harness.engines.open import choose_plan
from harness.environment import describe_environment
from harness.errors import AdapterError
from harness.gate import ALPHA, run_gate
from harness.pairing import PASS_RATE
from harness.scoring import score_cases
from harness.session import answered_run
from harness.types import GateRecord, GoldenCase, GoldenSet, Interval, ModelRef, Stability

# Of a model, a type of numbers and cases: how the model fared when it was asked again, by case key.
NotedNoise: TypeAlias = Callable[[ModelRef, str, Sequence[GoldenCase]], Mapping[str, Stability]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """One candidate.

    Attributes:
        record: Its gate, as ``pytest --model`` would have recorded it, but at the shared level.
        gain: Mean rise of the task sets' pass rates, in cases; None without a task set.
        kept: Of the probes that the baseline passed, the share still passed; None without probes.
        on_front: No other candidate has both a larger gain and more kept.
    """

    record: GateRecord
    gain: Interval | None
    kept: Interval | None
    on_front: bool


def find_adapters(references: Sequence[str]) -> list[str]:
    """The models that are named; a directory that holds adapters stands for all of them.

    Raises:
        AdapterError: A model is named twice, or fewer than two are left.
    """
    found: list[str] = []
    for reference in references:
        directory = Path(reference).expanduser()
        inside = (
            sorted(str(path) for path in directory.iterdir() if path.is_dir() and is_adapter(path))
            if directory.is_dir() and not is_adapter(directory)
            else []
        )
        found += inside or [reference]
    if twice := [reference for reference in found if found.count(reference) > 1]:
        raise AdapterError(f"{twice[0]}: named twice")
    if len(found) < 2:
        raise AdapterError(
            f"{', '.join(found) or 'nothing'}: give two models or more, or a directory of several adapters"
        )
    return found


def rank_models(
    candidates: Sequence[ModelRef],
    baseline: ModelRef,
    golden_sets: Sequence[GoldenSet],
    cache: Cache,
    root: Path,
    on_progress: Progress,
    noted_noise: NotedNoise = lambda model, dtype, cases: {},
) -> list[Ranked]:
    """Answer all cases with all models together, judge each candidate, and order them.

    Args:
        candidates: Two or more.
        baseline: What all are compared with.
        golden_sets: Task sets and forgetting probes.
        cache: Where answers and scores are looked up and kept.
        root: The project's root.
        on_progress: Told of each stage's progress.
        noted_noise: What is known of reruns of a model in a type of numbers, by case.

    Returns:
        The best first: those that don't regress before those that do, then by gain, then by what they kept.

    Raises:
        EngineError: The model failed.
        AdapterError: An adapter changes nothing.
    """
    started_at, started = datetime.now(UTC), time.perf_counter()
    cases = [case for golden_set in golden_sets for case in golden_set.cases if case.skip is None]
    sides = {f"candidate-{place}": model for place, model in enumerate(candidates)} | {BASELINE: baseline}
    plan = choose_plan("auto", "auto", 4096, list(sides.values()))
    with_text = any(golden_set.probes_forgetting for golden_set in golden_sets)
    answers = answer_cases(sides, plan, cases, cache, on_progress, with_text=with_text)
    environment = describe_environment(root)
    runs = {
        side: answered_run(
            model,
            answers[side],
            score_cases(
                cases,
                answers[side].completions,
                reference_losses=answers[side].reference_losses,
                cache=cache,
                on_progress=on_progress,
            ),
            golden_sets,
            environment,
            started_at=started_at,
            duration_s=time.perf_counter() - started,
            collected=len(cases),
        )
        for side, model in sides.items()
    }
    against = runs.pop(BASELINE)
    stability = noted_noise(baseline, plan.dtype, cases)
    records = []
    for side, run in runs.items():
        comparison, verdict = run_gate(
            run,
            against,
            alpha=ALPHA / len(candidates),
            stability=stability,
            divergences=answers[side].divergences.get(BASELINE, ()),
        )
        records.append(GateRecord(run=run, baseline=against, comparison=comparison, verdict=verdict))
    return _ordered([_measured(record, golden_sets) for record in records])


def _measured(record: GateRecord, golden_sets: Sequence[GoldenSet]) -> Ranked:
    assert record.comparison is not None
    tasks = {golden_set.name for golden_set in golden_sets if not golden_set.probes_forgetting}
    rows = [row for row in record.comparison.metrics if row.set_name in tasks and row.metric == PASS_RATE]
    gain = None
    if rows:
        # Sets weigh by their cases; the bounds of the parts bound the whole, if a little widely.
        total = sum(row.n for row in rows)

        def mean(values: Sequence[float]) -> float:
            return sum(row.n * value for row, value in zip(rows, values, strict=True)) / total

        gain = Interval(
            estimate=-mean([row.drop.estimate for row in rows]),
            low=-mean([row.drop.high for row in rows]),
            high=-mean([row.drop.low for row in rows]),
            confidence=rows[0].drop.confidence,
            method=rows[0].drop.method,
        )
    forgetting = record.comparison.forgetting
    kept = forgetting.overall.rate if forgetting is not None and forgetting.overall is not None else None
    return Ranked(record=record, gain=gain, kept=kept, on_front=False)


def _ordered(found: Sequence[Ranked]) -> list[Ranked]:
    points: Mapping[int, tuple[float, float]] = {place: _point(ranked) for place, ranked in enumerate(found)}
    front = {
        place
        for place, (gain, kept) in points.items()
        if not any(
            other[0] >= gain and other[1] >= kept and other != (gain, kept) for other in points.values()
        )
    }
    marked = [replace(ranked, on_front=place in front) for place, ranked in enumerate(found)]
    return sorted(marked, key=lambda ranked: (_regressed(ranked), *(-value for value in _point(ranked))))


def _point(ranked: Ranked) -> tuple[float, float]:
    """Gain and share kept; what was not measured is equal for all."""
    return (
        0.0 if ranked.gain is None else ranked.gain.estimate,
        0.0 if ranked.kept is None else ranked.kept.estimate,
    )


def _regressed(ranked: Ranked) -> bool:
    return ranked.record.verdict is not None and ranked.record.verdict.outcome == "regress"
