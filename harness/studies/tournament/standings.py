"""Preferences between models, with intervals."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from harness.errors import BaselineError, JudgeError
from harness.judge.panel import Panel, describe_agreement
from harness.statistics.clusters import rate_interval
from harness.statistics.preferences import length_controlled_win_rate, win_rate
from harness.statistics.strengths import PairwiseComparison, Strength, bradley_terry
from harness.studies.tournament.common_answers import common_answers, name_models
from harness.studies.tournament.judged_pairs import TIE, JudgedPair, judge_pairs
from harness.types import Interval, Run


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadToHead:
    """One model compared with the reference model.

    Attributes:
        n: Pairs with a verdict.
        win_rate: A tie counts half; None without a verdict.
        at_equal_length: The win rate at equal length; None with fewer than two pairs.
    """

    model: str
    n: int
    win_rate: Interval | None
    at_equal_length: Interval | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Tournament:
    """A judge's preferences among several models.

    Attributes:
        models: Each model's run.
        cases: Number of cases that are the same in all runs.
        clusters: Number of independent clusters.
        left_out: Number of cases that are not compared, by reason.
        strengths: The strengths of models with a verdict, the strongest first.
        against: The model that the others are compared with.
        rates: The others compared with it.
        order: Share of the judged pairs whose preference is the same in both orders.
        order_n: Number of judged pairs.
        ties: Number of ties, by reason.
        errors: Number of pairs without a verdict, by reason.
        agreement: Agreement of a panel's judges; None for one judge.
        pairs: Every pair.
    """

    models: Mapping[str, str]
    cases: int
    clusters: int
    left_out: Mapping[str, int]
    strengths: tuple[Strength, ...]
    against: str
    rates: tuple[HeadToHead, ...]
    order: Interval | None
    order_n: int
    ties: Mapping[str, int]
    errors: Mapping[str, int]
    agreement: str | None
    pairs: tuple[JudgedPair, ...]


def compare_models(
    panel: Panel,
    runs: Sequence[Run],
    *,
    against: Run | None = None,
    golden_sets: Collection[str] = (),
    on_progress: Callable[[str, int, int], None] = lambda stage, done, total: None,
) -> Tournament:
    """Ask a judge about each two models' answers to each case, and order the models.

    Args:
        panel: The judge or judges.
        runs: Two runs or more.
        against: The run that the others are compared with; the first by default.
        golden_sets: Names of the sets to take; empty takes all but the forgetting probes.
        on_progress: Called with the stage, the number of judged pairs, and the number of all pairs.

    Raises:
        BaselineError: A run is named twice or missing, or the runs have no answered case in common.
        SettingsError: A run has no such golden set.
        JudgeError: No judged pair got a verdict.
    """
    names = name_models(runs)
    if against is not None and against.id not in names:
        raise BaselineError(f"--against: run {against.id} is not among the compared ones: {', '.join(names)}")
    reference = names[runs[0].id if against is None else against.id]
    common, left_out = common_answers({names[run.id]: run for run in runs}, golden_sets)
    pairs = judge_pairs(panel, common, on_progress)
    decided, errors = _decided(pairs, panel.identity)
    asked = [pair for pair in decided if pair.orders is not None]
    return Tournament(
        models={name: run_id for run_id, name in names.items()},
        cases=len({one.case.key for one in common}),
        clusters=len({one.cluster for one in common}),
        left_out=left_out,
        strengths=_strengths(decided),
        against=reference,
        rates=tuple(_against(name, reference, decided) for name in names.values() if name != reference),
        order=_order_rate(asked),
        order_n=len(asked),
        ties=Counter(_kind_of_tie(pair) for pair in decided if pair.value == TIE),
        errors=errors,
        agreement=describe_agreement(panel.votes.get("pairwise", [])),
        pairs=tuple(pairs),
    )


def _decided(pairs: Sequence[JudgedPair], judge: str) -> tuple[list[JudgedPair], Counter[str]]:
    """The pairs with a verdict, and the number of those without, by reason.

    Raises:
        JudgeError: No judged pair got a verdict.
    """
    decided = [pair for pair in pairs if pair.value is not None]
    errors = Counter(pair.error for pair in pairs if pair.error)
    # With equal answers only, for which no judge was asked, all models would be equal.
    if errors and all(pair.equal for pair in decided):
        raise JudgeError(f"judge {judge}: none of {errors.total()} pairs got a verdict: {next(iter(errors))}")
    return decided, errors


def _order_rate(asked: Sequence[JudgedPair]) -> Interval | None:
    """Rate of pairs whose preference is the same in both orders; None if no judge was asked."""
    if not asked:
        return None
    return rate_interval([_steady(pair) for pair in asked], [pair.cluster for pair in asked])


def _steady(pair: JudgedPair) -> bool:
    return pair.orders is not None and pair.orders[0] == pair.orders[1]


def _kind_of_tie(pair: JudgedPair) -> str:
    if pair.equal:
        return "equal answers"
    if pair.orders is not None and not _steady(pair):
        return "changed with the order"
    return "called ties"


def _strengths(decided: Sequence[JudgedPair]) -> tuple[Strength, ...]:
    return bradley_terry(
        [
            PairwiseComparison(first=pair.first, second=pair.second, value=pair.value, cluster=pair.cluster)
            for pair in decided
            if pair.value is not None
        ]
    )


def _against(model: str, reference: str, decided: Sequence[JudgedPair]) -> HeadToHead:
    wins, ratios, clusters = [], [], []
    for pair in decided:
        if {pair.first, pair.second} == {model, reference} and pair.value is not None:
            shown_first = pair.first == model
            wins.append(pair.value if shown_first else 1 - pair.value)
            ratios.append(pair.length_ratio if shown_first else 1 / pair.length_ratio)
            clusters.append(pair.cluster)
    return HeadToHead(
        model=model,
        n=len(wins),
        win_rate=win_rate(wins, clusters) if wins else None,
        at_equal_length=length_controlled_win_rate(wins, ratios, clusters) if len(wins) > 1 else None,
    )
