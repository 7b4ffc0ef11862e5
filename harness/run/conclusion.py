"""From a session's scored answers to a verdict on each candidate.

Several candidates are compared with the same baseline. Each regression is tested at the level alpha / k
(Bonferroni): the probability of any false alarm is that of a single gate. Each pass is a claim about its own
model only, and is tested at alpha.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from harness.comparison.confirmation import ResampledAnswers
from harness.comparison.findings import failed_tests_findings, with_further
from harness.comparison.gate import (
    Judgement,
    cases_to_confirm,
    conclude,
    forgetting_between,
    judge_runs,
    with_resampled,
)
from harness.comparison.margins import ALPHA
from harness.engines.base import BASE, BASELINE
from harness.errors import TunegateError
from harness.history.store import open_history
from harness.run.inputs import Inputs
from harness.run.judging import against_itself
from harness.run.records import session_runs
from harness.run.session import Session
from harness.types import GateRecord, GoldenSet, Run, Stability

# Gets new answers to cases by their keys.
Resample: TypeAlias = Callable[[Collection[str]], ResampledAnswers]


def conclude_session(
    session: Session,
    *,
    collected: int,
    resample: Resample | None = None,
    failed_tests: Mapping[str, Sequence[str]] | None = None,
) -> dict[str, GateRecord]:
    """Compare each candidate with the baseline and judge it.

    Args:
        session: The scored answers.
        collected: Number of cases in the golden sets before selection.
        resample: Gets new answers to the cases that make a regression, if there is one candidate.
        failed_tests: Hand-written tests of a candidate that failed, by its name.

    Returns:
        The records by the candidates' names.

    Raises:
        BaselineError: A candidate has no case in common with the baseline.
    """
    inputs = session.inputs
    runs = session_runs(session, collected)
    stored = None if session.stored is None else against_itself(session.stored)
    baseline = runs.get(BASELINE, stored)
    if baseline is None:
        return {each.name: GateRecord(run=runs[each.side]) for each in inputs.candidates}
    stability = _noted_noise(inputs, baseline, session.golden_sets)
    regress_alpha = ALPHA / len(inputs.candidates)
    records = {}
    for candidate in inputs.candidates:
        run, divergences = runs[candidate.side], session.answers[candidate.side].divergences
        judgement = judge_runs(
            run,
            baseline,
            margin=inputs.settings.margin,
            forgetting_margin=inputs.settings.forgetting_margin,
            regress_alpha=regress_alpha,
            stability=stability,
            divergences=divergences.get(BASELINE, ()),
        )
        comparison, verdict = conclude(_confirmed(judgement, resample))
        verdict = with_further(verdict, failed_tests_findings((failed_tests or {}).get(candidate.name, ())))
        if BASE in runs and run.model.adapter_dir is not None:
            since_base = forgetting_between(run, runs[BASE], divergences=divergences.get(BASE, ()))
            comparison = replace(comparison, forgetting_since_base=since_base)
        records[candidate.name] = GateRecord(
            run=run, baseline=baseline, comparison=comparison, verdict=verdict
        )
    return records


def _confirmed(judgement: Judgement, resample: Resample | None) -> Judgement:
    """The judgement after resampling the cases that make a regression, if that is possible."""
    keys = cases_to_confirm(judgement)
    if resample is None or not keys:
        return judgement
    try:
        return with_resampled(judgement, resample(keys))
    except TunegateError as error:
        return with_resampled(judgement, None, str(error))


def _noted_noise(inputs: Inputs, baseline: Run, golden_sets: Sequence[GoldenSet]) -> Mapping[str, Stability]:
    """The noise record of the baseline's model, if there is one."""
    path = inputs.directory / "history.sqlite"
    if not path.is_file():
        return {}
    cases = [case for golden_set in golden_sets for case in golden_set.cases]
    with open_history(path, to_read=True) as history:
        return history.load_noise(baseline.model, baseline.plan.dtype, cases)
