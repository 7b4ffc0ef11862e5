"""Several candidates at once: a verdict for each, and a ranking without overstated claims.

A regression is tested at the level alpha / k; each interval is valid by itself. There is no claim about two
candidates: the best one is the best on these cases.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from harness.comparison.gate import forgetting_between
from harness.comparison.pairing import PASS_RATE, answers_of, is_decided, pair_runs, stability_of
from harness.run.cache import Cache
from harness.run.conclusion import conclude_session
from harness.run.generation import Progress
from harness.run.inputs import Inputs
from harness.run.scoring import Judging
from harness.run.session import run_session
from harness.types import (
    CaseResult,
    GateRecord,
    GateVerdict,
    GoldenSet,
    Interval,
    MetricComparison,
    Retention,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedModel:
    """One candidate.

    Attributes:
        name: Unique among the candidates.
        record: Its gate, as in a session with this model alone, but with a k-th of the level for a
            regression.
        gain: Mean rise of the task sets' pass rates, in cases; None without a task set.
        cases: Number of these cases.
        lacking: Number of further ones, without a verdict of its own, but with the baseline's and another's.
        lacking_passed: How many of those the baseline passed: failed, they are lost, and others cost nothing.
        kept: Retention: the share of the baseline's passed probes that are still passed; None without probes.
        probes: Number of probes that the baseline passed.
        uncommon: Number of its cases and probes that another candidate was not asked, because a look was its
            last or by selection: they count neither in the order nor for the front.
        on_front: No other candidate is at least as good in gain and kept, and better in one of them, where
            each case without a verdict counts as failed.
    """

    name: str
    record: GateRecord
    gain: Interval | None
    cases: int
    lacking: int
    lacking_passed: float
    kept: Interval | None
    probes: int
    uncommon: int = 0
    on_front: bool = False

    @property
    def regressed(self) -> bool:
        """Whether its gate's verdict is a regression."""
        return self.record.verdict is not None and self.record.verdict.outcome is GateVerdict.REGRESS


def rank_models(
    inputs: Inputs,
    golden_sets: Sequence[GoldenSet],
    cache: Cache,
    on_progress: Progress,
    judging: Judging | None = None,
) -> list[RankedModel]:
    """Answer all cases with all candidates together, judge each, and order them.

    Args:
        inputs: Two candidates or more, and the baseline.
        golden_sets: Task sets and forgetting probes.
        cache: Where answers and scores are looked up and stored.
        on_progress: Called with each stage's progress.
        judging: The judges.

    Returns:
        As :func:`rank_records`.

    Raises:
        EngineError: The model failed.
        AdapterError: An adapter changes nothing.
        BaselineError: The baseline has none of the cases.
    """
    session = run_session(inputs, golden_sets, cache, on_progress, judging)
    return rank_records(conclude_session(session, collected=sum(len(each.cases) for each in golden_sets)))


def rank_records(records: Mapping[str, GateRecord]) -> list[RankedModel]:
    """Order the gates of several candidates with one baseline, by the candidates' names.

    Returns:
        The best first: those that don't regress before those that do, then by gain, then by retention, where
        each case without a verdict counts as failed: what a candidate did not answer puts it before no other.
        What the baseline failed too is not lost by that, so it costs nothing. Only cases that all were asked
        count: others may be easier.
    """
    common = _common(records)
    cases = {name: _task_cases(_only(record, common)) for name, record in records.items()}
    # One list of cases for all: what no candidate or not the baseline answered favours none.
    counted = {key for of_one in cases.values() for key, case in of_one.items() if case.compared}
    of_all = {
        name: [case for key, case in of_one.items() if key in counted] for name, of_one in cases.items()
    }
    found = [_measured(name, record, of_all[name], common) for name, record in records.items()]
    retained = [_retained(ranked, common) for ranked in found]
    points = list(zip(_least_gains(of_all), _kept(retained), strict=True))
    marked = [
        replace(
            ranked,
            on_front=not any(
                other[0] >= gain and other[1] >= kept and other != (gain, kept) for other in points
            ),
        )
        for ranked, (gain, kept) in zip(found, points, strict=True)
    ]
    order = sorted(
        range(len(found)), key=lambda place: (found[place].regressed, *(-value for value in points[place]))
    )
    return [marked[place] for place in order]


def _common(records: Mapping[str, GateRecord]) -> set[str]:
    """Keys of what all candidates were asked; whoever was asked no probes, or no tasks, limits none."""
    found: set[str] = set()
    for of_probes in (False, True):
        asked = [_asked(record, of_probes=of_probes) for record in records.values()]
        if of_kind := [keys for keys in asked if keys]:
            found |= set.intersection(*of_kind)
    return found


def _only(record: GateRecord, keys: Collection[str]) -> GateRecord:
    """The record with some of its results."""
    results = tuple(result for result in record.run.results if result.key in keys)
    return replace(record, run=replace(record.run, results=results))


def _asked(record: GateRecord, *, of_probes: bool) -> set[str]:
    """Keys of the cases that count for a candidate: not those that were answered before their turn."""
    sets = {each.name for each in record.run.golden_sets if each.probes_forgetting is of_probes}
    early = {key for each in record.run.looks for key in each.out_of_turn}
    return {each.key for each in record.run.results if each.case.set_name in sets} - early


@dataclass(frozen=True, slots=True, kw_only=True)
class _TaskCase:
    """A case of a task set on which the baseline has a verdict.

    Attributes:
        compared: Whether the candidate has one, too.
        now: Share of the candidate's answers that passed; those without a verdict did not.
        before: The same of the baseline.
    """

    compared: bool
    now: float
    before: float


def _task_sets(record: GateRecord) -> set[str]:
    return {each.name for each in record.run.golden_sets if not each.probes_forgetting}


def _task_cases(record: GateRecord) -> dict[str, _TaskCase]:
    """The task cases that the baseline has a verdict on, by key."""
    assert record.baseline is not None  # without a baseline nothing is ranked
    tasks, pairing = _task_sets(record), pair_runs(record.run, record.baseline)
    return {
        now.key: _TaskCase(compared=is_decided((now, before)), now=_share(now), before=_share(before))
        for now, before in (*pairing.pairs, *pairing.undecided)
        if now.case.set_name in tasks and is_decided((before, before))
    }


def _share(result: CaseResult) -> float:
    return stability_of(result).passed / len(answers_of(result))


def _measured(
    name: str, record: GateRecord, cases: Sequence[_TaskCase], common: Collection[str]
) -> RankedModel:
    assert record.comparison is not None
    tasks = _task_sets(record)
    rows = [row for row in record.comparison.metrics if row.set_name in tasks and row.metric == PASS_RATE]
    forgetting = record.comparison.forgetting
    overall = None if forgetting is None else forgetting.overall
    lacking = [case for case in cases if not case.compared]
    return RankedModel(
        name=name,
        record=record,
        gain=_gain(rows),
        cases=sum(row.n for row in rows),
        lacking=len(lacking),
        lacking_passed=sum(case.before for case in lacking),
        kept=None if overall is None else overall.rate,
        probes=0 if overall is None else overall.passed_by_baseline,
        uncommon=sum(len(_asked(record, of_probes=each).difference(common)) for each in (False, True)),
    )


def _gain(rows: Sequence[MetricComparison]) -> Interval | None:
    """Mean rise of pass rates, weighted by the sets' cases; the bounds are those of the parts together."""
    if not rows:
        return None
    total = sum(row.n for row in rows)

    def mean(values: Sequence[float]) -> float:
        return sum(row.n * value for row, value in zip(rows, values, strict=True)) / total

    return Interval(
        estimate=mean([-row.drop.estimate for row in rows]),
        low=mean([-row.drop.high for row in rows]),
        high=mean([-row.drop.low for row in rows]),
        confidence=rows[0].drop.confidence,
        method=rows[0].drop.method,
    )


def _least_gains(cases: Mapping[str, Sequence[_TaskCase]]) -> list[float]:
    """The gain of each candidate if all that it lacks failed; -1 where it was asked none of the cases.

    Of the runs alone: a noise record averages what the baseline passes, and a case that it passed at times
    would cost whoever answered it more than whoever did not.
    """
    if not any(cases.values()):
        return [0.0] * len(cases)
    return [
        math.fsum(case.now - case.before for case in of_one) / len(of_one) if of_one else -1.0
        for of_one in cases.values()
    ]


def _retained(ranked: RankedModel, common: Collection[str]) -> Retention | None:
    """The retention of the probes that all candidates were asked."""
    record = ranked.record
    assert record.comparison is not None
    assert record.baseline is not None
    found = record.comparison.forgetting
    if ranked.uncommon:
        found = forgetting_between(_only(record, common).run, record.baseline)
    return None if found is None else found.overall


def _kept(retained: Sequence[Retention | None]) -> list[float]:
    """Retention with each probe without a verdict lost: all of them are ones that the baseline passed."""
    probes = max((each.passed_by_baseline for each in retained if each is not None), default=0)
    return [
        0.0 if each is None else each.rate.estimate * each.passed_by_baseline / probes for each in retained
    ]
