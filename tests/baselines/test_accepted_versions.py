"""A baseline's earlier versions, as git remembers them."""

import json
import subprocess

import pytest
from typer.testing import CliRunner

from harness.baselines.accept import accept_run
from harness.baselines.accepted_versions import accepted_versions
from harness.cli.main import app
from harness.errors import BaselineError
from harness.studies.trend import trends_of_accepted


def git(root, *arguments):
    person = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", "-C", str(root), *person, *arguments], check=True, capture_output=True)


def accept(root, make_run, make_result, number, passed):
    """Accept a run of 100 cases of which so many passed, at a time of its own."""
    run = make_run(
        [make_result(f"set/{n}", n < passed, scores=[("rouge-l", 0.5)]) for n in range(100)],
        run_id=f"run-{number}",
    )
    path = accept_run(run, "shipped", "why", root)
    facts = json.loads(path.read_text())
    path.write_text(json.dumps({**facts, "accepted_at": f"2026-01-{number:02}T00:00:00+00:00"}))


@pytest.fixture
def project(tmp_path):
    """A project in a folder of a repository."""
    git(tmp_path, "init")
    root = tmp_path / "project"
    root.mkdir()
    # git removes a folder with its last file.
    (root / "README.md").touch()
    return root


def commit(root):
    git(root, "add", "-A")
    git(root, "commit", "-m", "accept")


def test_each_accepted_run_comes_once_oldest_first_and_todays_last(project, make_run, make_result):
    for number, passed in ((1, 95), (2, 94)):
        accept(project, make_run, make_result, number, passed)
        commit(project)
    git(project, "rm", "baselines/shipped.json")
    git(project, "commit", "-m", "without")
    accept(project, make_run, make_result, 3, 93)
    assert [version.run_id for version in accepted_versions(project, "shipped")] == [
        "run-1",
        "run-2",
        "run-3",
    ]


def test_outside_git_there_is_the_file_of_today(tmp_path, make_run, make_result):
    accept(tmp_path, make_run, make_result, 1, 95)
    assert [version.run_id for version in accepted_versions(tmp_path, "shipped")] == ["run-1"]


def test_a_baseline_that_never_was_is_told(project):
    with pytest.raises(BaselineError, match=r"shipped\.json: no such baseline, now or in git's history"):
        accepted_versions(project, "shipped")


def test_a_damaged_version_is_named_with_its_commit(project):
    (project / "baselines").mkdir()
    (project / "baselines" / "shipped.json").write_text("[]")
    commit(project)
    with pytest.raises(BaselineError, match=r"shipped\.json of commit [0-9a-f]{12}: not a baseline"):
        accepted_versions(project, "shipped")


def test_small_losses_that_were_all_accepted_are_noted(project, make_run, make_result, monkeypatch):
    """Only gated metrics are followed: rouge-l is in the files, but not under ``gate.metrics``."""
    for number in range(1, 7):
        accept(project, make_run, make_result, number, 96 - number)
        commit(project)
    (trend,) = trends_of_accepted(accepted_versions(project, "shipped"))
    assert [point.summary.mean.estimate for point in trend.points] == [0.95, 0.94, 0.93, 0.92, 0.91, 0.90]
    monkeypatch.chdir(project)
    shown = CliRunner().invoke(app, ["runs", "trend", "--accepted", "shipped"])
    assert shown.exit_code == 0, shown.output
    assert "set pass-rate drifts down (p=0.0028)" in shown.output
    newest = CliRunner().invoke(app, ["runs", "trend", "--accepted", "shipped", "--limit", "2", "--json"])
    assert [point["run_id"] for point in json.loads(newest.output)[0]["points"]] == ["run-5", "run-6"]
