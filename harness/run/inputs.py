"""The inputs of a gate: candidates and baseline, found and checked before any model loads.

So is everything else that the selected cases need, and how servers are asked.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from importlib import metadata
from pathlib import Path

from harness.baselines.target import ComparisonTarget, find_baseline
from harness.engines.base import BASELINE, CANDIDATE, SERVED
from harness.engines.open import (
    base_of,
    choose_plan,
    describe_model,
    engine_kinds,
    is_own,
    missing_libraries,
    named_models,
    short_names,
    split_reference,
)
from harness.engines.precision import in_four_bits, refuse_split
from harness.engines.served.address import MODEL_KEY, OPENAI_KEY, checked_url, refuse_secrets
from harness.errors import InputError, SettingsError
from harness.golden.schema import CHECK_TYPES, base_type
from harness.golden.transforms import python_steps
from harness.history.database import project_history
from harness.history.server import HistoryPlace
from harness.history.store import NoiseRecords
from harness.judge.trust import find_calibration
from harness.metrics.code_check import CODE_NOT_ALLOWED
from harness.metrics.judged import require_template
from harness.metrics.libraries import (
    missing_distributions,
    missing_extras,
    require_encoders,
    require_functions,
)
from harness.metrics.python_function import NOT_ALLOWED, load_functions
from harness.registry.builtin_metrics import PYTHON
from harness.registry.content_metrics import CODE
from harness.run.distrust import distrust_of
from harness.run.judging import describe_trust, judged_checks, refuse_distrusted
from harness.run.scoring import Judging
from harness.run.trackers.kinds import check_trackers
from harness.settings import Settings
from harness.settings.values import ray_address, runs_vllm
from harness.types import (
    NOTHING_ALLOWED,
    ExecutionPlan,
    GoldenCase,
    GoldenSet,
    ModelRef,
    Permissions,
    ServerUse,
)

VARIABLES = (MODEL_KEY, OPENAI_KEY)


def asked_by(settings: Settings, plan: ExecutionPlan) -> ExecutionPlan:
    """The plan with the engine and the use of servers that settings ask for.

    Args:
        settings: The settings.
        plan: The plan for the models.

    Raises:
        SettingsError: The engine can't run these models.
    """
    if settings.engine != "transformers" and plan.engine != "transformers":
        raise SettingsError(
            f"--gate-engine {settings.engine}: runs a base model and its adapters, and no other model"
        )
    if runs_vllm(settings.engine):
        plan = replace(plan, engine="vllm", dtype="unknown", device="server", mixed=False, server=ServerUse())
    elif ray_address(settings.engine) is not None:
        refuse_split(plan.device, "Ray")
    if plan.server is None:
        return plan
    refuse_secrets(settings.server_args)
    if ray_address(settings.engine) is not None:
        from harness.engines.served.process import devices_of

        # Read before anything starts: how many GPUs a server takes depends on them.
        devices_of(settings.server_args)
    identity, url = settings.model_id or "", settings.server
    if url is not None:
        url = checked_url(url, "--gate-server", VARIABLES)
    elif plan.engine == "vllm":
        # A started server computes as its version and arguments say, whatever the user's word for it is.
        found = next(iter(metadata.distributions(name="vllm")), None)
        if identity or found is not None:
            version = "unknown" if found is None else found.version
            identity = f"{identity} vllm {version} {settings.server_args}".strip()
    server = replace(
        plan.server,
        url=url,
        arguments=settings.server_args,
        identity=identity,
        concurrency=settings.server_concurrency,
        timeout_s=settings.server_timeout_s,
        prices=settings.server_prices,
    )
    return replace(plan, server=server)


def refuse_without_server(settings: Settings, references: Sequence[str]) -> None:
    """Refuse settings of servers that would have no effect.

    Args:
        settings: The settings.
        references: The models.

    Raises:
        SettingsError: There are such.
    """
    if runs_vllm(settings.engine):
        if settings.server is not None and ray_address(settings.engine) is not None:
            raise SettingsError("--gate-server: each node of the Ray cluster starts its own: leave it out")
        return
    for flag, value in (("--gate-server", settings.server), ("--gate-server-args", settings.server_args)):
        if value:
            # Not its value, which may hold a key.
            raise SettingsError(f"{flag}: needs --gate-engine vllm")
    served = [split_reference(reference) for reference in [*references, settings.baseline]]
    if settings.model_id is not None and not any(each and each[0].name in SERVED for each in served):
        raise SettingsError(
            f"--gate-model-id {settings.model_id}: is for models behind servers, and {references[0]} is none"
        )


def make_ready(
    golden_sets: Sequence[GoldenSet],
    judging: Judging,
    directory: Path,
    *,
    engine: str = "transformers",
    allowed: Permissions = NOTHING_ALLOWED,
) -> tuple[Judging, str]:
    """Check that libraries, encoders and a judge are available, and that the judge is not unreliable.

    Args:
        golden_sets: The sets with their selected cases.
        judging: The judges.
        directory: Where calibrations of judges are stored.
        engine: The engine that answers.
        allowed: What checks may run.

    Returns:
        The judges, with the check types for which they are unreliable; and their calibration in words, empty
        if they are not used.

    Raises:
        SettingsError: An extra isn't installed, a judge is missing, or an unreliable one would decide.
        ModelError: A check's encoder is unavailable.
    """
    cases = [case for golden_set in golden_sets for case in golden_set.cases if case.skip is None]
    _require_installed(cases, engine)
    _require_losses(cases, engine)
    require_functions(cases)
    require_permitted(cases, allowed)
    judging = replace(judging, allowed=allowed)
    judged, note = [case for case in cases if judged_checks(case)], ""
    if judged and judging.panel is None:
        raise SettingsError(
            f"{judged[0].key}: {judged_checks(judged[0])[0].type} needs a judge: "
            f"give --gate-judge ({len(judged)} of the selected cases have such checks)"
        )
    for case in judged:
        for check in judged_checks(case):
            require_template(check)
    if judged and judging.panel is not None:
        calibration = find_calibration(directory, judging.panel.identity)
        distrust = distrust_of(calibration)
        refuse_distrusted(golden_sets, distrust, judging.panel.identity)
        judging = replace(judging, distrust=distrust)
        note = describe_trust(calibration, distrust, judged)
    require_encoders(cases)
    return judging, note


def _require_installed(cases: Sequence[GoldenCase], engine: str) -> None:
    """Refuse cases whose checks, or whose engine, need a library that is not installed."""
    extras = set(missing_extras(cases))
    if cases and is_own(engine) and missing_libraries():
        extras.add("local")
    missing = [f"'tunegate[{','.join(sorted(extras))}]'"] if extras else []
    missing += missing_distributions(cases)
    if missing:
        raise SettingsError(
            f"the selected cases need more than is installed: pip install {' '.join(missing)}"
        )


def _require_losses(cases: Sequence[GoldenCase], engine: str) -> None:
    if engine_kinds()[engine].measures_text:
        return
    for case in cases:
        needy = [one.type for one in case.single_checks if CHECK_TYPES[base_type(one.type)].needs_losses]
        if needy:
            raise SettingsError(
                f"{case.key}: {needy[0]} needs the losses of texts, and engine {engine!r} gives none"
            )


def require_permitted(cases: Sequence[GoldenCase], allowed: Permissions) -> None:
    """Check that the project allows what the cases' checks run, and load the project's functions.

    Args:
        cases: The selected cases.
        allowed: What it allows.

    Raises:
        SettingsError: A check is not allowed, or a function can't be loaded.
    """
    for case in cases:
        for check in case.single_checks:
            name = base_type(check.type)
            python = [check.type] if name == PYTHON else []
            if check.transform:
                python = [f"transform by {step}" for step in python_steps(check.transform)] + python
            if python and not allowed.python:
                raise SettingsError(f"{case.key}: {python[0]}: {NOT_ALLOWED}")
            if python:
                load_functions(check, case.key)
            if name == CODE and not allowed.code:
                raise SettingsError(f"{case.key}: {check.type}: {CODE_NOT_ALLOWED}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A model to judge.

    Attributes:
        side: Its name in engine and answers.
        name: Unique in the session; empty if it is the only one.
    """

    side: str
    name: str
    model: ModelRef


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The checked inputs of a gate.

    Attributes:
        candidates: One or more.
        target: The baseline.
        base: The adapters' base, if the baseline is another model: forgetting is measured against both.
        root: The project's root.
        noise: The noise records, read when the history is checked.
    """

    settings: Settings
    root: Path
    candidates: tuple[Candidate, ...]
    target: ComparisonTarget
    plan: ExecutionPlan
    base: ModelRef | None = None
    noise: NoiseRecords = field(default_factory=dict)

    @property
    def sides(self) -> dict[str, ModelRef]:
        """The models that are compared and answer in this session, by side."""
        sides = {candidate.side: candidate.model for candidate in self.candidates}
        if self.target.live_model is not None:
            sides[BASELINE] = self.target.live_model
        return sides

    @property
    def directory(self) -> Path:
        """The directory of history, cache and reports."""
        return self.root / self.settings.directory

    @property
    def history(self) -> HistoryPlace:
        """Where runs are stored."""
        return project_history(self.settings, self.root)


def prepare(settings: Settings, root: Path) -> Inputs:
    """Check the candidates and the baseline, before any model loads.

    Args:
        settings: The session's settings.
        root: The project's directory.

    Raises:
        InputError: A model, adapter or baseline can't be used; the message is one line.
    """
    if settings.track:
        check_trackers(settings.track)
    references = named_models(settings.model)
    if not references or not all(reference.strip() for reference in references):
        raise InputError("no model: give --model=DIR")
    if len(references) > 1:
        _refuse_for_several(settings)
    refuse_without_server(settings, references)
    models = [
        describe_model(reference, settings.base, model_id=settings.model_id) for reference in references
    ]
    if settings.base is not None and all(model.adapter_dir is None for model in models):
        raise SettingsError(f"--gate-base {settings.base}: is for adapters, and {models[0].label} is not one")
    history = project_history(settings, root)
    target = find_baseline(
        settings.baseline, models, root, history, base=settings.base, model_id=settings.model_id
    )
    if settings.confirm and target.is_stored:
        raise InputError(
            "--gate-confirm resamples both sides, and of this baseline only the answers are stored: "
            "take the base or an adapter directory as baseline, or leave it out"
        )
    if settings.looks > 1:
        _refuse_with_looks(settings, target)
    sides = [*models, *([target.live_model] if target.live_model is not None else [])]
    plan = choose_plan(settings.dtype, settings.device, settings.batch_tokens, sides)
    plan = replace(asked_by(settings, plan), chat_template_kwargs=settings.chat_template_kwargs)
    if settings.weights == "nf4":
        plan = in_four_bits(plan, sides)
    if plan.engine == "multitask":
        # Its heads answer only their tasks: there is no general skill to forget.
        settings = settings.model_copy(update={"forgetting": False})
    return Inputs(
        settings=settings,
        root=root,
        candidates=_candidates(references, models),
        target=target,
        plan=plan,
        base=_base_beside(models, target) if settings.forgetting else None,
    )


def _refuse_with_looks(settings: Settings, target: ComparisonTarget) -> None:
    """Refuse what needs all cases, or nothing to compare with, where a gate may stop early.

    Raises:
        SettingsError: Such a setting was given.
    """
    looks = f"--gate-looks {settings.looks}"
    if target.kind == "none":
        raise SettingsError(f"{looks}: without a baseline there is no verdict to stop at: name one")
    if settings.accept is not None:
        raise SettingsError(
            f"--gate-accept {settings.accept}: a baseline needs all cases, and {looks} may stop before: "
            f"give --gate-looks=1"
        )
    if settings.fail_on == "case":
        raise SettingsError(
            f"--gate-fail-on case: each case counts, and {looks} may leave some out: give --gate-looks=1"
        )


def _refuse_for_several(settings: Settings) -> None:
    """Refuse settings that are for a single candidate only.

    Raises:
        SettingsError: Such a setting was given.
    """
    if settings.baseline == "none":
        raise SettingsError(
            "--gate-baseline none: several models are ranked by what they gain over a baseline: name one, or "
            "gate them one at a time"
        )
    if settings.accept is not None:
        raise SettingsError(
            f"--gate-accept {settings.accept}: several models are gated, and one run can be accepted: choose "
            f"it afterwards with: tunegate runs accept RUN {settings.accept} --reason ..."
        )
    if settings.confirm:
        raise SettingsError(
            f"--gate-confirm {settings.confirm}: resamples for one model at a time: leave it out, and gate "
            f"what regressed alone with it"
        )


def _candidates(references: Sequence[str], models: Sequence[ModelRef]) -> tuple[Candidate, ...]:
    if len(models) == 1:
        return (Candidate(side=CANDIDATE, name="", model=models[0]),)
    # Sides are numbered: PEFT uses them as names of adapters, and refuses names with a dot.
    return tuple(
        Candidate(side=f"{CANDIDATE}-{place}", name=name, model=model)
        for place, (name, model) in enumerate(zip(short_names(references), models, strict=True), start=1)
    )


def _base_beside(models: Sequence[ModelRef], target: ComparisonTarget) -> ModelRef | None:
    """The base of all adapters, if they are compared with something else."""
    bases = {model.base_sha256: model for model in models if model.adapter_dir is not None}
    if target.model is None or len(bases) != 1:
        return None
    ((base_sha256, adapter),) = bases.items()
    if target.model.adapter_sha256 is None and target.model.base_sha256 == base_sha256:
        return None
    return base_of(adapter)
