"""Nothing gated is never green, and what a session leaves out of its gate is named."""

import json

import pytest

FAQ = "name: faq\ncases:\n  - {id: affirm, prompt: Say yes, checks: [{type: contains, value: 'yes'}]}\n"
ASKING = "def test_asks(generate): assert generate('What?').text\n"
UNIT = "def test_unit(): pass\n"


def refused(project, result, line):
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (result.stderr if not project.opened else result.stdout).fnmatch_lines(
        [f"ERROR: --model: {line}, so nothing would*"]
    )


@pytest.mark.parametrize(
    "arguments",
    [["test_hand.py"], ["golden_sets", "-k", "nowhere"], ["golden_sets", "test_hand.py", "-k", "test_asks"]],
)
def test_no_golden_case_is_bad_input(project, arguments):
    project.pytester.makepyfile(test_hand=ASKING)
    refused(project, project.run(*arguments), "no golden case is selected")
    assert not project.opened


@pytest.mark.parametrize(
    "arguments",
    [
        ["golden_sets/nope.yaml"],
        ["golden_sets/capitals.yaml::nope"],
        ["golden_sets/capitals.yaml::peru", "golden_sets/capitals.yaml::nope"],
    ],
)
def test_a_mistyped_path_or_node_id_is_named(project, arguments):
    result = project.run(*arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: *not found: *nope*"])
    assert "nothing would be gated" not in result.stderr.str()
    assert not project.opened


def test_cases_that_are_all_skipped_are_no_gate(project, write_golden):
    write_golden(project.pytester, "capitals", FAQ.replace("prompt:", "skip: later, prompt:"))
    refused(project, project.run(), "every selected case is skipped")


def test_cases_that_a_conftest_skips_are_no_gate(project):
    project.pytester.makeconftest(
        "import pytest\ndef pytest_collection_modifyitems(items):\n"
        "    for item in items: item.add_marker(pytest.mark.skip(reason='not today'))\n"
    )
    result = project.run()
    refused(project, result, "every selected case is skipped")


def test_a_listing_of_tests_is_no_gate(project):
    project.pytester.makepyfile(test_hand=ASKING)
    assert project.run("test_hand.py", "--collect-only").ret == pytest.ExitCode.OK
    assert project.run("--fixtures").ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["golden_sets/faq.yaml"], "10 cases (capitals 10/10)"),
        (["golden_sets/capitals.yaml::peru", "golden_sets/faq.yaml"], "9 cases (capitals 9/10)"),
        (["-k", "peru or faq"], "9 cases (capitals 9/10)"),
        (["-m", "letter-i"], "9 cases (capitals 8/10, faq 1/1)"),
        (["--ignore=golden_sets/faq.yaml"], "1 case (faq 1/1)"),
    ],
)
def test_a_part_is_named_and_not_accepted(project, write_golden, arguments, line):
    write_golden(project.pytester, "faq", FAQ)
    result = project.run("--gate-accept=ship", "--gate-margin=0.9", *arguments)
    result.stdout.fnmatch_lines([f"tunegate: partial run, left out: {line}"])
    result.stdout.fnmatch_lines(["ERROR: *can't be accepted as ship: it answered * of 11 cases*"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert not (project.pytester.path / "baselines").exists()


def test_lf_answers_only_what_it_selects(project):
    project.wrong |= {"candidate": {"peru"}, "baseline": {"peru"}}
    project.run()
    before = len(project.asked)
    result = project.run("--lf", "--gate-no-cache")
    assert sorted(project.asked[before:]) == ["baseline:peru", "candidate:peru"]
    result.stdout.fnmatch_lines(["tunegate: partial run, left out: 9 cases (capitals 9/10)"])


def listed(project, *arguments):
    return project.run("--collect-only", "-q", *arguments, forgetting=True).stdout.str()


@pytest.mark.parametrize("arguments", [[], ["golden_sets"], ["."]])
def test_all_golden_sets_bring_the_bundled_probes_however_they_are_named(project, arguments):
    assert "general/" in listed(project, *arguments)


def test_a_folder_of_the_name_general_is_no_probe(project):
    (project.pytester.path / "golden_sets/general").mkdir()
    (project.pytester.path / "golden_sets/general/faq.yaml").write_text(FAQ)
    text = listed(project)
    assert "golden_sets/general/faq.yaml::affirm" in text
    assert "\ngeneral/" in text


def test_a_part_of_the_golden_sets_leaves_the_probes_out_and_says_so(project):
    result = project.run("golden_sets/capitals.yaml::peru", "--collect-only", forgetting=True)
    result.stdout.fnmatch_lines(["tunegate: partial run, left out: * cases (capitals 9/10, *)"])
    assert "::peru" not in listed(project, "-k", "france")


@pytest.fixture
def tested(project):
    """A project whose testpaths hold a unit test and a test of the model."""
    project.pytester.makeini("[pytest]\ntestpaths = tests\n")
    (project.pytester.path / "tests").mkdir()
    (project.pytester.path / "tests/test_hand.py").write_text(ASKING + UNIT)
    return project


def test_tests_of_testpaths_that_ask_the_model_belong_to_the_gate(tested):
    result = tested.run("-v")
    result.assert_outcomes(passed=11, deselected=1)
    result.stdout.fnmatch_lines(["tests/test_hand.py::test_asks PASSED*"])
    assert "left out" not in result.stdout.str()


def test_tests_whose_path_is_given_all_run(tested):
    tested.run("tests", "golden_sets").assert_outcomes(passed=12)


@pytest.mark.parametrize("arguments", [["golden_sets"], ["-k", "not test_asks"]])
def test_own_tests_that_are_left_out_are_named_and_nothing_is_accepted(tested, arguments):
    result = tested.run("--gate-accept=ship", *arguments)
    result.stdout.fnmatch_lines(["tunegate: partial run, left out: tests (tests*)"])
    result.stdout.fnmatch_lines(
        ["ERROR: run * can't be accepted as ship: tests/test_hand.py* was left out of it*"]
    )
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_the_setting_paths_takes_the_place_of_testpaths(tested):
    tested.pytester.makepyprojecttoml("[tool.tunegate]\npaths = []\n")
    tested.run("--gate-json=g.json").assert_outcomes(passed=10)
    assert json.loads((tested.pytester.path / "g.json").read_text())["run"]["collected"] == 10


def test_the_record_names_what_was_left_out(project, write_golden):
    write_golden(project.pytester, "faq", FAQ)
    project.run("-k", "not affirm and not peru", "--gate-json=g.json")
    run = json.loads((project.pytester.path / "g.json").read_text())["run"]
    assert sorted(run["left_out"]) == ["capitals/peru", "faq/affirm"]
    project.run("--gate-json=g.json")
    assert json.loads((project.pytester.path / "g.json").read_text())["run"]["left_out"] == []


def test_tests_that_are_taken_out_after_the_collection_are_left_out(project):
    project.pytester.makepyfile(test_hand=ASKING)
    project.pytester.makeconftest(
        "import pytest\n@pytest.hookimpl(tryfirst=True)\ndef pytest_runtestloop(session):\n"
        "    session.items[:] = [item for item in session.items if 'hand' not in item.nodeid]\n"
    )
    result = project.run("--gate-accept=ship", "--gate-margin=0.5")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(
        ["tunegate: partial run, left out: tests (test_hand.py::test_asks (not run))"]
    )
