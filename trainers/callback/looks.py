"""Looks at a model in training: the level of each, its verdict, and which checkpoint is the best so far.

A look at each checkpoint gives a harmless training many chances of a false alarm. So the level of 5 % is
spent over the whole training: up to a step, no more than :func:`harness.statistics.spending.spent` of the
share of steps that are done. A harmless training is then stopped with a probability of at most 5 %, however
many checkpoints there are. A pass is a claim about its own checkpoint only, and is tested at 5 %.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from harness.comparison.gate import conclude, judge_runs
from harness.comparison.pairing import PASS_RATE
from harness.presentation.sentences import sentences_of
from harness.settings import Settings
from harness.statistics.spending import SpendingShape, spent
from harness.types import (
    GateRecord,
    GateVerdict,
    GoldenCase,
    JsonValue,
    MustPassFinding,
    Run,
    Stability,
    Verdict,
)
from harness.types.golden import ALPHA

_NUMBERS = {GateVerdict.PASS: 1, GateVerdict.INCONCLUSIVE: 0, GateVerdict.REGRESS: -1}
_PREFIX = "gate/"
_RUN = "gate/run"


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """One checkpoint's comparison with the baseline.

    Attributes:
        step: Optimizer steps so far.
        level: Level of the test for a regression at this look.
        stops: Whether the regression is sure enough to end the training.
        gain: Mean gain over the baseline of the gated metrics of the task sets, each on its own scale.
        run_id: The run in the history, like ``baseline_id``.
        reason: The finding that decided, as a sentence.
        figures: Pass rate and drop of each set.
    """

    step: int
    level: float
    outcome: GateVerdict
    stops: bool
    gain: float
    run_id: str
    baseline_id: str
    reason: str
    figures: Mapping[str, float] = field(default_factory=dict)


def level_at(step: int, steps: int, looks: Sequence[Look], shape: SpendingShape) -> float:
    """The level that is left for a look: what the spending function allows so far, less what was spent.

    Args:
        step: The look's step.
        steps: Steps of the whole training.
        looks: The earlier looks.
        shape: The spending function.

    Returns:
        At least 0; it is 0 if an earlier look was at this step or a later one.
    """
    return max(spent(step / steps, ALPHA, shape) - math.fsum(look.level for look in looks), 0.0)


def judge_look(
    run: Run, baseline: Run, settings: Settings, level: float, stability: Mapping[str, Stability]
) -> GateRecord:
    """Compare a checkpoint with the baseline.

    Args:
        run: The checkpoint's run.
        baseline: The baseline's.
        settings: The gate's settings, for the margins.
        level: Level of the test for a regression.
        stability: The baseline's noise record, by case key.

    Raises:
        BaselineError: They have no case in common.
    """
    judgement = judge_runs(
        run,
        baseline,
        margin=settings.margin,
        forgetting_margin=settings.forgetting_margin,
        regress_alpha=level,
        stability=stability,
    )
    # It is the looks of the training that share the level, and no other models.
    rows = (
        row if row.too_few is None else replace(row, too_few=replace(row.too_few, models=1))
        for row in judgement.rows
    )
    comparison, verdict = conclude(replace(judgement, rows=tuple(rows)))
    comparison = replace(comparison, regress_level=level)
    return GateRecord(run=run, baseline=baseline, comparison=comparison, verdict=verdict)


def first_unanswered(
    run: Run, cases: Sequence[GoldenCase], chat_template_kwargs: Mapping[str, JsonValue]
) -> str | None:
    """The name of the first case that a run has no answer to, or that is asked otherwise now, if any.

    Args:
        run: The run.
        cases: The cases that are asked now.
        chat_template_kwargs: The values that their chat template gets.
    """
    then = run.plan.chat_template_kwargs
    answered = {each.key: each.case.asked_with(then).content_sha256 for each in run.results}
    asked = {case.key: case.asked_with(chat_template_kwargs).content_sha256 for case in cases}
    return next((key for key, content in asked.items() if answered.get(key) != content), None)


def look_of(record: GateRecord, step: int, level: float) -> Look:
    """The look that a record describes.

    Args:
        record: The checkpoint's comparison and verdict.
        step: Optimizer steps so far.
        level: Level of the test for a regression.
    """
    assert record.comparison is not None
    assert record.verdict is not None
    assert record.baseline is not None
    probes = {each.name for each in record.run.golden_sets if each.probes_forgetting}
    gated = [row for row in record.comparison.metrics if row.margin is not None]
    gains = [-row.drop.estimate for row in gated if row.set_name not in probes]
    figures = {}
    for row in gated:
        name = row.set_name if row.metric == PASS_RATE else f"{row.set_name}/{row.metric}"
        figures[f"{_PREFIX}{name}/value"] = row.candidate.mean.estimate
        figures[f"{_PREFIX}{name}/drop"] = row.drop.estimate
    return Look(
        step=step,
        level=level,
        outcome=record.verdict.outcome,
        stops=is_sure(record.verdict),
        gain=math.fsum(gains) / len(gains) if gains else 0.0,
        run_id=record.run.id,
        baseline_id=record.baseline.id,
        reason=next(iter(sentences_of(record.verdict)), ""),
        figures=figures,
    )


def is_sure(verdict: Verdict) -> bool:
    """Whether a verdict ends a training: a regression by the comparison.

    Cases that must pass are for the finished model: in training they may not have been learnt yet.
    """
    return any(
        finding.verdict is GateVerdict.REGRESS and not isinstance(finding.data, MustPassFinding)
        for finding in verdict.findings
    )


def best_look(looks: Sequence[Look]) -> Look | None:
    """The best look: a pass before an inconclusive one, then the larger gain, then the earlier step.

    Returns:
        None if there is none without a regression.
    """
    allowed = [look for look in looks if look.outcome is not GateVerdict.REGRESS]
    return max(allowed, key=lambda look: (_NUMBERS[look.outcome], look.gain, -look.step), default=None)


def numbers_of(look: Look) -> dict[str, float]:
    """A look as numbers, for the trackers: the verdict is 1 for pass, 0 for inconclusive, -1 for regress."""
    return {
        f"{_PREFIX}verdict": _NUMBERS[look.outcome],
        f"{_PREFIX}level": look.level,
        f"{_PREFIX}gain": look.gain,
        **look.figures,
    }


def facts_of(look: Look) -> dict[str, Any]:
    """The rest of a look, for the log history in the trainer's state."""
    return {
        f"{_PREFIX}outcome": look.outcome.value,
        f"{_PREFIX}stops": look.stops,
        f"{_PREFIX}reason": look.reason,
        _RUN: look.run_id,
        f"{_PREFIX}baseline": look.baseline_id,
    }


def looks_in(log_history: Sequence[Mapping[str, Any]]) -> list[Look]:
    """The looks in a trainer's log history, such as that of a training that is resumed."""
    return [
        Look(
            step=int(entry["step"]),
            level=float(entry[f"{_PREFIX}level"]),
            outcome=GateVerdict(entry[f"{_PREFIX}outcome"]),
            stops=bool(entry[f"{_PREFIX}stops"]),
            gain=float(entry[f"{_PREFIX}gain"]),
            run_id=str(entry[_RUN]),
            baseline_id=str(entry[f"{_PREFIX}baseline"]),
            reason=str(entry[f"{_PREFIX}reason"]),
            figures={
                key: float(value)
                for key, value in entry.items()
                if key.startswith(_PREFIX) and key.endswith(("/value", "/drop"))
            },
        )
        for entry in log_history
        if _RUN in entry
    ]
