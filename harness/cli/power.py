"""``tunegate power``: which drops golden sets can detect, and how many cases a margin needs."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from harness.cli.options import JsonOption
from harness.comparison.metric_verdicts import ALPHA, gated_margins
from harness.comparison.pairing import PASS_RATE
from harness.errors import GoldenError
from harness.golden.load import golden_files, load_golden_set, project_golden
from harness.presentation.terminal import open_console
from harness.statistics.clustered_drop import first_drop_beyond
from harness.statistics.detectable_drops import (
    USUAL_ALIKE,
    Chances,
    Flips,
    detectable_cluster_drop,
    times_as_many,
    verdict_chances,
)
from harness.statistics.planning import cases_to_detect, cases_to_pass, pass_chance
from harness.statistics.power import POWER, USUAL_CHURN, detectable_drop
from harness.types import GoldenCase, GoldenSet
from harness.types.storage import to_json
from tunegate.printable import say


@dataclass(frozen=True, slots=True, kw_only=True)
class SetPower:
    """The power of one golden set.

    Attributes:
        cases: Number of cases.
        units: Number of independent ones: a cluster counts once.
        detectable_drop: Smallest true drop that regresses in 80 % of runs; None if there is none.
        pass_chance: How often an equal candidate passes.
        units_to_pass: Independent cases with which it passes in 80 %; None beyond 20 000.
        units_to_detect: Independent cases with which a true drop of the margin is found in 80 %.
        population: Whether the set asks about further cases (``sample``) or exactly its own (``cases``).
    """

    name: str
    cases: int
    units: int
    margin: float
    detectable_drop: float | None
    pass_chance: float
    units_to_pass: int | None = None
    units_to_detect: int | None = None
    population: str = "sample"


def power(
    golden: Annotated[
        list[Path] | None,
        typer.Option("--golden", help="Golden set or directory; may be repeated. Default: golden_sets."),
    ] = None,
    margin: Annotated[
        float | None, typer.Option(min=0, max=1, help="The margin; by default each set's own.")
    ] = None,
    churn: Annotated[
        float, typer.Option(min=0, max=0.4, help="Share of cases that flip by chance, each way.")
    ] = USUAL_CHURN,
    as_json: JsonOption = False,
) -> None:
    """Say which drop the golden sets can detect, and how many cases a margin needs. No model is loaded."""
    sets = [load_golden_set(path) for path in _files(golden or project_golden())]
    margins = gated_margins(sets, margin, margin)
    level = ALPHA / len(margins)
    with open_console(stderr=True).status("counting cases"):
        found = [power_of_set(each, margins[each.name, PASS_RATE], churn, level) for each in sets]
    if as_json:
        say(to_json(found))
        return
    console = open_console()
    console.print(power_table(found))
    metrics = "metric" if len(margins) == 1 else "metrics"
    clusters = ", half of them in whole clusters" if any(row.units < row.cases for row in found) else ""
    own = "; the answers of a set that asks about its own cases reproduce"
    together = math.prod(row.pass_chance for row in found)
    whole = "" if len(found) == 1 else f" All sets together pass in {together:.0%}, if they are independent."
    console.print(
        f"detects: the smallest true drop found in {POWER:.0%} of runs; passes: how often an equal model "
        f"passes; to pass, to detect it: how many cases make that {POWER:.0%}, for a drop of the margin. "
        f"{len(margins)} gated {metrics}, {churn:.1%} of cases flip by chance each way{clusters}"
        f"{own if any(row.population == 'cases' for row in found) else ''}.{whole}",
        style="dim",
        highlight=False,
    )


def _files(paths: list[Path]) -> list[Path]:
    files: list[Path] = []
    for path in paths:
        inside = golden_files([path])
        if not inside:
            raise GoldenError(path, None, "", "contains no golden set", "a YAML file, or a directory of them")
        files += inside
    return files


def power_of_set(golden_set: GoldenSet, margin: float, churn: float, level: float) -> SetPower:
    """The power of a golden set, before any model has answered.

    Args:
        golden_set: The set; skipped cases don't count.
        margin: Its margin.
        churn: Share of cases that flip by chance, each way.
        level: One-sided level of a regression.
    """
    cases = [case for case in golden_set.cases if case.skip is None]
    sizes = _sizes(cases) or [1]
    counts = {"cases": len(cases), "units": len(sizes)}
    named: dict[str, Any] = {"name": golden_set.name, "margin": margin, **counts}
    if golden_set.gate.population == "cases":
        # The drop of answers that reproduce is known exactly, and equal models have none.
        return SetPower(
            **named,
            population="cases",
            detectable_drop=first_drop_beyond(margin, max(len(cases), 1)),
            pass_chance=1.0,
        )
    if len(sizes) < len(cases):
        return SetPower(**named, **_of_clusters(sizes, margin, churn, level))
    return SetPower(
        **named,
        detectable_drop=detectable_drop(len(sizes), churn, level, margin=margin),
        pass_chance=pass_chance(len(sizes), churn, margin),
        units_to_pass=cases_to_pass(margin, churn),
        units_to_detect=cases_to_detect(margin, churn, level, margin=margin),
    )


def pass_chance_of(cases: Sequence[GoldenCase], margin: float, churn: float) -> float:
    """Probability that an equal candidate passes these cases, asked about further cases like them.

    Args:
        cases: At least one case, and two clusters if there are clusters.
        margin: Largest tolerated drop.
        churn: Share of cases that flip by chance, each way.
    """
    sizes = _sizes(cases)
    if len(sizes) < len(cases):
        return _chances(sizes, churn, churn, margin, ALPHA).passes
    return pass_chance(len(sizes), churn, margin)


def _chances(sizes: Sequence[float], lose: float, gain: float, margin: float, level: float) -> Chances:
    """By simulation: half of the flips concern whole clusters."""
    return verdict_chances(sizes, Flips(lose=lose, gain=gain, alike=USUAL_ALIKE), level, margin=margin)


def _of_clusters(sizes: list[int], margin: float, churn: float, level: float) -> dict[str, Any]:
    worse = min(churn + margin, 1 - churn)

    def needed(suffices: Callable[[Sequence[float]], bool]) -> int | None:
        times = times_as_many(sizes, suffices)
        return None if times is None else times * len(sizes)

    flips = Flips(lose=churn, gain=churn, alike=USUAL_ALIKE)
    return {
        "detectable_drop": detectable_cluster_drop(sizes, flips, level, margin=margin),
        "pass_chance": _chances(sizes, churn, churn, margin, level).passes,
        "units_to_pass": needed(lambda many: _chances(many, churn, churn, margin, level).passes >= POWER),
        "units_to_detect": needed(lambda many: _chances(many, worse, churn, margin, level).regress >= POWER),
    }


def _sizes(cases: Sequence[GoldenCase]) -> list[int]:
    """Number of cases of each cluster; a case without one is a cluster of its own."""
    return list(Counter(_unit(case) for case in cases).values())


def _unit(case: GoldenCase) -> tuple[str, str]:
    return ("case", case.id) if case.cluster is None else ("cluster", case.cluster)


def power_table(found: list[SetPower]) -> Table:
    """The table of sets."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for header in ("set", "cases", "margin", "detects", "passes", "to pass", "to detect it"):
        table.add_column(header, no_wrap=True)
    for row in found:
        table.add_row(
            row.name,
            str(row.cases) if row.units == row.cases else f"{row.cases} in {row.units}",
            f"{row.margin:.2f}",
            "none" if row.detectable_drop is None else f"≥ {row.detectable_drop:.2f}",
            f"{row.pass_chance:.0%}",
            _needed(row.units_to_pass, row),
            _needed(row.units_to_detect, row),
        )
    return table


def _needed(units: int | None, row: SetPower) -> str:
    """Cases, or clusters if the set has any."""
    if row.population == "cases":
        return "its own"
    if units is None:
        return "no number"
    return f"{units} cases" if row.units == row.cases else f"{units} clusters"
