"""What ``--gate-baseline`` names."""

from pathlib import Path

from harness.baselines.file import Baseline, baseline_path, load_baseline
from harness.engines.open import base_of, describe_model
from harness.environment import ask_git
from harness.errors import BaselineError
from harness.history.store import open_history
from harness.types import ModelRef, Run

_COMMIT = "commit:"
_ALLOWED = "base, none, an accepted name, a run's id, commit:REV, a directory"


def find_baseline(
    wanted: str, candidate: ModelRef, root: Path, history_path: Path
) -> ModelRef | Run | Baseline | None:
    """Resolve a baseline.

    Args:
        wanted: ``base`` (what the candidate was trained on), ``none``, a directory of another model, an
            accepted baseline's name, a stored run, or ``commit:REV``: the newest whole run of that commit.
        candidate: The model to be judged.
        root: The project's root, which accepted baselines lie under.
        history_path: The project's history; may be missing.

    Returns:
        A model to run beside the candidate, a stored run, an accepted one, or None for no comparison.

    Raises:
        InputError: It names nothing, or nothing that can be used.
    """
    if wanted == "none":
        return None
    if wanted == "base":
        # A bare base model has nothing below it to be compared with.
        return base_of(candidate)
    accepted = baseline_path(root, wanted) if "/" not in wanted else None
    if accepted is not None and accepted.is_file():
        return load_baseline(accepted)
    if Path(wanted).expanduser().is_dir():
        return describe_model(wanted)
    if not history_path.is_file():
        raise BaselineError(
            f"--gate-baseline {wanted}: no such directory, no accepted baseline of that name, and no run is "
            f"stored in {history_path} yet (allowed: {_ALLOWED})"
        )
    with open_history(history_path) as history:
        if wanted.startswith(_COMMIT):
            commit = _commit(wanted.removeprefix(_COMMIT), root)
            run_id = history.newest_of_commit(commit)
            if run_id is None:
                raise BaselineError(
                    f"--gate-baseline {wanted}: no whole run of commit {commit[:12]} is stored, made without "
                    f"uncommitted changes; check it out and gate it first"
                )
            return history.load_run(run_id)
        return history.load_run(wanted)


def _commit(revision: str, root: Path) -> str:
    commit = ask_git(root, "rev-parse", "--verify", "--quiet", f"{revision}^{{commit}}")
    if commit is None:
        raise BaselineError(f"--gate-baseline {_COMMIT}{revision}: git knows no such commit in {root}")
    return commit
