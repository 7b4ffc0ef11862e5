"""Golden cases are pytest items: every way of selecting items selects cases."""

import os

import pytest


def test_each_case_is_an_item_under_its_file(project):
    result = project.run("--collect-only", "-q")
    result.stdout.fnmatch_lines(["golden_sets/capitals.yaml::france", "10 tests collected*"])
    assert not project.opened


def test_k_answers_only_the_selected_cases(project):
    """What isn't selected isn't generated, and the run is marked partial."""
    result = project.run("-k", "france or italy")
    result.assert_outcomes(passed=2, deselected=8)
    assert sorted(project.asked) == [
        "baseline:france",
        "baseline:italy",
        "candidate:france",
        "candidate:italy",
    ]


def test_m_selects_by_tag_and_by_set(project):
    """Tags are markers, known even under --strict-markers."""
    project.run("-m", "letter-i", "--strict-markers").assert_outcomes(passed=2, deselected=8)
    project.run("-m", "capitals and not letter-i").assert_outcomes(passed=8, deselected=2)


def test_a_node_id_selects_one_case(project):
    project.run("golden_sets/capitals.yaml::peru").assert_outcomes(passed=1)
    assert sorted(project.asked) == ["baseline:peru", "candidate:peru"]


def test_all_selected_cases_are_answered_in_one_go(project):
    """One engine is opened, and it is asked everything before the first item ends."""
    project.run().assert_outcomes(passed=10)
    assert len(project.opened) == 1
    assert len(project.asked) == 20


def test_lf_reruns_the_missed_cases(project):
    project.wrong["candidate"] = {"peru", "cuba"}
    project.wrong["baseline"] = {"peru", "cuba"}
    project.run()
    project.run("--lf", "--collect-only", "-q").stdout.fnmatch_lines(
        ["*::peru", "*::cuba", "2 tests collected*"]
    )


def test_a_skipped_case_is_not_answered(project, write_golden):
    text = (project.pytester.path / "golden_sets/capitals.yaml").read_text()
    write_golden(
        project.pytester, "capitals", text.replace("id: peru\n", "id: peru\n    skip: no longer asked\n")
    )
    result = project.run("-rs")
    result.assert_outcomes(passed=9, skipped=1)
    result.stdout.fnmatch_lines(["*no longer asked"])
    assert "candidate:peru" not in project.asked
    # It is in the run as skipped: leaving it out on purpose doesn't make the run a partial one.
    assert "partial run" not in result.stdout.str()


def test_an_expected_failure_is_not_a_failure(project, write_golden):
    text = (project.pytester.path / "golden_sets/capitals.yaml").read_text()
    write_golden(
        project.pytester, "capitals", text.replace("id: peru\n", "id: peru\n    xfail: still learning\n")
    )
    project.wrong["candidate"] = {"peru"}
    project.run().assert_outcomes(passed=9, xfailed=1)
    # Nor is a pass of it, also where the project's own tests may not pass by surprise.
    project.wrong["candidate"].clear()
    project.pytester.makeini("[pytest]\nxfail_strict = true\n")
    result = project.run("--gate-no-cache")
    result.assert_outcomes(passed=9, xpassed=1)
    assert result.ret == pytest.ExitCode.OK


def test_without_a_model_cases_are_skipped_with_a_reason(project):
    result = project.run("-rs", model=False)
    result.assert_outcomes(skipped=10)
    result.stdout.fnmatch_lines(["*no --model given"])
    result.stdout.no_fnmatch_line("*tunegate*=*")


def test_a_project_without_golden_sets_does_not_notice(pytester):
    """No line of output names the plugin."""
    pytester.makepyfile("def test_one(): pass")
    result = pytester.runpytest_inprocess()
    result.assert_outcomes(passed=1)
    result.stdout.no_fnmatch_line("tunegate*")
    result.stdout.no_fnmatch_line("*= tunegate =*")


def test_a_model_collects_the_golden_sets_only(project):
    """Unit tests of the project aren't run by a gate unless they are asked for."""
    project.pytester.makepyfile(test_unit="def test_one(): pass")
    project.run().assert_outcomes(passed=10)
    project.run("test_unit.py", "golden_sets").assert_outcomes(passed=11)


def test_paths_of_pyproject_are_run_along(project):
    project.pytester.makepyprojecttoml("[tool.tunegate]\npaths = ['test_unit.py']\n")
    project.pytester.makepyfile(test_unit="def test_one(): pass")
    project.run().assert_outcomes(passed=11)


def test_gate_golden_replaces_the_default_place(project, write_golden):
    path = write_golden(project.pytester, "capitals", "")
    path.rename(project.pytester.path / "other.yaml").write_text(
        "name: other\ncases:\n  - {id: yes, prompt: Say yes, checks: [{type: contains, value: 'yes'}]}\n".replace(
            "id: yes", "id: affirm"
        )
    )
    project.run("--gate-golden=other.yaml").assert_outcomes(passed=1)


@pytest.mark.parametrize("named", [".", "other.yaml"])
def test_golden_sets_may_be_outside_the_project(project, tmp_path, named):
    (tmp_path / "other.yaml").write_text(
        "name: other\ncases:\n  - {id: a, prompt: Say yes, checks: [{type: contains, value: 'yes'}]}\n"
    )
    outside = os.path.relpath(tmp_path / named, project.pytester.path)
    assert outside.startswith("..")
    project.run(f"--gate-golden={outside}").assert_outcomes(passed=1)


def test_the_bundled_probes_are_added_by_default(project):
    """Without --gate-no-forgetting a project's gate asks the general probes too."""
    result = project.pytester.runpytest_inprocess(
        "-p", "no:xdist", f"--model={project.adapter}", "--collect-only", "-q"
    )
    result.stdout.fnmatch_lines(["general/*.yaml::*"])


def test_a_judge_s_labelled_items_are_no_golden_sets(project):
    directory = project.pytester.path / "golden_sets" / "judge"
    directory.mkdir()
    (directory / "mine.yaml").write_text("name: mine\nlabelled_by: me\nitems: []\n")
    project.run().assert_outcomes(passed=10)


OTHER_PLUGIN = """
import pytest

@pytest.hookimpl({when}=True)
def pytest_configure(config):
    config.addinivalue_line("markers", "timeout(seconds): stop the test after so many seconds")

def pytest_runtest_setup(item):
    for marker in item.iter_markers("timeout"):
        marker.args[0]
"""
TAGGED = """\
name: flaky
cases:
  - {id: one, prompt: Say yes., tags: [timeout, polite], checks: [{type: contains, value: "yes"}]}
  - {id: two, prompt: Say yes again., tags: [team], checks: [{type: contains, value: "yes"}]}
"""


@pytest.mark.parametrize("when", ["tryfirst", "trylast"])
def test_a_tag_that_is_another_plugin_s_marker_is_left_to_that_plugin(project, write_golden, when):
    """The other plugin would act on it; -k finds it anyway, -m the tags that are ours or the project's."""
    project.pytester.makepyfile(other=OTHER_PLUGIN.format(when=when))
    project.pytester.syspathinsert()
    # Who uses --strict-markers may declare another plugin's markers too.
    project.pytester.makeini(
        "[pytest]\nmarkers =\n    team: cases and tests of the team\n    timeout: theirs\n"
    )
    write_golden(project.pytester, "flaky", TAGGED)
    arguments = ("-p", "other", "--strict-markers", "golden_sets/flaky.yaml")
    project.run(*arguments).assert_outcomes(passed=2)
    project.run(*arguments, "-k", "timeout").assert_outcomes(passed=1, deselected=1)
    project.run(*arguments, "-m", "polite").assert_outcomes(passed=1, deselected=1)
    project.run(*arguments, "-m", "team").assert_outcomes(passed=1, deselected=1)
    project.run(*arguments, "-m", "flaky and golden").assert_outcomes(passed=2)


def test_an_opening_bracket_in_a_path_is_no_parameter(tmp_path):
    """A project in such a directory is gated from inside; else pytest would collect nothing from the path."""
    from types import SimpleNamespace

    from harness.plugin.selection import _argument

    here, project = (
        tmp_path / "x[1]",
        SimpleNamespace(invocation_params=SimpleNamespace(dir=tmp_path / "x[1]")),
    )
    assert _argument(f"{here}/-sets/g.yaml", project) == "./-sets/g.yaml"
    assert _argument(f"{here}/tests/test_a.py::test_b[1]", project) == "./tests/test_a.py::test_b[1]"
    assert _argument("/plain/test_a.py::test_b[1]", project) == "/plain/test_a.py::test_b[1]"
    with pytest.raises(
        pytest.UsageError, match=r"y\[2\]/g.yaml: pytest collects nothing from a path with an opening"
    ):
        _argument(f"{here}/y[2]/g.yaml", project)
