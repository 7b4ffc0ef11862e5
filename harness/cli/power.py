"""``tunegate power``: which drops golden sets can detect, and what would make them show more."""

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from harness.authoring.passable import (
    SERVER,
    as_computed,
    asks_probes,
    computed_in,
    last_level,
    notes_of_no_pass,
)
from harness.authoring.regressable import notes_of_no_regress
from harness.authoring.templated import why_not_independent
from harness.cli.options import GatedProbesOption, JsonOption
from harness.comparison.pairing import PASS_RATE
from harness.errors import GoldenError, SettingsError
from harness.golden.load import GateContent, gate_content, golden_files, project_golden, sound
from harness.golden.schema import CHECK_TYPES, answers_vary, base_type
from harness.presentation.console import open_console
from harness.presentation.terminal import detectable_range
from harness.settings import Settings, load_settings
from harness.statistics.power import POWER, USUAL_CHURN
from harness.studies.metric_power import USUAL_SPREAD, gated_cases, margins_by_set, shared_level
from harness.studies.set_power import HARM, MetricPower, SetPower, power_of_set
from harness.types import EXACT_DTYPES, GoldenSet
from harness.types.storage import to_json
from tunegate.figures import figure_of
from tunegate.printable import say
from tunegate.project import command_project

_USUAL_LOOKS = 5


def power(
    golden: Annotated[
        list[Path] | None,
        typer.Option("--golden", help="Golden set or directory; may be repeated. Default: golden_sets."),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="The margin; by default the project's or each set's."),
    ] = None,
    churn: Annotated[
        float, typer.Option(min=0, max=0.4, help="Share of cases that flip by chance, each way.")
    ] = USUAL_CHURN,
    spread: Annotated[
        float,
        typer.Option(min=1e-6, help="By how many nats a case's log-probability moves: standard deviation."),
    ] = USUAL_SPREAD,
    looks: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=20,
            help="Looks of --gate-looks, for the share of cases they answer; the project's, else 5.",
        ),
    ] = None,
    forgetting: GatedProbesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say which drop the golden sets can detect, and what more cases or answers buy. No model is loaded.

    The figures are those of a gate of these sets: it asks the bundled forgetting probes too, unless a set
    says that it probes forgetting.
    """
    settings = load_settings({}, command_project(Path.cwd()), os.environ)
    content = _gated(_files(golden or project_golden()), settings, forgetting)
    of_sets = margins_by_set(content.own, *(_margins(settings) if margin is None else (margin, margin)))
    of_sets |= margins_by_set(content.bundled, *_margins(settings))
    computed = computed_in(settings)
    own_looks = settings.looks if looks is None else looks
    looks = looks or (_USUAL_LOOKS if settings.looks == 1 else settings.looks)
    with open_console(stderr=True).status("counting cases"):
        found = list(_measured(content, of_sets, computed, churn=churn, spread=spread, looks=looks))
    if as_json:
        say(to_json(found))
        return
    of_own = [
        each for each in content.own if each.gate.population == "cases" and not answers_vary(each.cases)
    ]
    gated = sum(len(gated_cases(each, of_sets[each.name])) for each in content.sets)
    _print(found, gated, churn, spread, looks, own=_how_answers_vary(computed) if of_own else "")
    levels = {each.name: last_level(each, own_looks) for each in content.own}
    unable = notes_of_no_regress(content, levels)
    for each in content.own:
        margin_of_set = of_sets[each.name].get(PASS_RATE)
        for line in _nevers(each, margin_of_set, computed, levels[each.name], unable[each.name]):
            say(line)
    if own_looks > 1 and any(row.population == "sample" for row in found if not row.bundled):
        say(
            f"with {own_looks} looks a set passes less often and detects less than the table says, which is "
            "of all cases at once: how often a pass rate passes is said beside its early stop"
        )


def _gated(files: list[Path], settings: Settings, forgetting: bool | None) -> GateContent:
    """What a gate of these golden sets asks.

    Raises:
        TunegateError: A set can't be used, or none is left.
    """
    content = gate_content(files, forgetting=asks_probes(settings) if forgetting is None else forgetting)
    if not sound(content).sets:
        raise SettingsError("nothing is gated: all golden sets probe forgetting (--forgetting counts them)")
    return content


def _measured(
    content: GateContent,
    of_sets: Mapping[str, Mapping[str, float]],
    computed: str,
    *,
    churn: float,
    spread: float,
    looks: int,
) -> Iterator[SetPower]:
    """The power of each set that is gated; of the bundled probes not what would make them show more."""
    level = shared_level(content.sets, of_sets)
    for place, each in enumerate(content.sets):
        own = place < len(content.own)
        found = power_of_set(
            as_computed(each, computed),
            of_sets[each.name],
            churn,
            level,
            looks=looks if own else 1,
            spread=spread,
            with_ways=own,
        )
        yield replace(found, computed=computed, bundled=not own)


def _margins(settings: Settings) -> tuple[float | None, float | None]:
    return settings.margin, settings.forgetting_margin


def _how_answers_vary(computed: str) -> str:
    """What the figures of sets about their own cases assume of greedy answers."""
    what = "; greedy answers of a set that asks about its own cases"
    if computed in EXACT_DTYPES:
        return f"{what} reproduce"
    if not computed:
        return f"{what} reproduce in float32 on one kind of device, for which its figures hold"
    how = "of a server" if computed == SERVER else f"in {computed}"
    return f"{what} vary where they are {how}"


def _nevers(
    golden_set: GoldenSet, margin: float | None, computed: str, level: float, never_regresses: Sequence[str]
) -> Iterator[str]:
    """Verdicts that a set can't have, why, and what helps; and what makes its figures too good."""
    if margin is not None:
        golden_set = replace(golden_set, gate=replace(golden_set.gate, margin=margin))
    for note in (*notes_of_no_pass(golden_set, level, computed), *never_regresses):
        yield f"{golden_set.name}: {note}"
    if (alike := why_not_independent(golden_set)) is not None:
        yield f"{golden_set.name}: {alike}"


def _print(found: list[SetPower], gated: int, churn: float, spread: float, looks: int, *, own: str) -> None:
    console = open_console()
    console.print(power_table(found))
    metrics = "metric" if gated == 1 else "metrics"
    probes = " with the bundled probes" if any(row.bundled for row in found) else ""
    clustered = any(row.units < row.cases for row in found)
    clusters = ", half of them in whole clusters" if clustered else ""
    ranges = any(row.detectable_cluster_drop is not None for row in found)
    spread_of = " (from cases that fall one by one to whole clusters)" if ranges else ""
    console.print(
        f"detects: the smallest true drop found in {POWER:.0%} of runs{spread_of}; passes: how often an "
        f"equal model passes; settled: how many cases decide in {POWER:.0%} of runs, where nothing changed "
        "and where it fell by the margin. "
        f"{gated} gated {metrics}{probes}, {churn:.1%} of cases flip by chance each way{clusters}"
        f"{own}.{_together(found)}",
        style="dim",
        highlight=False,
    )
    for row in found:
        for note in _endless_notes(row):
            console.print(note, highlight=False)
        if row.unscored:
            console.print(
                f"{row.name} can't pass: {row.unscored} of its cases have neither a check that decides nor a "
                "gated score, more than its max_unscored tolerates.",
                highlight=False,
            )
    if any(row.ways for row in found):
        console.print()
        console.print(ways_table(found))
        console.print(
            f"what would show more. answers: how many a side as the set asks now; of log-probabilities, no "
            f"answer: each moves by {spread:g} nats in a case (--spread), and drops are in nats. "
            f"{_looks_told(found, looks)}",
            style="dim",
            highlight=False,
        )


def _endless_notes(row: SetPower) -> Iterator[str]:
    """Why nothing is known of scales without an end: of a logarithm the unit is, and how it varies isn't."""
    endless = [metric for metric, of_metric in row.metrics.items() if of_metric.endless]
    logs = [metric for metric in endless if CHECK_TYPES[base_type(metric)].logarithmic]
    for metrics, why, unknown in (
        ([each for each in endless if each not in logs], "the scale has no end", "the baseline's mean"),
        (logs, "compared by the logarithm, which has no end", "how much it varies"),
    ):
        if metrics:
            yield (
                f"{row.name} {', '.join(metrics)}: {why}, so what is detected and how often an equal model "
                f"passes depend on {unknown}, which no model has shown yet."
            )


def _files(paths: list[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        inside = golden_files([path])
        if not inside:
            raise GoldenError(path, None, "", "contains no golden set", "a YAML file, or a directory of them")
        files += inside
    return files


def _together(found: list[SetPower]) -> str:
    """How often all gated metrics of all sets pass together."""
    chances = [0.0 if row.unscored else chance for row in found for chance in row.chances]
    if len(chances) < 2:
        return ""
    further = [each for row in found for each in row.metrics.values()]
    what = "gated metrics" if further else "sets"
    what += " with a known chance" if any(each.pass_chance is None for each in further) else ""
    return (
        f" All {len(chances)} {what} of an equal model pass together in {math.prod(chances):.0%} if they are "
        f"independent, in {min(chances):.0%} at most."
    )


def _looks_told(found: list[SetPower], looks: int) -> str:
    said = []
    if any(row.looks is not None for row in found):
        said.append(
            f"early stop: the share of cases that --gate-looks={looks} answers for an equal model, and for "
            f"one that lost {HARM:g}"
        )
    if several := [row.name for row in found if row.looks is not None and row.metrics]:
        said.append(
            f"of {', '.join(several)} for the pass rate alone: a set stops where all its gated metrics pass "
            "at one look"
        )
    if unknown := [row.name for row in found if row.repeated and row.looks is None and looks > 1]:
        said.append(
            f"early stop of {', '.join(unknown)} is unknown: with several answers a case it depends on "
            "how much each varies"
        )
    return "; ".join(said)


def power_table(found: list[SetPower]) -> Table:
    """The table of sets."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    # Names and a long head may wrap: figures are never cut.
    for header in ("set", "cases", "margin", "detects", "passes", "settled if equal", "if fallen"):
        table.add_column(header, no_wrap=header not in {"set", "settled if equal"}, overflow="fold")
    for row in found:
        if row.pass_chance is not None:
            table.add_row(
                f"{row.name} (bundled)" if row.bundled else row.name,
                _cases(row.cases, row.units),
                figure_of(row.margin, 2),
                detectable_range(row.detectable_drop, row.detectable_cluster_drop),
                f"{row.pass_chance:.0%}",
                _needed(row.units_if_equal, row),
                _needed(row.units_if_fallen, row),
            )
        for metric, of_metric in row.metrics.items():
            passes = "unknown" if of_metric.pass_chance is None else f"{of_metric.pass_chance:.0%}"
            cases, margin = _cases(of_metric.cases, of_metric.units), figure_of(of_metric.margin, 2)
            table.add_row(f"{row.name} {metric}", cases, margin, _detects(of_metric), passes)
        if row.pass_chance is None and not row.metrics:
            table.add_row(row.name, "", "", "nothing is gated")
    return table


def _detects(metric: MetricPower) -> str:
    if metric.endless:
        return "unknown"
    return detectable_range(metric.detectable_drop, metric.detectable_cluster_drop)


def ways_table(found: list[SetPower]) -> Table:
    """For each set what would make it show more, and how much several looks answer."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for header in ("set", "way", "answers", "detects", "passes"):
        table.add_column(header, no_wrap=True)
    for row in found:
        for place, way in enumerate(row.ways):
            table.add_row(
                "" if place else row.name,
                way.name,
                f"{way.answers:g}×",
                detectable_range(way.detectable, way.detectable_of_clusters),
                f"{way.pass_chance:.0%}",
            )
        if row.looks is not None:
            least, most = ("≥ ", "≤ ") if row.metrics else ("", "")
            shares = f"{least}{row.looks.equal_share:.2f}×, {most}{row.looks.harmful_share:.2f}×"
            table.add_row("", "early stop", shares, "", f"{most}{row.looks.pass_chance:.0%}")
    return table


def _cases(cases: int, units: int) -> str:
    return str(cases) if units == cases else f"{cases} in {units}"


def _needed(units: int | None, row: SetPower) -> str:
    """Cases, or clusters if the set has any."""
    if row.population == "cases":
        return "its own"
    if units is None:
        return "no number"
    if row.units == row.cases:
        return f"{units} cases"
    # Of clusters only further ones are tried: how few of them would do is not known.
    return f"≤ {units} clusters" if units == row.units else f"{units} clusters"
