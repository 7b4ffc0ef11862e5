"""Where a run happens: interpreter, platform, free memory, package versions, the project's commit."""

import os
import platform
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import metadata
from itertools import product
from pathlib import Path

from harness.types import Environment

# What can change an answer or a score; the rest of an environment is noise in a manifest.
_PACKAGES = (
    "tunegate",
    "torch",
    "transformers",
    "peft",
    "tokenizers",
    "bitsandbytes",
    "sentence-transformers",
    "bert-score",
    "rouge-score",
    "sacrebleu",
    "nltk",
    "ragas",
)


def describe_environment(root: Path) -> Environment:
    """Facts about this process and the project at ``root``; commit and dirty are None outside git."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    commit = ask_git(root, "rev-parse", "HEAD")
    changes = ask_git(root, *_CHANGES)
    return Environment(
        python=platform.python_version(),
        platform=platform.platform(),
        packages=versions,
        commit=commit,
        dirty=None if commit is None or changes is None else bool(changes),
        author=None if commit is None else ask_git(root, "log", "-1", "--format=%an"),
        subject=None if commit is None else ask_git(root, "log", "-1", "--format=%s"),
        machine=machine_name(),
        branch=None if commit is None else branch_of(root, os.environ),
    )


_GIT_TIMEOUT_S = 10
_CHANGES = ("status", "--porcelain", "--untracked-files=no")

# Where CI services say which branch they run, one that is merged from first: they check out a bare commit.
_BRANCH_VARIABLES = (
    "GITHUB_HEAD_REF",
    "GITHUB_REF_NAME",
    "CI_MERGE_REQUEST_SOURCE_BRANCH_NAME",
    "CI_COMMIT_BRANCH",
)


def branch_of(root: Path, environment: Mapping[str, str]) -> str | None:
    """The checked-out branch; on a bare commit, what a CI service calls it; None if nobody says.

    Args:
        root: The project's directory.
        environment: The process's environment.
    """
    branch = ask_git(root, "symbolic-ref", "--quiet", "--short", "HEAD")
    named = (environment.get(name) for name in _BRANCH_VARIABLES)
    return branch or next((name for name in named if name), None)


def main_branch(root: Path) -> str:
    """The branch that the others come from: the remote's default one, else the usual names."""
    default = ask_git(root, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
    if default:
        return default.removeprefix("origin/")
    usual = ("main", "master", "trunk")
    return next((each for each in usual if ask_git(root, "rev-parse", "--quiet", "--verify", each)), "main")


def git_problem(root: Path) -> str | None:
    """Why git tells nothing about a project that is in a repository, as where the folder is another user's.

    Args:
        root: The project's directory.

    Returns:
        One line; None where git answers, and outside of repositories.
    """
    if not any((folder / ".git").exists() for folder in (root.absolute(), *root.absolute().parents)):
        return None
    try:
        _run_git(root, *_CHANGES)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().partition("\n")[0]
        return said or f"git status failed with {error.returncode}"
    except subprocess.TimeoutExpired:
        return f"git status took more than {_GIT_TIMEOUT_S} s"
    except OSError as error:
        return f"git can't be started: {error.strerror}"
    return None


def machine_name() -> str:
    """The processor, with the number of its cores, and the GPU if this process has used one."""
    processor = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        processor = next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        pass  # another system than Linux, or a processor that it doesn't name
    parts = [f"{processor}, {os.cpu_count()} cores"]
    # torch itself isn't imported for this.
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_initialized():
        parts.append(torch.cuda.get_device_name())
    return "; ".join(parts)


_MEMORY, _CONTAINER = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
_OWN_GROUPS = Path("/proc/self/cgroup")
# A control group's files in version 2 and in version 1.
_CORE_LIMITS = (("cpu.max",), ("cpu.cfs_quota_us", "cpu.cfs_period_us"))
_MEMORY_LIMITS = (
    ("memory.max", "memory.current", "inactive_file"),
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


def _groups(kind: str) -> Iterator[Path]:
    """The control groups that limit this process, its own and those above it.

    Args:
        kind: ``cpu`` or ``memory``: in version 1 each has folders of its own.
    """
    try:
        lines = [line.split(":", 2) for line in _OWN_GROUPS.read_text("utf-8").splitlines()]
    except (OSError, ValueError):
        lines = []
    own = {kinds: path for _, kinds, path in (line for line in lines if len(line) == 3)}
    first = next((path for kinds, path in own.items() if kind in kinds.split(",")), "")
    for root, path in ((_CONTAINER, own.get("", "")), (_CONTAINER / kind, first)):
        steps = [step for step in path.split("/") if step]
        # In a container a path may be one of its host, which is not there; its own group is the root then.
        for depth in range(0 if ".." in steps else len(steps), -1, -1):
            yield root.joinpath(*steps[:depth])


def available_bytes() -> float | None:
    """Free memory in bytes, of the machine or of this process's control groups; None where it is unknown."""
    try:
        lines = dict(line.split(":", 1) for line in _MEMORY.read_text("ascii").splitlines())
        free = float(lines["MemAvailable"].split()[0]) * 1024
    except (OSError, ValueError, KeyError):
        return None
    for group, (limit, held, unused) in product(_groups("memory"), _MEMORY_LIMITS):
        try:
            most, taken = (float((group / name).read_text("ascii")) for name in (limit, held))
            kinds = dict(line.split() for line in (group / "memory.stat").read_text("ascii").splitlines())
            # Pages of files that nobody has used for long are given back where memory is needed.
            free = min(free, max(0.0, most - taken + float(kinds[unused])))
        except (OSError, ValueError, KeyError):  # of the other version, or no limit: "max"
            continue
    return free


def granted_cores() -> int | None:
    """Whole cores whose time this process's control groups grant, at least one; None without a limit."""
    found = []
    for group, names in product(_groups("cpu"), _CORE_LIMITS):
        try:
            quota, period = (
                int(number) for name in names for number in (group / name).read_text("ascii").split()
            )
        except (OSError, ValueError):  # as above
            continue
        if min(quota, period) > 0:
            found.append(max(1, quota // period))
    return min(found, default=None)


def ask_git(root: Path, *arguments: str) -> str | None:
    """Output of a git command; None where there is no git, no repository, or no such thing in it.

    Args:
        root: A directory of the repository.
        arguments: The command, such as ``rev-parse`` and ``HEAD``.
    """
    try:
        said = _run_git(root, *arguments)
    except (OSError, subprocess.SubprocessError):
        return None
    # Git prints a commit's author and subject as they were written, in whatever encoding.
    return said.decode("utf-8", errors="replace").strip()


def _run_git(root: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(root), *arguments]
    return subprocess.run(command, capture_output=True, timeout=_GIT_TIMEOUT_S, check=True).stdout
