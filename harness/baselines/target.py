"""The target of a comparison: a model, a stored or accepted run, or nothing; found by ``--gate-baseline``."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from harness.baselines.file import Baseline, baseline_path, load_baseline, run_of
from harness.baselines.paired_runs import answers_to
from harness.baselines.run_file import is_accepted_file, open_file
from harness.engines.base import SERVED
from harness.engines.open import base_of, describe_model, split_reference
from harness.errors import BaselineError
from harness.history.accepted_runs import accepted_run
from harness.history.database import is_stored
from harness.history.run_names import is_latest
from harness.history.server import HistoryPlace
from harness.history.store import open_history
from harness.models.catalogue import CATALOGUE
from harness.provenance import ask_git, branch_of, git_problem, main_branch
from harness.types import UNKNOWN_WEIGHTS, GoldenCase, JsonValue, ModelRef, Run
from tunegate.project import user_path

TargetKind: TypeAlias = Literal["none", "model", "run", "log", "accepted"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparisonTarget:
    """The target that candidates are compared with. Made by the functions below, one for each kind.

    Attributes:
        kind: ``none`` for no comparison, ``model`` for one that answers in this session, ``run`` for a stored
            run, ``log`` for another tool's, ``accepted`` for a run that a baseline's file stores.
        model: The model behind the baseline's answers; None for no comparison.
        run: The stored run, for the kinds ``run`` and ``log``.
        accepted: The accepted baseline, for kind ``accepted``.
    """

    kind: TargetKind
    model: ModelRef | None = None
    run: Run | None = None
    accepted: Baseline | None = None

    @property
    def live_model(self) -> ModelRef | None:
        """The model that answers in this session; None if answers are stored, or nothing is compared."""
        return self.model if self.kind == "model" else None

    @property
    def is_stored(self) -> bool:
        """Whether there are only stored answers, and no model."""
        return self.kind in {"run", "log", "accepted"}

    def require_asked_alike(self, cases: Sequence[GoldenCase], values: Mapping[str, JsonValue]) -> None:
        """Refuse stored answers to other prompts, before a model is asked what could not be compared.

        Args:
            cases: The cases that are asked now.
            values: The values that their chat template gets.

        Raises:
            BaselineError: Some of them got other values then.
        """
        stored = self.accepted or (self.run if self.kind == "run" else None)
        # Another tool's log does not say its values.
        if stored is None or not stored.plan.batch_tokens:
            return
        then = stored.plan.chat_template_kwargs
        other = [
            case.key
            for case in cases
            if case.skip is None
            and case.asked_with(values).content_sha256 != case.asked_with(then).content_sha256
        ]
        if other:
            name = self.accepted.name if self.accepted is not None else f"run {self.run and self.run.id}"
            raise BaselineError(
                f"{name} was asked with chat_template_kwargs {json.dumps(dict(then))}, not "
                f"{json.dumps(dict(values))}: {len(other)} cases, such as {other[0]}, can't be compared; "
                f"give the same values, or name another baseline"
            )


NO_TARGET = ComparisonTarget(kind="none")


def model_target(model: ModelRef) -> ComparisonTarget:
    """A model that answers in the same session."""
    return ComparisonTarget(kind="model", model=model)


def run_target(run: Run) -> ComparisonTarget:
    """A run from the history, or from a file of ours."""
    return ComparisonTarget(kind="run", model=run.model, run=run)


def file_target(reference: str) -> ComparisonTarget | None:
    """A run in a file; None if the name is no file's.

    Raises:
        DataError: The file is damaged, or no reader recognises it.
    """
    if is_accepted_file(user_path(reference)):
        return accepted_target(load_baseline(user_path(reference)))
    found = open_file(reference)
    if found is None:
        return None
    run, is_log = found
    return ComparisonTarget(kind="log", model=run.model, run=run) if is_log else run_target(run)


def accepted_target(baseline: Baseline) -> ComparisonTarget:
    """An accepted baseline."""
    return ComparisonTarget(kind="accepted", model=baseline.model, accepted=baseline)


def stored_run(target: ComparisonTarget, cases: Sequence[GoldenCase]) -> Run | None:
    """The run to compare with, as far as it is stored.

    Args:
        target: The target.
        cases: The current golden cases, for results in an accepted baseline's file or another tool's log.

    Returns:
        The run; None if a model answers in this session, or there is no comparison.
    """
    if target.accepted is not None:
        return run_of(target.accepted, cases)
    return answers_to(target.run, cases) if target.kind == "log" and target.run is not None else target.run


def describe_target(target: ComparisonTarget) -> str:
    """The target in words, for the line that says what is gated."""
    if target.accepted is not None:
        accepted = target.accepted
        return f"against {accepted.name}, accepted {accepted.accepted_at[:10]}: {accepted.reason}"
    if target.run is not None:
        return f"against run {target.run.id}"
    return "no baseline" if target.model is None else f"against {target.model.label}"


_COMMIT = "commit:"


_ALLOWED = "base, none, an accepted name, a run's id, commit:REV, a file with a run, a model"


def find_baseline(
    wanted: str,
    candidates: Sequence[ModelRef],
    root: Path,
    history_place: HistoryPlace,
    *,
    base: str | None = None,
    model_id: str | None = None,
) -> ComparisonTarget:
    """Find the baseline that a setting names.

    Args:
        wanted: ``base`` (the candidates' base model), ``none``, another model, an accepted baseline's name
            (in the project's files, else in the history), a stored run, a file with a run, or ``commit:REV``:
            the newest whole run of that commit.
        candidates: The models to judge.
        root: The project's root, with the accepted baselines.
        history_place: The project's history; may be missing.
        base: The base of the named adapter, in place of the one in its configuration.
        model_id: The user's word for what the weights behind a server are.

    Raises:
        InputError: The name is unknown or can't be used.
    """
    if wanted == "none":
        return NO_TARGET
    if wanted == "base":
        shared = shared_base(candidates, model_id)
        return NO_TARGET if shared is None else model_target(shared)
    accepted = baseline_path(root, wanted) if "/" not in wanted else None
    if accepted is not None and accepted.is_file():
        return accepted_target(load_baseline(accepted))
    if not wanted.startswith(_COMMIT) and (in_file := file_target(wanted)) is not None:
        return in_file
    if _is_model(wanted):
        return model_target(describe_model(wanted, base, model_id=model_id))
    return _stored_target(wanted, root, history_place)


def _stored_target(wanted: str, root: Path, place: HistoryPlace) -> ComparisonTarget:
    if not is_stored(place):
        raise BaselineError(
            f"--gate-baseline {wanted}: no such directory, no accepted baseline of that name, and no run is "
            f"stored in {place} yet (allowed: {_ALLOWED})"
        )
    with open_history(place) as history:
        if wanted.startswith(_COMMIT):
            commit = _commit(wanted.removeprefix(_COMMIT), root)
            run_id = history.newest_of_commit(commit)
            if run_id is None:
                raise BaselineError(
                    f"--gate-baseline {wanted}: no whole run of commit {commit[:12]} is stored, made without "
                    f"uncommitted changes; check it out and gate it first"
                )
            return run_target(history.load_run(run_id))
        branches = [branch for branch in (branch_of(root, os.environ), main_branch(root)) if branch]
        accepted = accepted_run(history.database, wanted, branches)
        return run_target(history.load_run(accepted or wanted))


def _is_model(wanted: str) -> bool:
    """Whether it is a directory, a catalogue name, a hub id (no run id has a slash) or a plug-in's model."""
    if wanted.startswith(_COMMIT) or is_latest(wanted):
        return False
    is_named = "/" in wanted or split_reference(wanted) is not None
    return is_named or wanted in CATALOGUE or user_path(wanted).is_dir()


def shared_base(models: Sequence[ModelRef], model_id: str | None = None) -> ModelRef | None:
    """The base of all models; None for a single model without a base.

    Args:
        models: The models.
        model_id: The user's word for what the weights behind a server are, the base's too.

    Raises:
        BaselineError: Several models have none, or more than one.
        ModelError: A base is unavailable, or no server is there that could name it.
    """
    bases = {_weights(base): base for model in models if (base := _base_of(model, model_id)) is not None}
    if len(models) > 1 and len(bases) != 1:
        named = ", ".join(base.label for base in bases.values()) or "none"
        raise BaselineError(f"the models share no base ({named}): name one for all with --gate-baseline")
    return next(iter(bases.values()), None)


def _weights(base: ModelRef) -> str:
    """What distinguishes a base: unknown weights have another identity in each description, and one name."""
    return base.label if base.base_sha256.startswith(UNKNOWN_WEIGHTS) else base.base_sha256


def _base_of(model: ModelRef, model_id: str | None) -> ModelRef | None:
    if model_id is None or model.engine not in SERVED:
        return base_of(model)
    from harness.engines.served.describe import named_base

    # With the user's word, its description has read no server's list.
    base = named_base(model.engine, model.base_model)
    return None if base is None else describe_model(base, model_id=model_id)


def _commit(revision: str, root: Path) -> str:
    commit = ask_git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if commit is None:
        why = git_problem(root) or f"git knows no such commit in {root}"
        raise BaselineError(f"--gate-baseline {_COMMIT}{revision}: {why}")
    return commit
