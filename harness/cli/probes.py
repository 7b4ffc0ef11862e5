"""``tunegate probes``: a base's own forgetting probes."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness.authoring.append import name_of
from harness.authoring.levels.chosen import chosen_text, level_sets
from harness.cli.kept import kept_in, open_cache
from harness.cli.options import (
    BaseOption,
    BatchTokensOption,
    DeviceOption,
    DirectoryOption,
    DtypeOption,
    JsonOption,
    TemplateValuesOption,
)
from harness.cli.power import power_table
from harness.cli.progress import current_stage_bar
from harness.cli.prompting import asked_model, asked_plan, asking_settings
from harness.errors import PromptError, SettingsError
from harness.golden.answering_order import answering_order
from harness.golden.load import INCLUDED, golden_files, load_golden_set, project_golden
from harness.presentation.console import open_console
from harness.registry.content_metrics import CODE
from harness.run.cache import Cache
from harness.settings import DTYPES, Settings
from harness.statistics.detectable_drops import USUAL_ALIKE, Flips
from harness.statistics.looks import look_chances
from harness.statistics.power import POWER, USUAL_CHURN
from harness.studies.calibration import (
    WORDINGS,
    Cell,
    CellUse,
    Choice,
    Measurement,
    choose_probes,
    measure_stability,
    unanswerable,
)
from harness.studies.metric_power import margins_by_set, shared_level
from harness.studies.set_power import SetPower, pass_chance_of, power_of_set
from harness.types import (
    ExecutionPlan,
    GoldenCase,
    GoldenSet,
    JsonValue,
    ModelRef,
    Permissions,
    Stability,
)
from harness.types.golden import ALPHA, PROBE_MARGIN
from harness.types.storage import to_json, why_no_file, write_whole
from tunegate.printable import say
from tunegate.streams import prints_aside

app = typer.Typer(help="A base's own forgetting probes: choose them by its answers.", no_args_is_help=True)
_YAML = (".yaml", ".yml")
_USES = {
    CellUse.BETWEEN: "chosen",
    CellUse.ONLY_EASY: "chosen: too easy, but its hardest",
    CellUse.ADDED: "chosen: too easy, to have enough",
    CellUse.TOO_EASY: "left out: too easy",
    CellUse.TOO_HARD: "left out: too hard",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedProbes:
    """The result of a calibration.

    Attributes:
        left_out: Number of probes that could not be asked, by reason.
        unended: Number of probes that got reasoning and no answer.
    """

    path: str
    model: str
    cells: tuple[Cell, ...]
    left_out: dict[str, int]
    unended: int
    power: SetPower


@app.callback()
def _group() -> None:
    """A base's own forgetting probes."""


@app.command()
def calibrate(
    model: Annotated[str, typer.Argument(help="The base: a directory, catalogue name or hub id.")],
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", help="The golden set.", show_default="probes.yaml among the golden sets"
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the golden set.")] = False,
    floor: Annotated[
        float, typer.Option(min=0, max=1, help="Smallest share of a skill's level that the model passes.")
    ] = 0.2,
    ceiling: Annotated[float, typer.Option(min=0, max=1, help="Largest share.")] = 0.9,
    level: Annotated[list[str] | None, typer.Option(help="Only this level; may be repeated.")] = None,
    skill: Annotated[list[str] | None, typer.Option(help="Only this skill; may be repeated.")] = None,
    max_reasoning_tokens: Annotated[
        int | None, typer.Option(min=1, help="Room for the reasoning of a model that thinks first.")
    ] = None,
    dtype: DtypeOption = "auto",
    device: DeviceOption = "auto",
    batch_tokens: BatchTokensOption = None,
    base: BaseOption = None,
    chat_template_kwargs: TemplateValuesOption = None,
    directory: DirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Answer the probes of three levels, and write those that the model can lose as a golden set.

    Each is asked in up to three wordings. A skill's level is used where the model passes a share of it
    between floor and ceiling; of it, the probes that pass in all wordings. The set replaces the bundled
    probes.
    """
    path = output or _default_output()
    _check_options(path, overwrite, dtype, floor, ceiling)
    levels = [_with_room(each, max_reasoning_tokens) for each in _asked_levels(level or (), skill or ())]
    asking = asking_settings(chat_template_kwargs, base)
    others = _other_sets(path)
    found = asked_model(model, asking)
    plan = asked_plan(found, asking, dtype, device, batch_tokens)
    if plan.engine == "multitask":
        raise SettingsError(f"{model}: the heads of a multi-task model answer no probes")
    with prints_aside(as_json), open_cache(kept_in(directory) / "cache.sqlite") as cache:
        measured, left_out = _measure(found, plan, levels, cache, asking.permissions)
    margin = PROBE_MARGIN if asking.forgetting_margin is None else asking.forgetting_margin
    choice, refused = _choose(found.label, levels, measured.stability, (floor, ceiling), margin, asking.looks)
    if refused:
        if not as_json:
            _print_cells(choice.cells, left_out)
        raise SettingsError("; ".join([refused, *_unended_note(measured.unended)]))
    text, golden_set = _written(path, found.label, choice, max_reasoning_tokens, plan.chat_template_kwargs)
    write_whole(path, text)
    result = CalibratedProbes(
        path=str(path),
        model=found.label,
        cells=choice.cells,
        left_out=left_out,
        unended=measured.unended,
        power=_power(golden_set, others, asking),
    )
    _print(result, as_json=as_json)


def _measure(
    model: ModelRef,
    plan: ExecutionPlan,
    levels: Sequence[GoldenSet],
    cache: Cache,
    allowed: Permissions,
) -> tuple[Measurement, dict[str, int]]:
    """The stability of what the model can be asked, and the number of the other probes, by reason."""
    cases = [case for each in levels for case in each.cases]
    left_out: dict[str, int] = {}
    if not allowed.code and (count := sum(_runs_code(case) for case in cases)):
        left_out["they run code, which allow-code-checks does not allow"] = count
        cases = [case for case in cases if not _runs_code(case)]
    with current_stage_bar() as on_progress:
        if problems := unanswerable(model, plan, cases, cache):
            left_out[next(iter(problems.values()))] = len(problems)
            cases = [case for case in cases if case.key not in problems]
        if not cases:
            reason = max(left_out, key=lambda each: left_out[each])
            raise PromptError(f"{model.label} can't be asked any probe: {reason}")
        measured = measure_stability(model, plan, cases, cache, on_progress, allowed=allowed)
    if broken := len(cases) - len(measured.stability):
        left_out["they have no verdict, since an answer or a check broke"] = broken
    return measured, left_out


def _default_output() -> Path:
    """Among the project's golden sets, so that its gates ask it."""
    places = project_golden()
    directory = next((place for place in places if place.suffix not in _YAML), None)
    if directory is None:
        raise SettingsError("the project's golden sets are single files: say with --output where to write")
    return directory / "probes.yaml"


def _other_sets(path: Path) -> list[GoldenSet]:
    """The project's golden sets besides the one to write: read first, so that a fault is told at once."""
    files = (each for each in golden_files() if each.is_file() and each.resolve() != path.resolve())
    others = [load_golden_set(each) for each in files]
    name = name_of(path)
    if (same := next((each.path for each in others if each.name == name), None)) is not None:
        raise SettingsError(
            f"--output {path}: the name of its set, {name}, is taken by {same}: write to another file"
        )
    return others


def _check_options(path: Path, overwrite: bool, dtype: str, floor: float, ceiling: float) -> None:
    if dtype not in DTYPES:
        raise SettingsError(f"--dtype: found {dtype!r} (allowed: {' | '.join(DTYPES)})")
    if floor >= ceiling:
        raise SettingsError(f"--floor {floor} is not below --ceiling {ceiling}")
    # Before a model answers for hours, not when its answers are to be written.
    if path.suffix not in _YAML or path.name.startswith(INCLUDED):
        raise SettingsError(f"--output {path}: no gate reads it there (allowed: NAME.yaml, NAME.yml)")
    if (problem := why_no_file(path)) is not None:
        raise SettingsError(f"--output {path}: it {problem}")
    there = next(each for each in (path, *path.absolute().parents) if each.exists())
    if not os.access(there, os.W_OK):
        raise SettingsError(f"--output {path}: {there} can't be written")
    if there == path and not overwrite:
        raise SettingsError(f"{path} exists: replace it with --overwrite, or name another --output")


def _asked_levels(levels: Sequence[str], skills: Sequence[str]) -> list[GoldenSet]:
    """The levels to ask, the easiest first, with the cases of the skills to ask."""
    found = level_sets()
    known = dict.fromkeys(case.tags[0] for each in found for case in each.cases)
    for option, wanted, allowed in (
        ("--level", levels, [each.name for each in found]),
        ("--skill", skills, list(known)),
    ):
        if unknown := [name for name in wanted if name not in allowed]:
            raise SettingsError(f"{option}: found {unknown[0]!r} (allowed: {' | '.join(allowed)})")
    return [
        replace(each, cases=tuple(case for case in each.cases if not skills or case.tags[0] in skills))
        for each in found
        if not levels or each.name in levels
    ]


def _with_room(golden_set: GoldenSet, max_reasoning_tokens: int | None) -> GoldenSet:
    if max_reasoning_tokens is None:
        return golden_set
    cases = tuple(
        replace(case, generation=replace(case.generation, max_reasoning_tokens=max_reasoning_tokens))
        for case in golden_set.cases
    )
    return replace(golden_set, cases=cases)


def _runs_code(case: GoldenCase) -> bool:
    return any(check.type == CODE for check in case.single_checks)


def _choose(
    label: str,
    levels: Sequence[GoldenSet],
    stability: Mapping[str, Stability],
    bounds: tuple[float, float],
    margin: float,
    looks: int,
) -> tuple[Choice, str]:
    """Choose enough for an equal model to pass; else also why the choice is refused."""

    def chosen(floor: float, ceiling: float) -> tuple[Choice, bool]:
        choice = choose_probes(levels, stability, floor=floor, ceiling=ceiling, suffices=suffices)
        return choice, suffices(choice.cases)

    def suffices(cases: Sequence[GoldenCase]) -> bool:
        return _pass_chance(cases, margin, looks) >= POWER

    choice, is_enough = chosen(*bounds)
    if is_enough:
        return choice, ""
    widest, would_do = chosen(0.0, 1.0)
    of_some = sum(len(each.cases) for each in levels) < sum(len(each.cases) for each in level_sets())
    among = " of the skills and levels that were asked" if of_some else ""
    looked = f" with {looks} looks" if looks > 1 else ""
    hint = f"--floor 0 and --ceiling 1 take {len(widest.cases)}: {'enough' if would_do else 'too few'}"
    return choice, (
        f"{label} passes too few probes{among} in all wordings: with {len(choice.cases)} of {len(stability)} "
        f"an equal model would pass the gate{looked} in less than {POWER:.0%} of runs ({hint}); "
        f"nothing is written, and the bundled probes stay"
    )


def _written(
    path: Path,
    label: str,
    choice: Choice,
    max_reasoning_tokens: int | None,
    chat_template_kwargs: Mapping[str, JsonValue],
) -> tuple[str, GoldenSet]:
    """The chosen probes as a file's text, and as the golden set in it: asked otherwise it fits no base."""
    asked = {"max_reasoning_tokens": max_reasoning_tokens, "chat_template_kwargs": chat_template_kwargs}
    return chosen_text(
        path,
        {case.id for case in choice.cases},
        notes=[
            f"Written by tunegate probes calibrate: what {label} passes in {len(WORDINGS)} wordings.",
            "The questions come with tunegate and are under its licence (Apache-2.0).",
        ],
        description=f"What {label} could do before training",
        generation={name: value for name, value in asked.items() if value},
    )


def _pass_chance(cases: Sequence[GoldenCase], margin: float, looks: int) -> float:
    """How often an equal model passes with them in a gate of so many looks."""
    if len({case.cluster for case in cases}) < 2:
        return 0.0
    if looks > 1 and margin < 1:
        asked = GoldenSet(name="", path="", cases=tuple(cases))
        sizes = [float(len(cluster)) for cluster in answering_order(asked)]
        flips = Flips(lose=USUAL_CHURN, gain=USUAL_CHURN, alike=USUAL_ALIKE)
        return look_chances(sizes, flips, ALPHA, ALPHA, margin=margin, looks=looks).passes
    return pass_chance_of(cases, margin, USUAL_CHURN)


def _power(golden_set: GoldenSet, others: Sequence[GoldenSet], asking: Settings) -> SetPower:
    """As ``tunegate power`` tells it: in a gate the tests of all sets share one level."""
    sets = [*others, golden_set]
    margins = margins_by_set(sets, asking.margin, asking.forgetting_margin)
    level = shared_level(sets, margins)
    return power_of_set(golden_set, margins[golden_set.name], USUAL_CHURN, level, looks=asking.looks)


def _print(result: CalibratedProbes, *, as_json: bool) -> None:
    if as_json:
        say(to_json(result))
        return
    _print_cells(result.cells, result.left_out)
    console = open_console()
    for note in _unended_note(result.unended):
        console.print(note)
    console.print(f"{result.power.cases} probes of {result.model} written to {result.path}")
    console.print(power_table([result.power]))
    if (looks := result.power.looks) is not None:
        console.print(
            f"with {looks.looks} looks an equal model passes them in {looks.pass_chance:.0%} of runs; "
            "the table is of all cases at once"
        )


def _unended_note(unended: int) -> list[str]:
    """A sentence if answers are missing because a model was still thinking."""
    if not unended:
        return []
    return [
        f"{unended} probes got reasoning and no answer, and count as failed: give it room by "
        "--max-reasoning-tokens, or turn it off by --chat-template-kwargs"
    ]


def _print_cells(cells: Sequence[Cell], left_out: Mapping[str, int]) -> None:
    """The counts of each skill and level, and what was not asked."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for header in ("skill", "level", "passed", "unstable", ""):
        table.add_column(header, no_wrap=bool(header))
    for cell in cells:
        table.add_row(
            cell.skill, cell.level, f"{cell.passed} of {cell.cases}", str(cell.unstable), _USES[cell.use]
        )
    console = open_console()
    console.print(table)
    for reason, count in left_out.items():
        console.print(f"{count} probes were left out: {reason}")
