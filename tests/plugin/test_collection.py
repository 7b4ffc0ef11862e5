"""A missed case failed, and the comparison judges what that means: nothing else counts it as a failure."""

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
