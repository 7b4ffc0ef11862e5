"""Finds the training step at which a case was lost: all checkpoints answer it, on one loaded base."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.engines.adapter import is_adapter
from harness.engines.open import base_of, choose_plan, describe_model
from harness.errors import AdapterError
from harness.run.cache import Cache
from harness.run.generation import Progress, answer_cases
from harness.run.scoring import Judging
from harness.run.session import score_sides
from harness.types import (
    NOTHING_ALLOWED,
    CaseResult,
    GoldenCase,
    JsonValue,
    ModelRef,
    Outcome,
    Permissions,
)

_CHECKPOINT = re.compile(r"checkpoint-(\d+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Bisection:
    """One case over a training run.

    Attributes:
        results: By optimizer step, rising; 0 is the base before training.
        lost_at: The first step that fails after the last one that passed; None if none does, or none passed.
            One without a verdict is no loss: an answer or a check broke there.
        last_passed: The last step that passed, or None.
    """

    case: GoldenCase
    results: Mapping[int, CaseResult]
    lost_at: int | None
    last_passed: int | None


def find_checkpoints(directory: Path) -> dict[int, Path]:
    """The adapters that a training run saved, by step, including the finished one.

    Args:
        directory: An adapter directory that training wrote, its work directory, or one of checkpoints.

    Raises:
        AdapterError: There is none.
    """
    work = directory.with_name(directory.name + ".work")
    places = [directory, directory / "checkpoints", work / "checkpoints"]
    found = {
        int(match[1]): path
        for place in places
        for path in sorted(place.glob("checkpoint-*"))
        if (match := _CHECKPOINT.fullmatch(path.name)) and is_adapter(path)
    }
    if not found:
        raise AdapterError(
            f"{directory}: no checkpoints here, in checkpoints/ or in {places[2]}; "
            f"give the directory that training wrote, with its .work directory next to it"
        )
    return dict(sorted(found.items()))


def bisect_cases(
    checkpoints: Mapping[int, Path],
    cases: Sequence[GoldenCase],
    cache: Cache,
    on_progress: Progress,
    *,
    allowed: Permissions = NOTHING_ALLOWED,
    base: str | None = None,
    chat_template_kwargs: Mapping[str, JsonValue] | None = None,
) -> list[Bisection]:
    """Answer and score cases with the base and every checkpoint.

    Args:
        checkpoints: By step, rising.
        cases: The cases.
        cache: Where answers are looked up and stored.
        on_progress: Called with each stage's progress.
        allowed: What checks may run.
        base: The checkpoints' base, in place of the one in their configurations.
        chat_template_kwargs: Values for the chat template, used where a case has no value of that name.

    Raises:
        InputError: A checkpoint can't be used.
        EngineError: The model failed.
    """
    models: dict[int, ModelRef] = {
        step: describe_model(str(path), base) for step, path in checkpoints.items()
    }
    untrained = base_of(next(iter(models.values())))
    if untrained is not None:
        models = {0: untrained, **models}
    sides = {f"step-{step}": model for step, model in models.items()}
    plan = choose_plan("auto", "auto", None, list(sides.values()))
    plan = replace(plan, chat_template_kwargs=chat_template_kwargs or {})
    answers = answer_cases(sides, plan, cases, cache, on_progress)
    scored = score_sides(answers, cases, cache, on_progress, Judging(allowed=allowed))
    return [
        _bisection(case, {step: scored[f"step-{step}"][row] for step in models})
        for row, case in enumerate(cases)
    ]


def _bisection(case: GoldenCase, results: Mapping[int, CaseResult]) -> Bisection:
    passed = [step for step, result in results.items() if result.outcome is Outcome.PASSED]
    last_passed = max(passed, default=None)
    failed = [step for step, result in results.items() if result.outcome is Outcome.FAILED]
    after = [step for step in failed if last_passed is not None and step > last_passed]
    return Bisection(case=case, results=results, lost_at=min(after, default=None), last_passed=last_passed)
