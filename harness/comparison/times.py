"""Times of answers: which of them are one measurement, and what besides the model makes them differ.

An engine's batch is measured as a whole, and its time is shared by its answers. So the answers of one batch
are one measurement, not many, and two sides that answered in the same batches have no times of their own.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from harness.comparison.decided_anew import Changes
from harness.golden.schema import CHECK_TYPES, base_type
from harness.registry.metric import decided_otherwise, facts_difference
from harness.statistics.clusters import joined
from harness.types import (
    EXACT_DTYPES,
    JUDGE,
    CaseResult,
    Check,
    ExecutionPlan,
    GoldenCase,
    MetricFacts,
    Outcome,
    Run,
)
from harness.types.golden import TIME_METRICS, is_within

if TYPE_CHECKING:
    # A lint scores answers by what is here too, and doesn't wait for the classes of findings.
    from harness.types import Finding, MetricComparison

# Why they are not compared if :func:`share_times`.
SHARED_TIMES = (
    "both sides were answered in the same batches and share their times; gate it with a margin, and with "
    "--gate-no-cache, to have them answered in batches of their own"
)
PAIRWISE = "pairwise"
ASKED_OTHERWISE = "asked with other values of the chat template"
_Pair = tuple[CaseResult, CaseResult]


def share_times(candidate: Run, baseline: Run, pairs: Sequence[_Pair]) -> bool:
    """Whether both sides answered in the same batches: most of their times are then equal to the last digit.

    Args:
        candidate: The run to judge.
        baseline: The run to compare with.
        pairs: Their cases.
    """
    if not (_in_batches(candidate) and _in_batches(baseline)) or candidate.id == baseline.id:
        return False
    measured = [(now, then) for pair in pairs if (now := _time(pair[0])) and (then := _time(pair[1]))]
    return bool(measured) and sum(now == then for now, then in measured) > len(measured) / 2


def shared_times(candidate: Run, baseline: Run, pairs: Sequence[_Pair]) -> dict[str, str]:
    """The metrics of times that can't be compared, since both sides share them.

    Args:
        candidate: The run to judge.
        baseline: The run to compare with.
        pairs: Their cases.

    Returns:
        The reason, by metric.
    """
    if not share_times(candidate, baseline, pairs):
        return {}
    return dict.fromkeys(TIME_METRICS & candidate.metrics.keys(), SHARED_TIMES)


def _in_batches(run: Run) -> bool:
    """Whether it is of an engine of ours; other tools' logs measure each answer, and round its time."""
    return run.plan.batch_tokens > 0


def _time(result: CaseResult) -> float | None:
    answers = result.repeats or (result,)
    times = [answer.completion.latency_s for answer in answers if answer.completion is not None]
    return times[0] if times else None


def refused_metrics(candidate: Run, baseline: Run, shared: Sequence[str]) -> tuple[dict[str, str], Changes]:
    """Metrics that were scored otherwise in the baseline.

    Args:
        candidate: The run to judge.
        baseline: The run to compare with.
        shared: Metrics with scores in both.

    Returns:
        The reason, and what has changed, by metric.
    """
    facts = {name: (candidate.metrics.get(name), baseline.metrics.get(name)) for name in shared}
    refused = {name: reason for name, both in facts.items() if (reason := facts_difference(*both))}
    changed: dict[str, Any] = {name: decided_otherwise(*facts[name]) for name in refused}
    kinds = [CHECK_TYPES.get(base_type(name)) for name in shared]
    if any(kind is not None and (kind.needs_losses or kind.group) for kind in kinds):
        from harness.comparison.scored_texts import MOVED, moved_metrics

        moved = moved_metrics(candidate, baseline, shared)
        return refused | moved, changed | {name: [(MOVED, None)] for name in moved}
    return refused, changed


def metric_clusters(
    metric: str, pairs: Sequence[_Pair], *, batched: tuple[bool, bool]
) -> tuple[str | int, ...]:
    """As :func:`case_clusters`, for one metric: answers of one batch have one time.

    Args:
        metric: The metric.
        pairs: The cases on both sides.
        batched: Whether the candidate's and the baseline's answers were measured in batches.
    """
    own = case_clusters(pairs)
    return batch_clusters(pairs, own, batched=batched) if metric in TIME_METRICS else own


def case_clusters(pairs: Sequence[_Pair]) -> tuple[str | int, ...]:
    """Each pair's cluster, or its index if it has none."""
    return tuple(
        place if pair[0].case.cluster is None else pair[0].case.cluster for place, pair in enumerate(pairs)
    )


def batch_clusters(
    pairs: Sequence[_Pair], clusters: Sequence[str | int], *, batched: tuple[bool, bool]
) -> tuple[str | int, ...]:
    """The cases' clusters, joined where cases were answered in one batch on either side.

    Args:
        pairs: The cases on both sides.
        clusters: Each case's own cluster, or its index.
        batched: Whether the candidate's and the baseline's answers were measured in batches.

    Returns:
        One number per case, equal for cases that are not independent measurements.
    """
    # Without the answers nothing is known of their batches: they count as one.
    return joined(
        [("cluster", cluster), *((side, _time(pair[side])) for side in (0, 1) if batched[side])]
        for pair, cluster in zip(pairs, clusters, strict=True)
    )


def in_batches(candidate: Run, baseline: Run) -> tuple[bool, bool]:
    """Whether each side's answers were measured in batches.

    Args:
        candidate: The run to judge.
        baseline: The run to compare with.

    Returns:
        The candidate's, then the baseline's.
    """
    return _in_batches(candidate), _in_batches(baseline)


def other_conditions(candidate: Run, baseline: Run) -> tuple[str, ...]:
    """What differs between two runs and makes the same model faster or slower, in a few words each.

    Args:
        candidate: The run to judge.
        baseline: The run to compare with.
    """
    machines = [run.environment.machine or run.environment.platform for run in (candidate, baseline)]
    found = [
        (machines[0], machines[1], "on {}, the baseline on {}"),
        (candidate.plan.device, baseline.plan.device, "on device {}, the baseline on {}"),
        (
            candidate.plan.batch_tokens,
            baseline.plan.batch_tokens,
            "in batches of {} tokens, the baseline's of {}",
        ),
        (_shapes(candidate), _shapes(baseline), "in {} batches, the baseline in {}"),
    ]
    return tuple(text.format(now, then) for now, then, text in found if now and then and now != then)


def _shapes(run: Run) -> str:
    """How the run's own side shared its batches; empty for answers from the cache."""
    return ", ".join(sorted({placement.batches for placement in run.plan.placements}))


def way_of(plan: ExecutionPlan) -> dict[str, object]:
    """The parts of a plan that can change an answer, by name.

    In float32 neither the device of a kind, nor how a model is split among several, nor the shape of the
    batches changes greedy text. In lower precision all of them may.

    Args:
        plan: How a run was computed.
    """
    kind = plan.device.partition(":")[0]
    way: dict[str, object] = {
        "engine": plan.engine,
        "dtype": plan.dtype,
        "device": kind,
        "weights": plan.weights,
    }
    if plan.dtype not in EXACT_DTYPES:
        way |= {"device in full": plan.device, "batch_tokens": plan.batch_tokens}
    return way


def repeats_answers(plan: ExecutionPlan) -> bool:
    """Whether greedy answers that are computed so come out the same again; what a server does is its affair.

    Args:
        plan: How answers are computed, by whichever engine.
    """
    return plan.server is None and plan.dtype in EXACT_DTYPES


def computed_alike(candidate: Run, baseline: Run) -> bool:
    """Whether greedy answers of both runs reproduce, and a difference is one of the models.

    Another engine, kind of device or form of the weights rounds in another way, which decides between tokens
    that are nearly as likely.

    Args:
        candidate: The judged run.
        baseline: The run that it is compared with.
    """
    return repeats_answers(candidate.plan) and way_of(candidate.plan) == way_of(baseline.plan)


def why_inexact(candidate: Run, baseline: Run) -> str:
    """Why equal models may give other greedy answers in two runs, in a few words; empty if they reproduce.

    Args:
        candidate: The judged run.
        baseline: The run that it is compared with.
    """
    plans = (candidate.plan, baseline.plan)
    if any(plan.server is not None for plan in plans):
        return "answered by a server"
    inexact = [plan.dtype or "an unknown precision" for plan in plans if plan.dtype not in EXACT_DTYPES]
    if inexact:
        return f"computed in {inexact[0]}"
    return "" if computed_alike(candidate, baseline) else "computed in two ways"


def why_unsteady(row: "MetricComparison", inexact: str) -> str:
    """Why equal answers to exactly these cases leave a drop of a metric possible; empty where they don't.

    They don't where as many answers are known that an equal model would pass, and more was lost than the
    margin: then it is that, or what has no value, that holds a pass back.

    Args:
        row: The metric's row.
        inexact: What :func:`why_inexact` says of its runs.
    """
    from harness.statistics.clustered_drop import NOISY, upper_half

    if row.population != "cases" or row.drop.method != NOISY:
        return ""
    margin = row.margin or 0.0
    is_lost = is_within(upper_half(row.drop), margin) and not is_within(row.drop.estimate, margin)
    if is_lost or is_within(row.drop.high, margin):
        return ""
    return inexact or "another try may answer or score its cases otherwise"


def asked_otherwise(candidate: Run, baseline: Run) -> dict[str, str]:
    """The candidate's cases whose chat template got other values than in the baseline's run.

    That is another prompt, as if the case itself had changed. Another tool's log doesn't say its values.

    Args:
        candidate: The judged run.
        baseline: The run that it is compared with.

    Returns:
        Why they can't be compared, by key.
    """
    now, then = candidate.plan.chat_template_kwargs, baseline.plan.chat_template_kwargs
    if now == then or not all(in_batches(candidate, baseline)):
        return {}
    return {
        result.key: ASKED_OTHERWISE
        for result in candidate.results
        # A case's own values win in both runs.
        if result.outcome is not Outcome.SKIPPED
        and {**now, **result.case.generation.chat_template_kwargs}
        != {**then, **result.case.generation.chat_template_kwargs}
    }


def plans_findings(candidate: Run, baseline: Run) -> "list[Finding]":
    """Different plans of the two runs, which change answers without a change of the model.

    Args:
        candidate: The judged run.
        baseline: The run that it was compared with.
    """
    now, then = candidate.plan.lasting, baseline.plan.lasting
    if now == then or computed_alike(candidate, baseline):
        return []
    from harness.types import Finding, PlansFinding

    return [Finding(data=PlansFinding(candidate=now, baseline=then))]


def own_settings_findings(candidate: Run, baseline: Run) -> "list[Finding]":
    """Settings of the models that change greedy answers, where cases were answered without them.

    Args:
        candidate: The judged run.
        baseline: The run that it was compared with.
    """
    now, then = candidate.model.own_settings, baseline.model.own_settings
    if not (now or then) or all(each.case.generation.use_model_settings for each in candidate.results):
        return []
    from harness.types import Finding, OwnSettingsFinding

    return [Finding(data=OwnSettingsFinding(candidate=now, baseline=then))]


def scorers_findings(candidate: Run, baseline: Run, metrics: Mapping[str, MetricFacts]) -> "list[Finding]":
    """Compared metrics of which a record doesn't say which judge scored them, or that other libraries scored.

    Args:
        candidate: The judged run.
        baseline: The run that it was compared with.
        metrics: The metrics that can be compared, with the candidate's facts.
    """
    from harness.types import Finding, ScorersFinding

    runs, found = (candidate, baseline), list[Finding]()
    for name, facts in metrics.items():
        if (other := baseline.metrics.get(name)) is None:
            continue
        libraries = _other_libraries(name, candidate, baseline)
        now, then = ({each: run.environment.packages[each] for each in libraries} for run in runs)
        is_unknown = _is_unknown(name, facts, other) and not all(run.model.is_logged for run in runs)
        if is_unknown:
            now, then = now | dict(facts.scored_by or {}), then | dict(other.scored_by or {})
        if is_unknown or libraries:
            found.append(Finding(metric=name, data=ScorersFinding(candidate=now, baseline=then)))
    return found


def asks_pairwise(asked: GoldenCase | Check) -> bool:
    """Whether any check, or member of a group, compares the answer with the baseline's."""
    return any(base_type(single.type) == PAIRWISE for single in asked.single_checks)


def is_judged(metric: str) -> bool:
    """Whether a judge scores a metric; it is unknown of one that this installation doesn't have."""
    kind = CHECK_TYPES.get(base_type(metric))
    return kind is not None and kind.judged


def _is_unknown(metric: str, now: MetricFacts, before: MetricFacts) -> bool:
    """Whether something besides its code scored a metric, and one of two runs doesn't say what.

    A judge may have other names where its server deals the questions to several models.
    """
    if now.scored_by is not None and before.scored_by is not None:
        who = now.scored_by.get(JUDGE)
        return who is not None and before.scored_by.get(JUDGE, who) != who
    return bool(now.scored_by or before.scored_by) or is_judged(metric)


def _other_libraries(metric: str, candidate: Run, baseline: Run) -> list[str]:
    """The libraries of a metric whose versions differ, as far as both runs know them; not the models' own."""
    kind = CHECK_TYPES.get(base_type(metric))
    if kind is None or kind.needs_losses:
        return []
    now, then = candidate.environment.packages, baseline.environment.packages
    return [name for name in kind.libraries if name in now and name in then and now[name] != then[name]]


def times_findings(candidate: Run, baseline: Run, rows: "Sequence[MetricComparison]") -> "list[Finding]":
    """Other machines or batches, where times are compared.

    Args:
        candidate: The judged run.
        baseline: The run that it was compared with.
        rows: The metrics that were compared.
    """
    from harness.types import Finding, TimesFinding

    timed = [row.metric for row in rows if row.metric in TIME_METRICS]
    conditions = other_conditions(candidate, baseline) if timed else ()
    return [Finding(data=TimesFinding(conditions=conditions))] if conditions else []
