"""Where a run happens: the project's commit with its author and subject, or nothing outside git."""

import subprocess

from harness import provenance
from harness.provenance import available_bytes, branch_of, describe_environment, main_branch


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
    git(tmp_path, "-c", "user.name=Jos\udce9", "commit", "--allow-empty", "-m", "Gr\udcfc\udcdfe")
    seen = describe_environment(tmp_path)
    assert (seen.author, seen.subject) == ("Jos\ufffd", "Gr\ufffd\ufffde")
