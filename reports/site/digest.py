"""What the pages show of one run: its figures, and its cases' outcomes and answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from harness.comparison.pairing import mean_score
from harness.comparison.times import asks_pairwise
from harness.golden.counted_outcomes import GRADED, counted_outcomes
from harness.history.listing import RunLine
from harness.presentation.sentences import sentence_of
from harness.run.opponents import opponent_of
from harness.studies.metric_change import opponent_name
from harness.studies.trend import Point, points_of
from harness.types import (
    CaseResult,
    Forgetting,
    GateRecord,
    GateVerdict,
    Interval,
    MetricFacts,
    ModelRef,
    Outcome,
    Retention,
    Run,
)
from harness.types.training import TrainingManifest
from reports.html.text import one_line
from reports.site.scorers import deciding

_LONGEST_PROMPT, _LONGEST_ANSWER, _LONGEST_WHY, _LONGEST_LABEL = 1_500, 1_500, 160, 80
SIGNS: Mapping[str, str] = {
    Outcome.PASSED: "p",
    Outcome.FAILED: "f",
    Outcome.ERRORED: "e",
    Outcome.UNSCORED: "u",
    Outcome.SKIPPED: "s",
    GRADED: "g",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One gated metric of a run, as the gate stored it.

    Attributes:
        n: Compared cases.
        drop: Baseline minus candidate, positive is worse.
        is_probe: The set probes forgetting.
    """

    set_name: str
    metric: str
    n: int
    candidate: Interval
    baseline: Interval
    drop: Interval
    margin: float
    verdict: GateVerdict | None
    is_probe: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseDigest:
    """One case in a run.

    Attributes:
        sign: Its outcome as one of :data:`SIGNS`.
        content: Start of the hash of prompt and checks.
        why: The failed check and its reason; empty for a case that passed.
        cluster: Cases that share it are not independent.
        values: Of gated graded metrics, what the gate compares: a mean, or that of logarithms.
        decided_by: The metrics that decided it.
    """

    sign: str
    content: str
    prompt: str
    answer: str | None
    why: str
    cluster: str | None = None
    values: Mapping[str, float] = field(default_factory=dict)
    decided_by: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RunDigest:
    """One run.

    Attributes:
        points: Its gated metrics by set and metric; empty for a partial run, which no trend follows.
        cases: By key.
        retention: Retained skills, all of them and each.
        baseline: The name of the model that it was gated against; empty if it is unknown.
        since_base: The skills were the base's; else they were the baseline's.
        training: How its adapter was made; None if that is unknown.
        training_name: Identifies the training among all runs.
        why: The gate's first reason.
        lower_is_better: Metrics of which less is better.
        facts: How to read its metrics.
        opponent: The run with whose answers ``pairwise`` compared its own; None where nobody knows.
        opponent_name: The model that gave those, in whichever session; the run where the model is unknown.
        groups_of_pairs: Groups of checks that ask ``pairwise``, by set and name.
    """

    line: RunLine
    author: str
    subject: str
    dtype: str
    points: Mapping[tuple[str, str], Point]
    figures: tuple[Figure, ...]
    cases: Mapping[str, CaseDigest]
    retention: Retention | None
    by_skill: tuple[Retention, ...]
    loss_change: Interval | None
    training: TrainingManifest | None
    training_name: str
    why: str
    lower_is_better: frozenset[str] = frozenset()
    facts: Mapping[str, MetricFacts] = field(default_factory=dict)
    opponent: str | None = None
    opponent_name: str | None = None
    groups_of_pairs: frozenset[tuple[str, str]] = frozenset()
    baseline: str = ""
    since_base: bool = True


def digest_of(
    line: RunLine, record: GateRecord, texts: dict[str, str], baseline: ModelRef | None = None
) -> RunDigest:
    """What is shown of a run.

    Args:
        line: Its line in the list of runs.
        record: The run; its baseline's answers are not needed.
        texts: Texts of other runs: an equal one is stored once. New ones are added.
        baseline: The model that it was gated against; None if it is unknown.
    """
    run, comparison = record.run, record.comparison
    # Nobody knows what model another tool's log is of.
    opponent = "" if baseline is None or baseline.is_logged else opponent_name(baseline)
    probes = {each.name for each in run.golden_sets if each.probes_forgetting}
    forgetting, since_base = _forgetting(record, baseline)
    findings = record.verdict.findings if record.verdict is not None else ()
    graded: dict[str, list[str]] = {}
    for figure in comparison.metrics if comparison is not None else ():
        if figure.kind == "graded" and figure.margin is not None:
            graded.setdefault(figure.set_name, []).append(figure.metric)
    return RunDigest(
        line=line,
        author=run.environment.author or "",
        subject=run.environment.subject or "",
        dtype=run.plan.dtype,
        points={} if line.partial else points_of(record, opponent),
        figures=tuple(
            Figure(
                set_name=row.set_name,
                metric=row.metric,
                n=row.n,
                candidate=row.candidate.mean,
                baseline=row.baseline.mean,
                drop=row.drop,
                margin=row.margin,
                verdict=row.verdict,
                is_probe=row.set_name in probes,
            )
            for row in (comparison.metrics if comparison is not None else ())
            if row.margin is not None
        ),
        cases={
            result.key: _case(result, word, run, texts, graded.get(result.case.set_name, ()))
            for result, word in zip(run.results, counted_outcomes(run), strict=True)
        },
        retention=forgetting.overall,
        by_skill=forgetting.by_skill,
        loss_change=forgetting.loss_change,
        baseline="" if baseline is None else one_line(baseline.label, _LONGEST_LABEL),
        since_base=since_base,
        training=run.model.training,
        training_name=run.model.adapter_sha256 or run.model.label,
        why=one_line(sentence_of(findings[0]), 300) if findings else "",
        lower_is_better=frozenset(name for name, facts in run.metrics.items() if not facts.higher_is_better),
        facts=run.metrics,
        opponent=opponent_of(record),
        opponent_name=opponent or opponent_of(record),
        groups_of_pairs=_groups_of_pairs(run),
    )


def _groups_of_pairs(run: Run) -> frozenset[tuple[str, str]]:
    cases = [result.case for result in run.results]
    groups = ((case.set_name, check) for case in cases for check in case.checks if check.checks)
    return frozenset((set_name, group.type) for set_name, group in groups if asks_pairwise(group))


def _forgetting(record: GateRecord, baseline: ModelRef | None) -> tuple[Forgetting, bool]:
    """What was forgotten, and whether since the base: where that did not answer, since the baseline alone."""
    comparison, model = record.comparison, record.run.model
    if comparison is not None and comparison.forgetting_since_base is not None:
        return comparison.forgetting_since_base, True
    if comparison is None or comparison.forgetting is None:
        return Forgetting(overall=None), True
    is_base = (
        baseline is not None and baseline.adapter_sha256 is None and baseline.base_sha256 == model.base_sha256
    )
    return comparison.forgetting, is_base


def _case(
    result: CaseResult, word: str, run: Run, texts: dict[str, str], graded: Sequence[str]
) -> CaseDigest:
    # Other values of the chat template make another prompt.
    asked = result.case.asked_with(run.plan.chat_template_kwargs)

    def kept(text: str, longest: int) -> str:
        text = text if len(text) <= longest else f"{text[:longest]}…"
        return texts.setdefault(text, text)

    done = result.completion
    return CaseDigest(
        sign=SIGNS[word],
        content=texts.setdefault(found := asked.content_sha256[:12], found),
        prompt=kept(result.case.messages[-1].shown if result.case.messages else "", _LONGEST_PROMPT),
        answer=None if done is None else kept(done.text, _LONGEST_ANSWER),
        why=kept(_why(result), _LONGEST_WHY),
        cluster=result.case.cluster,
        values={
            name: mean
            for name in graded
            if name in run.metrics and (mean := mean_score(result, name, run.metrics[name])) is not None
        },
        decided_by=deciding(result),
    )


def _why(result: CaseResult) -> str:
    if result.errors:
        return f"{result.errors[0].metric}: {result.errors[0].error}"
    failed = next((score for score in result.scores if score.passed is False), None)
    if failed is None:
        return ""
    return f"{failed.metric}: {failed.explanation}" if failed.explanation else failed.metric
