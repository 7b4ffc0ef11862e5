"""Where a run happens: the project's commit with its author and subject, or nothing outside git."""

import subprocess

from harness.provenance import describe_environment


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
