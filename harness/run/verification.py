"""Replays the evidence of a gate: scores again what can be scored here, and judges again.

A gate that ran on a machine with a GPU can so be accepted on one without: its file holds answers, scores and
hashes. Scores of judges and of losses need a model, and are believed; each is listed.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from harness.baselines.changed_sets import is_changed
from harness.comparison.findings import with_further
from harness.comparison.gate import run_gate
from harness.comparison.pairing import PASS_RATE, answers_of
from harness.errors import SettingsError
from harness.golden.schema import CHECK_TYPES, base_type
from harness.run.scoring import Judging, score_cases
from harness.types import (
    CaseResult,
    Comparison,
    Completion,
    FailedTestsFinding,
    GateRecord,
    GateVerdict,
    Outcome,
    Permissions,
    Run,
    Score,
)
from harness.types.golden import ALPHA

# Scores of other versions of a library may differ in the last digits.
_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """What a replay found.

    Attributes:
        scores: How many scores were computed again.
        faults: What differs from the file, one line each.
        unverified: What could not be computed again, each with how often.
        recorded: The file's verdict.
        recomputed: That of the replayed scores; None if there was no baseline, or if the file does not hold
            all that its verdict rests on.
    """

    scores: int
    faults: tuple[str, ...]
    unverified: Mapping[str, int]
    recorded: GateVerdict | None
    recomputed: GateVerdict | None


def verify(record: GateRecord, root: Path, allowed: Permissions) -> Verification:
    """Score the answers of both sides again, and judge them.

    Args:
        record: The evidence.
        root: The project's root: its golden sets are compared with those of the run.
        allowed: What checks may run.

    Returns:
        What differs, and what could not be computed again.

    Raises:
        SettingsError: A check's metric is unknown here.
    """
    _refuse_unknown_metrics(record)
    faults: list[str] = []
    unverified: Counter[str] = Counter()
    count = 0
    runs = []
    for side, run in (("candidate", record.run), ("baseline", record.baseline)):
        if run is None:
            continue
        replayed = _rescored(run, allowed)
        found = [_compared(side, old, new) for old, new in zip(run.results, replayed, strict=True)]
        for each in found:
            faults += each.faults
            unverified.update(each.unverified)
            count += each.scores
        results = tuple(each.result for each in found)
        runs.append(replace(run, results=results))
    faults += _changed_sets(record.run, root, unverified)
    recomputed = None
    if record.comparison is not None and record.verdict is not None and len(runs) == 2:
        recomputed = _verdict(record, record.comparison, runs[0], runs[1])
        if record.comparison.confirmations:
            unverified["the verdict: it rests on resampled answers, which the file does not hold"] = 1
        elif recomputed is not record.verdict.outcome and record.comparison.noise is None:
            recomputed = None
            unverified["the verdict: it may rest on a noise record, which a file of this version lacks"] = 1
        elif recomputed is not record.verdict.outcome:
            faults.append(f"the verdict is {record.verdict.outcome}, recomputed {recomputed}")
    return Verification(
        scores=count,
        faults=tuple(faults),
        unverified=dict(unverified),
        recorded=None if record.verdict is None else record.verdict.outcome,
        recomputed=recomputed,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _CaseComparison:
    """One case's recorded result, with the scores that could be computed again."""

    result: CaseResult
    scores: int
    faults: tuple[str, ...]
    unverified: tuple[str, ...]


def _refuse_unknown_metrics(record: GateRecord) -> None:
    runs = [run for run in (record.run, record.baseline) if run is not None]
    cases = [result.case for run in runs for result in run.results]
    unknown = {base_type(check.type) for case in cases for check in case.single_checks} - {*CHECK_TYPES}
    if unknown:
        raise SettingsError(
            f"{', '.join(sorted(unknown))}: unknown metric; install the plug-in that the run was made with, "
            "or verify in the project whose conftest.py registers it"
        )


def _rescored(run: Run, allowed: Permissions) -> list[CaseResult]:
    completions: dict[str, Completion] = {}
    for result in run.results:
        for key, answer in zip(result.case.answer_keys, answers_of(result), strict=False):
            if answer.completion is not None:
                completions[key] = answer.completion
    cases = [result.case for result in run.results]
    return score_cases(cases, completions, judging=Judging(allowed=allowed))


def _compared(side: str, old: CaseResult, new: CaseResult) -> _CaseComparison:
    faults: list[str] = []
    unverified: list[str] = []
    count = 0
    if old.outcome is Outcome.SKIPPED:
        return _CaseComparison(result=old, scores=0, faults=(), unverified=())
    if all(answer.completion is None for answer in answers_of(old)):
        return _CaseComparison(
            result=old, scores=0, faults=(), unverified=("answers whose text is not stored",)
        )
    is_whole = True
    for then, now in zip(answers_of(old), answers_of(new), strict=False):
        again = _by_metric(now.scores)
        errors = {error.metric: error.error for error in now.errors}
        for metric, scores in _by_metric(then.scores).items():
            values = again.get(metric)
            if values is None or len(values) != len(scores):
                is_whole = False
                unverified.append(f"{metric}: {_reason(errors.get(metric))}")
                continue
            count += len(scores)
            faults += [
                f"{side} {old.key}: {metric} is {score.value:.6g}, recomputed {value.value:.6g}"
                for score, value in zip(scores, values, strict=True)
                if abs(score.value - value.value) > _TOLERANCE * max(1.0, abs(value.value))
            ]
        is_whole = is_whole and not then.errors and not old.unscored
    if is_whole and old.outcome is not new.outcome:
        faults.append(f"{side} {old.key}: the outcome is {old.outcome}, recomputed {new.outcome}")
    return _CaseComparison(
        result=new if is_whole else old, scores=count, faults=tuple(faults), unverified=tuple(unverified)
    )


def _by_metric(scores: Sequence[Score]) -> dict[str, list[Score]]:
    found: dict[str, list[Score]] = {}
    for score in scores:
        found.setdefault(score.metric, []).append(score)
    return found


def _reason(error: str | None) -> str:
    return "it needs a model, a judge or a permission" if error is None else error.partition("\n")[0]


def _changed_sets(run: Run, root: Path, unverified: Counter[str]) -> Iterator[str]:
    """Golden sets of the project that are others now."""
    for golden_set in run.golden_sets:
        changed = is_changed(golden_set, (result.case for result in run.results), root)
        if changed is None:
            unverified[f"{golden_set.path}: not in this project"] = 1
        elif changed:
            yield f"{golden_set.path} differs from the golden set of the run"


def _known(comparison: Comparison, candidate: Run, baseline: Run) -> set[str]:
    """The cases that the golden sets had: an early look leaves some out, and they are no cases taken out."""
    keys, others = ({result.key for result in run.results} for run in (candidate, baseline))
    return keys | (others - {*comparison.unpaired})


def _verdict(record: GateRecord, comparison: Comparison, candidate: Run, baseline: Run) -> GateVerdict:
    """The verdict of the replayed scores, at the margins of the file and with its noise record."""
    level = comparison.regress_level
    margins = {(row.set_name, row.metric): row.margin for row in comparison.metrics if row.margin is not None}
    sets = tuple(
        replace(
            golden_set,
            gate=replace(
                golden_set.gate, margin=margins.get((golden_set.name, PASS_RATE), golden_set.gate.margin)
            ),
        )
        for golden_set in candidate.golden_sets
    )
    _, verdict = run_gate(
        replace(candidate, golden_sets=sets),
        baseline,
        regress_alpha=ALPHA / comparison.models if level is None else level,
        stability=comparison.unstable if comparison.noise is None else comparison.noise,
        known=_known(comparison, candidate, baseline),
    )
    assert record.verdict is not None
    tests = [each for each in record.verdict.findings if isinstance(each.data, FailedTestsFinding)]
    return with_further(verdict, tests).outcome
