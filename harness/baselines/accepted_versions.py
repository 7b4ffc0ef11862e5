"""Earlier versions of a baseline's file in git."""

from pathlib import Path

from harness.baselines.file import (
    DIRECTORY,
    Baseline,
    baseline_path,
    check_name,
    load_baseline,
    read_baseline,
)
from harness.errors import BaselineError
from harness.provenance import ask_git


def accepted_versions(root: Path, name: str) -> list[Baseline]:
    """Every run that was accepted under a name, oldest first; the last one may not be committed yet.

    Outside git, or in a clone without history, it is only the current file.

    Args:
        root: The project's root.
        name: The baseline's name.

    Raises:
        BaselineError: There is no such baseline, or a version of its file is damaged.
    """
    path = baseline_path(root, check_name(name))
    # "./" is relative to the project's root, which may be below the repository's.
    relative = f"./{DIRECTORY}/{path.name}"
    commits = ask_git(root, "log", "--reverse", "--format=%H", "--", relative) or ""
    versions: list[Baseline] = []
    for commit in commits.split():
        # A commit that deleted the file has no version to show.
        if (text := ask_git(root, "show", f"{commit}:{relative}")) is not None:
            versions.append(read_baseline(text, f"{path} of commit {commit[:12]}"))
    if path.is_file():
        versions.append(load_baseline(path))
    if not versions:
        raise BaselineError(f"{path}: no such baseline, now or in git's history; accept a run first")
    # A commit may change the file without changing the accepted run.
    by_run = {version.run_id: version for version in versions}
    return sorted(by_run.values(), key=lambda version: version.accepted_at)
