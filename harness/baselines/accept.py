"""Accepts a run as the baseline of later ones, unless that would be a mistake."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from harness.baselines.changed_sets import is_changed
from harness.baselines.file import (
    Baseline,
    DamagedBaselineError,
    KeptSummary,
    baseline_path,
    baseline_text,
    check_name,
    keep_results,
    load_baseline,
)
from harness.comparison.metric_drop import compare_metric
from harness.comparison.missing_cases import beyond_limits
from harness.comparison.pairing import pair_runs, paired_metrics
from harness.comparison.times import way_of
from harness.comparison.whole_sets import set_metric_rows
from harness.errors import BaselineError
from harness.provenance import git_problem
from harness.statistics.clusters import CONFIDENCE
from harness.types import ExecutionPlan, Run
from harness.types.storage import write_whole
from tunegate.figures import share_of


def accept_run(run: Run, name: str, reason: str, root: Path, *, allow_dirty: bool = False) -> Path:
    """Write a run as a baseline's file.

    Args:
        run: A whole run, from the history.
        name: The baseline's name; one of the same name is replaced, also a damaged one.
        reason: Why it is accepted.
        root: The project's root.
        allow_dirty: Accept even if the run's commit had uncommitted changes.

    Returns:
        The file.

    Raises:
        BaselineError: The run can't be accepted: it is partial, has too many errored or unscored cases, its
            golden sets were changed since, its plan differs from that of the baseline that it would replace,
            or it has uncommitted changes.
    """
    check_name(name)
    if not reason.strip():
        raise BaselineError("--reason: say why this run is accepted; those who compare with it will read it")
    path = baseline_path(root, name)
    for problem in _obstacles(run, root, path, allow_dirty=allow_dirty):
        raise BaselineError(f"run {run.id} can't be accepted as {name}: {problem}")
    text = baseline_text(_baseline(run, name, reason))
    try:
        write_whole(path, text)
    except OSError as error:
        raise BaselineError(f"{path}: can't be written: {error.strerror}") from error
    return path


def _obstacles(run: Run, root: Path, path: Path, *, allow_dirty: bool) -> Iterable[str]:
    if run.model.is_logged:
        yield "it is of another tool's log, and golden cases are others: --gate-baseline=FILE takes its file"
    if run.lacks_cases:
        answered = f"{len(run.results)} of {run.collected}"
        what = "--gate-looks" if run.stopped else "-k, -m or --lf"
        yield f"it answered {answered} cases; run all of them, without {what}"
    elif run.partial:
        more = f" and {len(run.left_out) - 1} more" if len(run.left_out) > 1 else ""
        yield f"{run.left_out[0]}{more} was left out of it; run the whole gate"
    for golden_set in run.golden_sets:
        for lacking in beyond_limits(run, golden_set):
            counted = f"{lacking.cases} of {lacking.n} cases of {golden_set.name}"
            yield f"{counted} are {lacking.outcome} (allowed: {share_of(lacking.tolerated)})"
        if is_changed(golden_set, (result.case for result in run.results), root):
            yield f"{golden_set.path} was changed since; gate again"
    if path.is_file():
        plan = _readable_plan(path)
        now, then = _way(run.plan), {} if plan is None else _way(plan)
        if plan is not None and now != then:
            changed = ", ".join(
                f"{name} {now[name]}, not {then[name]}"
                for name in now
                if name in then and now[name] != then[name]
            )
            yield (
                f"its plan differs from that of the baseline it would replace ({changed}); "
                f"take another name, or delete {path}"
            )
    if run.environment.dirty and not allow_dirty:
        yield "it was made with uncommitted changes; commit and gate again, or give --allow-dirty"
    if run.environment.dirty is None and not allow_dirty and (problem := git_problem(root)) is not None:
        yield f"nobody knows whether it was made with uncommitted changes ({problem}); give --allow-dirty"


def _readable_plan(path: Path) -> ExecutionPlan | None:
    """The plan of an accepted run; None where the file is damaged, which accepting again repairs."""
    try:
        return load_baseline(path).plan
    except DamagedBaselineError:
        return None


def _way(plan: ExecutionPlan) -> dict[str, object]:
    """The parts of a plan that can change an answer or its prompt, by name."""
    return {**way_of(plan), "chat_template_kwargs": plan.chat_template_kwargs}


def _baseline(run: Run, name: str, reason: str) -> Baseline:
    return Baseline(
        name=name,
        run_id=run.id,
        accepted_at=datetime.now(UTC).isoformat(timespec="seconds"),
        reason=reason.strip(),
        started_at=run.started_at,
        duration_s=run.duration_s,
        model=run.model,
        plan=run.plan,
        environment=run.environment,
        golden_sets=run.golden_sets,
        collected=run.collected,
        text_losses=run.text_losses,
        summaries=tuple(_summaries(run)),
        metrics=run.metrics,
        cases=keep_results(run.results),
    )


def _summaries(run: Run) -> Iterable[KeptSummary]:
    """Each metric of each set over the run's own cases, those of whole sets last."""
    pairing = pair_runs(run, run)
    for metric in paired_metrics(pairing):
        summary = compare_metric(metric, detectable=False).candidate
        yield KeptSummary(set_name=metric.set_name, summary=summary)
    # A case that errored on both sides, as here, is missing on none.
    levels = {each.case.set_name: CONFIDENCE for each in run.results}
    for row in set_metric_rows(replace(pairing, undecided=()), levels):
        yield KeptSummary(set_name=row.set_name, summary=row.candidate)
