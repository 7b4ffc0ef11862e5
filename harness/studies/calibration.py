"""Chooses a base's own forgetting probes: what it passes stably, of skills neither absent nor too easy."""

import random
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum

from harness.comparison.pairing import stability_of
from harness.engines.base import CANDIDATE
from harness.run.cache import Cache
from harness.run.generation import OpenEngine, Progress, answer_cases, engine_opener
from harness.run.kept_engine import KeptEngine
from harness.run.prompting import render_turn
from harness.run.scoring import Judging
from harness.run.session import score_sides
from harness.run.workload import plan_workload
from harness.types import (
    NOTHING_ALLOWED,
    ExecutionPlan,
    GoldenCase,
    GoldenSet,
    ModelRef,
    Permissions,
    Stability,
)

# A probe that a neutral sentence can flip would flip under any fine-tune, and be no sign of forgetting.
WORDINGS = ("", "Please help me with this.\n", "You are a helpful assistant.\n")
_ORDER = 1


class CellUse(StrEnum):
    """What a cell of skill and level is used for."""

    BETWEEN = "between"
    ONLY_EASY = "only easy"
    ADDED = "added"
    TOO_EASY = "too easy"
    TOO_HARD = "too hard"


_CHOSEN = (CellUse.BETWEEN, CellUse.ONLY_EASY, CellUse.ADDED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """The probes of one skill and level.

    Attributes:
        cases: How many the model answered.
        passed: How many of them it passed in all wordings.
        unstable: How many of them it passed as they stand, and not in another wording.
    """

    skill: str
    level: str
    cases: int
    passed: int
    unstable: int
    use: CellUse = CellUse.BETWEEN

    @property
    def rate(self) -> float:
        """The share that is passed in all wordings."""
        return self.passed / self.cases


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The chosen probes.

    Attributes:
        cells: By skill, the levels in the order in which they were given.
        cases: In the order in which they were given.
    """

    cells: tuple[Cell, ...]
    cases: tuple[GoldenCase, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What a model passes, and how stably.

    Attributes:
        stability: By case key, how many wordings passed, and how many passed or failed. A case is missing
            where a wording got no verdict, since an answer or a check broke: that is no failed probe.
        unended: How many cases got reasoning as they stand, and no answer: they failed.
    """

    stability: dict[str, Stability]
    unended: int


def unanswerable(
    model: ModelRef, plan: ExecutionPlan, cases: Sequence[GoldenCase], cache: Cache
) -> dict[str, str]:
    """Cases that a model can't be asked: its template refuses them, or its context is too short.

    Args:
        model: The model.
        plan: How it computes.
        cases: The cases.
        cache: Where prompts are looked up and stored.

    Returns:
        The problem, by the case's key.
    """
    sides = {CANDIDATE: model}
    asked = plan_workload(sides, _worded_all(cases), chat_template_kwargs=plan.chat_template_kwargs).answers
    rendered = render_turn(asked, sides, plan, cache)
    return {
        request.key.rpartition("~")[0]: problem
        for request, problem in zip(asked, rendered, strict=True)
        if isinstance(problem, str)
    }


def measure_stability(
    model: ModelRef,
    plan: ExecutionPlan,
    cases: Sequence[GoldenCase],
    cache: Cache,
    on_progress: Progress,
    *,
    open_engine: OpenEngine | None = None,
    allowed: Permissions = NOTHING_ALLOWED,
) -> Measurement:
    """Answer each case as it stands, and those that pass in the next wording, in a shuffled order.

    What fails in one wording can't be chosen, so it is asked no further: that spares a model that passes a
    quarter of the probes half of the answers.

    Args:
        model: The model.
        plan: How it computes.
        cases: The cases.
        cache: Looked up first.
        on_progress: Called with each stage's progress.
        open_engine: Loads the model; the usual engine by default.
        allowed: What checks may run.

    Raises:
        PromptError: The model can't answer a case.
        EngineError: The model failed.
    """
    found = {case.key: Stability(passed=0, answers=0) for case in cases}
    unended = 0
    with closing(KeptEngine(open_engine or engine_opener(_worded_all(cases), None))) as opened:
        for number in range(len(WORDINGS)):
            asked = [_worded(case, number) for case in cases if found[case.key].passed == number]
            random.Random(_ORDER).shuffle(asked)
            answers = answer_cases({CANDIDATE: model}, plan, asked, cache, on_progress, open_engine=opened)
            scored = score_sides(answers, asked, cache, on_progress, Judging(allowed=allowed))
            for result in scored[CANDIDATE]:
                key, one = result.key.rpartition("~")[0], stability_of(result)
                unended += number == 0 and result.completion is not None and result.completion.unanswered
                was = found[key]
                found[key] = Stability(passed=was.passed + one.passed, answers=was.answers + one.answers)
    stability = {key: one for key, one in found.items() if one.answers in {one.passed + 1, len(WORDINGS)}}
    return Measurement(stability=stability, unended=unended)


def choose_probes(
    levels: Sequence[GoldenSet],
    stability: Mapping[str, Stability],
    *,
    floor: float,
    ceiling: float,
    suffices: Callable[[Sequence[GoldenCase]], bool],
) -> Choice:
    """Choose the probes of the cells that fit, and further ones only where these are too few.

    A cell below the floor is left out: what is passed there may be luck. One above the ceiling is too easy to
    show a small loss; it is used where its skill has nothing between, hardest level first, and where the
    chosen ones do not suffice.

    Args:
        levels: The probes, a set for each level, the easiest first.
        stability: Of the cases that were answered, by key.
        floor: Smallest share of a cell's cases that fits.
        ceiling: Largest share that fits.
        suffices: Whether cases are enough for a gate.
    """
    names = [each.name for each in levels]
    cells = [_used(cell, floor, ceiling) for cell in _cells(levels, stability)]
    fitting = {cell.skill for cell in cells if cell.use is CellUse.BETWEEN}
    for skill in {cell.skill for cell in cells} - fitting:
        easy = [cell for cell in cells if cell.skill == skill and cell.use is CellUse.TOO_EASY]
        if easy:
            hardest = max(easy, key=lambda cell: names.index(cell.level))
            cells[cells.index(hardest)] = replace(hardest, use=CellUse.ONLY_EASY)
    for level in reversed(names):
        if suffices(_of_cells(levels, stability, cells)):
            break
        cells = [
            replace(cell, use=CellUse.ADDED) if cell.level == level and cell.use is CellUse.TOO_EASY else cell
            for cell in cells
        ]
    return Choice(cells=tuple(cells), cases=tuple(_of_cells(levels, stability, cells)))


def _cells(levels: Sequence[GoldenSet], stability: Mapping[str, Stability]) -> list[Cell]:
    counts: dict[tuple[str, str], list[Stability]] = {}
    for golden_set in levels:
        for case in golden_set.cases:
            if case.key in stability:
                counts.setdefault((case.tags[0], golden_set.name), []).append(stability[case.key])
    skills = dict.fromkeys(skill for skill, _ in counts)
    return [
        Cell(
            skill=skill,
            level=golden_set.name,
            cases=len(found),
            passed=sum(_is_stable(one) for one in found),
            unstable=sum(one.passed > 0 and not _is_stable(one) for one in found),
        )
        for skill in skills
        for golden_set in levels
        if (found := counts.get((skill, golden_set.name)))
    ]


def _used(cell: Cell, floor: float, ceiling: float) -> Cell:
    if cell.passed == 0 or cell.rate < floor:
        return replace(cell, use=CellUse.TOO_HARD)
    return replace(cell, use=CellUse.TOO_EASY if cell.rate > ceiling else CellUse.BETWEEN)


def _of_cells(
    levels: Sequence[GoldenSet], stability: Mapping[str, Stability], cells: Sequence[Cell]
) -> list[GoldenCase]:
    chosen = {(cell.skill, cell.level) for cell in cells if cell.use in _CHOSEN}
    return [
        case
        for golden_set in levels
        for case in golden_set.cases
        if (case.tags[0], golden_set.name) in chosen
        and case.key in stability
        and _is_stable(stability[case.key])
    ]


def _is_stable(found: Stability) -> bool:
    return found.passed == len(WORDINGS)


def _worded_all(cases: Sequence[GoldenCase]) -> list[GoldenCase]:
    return [_worded(case, number) for case in cases for number in range(len(WORDINGS))]


def _worded(case: GoldenCase, number: int) -> GoldenCase:
    """The case with a neutral sentence before the first thing the user says."""
    at = next(place for place, message in enumerate(case.messages) if message.role == "user")
    messages = list(case.messages)
    messages[at] = replace(messages[at], content=WORDINGS[number] + messages[at].content)
    # A probe that the model does not come to answer can't be chosen: here it is no open case.
    return replace(case, id=f"{case.id}~{number}", messages=tuple(messages), probes_forgetting=False)
