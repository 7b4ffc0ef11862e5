"""The noise floor: how one model's verdicts on the same cases change if nothing that matters changes."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from harness.comparison.pairing import answers_of, stability_of
from harness.engines.base import CANDIDATE
from harness.run.cache import Cache
from harness.run.generation import OpenEngine, Progress, answer_cases
from harness.run.scoring import Judging
from harness.run.session import score_sides
from harness.statistics.agreement import flip_rate
from harness.types import (
    NOTHING_ALLOWED,
    CaseResult,
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
        without: By key of a case that has no verdict in any rerun, why; empty if none of its checks decides.
    """

    model: ModelRef
    reruns: tuple[Rerun, ...]
    stability: Mapping[str, Stability]
    texts: Mapping[str, int]
    without: Mapping[str, str] = field(default_factory=dict)

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
    on_rerun: Callable[[Noise], None] = lambda noise: None,
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
        on_rerun: Called after each finished rerun with what all of them show so far.

    Raises:
        EngineError: The model failed.
    """
    noise = Noise(model=model, reruns=(), stability={}, texts={})
    texts: dict[str, set[str]] = {case.key: set() for case in cases}
    for number, rerun in enumerate(reruns):
        asked = [_reseeded(case, rerun.seed) for case in cases]
        random.Random(rerun.seed).shuffle(asked)

        def tell(stage: str, done: int, total: int, number: int = number) -> None:
            on_progress(f"rerun {number + 1} of {len(reruns)}: {stage}", done, total)

        cache = Cache(None)
        answers = answer_cases(
            {CANDIDATE: model},
            replace(plan, dtype=rerun.dtype, batch_tokens=rerun.batch_tokens, mixed=False),
            asked,
            cache,
            tell,
            open_engine=open_engine,
        )
        results = score_sides(answers, asked, cache, tell, Judging(allowed=allowed))[CANDIDATE]
        for result in results:
            if result.completion is not None:
                texts[result.key].add(result.completion.text)
        noise = _with_rerun(noise, rerun, results, texts)
        on_rerun(noise)
    return noise


def _with_rerun(
    noise: Noise, rerun: Rerun, results: Iterable[CaseResult], texts: Mapping[str, set[str]]
) -> Noise:
    """What one rerun more shows."""
    stability, without = dict(noise.stability), dict(noise.without)
    for result in results:
        found, before = stability_of(result), stability.get(result.key, Stability(passed=0, answers=0))
        if found.answers:
            stability[result.key] = Stability(
                passed=before.passed + found.passed, answers=before.answers + found.answers
            )
        else:
            without[result.key] = _why_none(result)
    return replace(
        noise,
        reruns=(*noise.reruns, rerun),
        stability={key: stability[key] for key in texts if key in stability},
        texts={key: len(found) for key, found in texts.items()},
        without={key: without[key] for key in texts if key in without and key not in stability},
    )


def _why_none(result: CaseResult) -> str:
    """Why a case neither passed nor failed; empty if none of its checks decides."""
    answers = answers_of(result)
    broken = [error.error for answer in answers for error in answer.errors]
    unscored = [f"{each.metric} {each.reason}" for each in result.unscored]
    return next(iter([*broken, *unscored]), "")


def unstable_interval(noise: Noise) -> Interval:
    """The share of unstable cases, with its interval."""
    from harness.statistics.clusters import wilson

    return wilson(len(noise.unstable), len(noise.stability))


def _reseeded(case: GoldenCase, seed: int) -> GoldenCase:
    return replace(case, generation=replace(case.generation, seed=case.generation.seed + seed))
