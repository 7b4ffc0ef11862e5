"""The verdict decides the exit status: single misses don't, regressions do."""

import pytest

ALL = {"france", "italy", "spain", "norway", "peru", "japan", "kenya", "egypt", "cuba", "iran"}


def test_equal_answers_are_no_regression(project):
    result = project.run()
    result.assert_outcomes(passed=10)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["tunegate: * against *", "*= tunegate =*"])


def test_a_clear_drop_regresses(project):
    """Ten cases lost of ten: exit status 1, and the verdict says so."""
    project.wrong["candidate"] = ALL
    result = project.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*REGRESS*"])
    result.stdout.fnmatch_lines(["*10 missed*"])


def test_cases_that_both_sides_miss_do_not_fail_the_run(project):
    """A missed case is counted as missed, not as failed; the comparison judges."""
    project.wrong["candidate"] = project.wrong["baseline"] = {"peru"}
    result = project.run()
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*9 passed, 1 missed*"])


def test_a_better_candidate_passes(project):
    project.wrong["baseline"] = ALL
    result = project.run()
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*PASS*"])


def test_one_lost_case_of_ten_is_inconclusive(project):
    """One flip proves nothing, and ten cases can't exclude a drop of five points."""
    project.wrong["candidate"] = {"peru"}
    result = project.run()
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*INCONCLUSIVE*"])
    assert project.run("--gate-fail-on=inconclusive").ret == pytest.ExitCode.TESTS_FAILED


def test_fail_on_case_fails_any_failed_case(project):
    project.wrong["candidate"] = project.wrong["baseline"] = {"peru"}
    result = project.run("--gate-fail-on=case")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=9, failed=1)
    result.stdout.fnmatch_lines(
        ["prompt:  What is the capital of peru?", "answer:  I do not know", "failed:*"]
    )


def test_a_must_pass_case_fails_the_run_on_its_own(project, write_golden):
    text = (project.pytester.path / "golden_sets/capitals.yaml").read_text()
    write_golden(project.pytester, "capitals", text.replace("id: peru\n", "id: peru\n    must_pass: true\n"))
    project.wrong["candidate"] = project.wrong["baseline"] = {"peru"}
    result = project.run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=9, failed=1)


def test_without_a_baseline_every_failed_case_fails(project):
    project.wrong["candidate"] = {"peru"}
    result = project.run("--gate-baseline=none")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.assert_outcomes(passed=9, failed=1)
    assert not any(question.startswith("baseline") for question in project.asked)


def test_a_failing_hand_written_test_fails_the_run(project):
    project.pytester.makepyfile(test_hand="def test_one(): assert False")
    assert project.run("test_hand.py", "golden_sets").ret == pytest.ExitCode.TESTS_FAILED


def test_a_case_without_a_verdict_is_unscored(project, write_golden):
    """A graded check without threshold informs; the case is neither passed nor failed."""
    write_golden(
        project.pytester,
        "graded",
        "name: graded\ncases:\n  - {id: free, prompt: Talk, references: [yes indeed], checks: [{type: f1}]}\n",
    )
    result = project.run("golden_sets/graded.yaml")
    result.stdout.fnmatch_lines(["*1 unscored*"])


def test_a_case_whose_score_is_gated_is_graded(project, write_golden):
    """It was counted as unscored in the last line and in the gate's, which its set does not count so."""
    write_golden(
        project.pytester,
        "graded",
        "name: graded\ngate: {metrics: {f1: {margin: 0.5}}}\ncases:\n"
        "  - {id: free, prompt: Talk, references: [yes indeed], checks: [{type: f1}]}\n",
    )
    result = project.run("golden_sets/graded.yaml", "-rs")
    result.stdout.fnmatch_lines(["*1 graded*"])
    assert "unscored" not in result.stdout.str()


@pytest.mark.parametrize("flag", ["--gate-margin=0.5", "--gate-margin=0.9"])
def test_a_wide_margin_turns_inconclusive_into_pass(project, flag):
    project.wrong["candidate"] = {"peru"}
    result = project.run(flag)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*PASS*"])


def test_a_stored_run_can_be_the_baseline(project):
    """--gate-baseline=latest compares with the last stored run and asks no base model."""
    project.run()
    before = len(project.asked)
    project.wrong["candidate"] = ALL
    result = project.run("--gate-baseline=latest", "--gate-no-cache")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert all(question.startswith("candidate") for question in project.asked[before:])


def test_the_loss_on_general_text_alone_does_not_regress(project, write_golden):
    """The cross-entropy change is a tripwire: it makes no regression, and lets no run pass."""
    (project.pytester.path / "golden_sets/general").mkdir()
    (project.pytester.path / "golden_sets/general/g.yaml").write_text(
        "name: g\nprobes_forgetting: true\ncases:\n"
        + "".join(
            f"  - {{id: a{i}, prompt: Say yes {i}, tags: [words], checks: [{{type: contains, value: 'yes'}}]}}\n"
            for i in range(60)
        )
    )
    project.loss["candidate"] = 3.0
    result = project.run(
        "golden_sets/general", f"--model={project.adapter}", "--gate-margin=0.5", forgetting=True
    )
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*INCONCLUSIVE*", "*tripwire: cross-entropy on general text rose by 1.00*"])
