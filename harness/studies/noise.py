"""The noise floor: how one model's verdicts on the same cases change when nothing that matters changes."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.comparison.repeats import flip_rate, stability_of
from harness.engines.base import CANDIDATE
from harness.engines.open import open_sides
from harness.run.cache import Cache
from harness.run.generation import OpenEngine, Progress, answer_cases
from harness.run.scoring import Judging, score_cases
from harness.types import ExecutionPlan, GoldenCase, Interval, ModelRef, Stability

# Each rerun packs its batches otherwise, so that rows meet other neighbours and other padding.
_BUDGETS = (1.0, 0.5, 0.75, 0.35, 0.6)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rerun:
    """One way of resampling."""

    dtype: str
    batch_tokens: int
    seed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """What the reruns of one model found.

    Attributes:
        reruns: How each was computed.
        stability: By case key, how often the case passed, of the reruns in which it passed or failed.
        texts: By case key, how many different answers there were.
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
        """Chance that two reruns of a case disagree, over all cases; None where no case ran twice."""
        return flip_rate(self.stability.values())


def plan_reruns(plan: ExecutionPlan, count: int, dtypes: Sequence[str]) -> list[Rerun]:
    """Ways of resampling: the types of numbers in turn, each with batches and seeds of its own.

    Args:
        plan: How the gate would compute.
        count: Reruns of each type of numbers.
        dtypes: Types of numbers, such as ``float32``.
    """
    return [
        Rerun(
            dtype=dtype,
            batch_tokens=max(256, int(plan.batch_tokens * _BUDGETS[number % len(_BUDGETS)])),
            seed=number,
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
    open_engine: OpenEngine = open_sides,
    allow_python: bool = False,
) -> Noise:
    """Resample one model on the same cases; nothing is taken from the cache.

    Args:
        model: The model, usually the baseline's.
        plan: How the gate would compute; its types of numbers and batches are replaced by the reruns'.
        reruns: How often, and how.
        cases: Which cases.
        on_progress: Told of each stage's progress.
        open_engine: Loads the model.
        allow_python: Whether ``python`` checks may run the project's own code.

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
            judging=Judging(allow_python=allow_python),
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
    from harness.statistics.rates import wilson

    return wilson(len(noise.unstable), len(noise.stability))


def _reseeded(case: GoldenCase, seed: int) -> GoldenCase:
    return replace(case, generation=replace(case.generation, seed=case.generation.seed + seed))
