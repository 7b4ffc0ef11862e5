"""The panels behind the verdict: forgetting, training, golden sets, manifest."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.presentation.terminal import canary_lines
from harness.types import (
    Environment,
    Forgetting,
    GateRecord,
    Interval,
    JsonValue,
    ModelRef,
    Outcome,
    Placement,
    Retention,
    Run,
    ServerUse,
)
from harness.types.storage import plain
from harness.types.training import RewardNotes, TrainingManifest
from reports.html import figures
from reports.html.case_view import excerpt
from reports.html.charts import LossCurve, loss_curve
from reports.html.names import shown_path
from reports.html.text import one_line
from reports.html.view import (
    Estimate,
    Fact,
    Facts,
    ForgettingView,
    LossRow,
    RetentionRow,
    SetRow,
    TrainingView,
)

_MOST_FACTS = 200
_LONGEST_FACT = 2_000


def forgetting_views(record: GateRecord) -> Iterator[ForgettingView]:
    """Retained skills and the change on general text, compared with the baseline and with the base."""
    comparison = record.comparison
    if comparison is None:
        return
    if comparison.forgetting is not None:
        passages = tuple(_passages(record))
        yield _forgetting_view(comparison.forgetting, "forgetting", "Forgetting", "baseline", passages)
    if comparison.forgetting_since_base is not None:
        base = one_line(record.run.model.base_model)
        yield _forgetting_view(
            comparison.forgetting_since_base, "since-base", "Forgetting since the base", base, ()
        )


def _forgetting_view(
    forgetting: Forgetting, anchor: str, title: str, before: str, passages: tuple[LossRow, ...]
) -> ForgettingView:
    rows = [_retention_row(skill) for skill in forgetting.by_skill]
    if forgetting.overall is not None:
        rows.insert(0, _retention_row(forgetting.overall, all_skills=True))
    change = forgetting.loss_change
    rates = [skill.rate for skill in (forgetting.overall, *forgetting.by_skill) if skill is not None]
    return ForgettingView(
        anchor=anchor,
        title=title,
        before=before,
        rows=tuple(rows),
        confidence=_confidence(rates[0]) if rates else "",
        loss_change=None if change is None else _loss_change(change),
        other_text=tuple(_kind_of_text(kind, each) for kind, each in forgetting.loss_by_kind.items()),
        divergence=None if forgetting.divergence is None else _loss_change(forgetting.divergence),
        refusals="" if forgetting.refusals is None else "{} → {}".format(*forgetting.refusals),
        loss_confidence="" if change is None else _confidence(change),
        tripped=forgetting.tripped,
        passages=passages,
    )


def _confidence(interval: Interval) -> str:
    return f"{interval.confidence * 100:g}\u00a0%"


def _loss_change(change: Interval) -> Estimate:
    low, high = figures.signed(change.low, 3), figures.signed(change.high, 3)
    return Estimate(value=figures.signed(change.estimate, 3), interval=f"[{low}, {high}]")


def _kind_of_text(kind: str, change: Interval) -> str:
    shown = _loss_change(change)
    return f"{one_line(kind)} {shown.value} {shown.interval}"


def _retention_row(retention: Retention, *, all_skills: bool = False) -> RetentionRow:
    rate = retention.rate
    return RetentionRow(
        skill="all probes" if all_skills else retention.skill,
        kept=f"{figures.count(retention.retained)} of {figures.count(retention.passed_by_baseline)}",
        rate=Estimate(
            value=figures.percent(rate.estimate), interval=f"[{rate.low * 100:.1f}, {rate.high * 100:.1f}]"
        ),
        low=round(rate.low * 100, 1),
        estimate=round(rate.estimate * 100, 1),
        high=round(rate.high * 100, 1),
        all_skills=all_skills,
    )


def _passages(record: GateRecord) -> Iterator[LossRow]:
    before = {loss.passage: loss for loss in record.baseline.text_losses} if record.baseline else {}
    for loss in record.run.text_losses:
        other = before.get(loss.passage)
        yield LossRow(
            passage=loss.passage,
            baseline="–" if other is None else f"{other.nats_per_token:.3f}",
            candidate=f"{loss.nats_per_token:.3f}",
            change="–" if other is None else figures.signed(loss.nats_per_token - other.nats_per_token, 3),
            tokens=figures.count(loss.tokens),
        )


def training_view(record: GateRecord) -> TrainingView | None:
    """The adapter's training manifest; None if it has none."""
    training = record.run.model.training
    if training is None:
        return None
    curve = loss_curve([(entry.step, entry.loss) for entry in training.losses])
    drawing = ""
    if curve is not None:
        drawing = (
            f"training loss from {curve.first:.3g} at step {curve.first_step:g} "
            f"to {curve.last:.3g} at step {curve.last_step:g}, lowest {curve.lowest:.3g}"
        )
    rest = {key: value for key, value in plain(training).items() if key != "losses" or curve is None}
    rewards = _reward_curve(training.rewards)
    return TrainingView(
        curve=curve,
        drawing=drawing,
        reward_curve=rewards,
        reward_drawing=""
        if rewards is None
        else (
            f"mean reward from {rewards.first:.3g} at step {rewards.first_step:g} "
            f"to {rewards.last:.3g} at step {rewards.last_step:g}"
        ),
        canaries=tuple(canary_lines(training)),
        facts=tuple(_flat(rest))[:_MOST_FACTS],
    )


def manifest_facts(training: TrainingManifest) -> list[Fact]:
    """A training's manifest as facts, without what is drawn: losses, rewards and the canaries' means."""
    drawn = {"losses", "rewards", "canaries"}
    rest = {key: value for key, value in plain(training).items() if key not in drawn}
    return list(_flat(rest))[:_MOST_FACTS]


def _reward_curve(rewards: RewardNotes | None) -> LossCurve | None:
    """The mean reward of each step's sampled answers; None if training had no rewards."""
    return None if rewards is None else loss_curve([(entry.step, entry.reward) for entry in rewards.steps])


def _flat(values: Mapping[str, JsonValue], prefix: str = "") -> Iterator[Fact]:
    """Nested keys as dotted names."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{name}.")
        else:
            text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
            yield Fact(name=name, value=excerpt(text, _LONGEST_FACT), code=True)


def set_rows(record: GateRecord, project: Path | None = None) -> list[SetRow]:
    """The golden sets, each with its cases by outcome.

    Args:
        record: The gate's record.
        project: The project's root, to which paths are relative.
    """
    rows = []
    for golden_set in record.run.golden_sets:
        outcomes = Counter(
            result.outcome for result in record.run.results if result.case.set_name == golden_set.name
        )
        told = [f"{figures.count(outcomes[outcome])} {outcome}" for outcome in Outcome if outcomes[outcome]]
        rows.append(
            SetRow(
                name=golden_set.name,
                kind="forgetting probe" if golden_set.probes_forgetting else "task",
                cases=figures.count(outcomes.total()),
                outcomes=", ".join(told),
                path=shown_path(golden_set.path, project),
                sha256=golden_set.content_sha256,
            )
        )
    return rows


def manifest(record: GateRecord, project: Path | None = None) -> list[Facts]:
    """Everything needed to repeat the run.

    Args:
        record: The gate's record.
        project: The project's root, to which paths are relative.
    """
    run, baseline = record.run, record.baseline
    plan = run.plan
    groups = [
        Facts(
            title="Run",
            facts=(
                _fact("id", run.id, code=True),
                _fact("started", run.started_at),
                _fact("duration", figures.duration(run.duration_s)),
                _fact(
                    "cases", f"{figures.count(len(run.results))} of {figures.count(run.collected)} collected"
                ),
            ),
        ),
        Facts(title="Candidate", facts=_model_facts(run.model, project)),
    ]
    if baseline is not None:
        own = (_fact("run", baseline.id, code=True), _fact("started", baseline.started_at))
        groups.append(Facts(title="Baseline", facts=(*_model_facts(baseline.model, project), *own)))
    groups += [
        Facts(
            title="Execution plan",
            facts=(
                _fact("engine", plan.engine),
                _fact("dtype", plan.dtype),
                _fact("device", plan.device),
                _fact("tokens a batch", figures.count(plan.batch_tokens)),
                _fact("mixed batches", "yes" if plan.mixed else "no"),
                *(_fact(each.side, _placement(each)) for each in plan.placements),
                *_server_facts(plan.server),
            ),
        ),
        Facts(title="Environment", facts=tuple(_environment_facts(run.environment, baseline))),
    ]
    return groups


def _fact(name: str, value: str, *, code: bool = False) -> Fact:
    return Fact(name=name, value=excerpt(value, _LONGEST_FACT), code=code)


def _placement(placement: Placement) -> str:
    """How a side was run: its weights and batches."""
    batches = {
        "mixed": "batches mixed with other sides'",
        "separate": "separate batches",
        "single": "a prompt at a time, by the library's generate",
    }
    stored = f" (stored in {placement.unpacked}, turned into plain numbers)" if placement.unpacked else ""
    return f"{placement.weights} weights{stored}, {batches[placement.batches]}"


def _server_facts(use: ServerUse | None) -> Iterator[Fact]:
    """How servers were asked, and what they reported."""
    if use is None:
        return
    if use.url is not None:
        yield _fact("server", use.url, code=True)
    yield _fact("requests", figures.count(use.requests))
    yield _fact("reported model", ", ".join(use.reported) or "none")
    yield _fact("reported fingerprint", ", ".join(use.fingerprints) or "none")
    if use.unmeasured:
        yield _fact("texts were not scored", use.unmeasured)


def _model_facts(model: ModelRef, project: Path | None) -> tuple[Fact, ...]:
    label = shown_path(model.label, project)
    facts = [_fact("model", label)]
    if model.adapter_dir is not None and (shown := shown_path(model.adapter_dir, project)) != label:
        facts.append(_fact("directory", shown, code=True))
    if model.adapter_sha256 is not None:
        facts.append(_fact("adapter sha256", model.adapter_sha256, code=True))
    facts.append(_fact("base model", shown_path(model.base_model, project)))
    if not model.is_logged:
        facts.append(_fact("base sha256", model.base_sha256, code=True))
    return tuple(facts)


def _environment_facts(environment: Environment, baseline: Run | None) -> Iterator[Fact]:
    yield _fact("commit", _commit(environment), code=environment.commit is not None)
    if environment.author:
        yield _fact("author", environment.author)
    if environment.subject:
        yield _fact("subject", environment.subject)
    if baseline is not None and baseline.environment.commit != environment.commit:
        yield _fact("baseline's commit", _commit(baseline.environment), code=True)
    yield _fact("Python", environment.python)
    yield _fact("platform", environment.platform)
    before = {} if baseline is None else baseline.environment.packages
    for name, version in environment.packages.items():
        other = before.get(name, version)
        yield _fact(name, version if other == version else f"{version} (baseline: {other})")


def _commit(environment: Environment) -> str:
    if environment.commit is None:
        return "not a git repository"
    return environment.commit + (" with uncommitted changes" if environment.dirty else "")
