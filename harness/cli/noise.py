"""``tunegate noise``: which cases flip if nothing that matters changes."""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Annotated

import typer
from rich.console import Console

from harness.cli.options import (
    BaseOption,
    BatchTokensOption,
    DeviceOption,
    ForgettingOption,
    GoldenOption,
    HistoryOption,
    ModelIdOption,
    TemplateValuesOption,
)
from harness.cli.permissions import check_permissions
from harness.cli.progress import current_stage_bar
from harness.cli.prompting import asked_model, asked_plan, asking_settings
from harness.engines.base import CANDIDATE
from harness.errors import EngineError, SettingsError, TunegateError
from harness.golden.load import load_gate_sets
from harness.golden.schema import decides
from harness.history.location import find_history
from harness.history.server import HistoryPlace
from harness.history.store import check_history, noted_stability, open_history
from harness.presentation.console import open_console
from harness.run.conclusion import make_directory
from harness.run.judging import judged_checks
from harness.run.session import metric_facts
from harness.settings import DTYPES
from harness.studies.noise import Noise, measure_noise, plan_reruns, unstable_interval
from harness.types import UNKNOWN_WEIGHTS, ExecutionPlan, GoldenCase, ModelRef, Permissions
from harness.types.stability import USUAL_RERUNS
from tunegate.printable import say

_MOST_LISTED = 20
_MOST_REASONS = 3
_LEAST_RERUNS = 2


def noise(
    model: Annotated[str, typer.Option(help="The model to resample, usually the baseline.")],
    reruns: Annotated[
        int, typer.Option("-r", "--reruns", min=_LEAST_RERUNS, help="Reruns of each dtype.")
    ] = USUAL_RERUNS,
    dtype: Annotated[
        list[str] | None, typer.Option("--dtype", help="Precision; may be repeated (default: auto).")
    ] = None,
    device: DeviceOption = "auto",
    batch_tokens: BatchTokensOption = None,
    golden: GoldenOption = None,
    forgetting: ForgettingOption = True,
    base: BaseOption = None,
    chat_template_kwargs: TemplateValuesOption = None,
    model_id: ModelIdOption = None,
    directory: HistoryOption = None,
) -> None:
    """Measure the noise floor: rerun one model under other batches, seeds and dtypes.

    The history stores how often each case passed. Gates against this model then mark unstable cases, and for
    a case that never failed fewer answers can show a regression.
    """
    chosen = dtype or ["auto"]
    if unknown := [name for name in chosen if name not in DTYPES]:
        raise SettingsError(f"--dtype: found {unknown[0]!r} (allowed: {' | '.join(DTYPES)})")
    asking = asking_settings(chat_template_kwargs, base, model_id=model_id)
    found = asked_model(model, asking)
    plans = [asked_plan(found, asking, name, device, batch_tokens) for name in chosen]
    # The heads of a multitask model answer their tasks and nothing else.
    asks_probes = forgetting and plans[0].engine != "multitask"
    sets = load_gate_sets(golden or None, forgetting=asks_probes)
    cases = [case for golden_set in sets for case in golden_set.cases if case.skip is None]
    _refuse_without_verdicts(cases)
    allowed = check_permissions(cases)
    location = find_history(directory, to_write=True)
    history_place = location.place
    make_directory(location.directory)
    check_history(history_place, required=True)
    measured: list[tuple[ExecutionPlan, Noise]] = []
    try:
        _measure(found, plans, reruns, cases, allowed, measured)
    except (KeyboardInterrupt, TunegateError) as error:
        if measured or isinstance(error, KeyboardInterrupt):
            say(f"tunegate: {_kept(history_place, found, measured, cases, reruns)}", err=True)
        raise
    if _is_known(found):
        _store(history_place, found, measured, cases)
    console = open_console()
    for plan, result in measured:
        _print(console, plan.dtype, result)
    if not _is_known(found):
        say(
            f"not stored: nobody identifies the weights of {found.label}, so no gate could find the record "
            "again; --model-id is your word for what they are"
        )


def _measure(
    model: ModelRef,
    plans: Sequence[ExecutionPlan],
    reruns: int,
    cases: Sequence[GoldenCase],
    allowed: Permissions,
    measured: list[tuple[ExecutionPlan, Noise]],
) -> None:
    """Measure in each plan; ``measured`` has what is finished at any time."""
    with current_stage_bar() as on_progress, _told(model.label, measured):
        for place, plan in enumerate(plans):

            def keep(noise: Noise, place: int = place, plan: ExecutionPlan = plan) -> None:
                measured[place:] = [(plan, noise)]

            planned = plan_reruns(plan, reruns, [plan.dtype])
            measure_noise(model, plan, planned, cases, on_progress, allowed=allowed, on_rerun=keep)


def _is_known(model: ModelRef) -> bool:
    return not model.base_sha256.startswith(UNKNOWN_WEIGHTS)


def _store(
    place: HistoryPlace,
    model: ModelRef,
    measured: Sequence[tuple[ExecutionPlan, Noise]],
    cases: Sequence[GoldenCase],
    *,
    replacing: bool = True,
) -> None:
    """Store the reruns as noise records.

    Args:
        place: The history's.
        model: The model.
        measured: The reruns, by plan.
        cases: The cases.
        replacing: Whether they replace a record of more answers.
    """
    with open_history(place) as history:
        before = {} if replacing else history.load_noise()
        for plan, result in measured:
            noted = noted_stability(before, model, plan, cases, metric_facts)
            asked = [case.asked_with(plan.chat_template_kwargs) for case in cases]
            found = {
                key: case
                for key, case in result.stability.items()
                if key not in noted or noted[key].answers <= case.answers
            }
            history.save_noise(model, plan.dtype, asked, found, metric_facts)


def _kept(
    place: HistoryPlace,
    model: ModelRef,
    measured: Sequence[tuple[ExecutionPlan, Noise]],
    cases: Sequence[GoldenCase],
    reruns: int,
) -> str:
    """Keep the finished reruns of a measurement that was interrupted or failed: a gate counts what it finds.

    Returns:
        What is kept, in one line.
    """
    if not _is_known(model):
        return f"nothing is kept: nobody identifies the weights of {model.label} (--model-id)"
    finished = [each for each in measured if len(each[1].reruns) >= _LEAST_RERUNS]
    if not finished:
        return f"nothing is kept: fewer than {_LEAST_RERUNS} reruns were finished"
    _store(place, model, finished, cases, replacing=False)
    told = ", ".join(f"{len(result.reruns)} of {reruns} reruns in {plan.dtype}" for plan, result in finished)
    return f"kept as noise record: {told}, unless one has more; the same command begins anew"


def _refuse_without_verdicts(cases: Sequence[GoldenCase]) -> None:
    """Refuse cases of which none can pass or fail here: reruns are not judged."""
    if not any(any(map(decides, case.checks)) and not judged_checks(case) for case in cases):
        raise SettingsError(
            "no case passes or fails without a judge, so none can flip: give a check a threshold, or choose "
            "other sets with --golden"
        )


@contextmanager
def _told(label: str, measured: Sequence[tuple[ExecutionPlan, Noise]]) -> Iterator[None]:
    """The reruns as a span of OpenTelemetry, where its variables are set."""
    if not any(name.startswith("OTEL_EXPORTER_OTLP") for name in os.environ):
        yield
        return
    from harness.run.open_telemetry import ToldCommand, open_command_telemetry

    telemetry = open_command_telemetry(os.environ, ToldCommand(name="noise", labels={CANDIDATE: label}))
    try:
        yield
    finally:
        if telemetry is not None:
            results = [result for _, result in measured]
            telemetry.close(
                {},
                reruns=sum(len(result.reruns) for result in results),
                cases=max((len(result.stability) for result in results), default=0),
                unstable=len({key for result in results for key in result.unstable}),
            )


def _print(console: Console, dtype: str, result: Noise) -> None:
    reasons = Counter(filter(None, result.without.values())).most_common(_MOST_REASONS)
    if not result.stability:
        why = f": {reasons[0][0]}" if reasons else ""
        raise EngineError(f"{result.model.label}, {dtype}: no case has a verdict in any rerun{why}")
    share = unstable_interval(result)
    without = len(result.texts) - len(result.stability)
    rate = result.flip_rate
    changed = sum(count > 1 for count in result.texts.values())
    console.print(
        f"{result.model.label}, {dtype}, {len(result.reruns)} reruns of {len(result.stability)} cases: "
        f"{len(result.unstable)} unstable ({share.estimate:.1%} [{share.low:.1%}, {share.high:.1%}]), "
        f"two reruns disagree on {0 if rate is None else rate:.2%} of cases, "
        f"{changed} answers changed their text" + (f"; {without} without a verdict" if without else "")
    )
    for reason, count in reasons:
        console.print(f"  {count} without a verdict: {reason}")
    for key in result.unstable[:_MOST_LISTED]:
        case = result.stability[key]
        console.print(f"  {key}  passed {case.passed} of {case.answers}")
    if len(result.unstable) > _MOST_LISTED:
        console.print(f"  and {len(result.unstable) - _MOST_LISTED} more")
