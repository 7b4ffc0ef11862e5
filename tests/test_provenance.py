"""Where a run happens: the project's commit with its author and subject, or nothing outside git."""

import subprocess

import pytest

from harness import provenance
from harness.provenance import (
    available_bytes,
    branch_of,
    describe_environment,
    git_problem,
    granted_cores,
    main_branch,
)


def git(root, *arguments):
    identity = ["-c", "user.name=Ada Lovelace", "-c", "user.email=ada@example.org"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


def test_a_commit_has_an_author_and_a_subject(tmp_path):
    git(tmp_path, "init")
    (tmp_path / "file").write_text("one")
    git(tmp_path, "add", "file")
    git(tmp_path, "commit", "-m", "Train on 400 orders\n\nA longer text.")
    seen = describe_environment(tmp_path)
    assert (seen.author, seen.subject, seen.dirty) == ("Ada Lovelace", "Train on 400 orders", False)
    (tmp_path / "file").write_text("two")
    assert describe_environment(tmp_path).dirty


def test_outside_git_nothing_is_known(tmp_path):
    seen = describe_environment(tmp_path)
    assert (seen.commit, seen.author, seen.subject, seen.dirty) == (None, None, None, None)


def test_why_git_tells_nothing_of_a_repository_is_known(tmp_path, monkeypatch):
    """As in a container, whose user is another one than the folder's."""
    assert git_problem(tmp_path) is None
    git(tmp_path, "init")
    assert git_problem(tmp_path) is None
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    (tmp_path / "deep").mkdir()
    assert "detected dubious ownership" in git_problem(tmp_path / "deep")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert git_problem(tmp_path) == "git can't be started: No such file or directory"


def test_a_branch_is_git_s_else_what_the_ci_service_says(tmp_path):
    git(tmp_path, "init", "-b", "topic")
    git(tmp_path, "commit", "--allow-empty", "-m", "one")
    said = {"GITHUB_HEAD_REF": "", "GITHUB_REF_NAME": "7/merge"}
    assert describe_environment(tmp_path).branch == branch_of(tmp_path, said) == "topic"
    git(tmp_path, "checkout", "--detach")
    assert branch_of(tmp_path, {}) is None
    assert branch_of(tmp_path, said) == "7/merge"
    assert branch_of(tmp_path, {**said, "GITHUB_HEAD_REF": "feature"}) == "feature"


def test_the_main_branch_is_the_remote_s_else_the_usual_name(tmp_path):
    git(tmp_path, "init", "-b", "topic")
    git(tmp_path, "commit", "--allow-empty", "-m", "one")
    assert main_branch(tmp_path) == "main"
    git(tmp_path, "branch", "master")
    assert main_branch(tmp_path) == "master"
    git(tmp_path, "symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/develop")
    assert main_branch(tmp_path) == "develop"


def test_free_memory_is_the_machines_or_the_containers(monkeypatch, tmp_path):
    monkeypatch.setattr(provenance, "_MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(provenance, "_CONTAINER", tmp_path)
    monkeypatch.setattr(provenance, "_OWN_GROUPS", tmp_path / "none")
    assert available_bytes() is None
    (tmp_path / "meminfo").write_text("MemTotal:  100 kB\nMemAvailable:   50 kB\n")
    assert available_bytes() == 50 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("30720\n")
    (tmp_path / "memory.stat").write_text("anon 10000\ninactive_file 10240\n")
    assert available_bytes() == 50 * 1024
    (tmp_path / "memory.max").write_text("40960\n")
    assert available_bytes() == 20 * 1024
    (tmp_path / "memory.max").write_text("1024\n")
    assert available_bytes() == 0


def test_a_commit_in_another_encoding_has_a_subject_too(tmp_path):
    """Of imports from older systems; git prints such bytes as they are."""
    git(tmp_path, "init")
    git(tmp_path, "commit", "--allow-empty", "-m", "one")
    command = ["git", "-C", str(tmp_path)]
    content = subprocess.run([*command, "cat-file", "commit", "HEAD"], check=True, capture_output=True).stdout
    raw = content.replace(b"author Ada Lovelace", b"author Jos\xe9").replace(b"one", b"Gr\xfc\xdfe")
    written = [*command, "hash-object", "-t", "commit", "-w", "--stdin"]
    made = subprocess.run(written, input=raw, check=True, capture_output=True).stdout
    git(tmp_path, "update-ref", "HEAD", made.decode().strip())
    seen = describe_environment(tmp_path)
    assert (seen.author, seen.subject) == ("Jos\ufffd", "Gr\ufffd\ufffde")


def test_containers_of_the_first_version_of_control_groups_have_their_limits_elsewhere(monkeypatch, tmp_path):
    monkeypatch.setattr(provenance, "_MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(provenance, "_CONTAINER", tmp_path)
    monkeypatch.setattr(provenance, "_OWN_GROUPS", tmp_path / "none")
    (tmp_path / "meminfo").write_text("MemAvailable:   50 kB\n")
    (tmp_path / "memory").mkdir()
    (tmp_path / "memory/memory.limit_in_bytes").write_text("9223372036854771712\n")
    (tmp_path / "memory/memory.usage_in_bytes").write_text("30720\n")
    (tmp_path / "memory/memory.stat").write_text("inactive_file 1\ntotal_inactive_file 10240\n")
    assert available_bytes() == 50 * 1024
    (tmp_path / "memory/memory.limit_in_bytes").write_text("40960\n")
    assert available_bytes() == 20 * 1024


@pytest.mark.parametrize(
    ("version", "limit", "cores"),
    [
        (2, "200000 100000", 2),
        (2, "50000 100000", 1),
        (2, "250000 100000", 2),
        (2, "max 100000", None),
        (1, "400000 100000", 4),
        (1, "-1 100000", None),
        (1, "0 0", None),
        (0, "", None),
    ],
)
def test_the_cores_that_a_container_may_use(monkeypatch, tmp_path, version, limit, cores):
    monkeypatch.setattr(provenance, "_CONTAINER", tmp_path)
    monkeypatch.setattr(provenance, "_OWN_GROUPS", tmp_path / "none")
    if version == 2:
        (tmp_path / "cpu.max").write_text(limit + "\n")
    elif version == 1:
        (tmp_path / "cpu").mkdir()
        for name, number in zip(("quota", "period"), limit.split(), strict=True):
            (tmp_path / f"cpu/cpu.cfs_{name}_us").write_text(number + "\n")
    assert granted_cores() == cores


@pytest.mark.parametrize("version", [1, 2])
def test_the_least_limit_of_a_process_s_own_group_and_those_above_it_counts(monkeypatch, tmp_path, version):
    """Slurm and systemd limit a group that is no container: the root says nothing of it."""
    monkeypatch.setattr(provenance, "_MEMORY", tmp_path / "meminfo")
    monkeypatch.setattr(provenance, "_CONTAINER", tmp_path)
    monkeypatch.setattr(provenance, "_OWN_GROUPS", tmp_path / "own")
    (tmp_path / "meminfo").write_text("MemAvailable:   90 kB\n")
    if version == 2:
        roots, own = {"cpu": tmp_path, "memory": tmp_path}, "0::/slurm/job_1/step_0\n"
    else:
        roots = {kind: tmp_path / kind for kind in ("cpu", "memory")}
        own = "11:memory:/slurm/job_1/step_0\n4:cpuacct,cpu:/slurm/job_1/step_0\n0::/\n"
    (tmp_path / "own").write_text(own)
    assert (granted_cores(), available_bytes()) == (None, 90 * 1024)
    limits = {"slurm": (8, 70), "slurm/job_1": (3, 40), "slurm/job_1/step_0": (4, 50)}
    for group, (cores, kib) in limits.items():
        for kind in roots:
            (roots[kind] / group).mkdir(parents=True, exist_ok=True)
        cpu, memory = (roots[kind] / group for kind in ("cpu", "memory"))
        if version == 2:
            written = {cpu / "cpu.max": f"{cores}00000 100000\n"}
            names = ("memory.max", "memory.current", "inactive_file")
        else:
            written = {cpu / "cpu.cfs_quota_us": f"{cores}00000\n", cpu / "cpu.cfs_period_us": "100000\n"}
            names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        written[memory / names[0]] = f"{kib * 1024}\n"
        written |= {memory / names[1]: "1024\n", memory / "memory.stat": f"{names[2]} 0\n"}
        for path, text in written.items():
            path.write_text(text)
    assert (granted_cores(), available_bytes()) == (3, 39 * 1024)
    (tmp_path / "own").write_text(own.replace("/slurm", "/../slurm"))
    assert (granted_cores(), available_bytes()) == (None, 90 * 1024)
