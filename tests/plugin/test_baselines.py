"""--gate-accept writes a file that later sessions, and other clones, compare with."""

import json
import shutil
import subprocess

import pytest

ALL = {"france", "italy", "spain", "norway", "peru", "japan", "kenya", "egypt", "cuba", "iran"}


def accept(project, *arguments):
    return project.run("--gate-accept=shipped", "--gate-accept-reason=first release", *arguments)


def test_an_accepted_run_is_the_baseline_of_later_ones(project):
    """The accepted run answered all; a candidate that loses all regresses against it, though its base is as bad."""
    assert accept(project).ret == pytest.ExitCode.OK
    project.wrong["candidate"] = project.wrong["baseline"] = ALL
    result = project.run("--gate-baseline=shipped", "--gate-no-cache")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["tunegate: * against shipped, accepted ????-??-??: first release*", "*REGRESS*"]
    )


def test_a_clone_without_history_compares_all_the_same(project):
    accept(project)
    shutil.rmtree(project.pytester.path / ".tunegate")
    project.wrong["candidate"] = ALL
    result = project.run("--gate-baseline=shipped")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*capitals pass-rate*1.00*0.00*"])
    assert {question.partition(":")[0] for question in project.asked[20:]} == {"candidate"}
    # Again, now that the history holds what the file told of the accepted run; and a part of the cases.
    assert project.run("--gate-baseline=shipped").ret == pytest.ExitCode.TESTS_FAILED
    assert project.run("--gate-baseline=shipped", "-k", "peru").ret == pytest.ExitCode.OK


def test_the_file_is_small_and_can_be_reviewed(project):
    """One line a case; figures with n and interval; why, when, and what it was computed with."""
    accept(project)
    text = (project.pytester.path / "baselines" / "shipped.json").read_text()
    assert len([line for line in text.splitlines() if line.startswith('    "capitals/')]) == 10
    kept = json.loads(text)
    assert kept["reason"] == "first release"
    assert kept["cases"]["capitals/peru"]["answers"][0][0] == "passed"
    (rate,) = [row["summary"] for row in kept["summaries"] if row["summary"]["metric"] == "pass-rate"]
    assert (rate["n"], rate["mean"]["estimate"]) == (10, 1.0)
    assert "Lima" not in text


def test_a_run_that_regressed_is_not_accepted(project):
    project.wrong["candidate"] = ALL
    result = accept(project)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*--gate-accept shipped: not accepted, because the run is regress (capitals pass-rate fell*runs accept*"
        ]
    )
    assert not (project.pytester.path / "baselines").exists()


def test_a_part_of_the_cases_is_not_accepted(project):
    result = accept(project, "-k", "peru")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(["*INCONCLUSIVE*", "ERROR: *it answered 1 of 10 cases; run all of them*"])


def test_a_name_that_is_taken_by_a_word_is_refused_before_anything_runs(project):
    result = project.run("--gate-accept=base")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert project.opened == []


def test_cases_that_changed_since_are_listed_and_the_others_compared(project, write_golden):
    accept(project)
    text = (project.pytester.path / "golden_sets/capitals.yaml").read_text()
    write_golden(project.pytester, "capitals", text.replace("capital of peru?", "capital city of peru?"))
    result = project.run("--gate-baseline=shipped", "--gate-json=record.json")
    assert result.ret == pytest.ExitCode.OK
    record = json.loads((project.pytester.path / "record.json").read_text())
    assert record["comparison"]["unpaired"] == ["capitals/peru"]
    assert record["comparison"]["metrics"][0]["n"] == 9


def test_cases_that_were_taken_out_since_are_told(project, write_golden):
    """Else a set without its lost cases would pass as if it had never had them. A selection takes none out."""
    accept(project)
    text = (project.pytester.path / "golden_sets/capitals.yaml").read_text()
    selected = project.run("--gate-baseline=shipped", "-k", "peru or japan")
    selected.stdout.no_fnmatch_line("*not compared*")
    write_golden(project.pytester, "capitals", text.partition("  - id: cuba")[0])
    result = project.run("--gate-baseline=shipped", "--gate-json=record.json")
    result.stdout.fnmatch_lines(["* 2 cases are not compared: 2 only in the baseline"])
    record = json.loads((project.pytester.path / "record.json").read_text())
    assert record["comparison"]["unpaired"] == ["capitals/cuba", "capitals/iran"]
    assert record["comparison"]["metrics"][0]["n"] == 8


def test_a_set_that_was_taken_out_since_is_told_and_one_that_is_not_selected_is_not(project, write_golden):
    text = (project.pytester.path / "golden_sets/capitals.yaml").read_text()
    other = write_golden(project.pytester, "more", text.replace("name: capitals", "name: more"))
    accept(project)
    only = "golden_sets/capitals.yaml"
    for selection in ((only,), ("--gate-golden", only), ("-k", "peru")):
        selected = project.run("--gate-baseline=shipped", *selection)
        selected.stdout.no_fnmatch_line("*not compared*")
    other.unlink()
    result = project.run("--gate-baseline=shipped")
    result.stdout.fnmatch_lines(["* 10 cases are not compared: 10 only in the baseline"])


def test_cases_that_were_taken_out_are_told_where_the_base_answers_the_probes(project, write_golden):
    """The base answers no other cases, and is no candidate: that it lacks them is no selection."""
    accept(project, "--gate-golden", "golden_sets/capitals.yaml")
    text = (project.pytester.path / "golden_sets/capitals.yaml").read_text()
    probe = "name: probes\nprobes_forgetting: true\n" + text.partition("\n")[2]
    write_golden(project.pytester, "probes", probe)
    write_golden(project.pytester, "capitals", text.partition("  - id: cuba")[0])
    project.loss["base"] = 2.0
    result = project.run("--gate-baseline=shipped", forgetting=True)
    told = "* 12 cases are not compared: 10 only in the candidate, 2 only in the baseline"
    result.stdout.fnmatch_lines([told, "since base  kept 10 of 10 probes*"])


def test_the_run_of_a_commit_is_found(project):
    """commit:REV is the newest whole run of a commit, without uncommitted changes."""

    def git(*arguments):
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run(
            ["git", *identity, *arguments], cwd=project.pytester.path, check=True, capture_output=True
        )

    git("init", "-q")
    git("add", "golden_sets")
    git("commit", "-qm", "one")
    project.run()
    git("commit", "-qm", "two", "--allow-empty")
    project.wrong["candidate"] = ALL
    result = project.run("--gate-baseline=commit:HEAD~1", "--gate-no-cache")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["tunegate: * against run *", "*REGRESS*"])
    git("commit", "-qm", "three", "--allow-empty")
    missing = project.run("--gate-baseline=commit:HEAD")
    assert missing.ret == pytest.ExitCode.USAGE_ERROR
    missing.stderr.fnmatch_lines(["*no whole run of commit * is stored*"])
    unknown = project.run("--gate-baseline=commit:nowhere")
    unknown.stderr.fnmatch_lines(["*--gate-baseline commit:nowhere: git knows no such commit in*"])
