"""The verdict says what the exit status says: in the terminal, the report, the history, and to --gate-accept."""

import json

import pytest

ALL = {"france", "italy", "spain", "norway", "peru", "japan", "kenya", "egypt", "cuba", "iran"}
ASKING = "def test_asks(generate): assert generate('What?').text == 'no'"


def with_case(project, write_golden, line):
    """The capitals, with a line added to the case peru."""
    text = (project.pytester.path / "golden_sets/capitals.yaml").read_text()
    write_golden(project.pytester, "capitals", text.replace("id: peru\n", f"id: peru\n    {line}\n"))


def verdict_of(project):
    record = json.loads((project.pytester.path / "g.json").read_text())
    return None if record["verdict"] is None else record["verdict"]["outcome"]


def accepted(project):
    return (project.pytester.path / "baselines/ship.json").exists()


def run(project, *arguments):
    return project.run("--gate-json=g.json", "--gate-accept=ship", "--gate-margin=0.5", *arguments)


def test_a_must_pass_case_that_fails_is_said_everywhere_and_nothing_is_accepted(project, write_golden):
    """Though the baseline fails it too, so that the comparison alone would pass."""
    with_case(project, write_golden, "must_pass: true")
    project.wrong["candidate"] = project.wrong["baseline"] = {"peru"}
    result = run(project)
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert verdict_of(project) == "regress"
    assert not accepted(project)
    result.stdout.fnmatch_lines(
        [
            "*REGRESS*",
            "ERROR: --gate-accept ship: not accepted, because the run is regress (*1 must-pass case did not pass: peru)*",
        ]
    )
    (line,) = [each for each in listed_runs(project) if each]
    assert "regress" in line


def listed_runs(project):
    from harness.history.store import open_history

    with open_history(project.pytester.path / ".tunegate/history.sqlite") as history:
        return [each.verdict for each in history.list_runs()]


def test_a_hand_written_test_of_the_model_that_fails_is_a_regression(project):
    project.pytester.makepyfile(test_hand=ASKING)
    result = run(project, "golden_sets", "test_hand.py")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert verdict_of(project) == "regress"
    assert listed_runs(project) == ["regress"]
    assert not accepted(project)
    result.stdout.fnmatch_lines(["*1 hand-written test of the model failed: test_hand.py::test_asks*"])


@pytest.mark.parametrize(
    "body",
    [
        "def test_asks(wrapped): assert wrapped('What?').text == 'no'",
        "def test_asks(request): assert request.getfixturevalue('generate')('What?').text == 'no'",
        "def test_asks(broken): pass",
        "def test_asks(late): pass",
    ],
    ids=["through a fixture", "at run time", "in the setup", "in the teardown"],
)
def test_however_it_asks_and_whenever_it_fails(project, body):
    project.pytester.makepyfile(
        test_hand=f"""
        import pytest

        @pytest.fixture
        def wrapped(generate):
            return generate

        @pytest.fixture
        def broken(generate):
            raise RuntimeError(generate("What?").text)

        @pytest.fixture
        def late(generate):
            yield
            raise RuntimeError(generate("What?").text)

        {body}
        """
    )
    assert run(project, "golden_sets", "test_hand.py").ret == pytest.ExitCode.TESTS_FAILED
    assert verdict_of(project) == "regress"


def test_a_test_that_asks_no_model_fails_the_session_and_not_the_model(project):
    """Nor does one whose fixture of the same name is the project's own; but nothing is accepted then."""
    project.pytester.makepyfile(
        test_hand="""
        import pytest

        @pytest.fixture
        def model():
            return "mine"

        def test_mine(model):
            assert model == "yours"
        """
    )
    result = run(project, "golden_sets", "test_hand.py")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert verdict_of(project) == "pass"
    assert not accepted(project)
    result.stdout.fnmatch_lines(
        ["ERROR: --gate-accept ship: not accepted, because test_hand.py::test_mine failed*"]
    )


def test_of_several_models_only_the_asked_one_regresses(project, tiny_model_dir, make_tiny_adapter):
    for seed, name in enumerate(("mild", "wild"), start=5):
        make_tiny_adapter(tiny_model_dir, project.pytester.path / name, spread=0.3, seed=seed)
    project.pytester.makepyfile(
        test_hand="def test_asks(generate, model): assert not model.label.endswith('wild')"
    )
    result = project.run(
        *("--model=mild", "--model=wild", "--gate-json=g.json", "--gate-margin=0.5"),
        *("golden_sets", "test_hand.py"),
        model=False,
    )
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    outcomes = {
        name: json.loads((project.pytester.path / f"g-{name}.json").read_text())["verdict"]["outcome"]
        for name in ("mild", "wild")
    }
    assert outcomes == {"mild": "pass", "wild": "regress"}


def test_without_a_baseline_a_must_pass_case_that_fails_is_not_accepted(project, write_golden):
    with_case(project, write_golden, "must_pass: true")
    project.wrong["candidate"] = {"peru"}
    result = run(project, "--gate-baseline=none")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert verdict_of(project) is None
    assert not accepted(project)


@pytest.mark.parametrize("fail_on", ["inconclusive", "case"])
def test_what_fail_on_refuses_is_not_accepted(project, fail_on):
    project.wrong["candidate"] = {"peru"}
    result = project.run("--gate-accept=ship", f"--gate-fail-on={fail_on}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert not accepted(project)
    result.stdout.fnmatch_lines(["ERROR: --gate-accept ship: not accepted, because *"])


def test_without_a_baseline_a_test_of_the_model_that_fails_is_not_accepted(project):
    project.pytester.makepyfile(test_hand=ASKING)
    result = project.run("--gate-accept=ship", "--gate-baseline=none", "golden_sets", "test_hand.py")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert not accepted(project)


def test_a_report_that_breaks_takes_no_verdict_back(project):
    project.pytester.makeconftest(
        "def pytest_tunegate_report(config, record, directory, label): raise KeyError('boom')"
    )
    result = project.run()
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stdout.fnmatch_lines(["*INCONCLUSIVE*", "ERROR: not every report was written: KeyError: 'boom'"])
    assert listed_runs(project) == ["inconclusive"]
