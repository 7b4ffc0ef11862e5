"""A missed case failed, and the comparison judges what that means: nothing else counts it as a failure."""

from collections import Counter

import pytest

BOTH = {"italy", "peru"}


@pytest.fixture
def missing(project):
    """Both sides miss two of the ten cases."""
    project.wrong |= {"candidate": BOTH, "baseline": BOTH}
    return project


@pytest.mark.parametrize("flag", ["-x", "--maxfail=1", "--reruns=3", "--exitfirst"])
def test_nothing_stops_for_it_or_runs_it_again(missing, flag):
    if flag.startswith("--reruns"):
        pytest.importorskip("pytest_rerunfailures")
    result = missing.run(flag)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*8 passed, 2 missed in*"])
    assert "rerun" not in result.stdout.str()


def test_x_stops_for_a_must_pass_case(missing, write_golden):
    text = (missing.pytester.path / "golden_sets/capitals.yaml").read_text()
    write_golden(
        missing.pytester, "capitals", text.replace("id: italy\n", "id: italy\n    must_pass: true\n")
    )
    result = missing.run("-x")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*stopping after 1 failures*", "*1 failed, 1 passed in*"])


def test_junit_has_no_failure_for_it(missing):
    missing.run("--junitxml=j.xml")
    text = (missing.pytester.path / "j.xml").read_text()
    assert 'failures="0"' in text
    assert text.count('message="missed: contains') == 2


@pytest.mark.parametrize(("flag", "listed"), [("-rA", True), ("-rx", True), ("-rf", False)])
def test_it_is_listed_where_expected_failures_are(missing, flag, listed):
    text = missing.run(flag).stdout.str()
    assert ("MISSED golden_sets/capitals.yaml::peru - contains" in text) is listed


def test_its_reason_is_its_last_failed_check_whatever_is_in_the_text(missing, write_golden):
    """A value with line ends and colons does not cut the line."""
    text = (missing.pytester.path / "golden_sets/capitals.yaml").read_text()
    check = 'checks: [{type: contains}, {type: contains, value: "see:\\nnote: ${a: b}"}]'
    write_golden(missing.pytester, "capitals", text.replace("checks: [{type: contains}]", check))
    lines = missing.run("-rx").stdout.lines
    assert (
        "MISSED golden_sets/capitals.yaml::peru - contains: 'see:\\nnote: ${a: b}' is missing from the answer"
        in lines
    )


def test_lf_selects_it_until_it_passes(missing):
    missing.run()
    missing.run("--lf", "--collect-only", "-q").stdout.fnmatch_lines(
        ["*::italy", "*::peru", "2 tests collected*"]
    )
    missing.wrong |= {"candidate": {"peru"}}
    missing.run("--lf", "--gate-no-cache")
    missing.run("--lf", "--collect-only", "-q").stdout.fnmatch_lines(["*::peru", "1 test collected*"])


def test_fail_on_case_makes_it_a_failure(missing):
    result = missing.run("--gate-fail-on=case", "-x")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*stopping after 1 failures*"])


def kept_phases(config):
    """How many reports of setup, call and teardown the terminal keeps."""
    reports = [
        each for kind in config.pluginmanager.get_plugin("terminalreporter").stats.values() for each in kind
    ]
    return Counter(each.when for each in reports if isinstance(each, pytest.TestReport))


class KeptReports:
    """Notes at the end of a session what the terminal keeps."""

    def pytest_sessionfinish(self, session):
        self.phases = kept_phases(session.config)


@pytest.mark.parametrize(
    ("flags", "phases"),
    [((), {"call": 10}), (("--durations=3",), {"setup": 10, "call": 10, "teardown": 10})],
)
def test_reports_that_only_a_list_of_durations_shows_are_kept_for_it_alone(missing, flags, phases):
    """Those of setup and teardown take more memory than the cases and answers of a large set."""
    kept = KeptReports()
    options = ["-p", "no:xdist", f"--model={missing.adapter}", "--gate-no-forgetting", *flags]
    missing.pytester.inline_run(*options, plugins=[kept])
    assert kept.phases == phases


def test_a_broken_setup_is_kept_and_told(missing):
    """Such as that of a fixture which a conftest file uses everywhere."""
    missing.pytester.makeconftest("import pytest\n@pytest.hookimpl\ndef pytest_runtest_setup(item): 1 / 0\n")
    missing.run().assert_outcomes(errors=10)
