"""``tunegate rank``: several candidates against one baseline."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from harness.cache import Cache
from harness.cli.progress import stage_bars
from harness.engines.open import base_of, describe_model
from harness.errors import BaselineError
from harness.golden.find import golden_files
from harness.golden.load import load_golden_set
from harness.history.facts import to_json
from harness.history.store import open_history
from harness.ranking import Ranked, find_adapters, rank_models
from harness.terminal import interval
from harness.types import GateVerdict, Interval, ModelRef

_REGRESSED = 1


def rank(
    models: Annotated[list[str], typer.Argument(help="Models, or a directory that holds several adapters.")],
    baseline: Annotated[
        str | None, typer.Option(help="What all are compared with (default: the base that they share).")
    ] = None,
    golden: Annotated[
        list[Path] | None, typer.Option("--golden", help="Golden set or directory; may be repeated.")
    ] = None,
    directory: Annotated[Path, typer.Option(help="Holds history and cache.")] = Path(".tunegate"),
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON: every candidate's whole gate.")
    ] = False,
) -> None:
    """Gate several models at once and rank them; exit status 1 if any regressed.

    They answer together on one loaded base. Each is judged at the level of 5 % divided by their number, so
    that any of them is wrongly called a regression with the probability of a single gate.
    """
    candidates = [describe_model(reference) for reference in find_adapters(models)]
    against = _shared_base(candidates) if baseline is None else describe_model(baseline)
    sets = [load_golden_set(file) for file in golden_files(golden or None)]
    with (
        open_history(directory / "history.sqlite") as history,
        Cache(directory / "cache.sqlite") as cache,
        stage_bars() as on_progress,
    ):
        found = rank_models(candidates, against, sets, cache, Path(), on_progress, history.load_noise)
        for ranked in found:
            history.save(ranked.record)
    if as_json:
        typer.echo(to_json(found))
    else:
        Console(highlight=False).print(_table(found, against))
    if any(
        ranked.record.verdict and ranked.record.verdict.outcome is GateVerdict.REGRESS for ranked in found
    ):
        raise typer.Exit(_REGRESSED)


def _shared_base(candidates: Sequence[ModelRef]) -> ModelRef:
    """The base of all candidates.

    Raises:
        BaselineError: They have none, or several.
    """
    bases = {base.base_sha256: base for model in candidates if (base := base_of(model)) is not None}
    if len(bases) != 1:
        named = ", ".join(base.label for base in bases.values()) or "none"
        raise BaselineError(f"the models share no base ({named}): name one with --baseline")
    return next(iter(bases.values()))


def _table(found: Sequence[Ranked], against: ModelRef) -> Table:
    confidence = next((r.gain.confidence for r in found if r.gain is not None), 0.0)
    table = Table(
        *("", "model", "verdict", "task gain", "probes kept", "front", "run"),
        title=(
            f"against {against.label}; intervals at {confidence:.1%}, "
            f"so that a column holds for all rows at 90 %"
        ),
        title_justify="left",
        box=None,
    )
    for place, ranked in enumerate(found, start=1):
        verdict = ranked.record.verdict
        table.add_row(
            str(place),
            ranked.record.run.model.label,
            "–" if verdict is None else str(verdict.outcome),
            "–" if ranked.gain is None else interval(ranked.gain),
            "–" if ranked.kept is None else _share(ranked.kept),
            "*" if ranked.on_front else "",
            ranked.record.run.id,
        )
    return table


def _share(value: Interval) -> str:
    return f"{value.estimate:.0%} [{value.low:.0%}, {value.high:.0%}]"
