"""The gate: from two runs to findings and a verdict. It reads runs and calls no model.

For each gated metric, with ``drop`` = baseline - candidate, at the level of 5 %:

- *regress*: "no drop" is rejected (one-sided, Holm over the gated metrics), and the drop's upper bound by the
  data alone is beyond the margin: a certain but tiny drop is not a regression;
- *pass*: the drop's one-sided 95 % upper bound, with an allowance for unseen losses, is within the margin;
- *inconclusive*: neither.

In addition, if cases have several answers or a noise record, each case is tested on its own, at the same
joint level: a set regresses if it has more regressed cases than it tolerates.

A session that can resample has three steps: :func:`judge_runs`, :func:`cases_to_confirm`, and
:func:`with_resampled`, which requires a regression to show in new answers too
(:mod:`harness.comparison.regressed_cases`). :func:`conclude` then makes the findings.

A run that was answered look by look is judged at the levels of its latest look, which its record contains.

The run regresses if any metric does, passes if all do, and is inconclusive otherwise. Without a real change a
run is called regressed with a probability of at most 5 %; with a real drop at the margin a metric passes with
a probability of about 5 %. A pass needs every metric to pass, so it needs no adjustment for their number.
``docs/gate.md`` shows both by simulation.
"""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from harness.comparison.confirmation import confirm, unconfirmed
from harness.comparison.decisions import is_open
from harness.comparison.findings import findings_of, outcome_of
from harness.comparison.metric_verdicts import SetRows, gated_margins, judge
from harness.comparison.missing_cases import Extremes, extremes_of
from harness.comparison.pairing import (
    PASS_RATE,
    PairedMetric,
    Pairing,
    is_decided,
    pair_runs,
    paired_metrics,
)
from harness.comparison.regressed_cases import (
    Regression,
    ResampledAnswers,
    regressed_limits,
    regressions_of,
)
from harness.comparison.slices import driver_slice, shared_traits
from harness.comparison.times import why_inexact
from harness.comparison.whole_sets import measure_forgetting, set_metric_rows
from harness.errors import BaselineError
from harness.golden.counted_outcomes import counted_as
from harness.registry.content_metrics import SET_METRICS
from harness.types import (
    Comparison,
    Confirmation,
    Forgetting,
    GateVerdict,
    GoldenCase,
    MetricComparison,
    Outcome,
    RegressedCase,
    Run,
    SetCounts,
    Stability,
    TextLoss,
    Verdict,
    set_of,
)
from harness.types.golden import ALPHA

_MAY_BE_PASSED = {Outcome.PASSED, Outcome.ERRORED, Outcome.UNSCORED}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Two runs with each metric judged, before and after resampling.

    Attributes:
        rows: Each paired metric's comparison, in their order, then those of whole sets.
        regressed: The regressed cases.
        limits: Largest tolerated share of those, by golden set.
        asked: All selected cases, where the candidate has answered only some of them so far.
        confirmations: The results of resampling.
    """

    candidate: Run
    baseline: Run
    alpha: float
    stability: Mapping[str, Stability]
    divergences: Sequence[TextLoss]
    pairing: Pairing
    metrics: tuple[PairedMetric, ...]
    rows: tuple[MetricComparison, ...]
    regressed: tuple[RegressedCase, ...]
    limits: Mapping[str, float]
    asked: Sequence[GoldenCase] = field(default=())
    confirmations: tuple[Confirmation, ...] = field(default=())


def run_gate(  # noqa: PLR0913 # as below
    candidate: Run,
    baseline: Run,
    *,
    margin: float | None = None,
    forgetting_margin: float | None = None,
    alpha: float = ALPHA,
    regress_alpha: float | None = None,
    stability: Mapping[str, Stability] | None = None,
    divergences: Sequence[TextLoss] = (),
    known: Collection[str] | None = None,
) -> tuple[Comparison, Verdict]:
    """Compare two runs and judge the candidate, without resampling; arguments as in :func:`judge_runs`.

    Args:
        candidate: The run to judge.
        baseline: The run to compare with.
        margin: Tolerated drop of the pass rate; None for each set's own.
        forgetting_margin: The same for the forgetting probes.
        alpha: One-sided level of the tests.
        regress_alpha: The same for a regression, if it differs.
        stability: Noise record: by case key, how often the case passed in reruns without a change.
        divergences: Divergence of the next token's probabilities, by passage.
        known: Keys of all cases of the golden sets, where the candidate answered only some of them.

    Returns:
        The comparison, and the verdict with its findings.

    Raises:
        BaselineError: The runs have no case in common.
    """
    return conclude(
        judge_runs(
            candidate,
            baseline,
            margin=margin,
            forgetting_margin=forgetting_margin,
            alpha=alpha,
            regress_alpha=regress_alpha,
            stability=stability,
            divergences=divergences,
            known=known,
        )
    )


def judge_runs(  # noqa: PLR0913 # two runs and all that a judgement depends on
    candidate: Run,
    baseline: Run,
    *,
    margin: float | None = None,
    forgetting_margin: float | None = None,
    alpha: float = ALPHA,
    regress_alpha: float | None = None,
    stability: Mapping[str, Stability] | None = None,
    divergences: Sequence[TextLoss] = (),
    expected: Collection[tuple[str, str]] = (),
    known: Collection[str] | None = None,
    asked: Sequence[GoldenCase] = (),
) -> Judgement:
    """Pair two runs and judge every gated metric.

    Args:
        candidate: The run to judge; its golden sets say what is gated.
        baseline: The run to compare with.
        margin: Largest tolerated drop of every task set's pass rate; by default each set's own, else 0.05.
        forgetting_margin: The same for the forgetting probes; by default each set's own, else 0.10.
        alpha: One-sided level of the regression test over all gated metrics, and of each bound for a pass.
        regress_alpha: The level of the regression test, if it differs: one of k models gets a k-th of it.
        stability: The noise record of the baseline's model, by case key.
        divergences: KL(baseline ‖ candidate) on the bundled passages, if both models are available.
        expected: Set and metric of all tests that later looks may make.
        known: Keys of all cases of the golden sets, where the candidate answered only some.
        asked: All selected cases, where it has answered only some of them so far.

    Raises:
        BaselineError: The runs have no case in common, or the baseline passes none of the forgetting probes.
    """
    (pairing, metrics), sets = _paired(candidate, baseline, known, stability), candidate.golden_sets
    limits, margins = regressed_limits(sets), gated_margins(sets, margin, forgetting_margin)
    rows, regressed = judge(
        metrics,
        margins,
        alpha,
        regress_alpha=regress_alpha,
        limits=limits,
        populations={each.name: each.gate.population for each in sets},
        fractions={each.set_name: each.fractions for each in candidate.looks if each.fractions},
        stability=stability or {},
        of_sets=_of_whole_sets((candidate, baseline), pairing, stability, asked),
        extremes=_extremes(metrics, margins, pairing, stability or {}),
        expected=expected,
        probes={each.name for each in sets if each.probes_forgetting},
    )
    return Judgement(
        candidate=candidate, baseline=baseline, alpha=alpha, stability=stability or {},
        divergences=divergences, pairing=pairing, metrics=tuple(metrics), rows=tuple(rows),
        regressed=tuple(regressed), limits=limits, asked=tuple(asked),
    )  # fmt: skip


def _paired(
    candidate: Run, baseline: Run, known: Collection[str] | None, stability: Mapping[str, Stability] | None
) -> tuple[Pairing, list[PairedMetric]]:
    _require_a_common_case(candidate, baseline)
    pairing = pair_runs(candidate, baseline, known)
    metrics = paired_metrics(pairing, stability)
    _require_something_to_forget(candidate, baseline, metrics)
    return pairing, metrics


def _of_whole_sets(
    runs: tuple[Run, Run],
    pairing: Pairing,
    stability: Mapping[str, Stability] | None,
    asked: Sequence[GoldenCase],
) -> SetRows:
    """Makes the rows of metrics of whole sets, whose labels are those of all cases that are asked.

    New cases are none of them: nothing that the baseline answered can be lost there.
    """
    candidate, baseline = runs
    cases = [*(result.case for result in candidate.results), *asked]
    if pairing.batched[1] and not baseline.lacks_cases:
        known = {each.key for each in baseline.results if each.outcome is not Outcome.SKIPPED}
        known.update(baseline.left_out)
        cases = [case for case in cases if case.key in known]
    return partial(set_metric_rows, pairing, stability=stability, asked=cases, before=baseline.results)


def _extremes(
    metrics: Sequence[PairedMetric],
    margins: Mapping[tuple[str, str], float],
    pairing: Pairing,
    stability: Mapping[str, Stability],
) -> dict[tuple[str, str], Extremes]:
    """Of each gated metric that lacks cases on one side, what they could have been."""
    pairs = Counter(pair[0].case.set_name for pair in pairing.pairs)
    gated = [each for each in metrics if (each.set_name, each.metric) in margins]
    if not pairing.undecided and all(len(each.keys) == pairs[each.set_name] for each in gated):
        return {}
    found = {(each.set_name, each.metric): extremes_of(each, pairing, stability) for each in gated}
    return {name: each for name, each in found.items() if each is not None}


def _require_a_common_case(candidate: Run, baseline: Run) -> None:
    if {result.key for result in candidate.results}.isdisjoint(result.key for result in baseline.results):
        raise BaselineError(
            f"run {baseline.id} has no case of this run: choose a baseline of the same golden sets"
        )


def _require_something_to_forget(candidate: Run, baseline: Run, metrics: Sequence[PairedMetric]) -> None:
    probed = {golden_set.name for golden_set in candidate.golden_sets if golden_set.probes_forgetting}
    # Where one was passed, or has no verdict, the set alone is inconclusive, and the others have their own.
    probed -= {each.case.set_name for each in baseline.results if each.outcome in _MAY_BE_PASSED}
    for metric in metrics:
        if metric.metric == PASS_RATE and metric.set_name in probed and not any(metric.baseline):
            raise BaselineError(
                f"{metric.set_name}: the baseline passes none of its {len(metric.keys)} probes, so nothing "
                f"can be forgotten: choose probes that it passes, or leave them out with --gate-no-forgetting"
            )


def cases_to_confirm(judgement: Judgement) -> frozenset[str]:
    """Keys of the cases that make a regression, to resample on both sides. Empty without a regression."""
    return frozenset(key for each in _regressions(judgement) for key in each.cases)


def _regressions(judgement: Judgement) -> list[Regression]:
    looks = judgement.candidate.looks
    return regressions_of(judgement.rows, judgement.regressed, judgement.limits, looks)


def with_resampled(judgement: Judgement, answers: ResampledAnswers | None, problem: str = "") -> Judgement:
    """The judgement after resampling: a regression that the new answers don't show becomes inconclusive.

    Args:
        judgement: That of the first test.
        answers: The new answers to :func:`cases_to_confirm`; None if they could not be generated.
        problem: Why not; the regressions then stand.
    """
    first = _regressions(judgement)
    if answers is None:
        return replace(judgement, confirmations=tuple(unconfirmed(first, problem)))
    rows, regressed, found = confirm(judgement.rows, judgement.regressed, first, answers)
    return replace(judgement, rows=tuple(rows), regressed=tuple(regressed), confirmations=tuple(found))


def conclude(judgement: Judgement) -> tuple[Comparison, Verdict]:
    """The comparison with its denominators, slices and forgetting, and the verdict with its findings."""
    candidate, baseline, pairing = judgement.candidate, judgement.baseline, judgement.pairing
    confidence = 1 - 2 * judgement.alpha
    to_explain = [
        (metric, [pair for pair in pairing.pairs if pair[0].case.set_name == metric.set_name])
        # Rows of whole sets come last, and have no values by case.
        for metric, row in zip(judgement.metrics, judgement.rows, strict=False)
        if metric.metric == PASS_RATE and (row.verdict is GateVerdict.REGRESS or is_open(row))
    ]
    drivers = (driver_slice(metric, of_set, confidence) for metric, of_set in to_explain)
    compared = {now.key for now, _ in pairing.pairs} if judgement.stability else set()
    used = compared | {now.key for now, _ in pairing.undecided}
    noise = {key: noted for key, noted in judgement.stability.items() if key in used}
    comparison = Comparison(
        candidate_run=candidate.id,
        baseline_run=baseline.id,
        metrics=judgement.rows,
        forgetting=forgetting_between(
            candidate, baseline, alpha=judgement.alpha, divergences=judgement.divergences
        ),
        unpaired=tuple(pairing.unpaired),
        unstable={
            key: noted for key, noted in noise.items() if key in compared and 0 < noted.passed < noted.answers
        },
        noise=noise,
        regressed_cases=judgement.regressed,
        counts=tuple(_set_counts(candidate, baseline, pairing)),
        drivers=tuple(driver for driver in drivers if driver is not None),
        traits=tuple(trait for metric, of_set in to_explain for trait in shared_traits(metric, of_set)),
        confirmations=judgement.confirmations,
        inexact=why_inexact(candidate, baseline),
    )
    clusters = {(metric.set_name, metric.metric): len(set(metric.clusters)) for metric in judgement.metrics}
    # A whole set's metric has those of its cases' checks.
    clusters |= {
        (row.set_name, row.metric): clusters.get((row.set_name, SET_METRICS[row.metric]), row.n)
        for row in judgement.rows
        if row.metric in SET_METRICS
    }
    have = {result.key for result in candidate.results}
    further = [case for case in judgement.asked if case.key not in have and case.skip is None]
    found = findings_of(candidate, baseline, comparison, pairing, clusters, further)
    return comparison, Verdict(outcome=outcome_of(found), findings=tuple(found))


def _set_counts(candidate: Run, baseline: Run, pairing: Pairing) -> list[SetCounts]:
    """For each golden set: the outcomes of its cases on both sides, and how many are compared.

    Args:
        candidate: The run to judge.
        baseline: The run to compare with.
        pairing: Their pairs.

    Returns:
        One entry per set, in the candidate's order.
    """
    paired = Counter(result.case.set_name for result, _ in pairing.pairs)
    names = dict.fromkeys(result.case.set_name for result in candidate.results)
    return [
        SetCounts(
            set_name=name,
            paired=paired[name],
            candidate=_outcomes(candidate, name),
            baseline=_outcomes(baseline, name),
            unpaired=dict(Counter(cause for key, cause in pairing.unpaired.items() if set_of(key) == name)),
        )
        for name in names
    ]


def _outcomes(run: Run, set_name: str) -> dict[str, int]:
    gated = next((each.gate.metric_margins for each in run.golden_sets if each.name == set_name), {})
    of_set = (result for result in run.results if result.case.set_name == set_name)
    return dict(
        Counter(
            counted_as(result, gated, run.metrics)
            if result.outcome is Outcome.UNSCORED
            else str(result.outcome)
            for result in of_set
        )
    )


def forgetting_between(
    candidate: Run, before: Run, *, alpha: float = ALPHA, divergences: Sequence[TextLoss] = ()
) -> Forgetting | None:
    """Skills of another run that the candidate lost; None if nothing was measured.

    Args:
        candidate: The run to judge; its golden sets say which cases are probes.
        before: The run to compare with: the baseline, or the candidate's base.
        alpha: Each interval's one-sided level.
        divergences: KL(before ‖ candidate) on the bundled passages.
    """
    probed = {golden_set.name for golden_set in candidate.golden_sets if golden_set.probes_forgetting}
    # Most large runs have no probes, and pairing takes as long as some tests.
    pairs = pair_runs(candidate, before).pairs if probed else ()
    probes = [pair for pair in pairs if is_decided(pair) and pair[0].case.set_name in probed]
    return measure_forgetting(
        probes, candidate.text_losses, before.text_losses, confidence=1 - 2 * alpha, divergences=divergences
    )
