"""The panels behind the verdict: training, golden sets, manifest."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from harness.golden.counted_outcomes import GRADED, counted_outcomes
from harness.presentation.terminal import canary_lines
from harness.types import (
    Environment,
    GateRecord,
    JsonValue,
    ModelRef,
    Outcome,
    Placement,
    Run,
    ServerUse,
)
from harness.types.storage import plain
from harness.types.training import RewardNotes, TrainingManifest
from reports.html import figures
from reports.html.case_view import excerpt
from reports.html.charts import LossCurve, loss_curve
from reports.html.names import base_identity, shown_path
from reports.html.view import (
    Fact,
    Facts,
    SetRow,
    TrainingView,
)

_MOST_FACTS = 200
_LONGEST_FACT = 2_000


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
    rows, outcomes_of = [], [str(result.outcome) for result in record.run.results]
    words = counted_outcomes(record.run) if Outcome.UNSCORED in outcomes_of else outcomes_of
    for golden_set in record.run.golden_sets:
        outcomes = Counter(
            word
            for result, word in zip(record.run.results, words, strict=True)
            if result.case.set_name == golden_set.name
        )
        told = [f"{figures.count(outcomes[word])} {word}" for word in (*Outcome, GRADED) if outcomes[word]]
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
                *([_fact("weights", plan.weights)] if plan.weights == "nf4" else []),
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
    for note in use.notes:
        yield _fact("note", note)


def _model_facts(model: ModelRef, project: Path | None) -> tuple[Fact, ...]:
    label = shown_path(model.label, project)
    facts = [_fact("model", label)]
    if model.adapter_dir is not None and (shown := shown_path(model.adapter_dir, project)) != label:
        facts.append(_fact("directory", shown, code=True))
    if model.adapter_sha256 is not None:
        facts.append(_fact("adapter sha256", model.adapter_sha256, code=True))
    facts.append(_fact("base model", shown_path(model.base_model, project)))
    if not model.is_logged:
        name, identity = base_identity(model, "base")
        facts.append(_fact(name, identity, code=True))
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
