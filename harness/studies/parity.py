"""Tests whether a shipped model behaves like the tested one: one adapter with several plans, compared."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

from harness.comparison.gate import run_gate
from harness.comparison.pairing import PASS_RATE
from harness.engines.base import CANDIDATE
from harness.engines.open import choose_plan, open_sides
from harness.engines.transformers_engine import TransformersEngine
from harness.errors import SettingsError
from harness.provenance import describe_environment
from harness.run.cache import Cache
from harness.run.conclusion import answered_run
from harness.run.generation import Progress, answer_cases
from harness.run.scoring import Judging, score_cases
from harness.run.workload import plan_workload
from harness.statistics.clusters import wilson
from harness.types import (
    NOTHING_ALLOWED,
    Comparison,
    ExecutionPlan,
    GoldenSet,
    Interval,
    JsonValue,
    ModelRef,
    Permissions,
    Run,
    Verdict,
)

Weights = Literal["peft", "merged", "nf4"]
# A plan's name: how the adapter is applied to its base, and the precision (None: as a gate chooses).
PLANS: Mapping[str, tuple[Weights, str | None]] = {
    "peft": ("peft", None),
    "merged": ("merged", None),
    "nf4": ("nf4", None),
    "bf16": ("peft", "bfloat16"),
    "fp16": ("peft", "float16"),
    "merged-bf16": ("merged", "bfloat16"),
}
# Number of cases whose first tokens are compared: enough to see a difference, one or two seconds of work.
_LOGIT_CASES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Parity:
    """One plan compared with another, which is earlier in the list.

    Attributes:
        flips: Share of cases whose verdict differs, in either direction.
        same_text: Share of cases with the same answer, letter by letter.
        largest_logit_change: Over the whole vocabulary of the next token, on the first cases.
    """

    plan: str
    against: str
    flips: Interval
    same_text: Interval
    largest_logit_change: float
    comparison: Comparison
    verdict: Verdict


def check_plans(names: Sequence[str]) -> list[str]:
    """Check that there are two or more known plans.

    Raises:
        SettingsError: There are not.
    """
    unknown = [name for name in names if name not in PLANS]
    if unknown or len(set(names)) < 2:
        found = f"found {unknown[0]!r}" if unknown else f"{', '.join(names) or 'nothing'} is not a pair"
        raise SettingsError(f"--plans: {found} (allowed: two or more of {', '.join(PLANS)})")
    return list(dict.fromkeys(names))


def measure_parity(
    model: ModelRef,
    names: Sequence[str],
    golden_sets: Sequence[GoldenSet],
    on_progress: Progress,
    *,
    allowed: Permissions = NOTHING_ALLOWED,
    chat_template_kwargs: Mapping[str, JsonValue] | None = None,
) -> list[Parity]:
    """Answer all cases with each plan and compare every two plans: those with the first plan come first.

    Args:
        model: The adapter, or a whole model.
        names: Plans, the tested one first.
        golden_sets: The cases.
        on_progress: Called with each stage's progress.
        allowed: What checks may run.
        chat_template_kwargs: Values for the chat template, used where a case has no value of that name.

    Raises:
        SettingsError: A plug-in's engine runs the model.
        EngineError: A model failed, or a library is missing.
    """
    if model.engine is not None:
        raise SettingsError(f"{model.label}: a plug-in's engine has no other plans to compare")
    runs: dict[str, Run] = {}
    logits = {}
    cases = [case for golden_set in golden_sets for case in golden_set.cases if case.skip is None]
    for name in names:
        weights, dtype = PLANS[name]
        plan = replace(
            choose_plan(dtype or "auto", "auto", 4096, [model]),
            weights=weights,
            chat_template_kwargs=chat_template_kwargs or {},
        )
        runs[name], logits[name] = _computed(
            model,
            plan,
            golden_sets,
            lambda stage, done, total, name=name: on_progress(  # type: ignore[misc] # mypy reads no defaults
                f"{name}: {stage}", done, total
            ),
            allowed=allowed,
        )
    return [
        _compared(name, first, runs, logits, [case.key for case in cases])
        for first, name in combinations(names, 2)
    ]


def _compared(
    name: str, first: str, runs: Mapping[str, Run], logits: Mapping[str, Sequence[Any]], keys: Sequence[str]
) -> Parity:
    """A plan compared with an earlier one."""
    comparison, verdict = run_gate(runs[name], runs[first])
    flipped = sum(len(row.lost) + len(row.gained) for row in comparison.metrics if row.metric == PASS_RATE)
    paired = sum(row.n for row in comparison.metrics if row.metric == PASS_RATE)
    said = [{r.key: r.completion.text for r in runs[side].results if r.completion} for side in (name, first)]
    same = sum(said[0].get(key) == said[1].get(key) for key in keys)
    changes = [float((a - b).abs().max()) for a, b in zip(logits[name], logits[first], strict=True)]
    return Parity(
        plan=name,
        against=first,
        flips=wilson(flipped, paired),
        same_text=wilson(same, len(keys)),
        largest_logit_change=max(changes),
        comparison=comparison,
        verdict=verdict,
    )


def _computed(
    model: ModelRef,
    plan: ExecutionPlan,
    golden_sets: Sequence[GoldenSet],
    on_progress: Progress,
    *,
    allowed: Permissions,
) -> tuple[Run, list[Any]]:
    """One plan's run, and the next token's logits on the first cases."""
    started_at, started = datetime.now(UTC), time.perf_counter()
    cases = [case for golden_set in golden_sets for case in golden_set.cases if case.skip is None]
    opened: list[TransformersEngine] = []

    def open_once(sides: Mapping[str, ModelRef], wanted: ExecutionPlan) -> TransformersEngine:
        engine = open_sides(sides, wanted)
        assert isinstance(engine, TransformersEngine)
        opened.append(engine)
        return engine

    answers = answer_cases(
        {CANDIDATE: model},
        plan,
        cases,
        Cache(None),
        on_progress,
        open_engine=open_once,
    )[CANDIDATE]
    run = answered_run(
        model,
        answers,
        score_cases(
            cases,
            answers.completions,
            reference_losses=answers.reference_losses,
            judging=Judging(allowed=allowed),
        ),
        golden_sets,
        describe_environment(Path()),
        started_at=started_at,
        duration_s=time.perf_counter() - started,
        collected=len(cases),
    )
    first = cases[:_LOGIT_CASES]
    asked = plan_workload({CANDIDATE: model}, first, chat_template_kwargs=plan.chat_template_kwargs).answers
    return run, opened[0].next_token_logits(asked)
