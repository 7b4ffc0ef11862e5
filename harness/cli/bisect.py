"""``tunegate bisect``: the training step at which a case was lost."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from harness.cli.kept import kept_in, open_cache
from harness.cli.options import BaseOption, DirectoryOption, GoldenOption, TemplateValuesOption
from harness.cli.permissions import check_permissions
from harness.cli.progress import stage_bars
from harness.cli.prompting import asking_settings
from harness.errors import SettingsError
from harness.golden.load import load_gate_sets
from harness.presentation.console import open_console, visible_text
from harness.studies.bisect import Bisection, bisect_cases, find_checkpoints
from harness.types import CaseResult, GoldenCase, GoldenSet, Outcome

_ANSWER_WIDTH = 70
_VERDICTS = {Outcome.PASSED, Outcome.FAILED}


def bisect(
    run_directory: Annotated[Path, typer.Argument(help="What training wrote, with its .work beside it.")],
    case: Annotated[list[str], typer.Option("--case", help="Id of a case, or set/id; may be repeated.")],
    golden: GoldenOption = None,
    base: BaseOption = None,
    chat_template_kwargs: TemplateValuesOption = None,
    directory: DirectoryOption = None,
) -> None:
    """Score all checkpoints of a training run and name the step where a case was lost."""
    cases = _wanted(case, load_gate_sets(golden or None, forgetting=True))
    allowed = check_permissions(cases)
    asking = asking_settings(chat_template_kwargs, base)
    checkpoints = find_checkpoints(run_directory)
    console = open_console()
    with open_cache(kept_in(directory) / "cache.sqlite") as kept, stage_bars() as on_progress:
        found = bisect_cases(
            checkpoints,
            cases,
            kept,
            on_progress,
            allowed=allowed,
            base=asking.base,
            chat_template_kwargs=asking.chat_template_kwargs,
        )
    for bisection in found:
        console.print(_table(bisection))
        console.print(_finding(bisection))


def _wanted(names: Sequence[str], sets: Sequence[GoldenSet]) -> list[GoldenCase]:
    """The named cases.

    Raises:
        SettingsError: A name matches no case, or several.
    """
    every = [case for golden_set in sets for case in golden_set.cases]
    wanted = []
    for name in names:
        fitting = [case for case in every if name in {case.id, case.key}]
        if not fitting:
            raise SettingsError(
                f"--case {name}: no such case in {', '.join(each.path for each in sets) or 'any golden set'}"
            )
        if len(fitting) > 1:
            raise SettingsError(
                f"--case {name}: in several sets (allowed: {', '.join(c.key for c in fitting)})"
            )
        wanted += fitting
    return wanted


def _table(bisection: Bisection) -> Table:
    table = Table("step", "outcome", "answer", title=bisection.case.key, title_justify="left", box=None)
    for step, result in bisection.results.items():
        table.add_row(
            "base" if step == 0 else str(step),
            str(result.outcome),
            visible_text(Text(_answer(result), overflow="fold")),
        )
    return table


def _answer(result: CaseResult) -> str:
    text = "" if result.completion is None else " ".join(result.completion.text.split())
    return text if len(text) <= _ANSWER_WIDTH else text[: _ANSWER_WIDTH - 1] + "…"


def _finding(bisection: Bisection) -> str:
    last, key = max(bisection.results), bisection.case.key
    unknown = [step for step, each in bisection.results.items() if each.outcome not in _VERDICTS]
    if len(unknown) == len(bisection.results):
        return f"no step has a verdict on {key}, the base included\n"
    if bisection.last_passed is None:
        return f"no step passes {key}, the base included{_without(unknown)}\n"
    if bisection.last_passed == last:
        return f"step {last}, the last, passes {key}\n"
    before = "the base" if bisection.last_passed == 0 else f"step {bisection.last_passed}"
    if bisection.lost_at is None:
        return f"{before} was the last to pass {key}; no later step has a verdict, so no loss is shown\n"
    unsure = [step for step in unknown if bisection.last_passed < step < bisection.lost_at]
    return f"lost by step {bisection.lost_at}: {before} was the last to pass {key}{_without(unsure)}\n"


def _without(steps: Sequence[int]) -> str:
    """Names steps without a verdict."""
    named = ", ".join("the base" if step == 0 else str(step) for step in steps)
    return f"; no verdict at {named}" if steps else ""
