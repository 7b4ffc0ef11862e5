"""Several candidates at once: a verdict for each, and a ranking without overstated claims.

A regression is tested at the level alpha / k; each interval is valid by itself. There is no claim about two
candidates: the best one is the best on these cases.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from harness.comparison.pairing import PASS_RATE, is_decided, pair_runs
from harness.run.cache import Cache
from harness.run.conclusion import conclude_session
from harness.run.generation import Progress
from harness.run.inputs import Inputs
from harness.run.scoring import Judging
from harness.run.session import run_session
from harness.types import GateRecord, GateVerdict, GoldenSet, Interval, MetricComparison


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
        kept: Retention: the share of the baseline's passed probes that are still passed; None without probes.
        probes: Number of probes that the baseline passed.
        on_front: No other candidate has both a larger gain and more kept, where each case without a verdict
            counts as lost.
    """

    name: str
    record: GateRecord
    gain: Interval | None
    cases: int
    lacking: int
    kept: Interval | None
    probes: int
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
        each case without a verdict counts as lost: what a candidate did not answer puts it before no other.
    """
    cases = {name: _task_cases(record) for name, record in records.items()}
    # One list of cases for all: what no candidate or not the baseline answered favours none.
    counted = frozenset[str]().union(*(compared for compared, _ in cases.values()))
    found = [
        _measured(name, record, lacking=len(counted & cases[name][1])) for name, record in records.items()
    ]
    points = _points(found)
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


def _task_sets(record: GateRecord) -> set[str]:
    return {each.name for each in record.run.golden_sets if not each.probes_forgetting}


def _task_cases(record: GateRecord) -> tuple[frozenset[str], frozenset[str]]:
    """Keys of the task cases that are compared, and of those that only the candidate has no verdict on."""
    assert record.baseline is not None  # without a baseline nothing is ranked
    tasks, pairing = _task_sets(record), pair_runs(record.run, record.baseline)
    found = [pair for pair in (*pairing.pairs, *pairing.undecided) if pair[0].case.set_name in tasks]
    judged = [pair for pair in found if is_decided((pair[1], pair[1]))]
    compared = frozenset(pair[0].key for pair in judged if is_decided(pair))
    return compared, frozenset(pair[0].key for pair in judged) - compared


def _measured(name: str, record: GateRecord, lacking: int) -> RankedModel:
    assert record.comparison is not None
    tasks = _task_sets(record)
    rows = [row for row in record.comparison.metrics if row.set_name in tasks and row.metric == PASS_RATE]
    forgetting = record.comparison.forgetting
    overall = None if forgetting is None else forgetting.overall
    return RankedModel(
        name=name,
        record=record,
        gain=_gain(rows),
        cases=sum(row.n for row in rows),
        lacking=lacking,
        kept=None if overall is None else overall.rate,
        probes=0 if overall is None else overall.passed_by_baseline,
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


def _points(found: Sequence[RankedModel]) -> list[tuple[float, float]]:
    """Gain and retention with each case without a verdict lost; what no candidate has is equal for all."""
    is_judged = any(ranked.gain is not None for ranked in found)
    probes = max(ranked.probes for ranked in found)
    return [
        (
            _least_gain(ranked) if is_judged else 0.0,
            0.0 if ranked.kept is None else ranked.kept.estimate * ranked.probes / probes,
        )
        for ranked in found
    ]


def _least_gain(ranked: RankedModel) -> float:
    if ranked.gain is None:
        return -1.0
    return (ranked.cases * ranked.gain.estimate - ranked.lacking) / (ranked.cases + ranked.lacking)
