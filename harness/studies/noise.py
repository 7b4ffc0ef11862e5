"""The noise floor: how one model's verdicts on the same cases change if nothing that matters changes."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.comparison.pairing import stability_of
from harness.comparison.regressed_cases import flip_rate
from harness.engines.base import CANDIDATE
from harness.run.cache import Cache
from harness.run.generation import OpenEngine, Progress, answer_cases
from harness.run.scoring import Judging, score_cases
from harness.types import (
    NOTHING_ALLOWED,
    ExecutionPlan,
    GoldenCase,
    Interval,
    ModelRef,
    Permissions,
    Stability,
)

# Each rerun has other batches, so that rows have other neighbours and other padding.
_BUDGETS = (1.0, 0.5, 0.75, 0.35, 0.6)
# Between the first seeds of reruns: a case has at most 100 answers, each with the next seed. A rerun with the
# run's own seeds would repeat its sampled answers, and count them as further evidence.
_SEEDS_APART = 1000
# No rerun's range is one of those that begin at a whole thousand, as those of confirming answers do.
_SEEDS_BESIDE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """One way of resampling.

    Attributes:
        dtype: The precision.
        batch_tokens: How large its batches are.
        seed: What is added to the cases' own seeds.
    """

    dtype: str
    batch_tokens: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """The results of reruns of one model.

    Attributes:
        reruns: The plan of each.
        stability: By case key, in how many reruns the case passed, and in how many it passed or failed.
        texts: By case key, the number of different answers.
    """

    model: ModelRef
    reruns: tuple[Rerun, ...]
    stability: Mapping[str, Stability]
    texts: Mapping[str, int]

    @property
    def unstable(self) -> tuple[str, ...]:
        """Cases that passed in some reruns and failed in others."""
        return tuple(key for key, case in self.stability.items() if 0 < case.passed < case.answers)

    @property
    def flip_rate(self) -> float | None:
        """Probability that two reruns of a case disagree, over all cases; None if no case ran twice."""
        return flip_rate(self.stability.values())


def plan_reruns(plan: ExecutionPlan, count: int, dtypes: Sequence[str]) -> list[Rerun]:
    """Plans for resampling: all precisions in turn, each with its own batches and seeds.

    Args:
        plan: The gate's plan.
        count: Number of reruns in each precision.
        dtypes: Precisions, such as ``float32``.
    """
    return [
        Rerun(
            dtype=dtype,
            batch_tokens=max(256, int(plan.batch_tokens * _BUDGETS[number % len(_BUDGETS)])),
            seed=number * _SEEDS_APART + _SEEDS_BESIDE,
        )
        for dtype in dtypes
        for number in range(count)
    ]


def measure_noise(
    model: ModelRef,
    plan: ExecutionPlan,
    reruns: Sequence[Rerun],
    cases: Sequence[GoldenCase],
    on_progress: Progress,
    *,
    open_engine: OpenEngine | None = None,
    allowed: Permissions = NOTHING_ALLOWED,
) -> Noise:
    """Resample one model on the same cases, without the cache.

    Args:
        model: The model, usually the baseline's.
        plan: The gate's plan; precision and batches are replaced by the reruns'.
        reruns: The reruns.
        cases: The cases.
        on_progress: Called with each stage's progress.
        open_engine: Loads the model, in place of the usual way.
        allowed: What checks may run.

    Raises:
        EngineError: The model failed.
    """
    passed = dict.fromkeys((case.key for case in cases), 0)
    decided = dict(passed)
    texts: dict[str, set[str]] = {case.key: set() for case in cases}
    for number, rerun in enumerate(reruns):
        asked = [_reseeded(case, rerun.seed) for case in cases]
        random.Random(rerun.seed).shuffle(asked)
        answers = answer_cases(
            {CANDIDATE: model},
            replace(plan, dtype=rerun.dtype, batch_tokens=rerun.batch_tokens, mixed=False),
            asked,
            Cache(None),
            lambda stage, done, total, number=number: on_progress(  # type: ignore[misc] # mypy reads no defaults
                f"rerun {number + 1} of {len(reruns)}: {stage}", done, total
            ),
            open_engine=open_engine,
        )[CANDIDATE]
        for result in score_cases(
            asked,
            answers.completions,
            reference_losses=answers.reference_losses,
            judging=Judging(allowed=allowed),
        ):
            found = stability_of(result)
            passed[result.key] += found.passed
            decided[result.key] += found.answers
            if result.completion is not None:
                texts[result.key].add(result.completion.text)
    return Noise(
        model=model,
        reruns=tuple(reruns),
        stability={
            key: Stability(passed=passed[key], answers=decided[key]) for key in passed if decided[key]
        },
        texts={key: len(found) for key, found in texts.items()},
    )


def unstable_interval(noise: Noise) -> Interval:
    """The share of unstable cases, with its interval."""
    from harness.statistics.clusters import wilson

    return wilson(len(noise.unstable), len(noise.stability))


def _reseeded(case: GoldenCase, seed: int) -> GoldenCase:
    return replace(case, generation=replace(case.generation, seed=case.generation.seed + seed))
