"""The exit status follows from the verdicts, and from the failures that no comparison judges."""

from types import SimpleNamespace

import pytest

from harness.plugin.delivery import exit_status
from harness.types import (
    CaseResult,
    Finding,
    GateVerdict,
    NothingGatedFinding,
    NoVerdictFinding,
    Outcome,
    Verdict,
)

PASS, REGRESS, INCONCLUSIVE = GateVerdict.PASS, GateVerdict.REGRESS, GateVerdict.INCONCLUSIVE
OK, FAILED, OURS = pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED, pytest.ExitCode.INTERNAL_ERROR


def record(outcome, data=None, *, results=()):
    """A gated run with a verdict; without one where the outcome is None."""
    findings = (Finding(verdict=outcome, data=data or NothingGatedFinding()),)
    verdict = None if outcome is None else Verdict(outcome=outcome, findings=findings)
    return SimpleNamespace(verdict=verdict, run=SimpleNamespace(results=results))


@pytest.mark.parametrize(
    ("verdicts", "fail_on", "tests_failed", "status"),
    [
        ((), "regress", False, OK),
        ((None,), "regress", False, OK),
        ((None,), "regress", True, FAILED),
        ((PASS,), "case", True, FAILED),
        ((PASS,), "regress", False, OK),
        ((PASS,), "regress", True, FAILED),
        ((REGRESS,), "regress", False, FAILED),
        ((PASS, REGRESS), "regress", False, FAILED),
        ((INCONCLUSIVE,), "regress", False, OK),
        ((INCONCLUSIVE,), "case", False, OK),
        ((INCONCLUSIVE,), "inconclusive", False, FAILED),
        ((PASS,), "inconclusive", False, OK),
        ((REGRESS,), "inconclusive", False, FAILED),
    ],
)
def test_it_fails_on_what_it_was_told_to_fail_on(verdicts, fail_on, tests_failed, status):
    records = [record(verdict) for verdict in verdicts]
    assert exit_status(records, fail_on=fail_on, tests_failed=tests_failed) is status


@pytest.mark.parametrize(
    ("outcome", "cases", "verdict", "status"),
    [
        (Outcome.ERRORED, 5, INCONCLUSIVE, OURS),
        (Outcome.ERRORED, 5, REGRESS, FAILED),
        (Outcome.ERRORED, 4, INCONCLUSIVE, OK),
        (Outcome.UNSCORED, 5, INCONCLUSIVE, OK),
    ],
)
def test_a_set_of_which_every_case_errored_has_no_result(outcome, cases, verdict, status):
    data = NoVerdictFinding(side="candidate", outcome=outcome, cases=cases, n=5, tolerated=0.0)
    assert exit_status([record(verdict, data)], fail_on="regress", tests_failed=False) is status


@pytest.mark.parametrize(
    ("must_pass", "outcome", "status"),
    [
        (True, Outcome.FAILED, FAILED),
        (True, Outcome.ERRORED, OURS),
        (True, Outcome.UNSCORED, OK),
        (False, Outcome.FAILED, OK),
    ],
)
def test_without_a_verdict_a_case_that_must_pass_still_decides(must_pass, outcome, status):
    case = SimpleNamespace(must_pass=must_pass, set_name="s", single_checks=(), key="s/a", xfail=None)
    result = CaseResult(case=case, completion=None, outcome=outcome)
    assert exit_status([record(None, results=[result])], fail_on="regress", tests_failed=False) is status


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--gate-json=golden_sets/capitals.yaml"], "capitals.yaml exists and is no report*"),
        (["--gate-json=golden_sets/new.yaml"], "new.yaml would be read as a golden set*"),
        (["--gate-json=x", "--junitxml=x"], "x is also the file of*"),
    ],
)
def test_no_report_takes_the_place_of_an_input_or_of_another_report(project, arguments, line):
    golden = project.pytester.path / "golden_sets/capitals.yaml"
    before = golden.read_text()
    result = project.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: --*: *{line}"])
    assert golden.read_text() == before
    assert not project.opened


def test_a_report_is_written_where_an_option_replaces_a_wrong_key(project):
    """The key is of no account for the gate, so it is of none for its report."""
    project.pytester.makepyprojecttoml("[tool.tunegate]\nmargin = 7\n")
    result = project.run("--gate-margin=0.2", "--gate-report=a.html")
    assert result.ret == 0
    assert (project.pytester.path / "a.html").is_file()
