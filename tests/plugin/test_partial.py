"""A gate of which something said nothing is partial: that is named, stored, and such a run is not accepted."""

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.history.store import open_history

ASKING = "def test_asks(generate): assert generate('What?').text\n"


def stored(project):
    with open_history(project.pytester.path / ".tunegate/history.sqlite") as history:
        (line,) = history.list_runs()
        return line, history.load_run(line.id).left_out


def refused(project):
    """What ``tunegate runs accept`` says of the run."""
    history = str(project.pytester.path / ".tunegate/history.sqlite")
    arguments = [
        "latest",
        "ship",
        "--reason",
        "why",
        "--history",
        history,
        "--root",
        str(project.pytester.path),
    ]
    return str(CliRunner().invoke(app, ["runs", "accept", *arguments]).exception)


@pytest.mark.parametrize(
    ("conftest", "asked"),
    [
        (
            "def pytest_collection_modifyitems(items):\n"
            "    [i.add_marker(pytest.mark.skip) for i in items if i.name == 'peru']",
            9,
        ),
        (
            "def pytest_collection_modifyitems(items):\n"
            "    [i.add_marker(pytest.mark.skipif(True, reason='x')) for i in items if i.name == 'peru']",
            9,
        ),
        ("def pytest_runtest_setup(item):\n    item.name == 'peru' and pytest.skip('not today')", 10),
        ("def pytest_runtest_call(item):\n    item.name == 'peru' and pytest.skip('not today')", 10),
    ],
    ids=["mark", "skipif", "setup", "call"],
)
def test_a_case_that_a_conftest_skips_is_named(project, conftest, asked):
    project.pytester.makeconftest(f"import pytest\n{conftest}\n")
    result = project.run("--gate-accept=ship")
    assert len(project.asked) == 2 * asked
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stdout.fnmatch_lines(
        ["tunegate: partial run, left out: 1 case (capitals 1/10)", "ERROR: *accepted*"]
    )
    line, named = stored(project)
    assert line.partial
    assert named == ("capitals/peru",)
    assert "can't be accepted as ship" in refused(project)


def test_a_run_is_whole_by_what_pytest_collects(project, tmp_path_factory):
    """Not by an editor's copies; also by what is behind a link; and a path below another counts once."""
    sets, shared = project.pytester.path / "golden_sets", tmp_path_factory.mktemp("shared")
    (sets / ".ipynb_checkpoints").mkdir()
    (sets / ".ipynb_checkpoints/capitals-checkpoint.yaml").write_text((sets / "capitals.yaml").read_text())
    (sets / ".#capitals.yaml").symlink_to("nobody@nowhere.1")
    faq = "name: faq\ncases:\n  - {id: affirm, prompt: Say yes, checks: [{type: contains, value: 'yes'}]}\n"
    (shared / "faq.yaml").write_text(faq)
    (sets / "shared").symlink_to(shared)
    twice = ("--gate-golden=golden_sets", "--gate-golden=golden_sets/capitals.yaml")
    project.run(*twice).assert_outcomes(passed=11)
    line, named = stored(project)
    assert (line.partial, line.collected, named) == (False, 11, ())
    result = project.run("-k", "not affirm")
    result.stdout.fnmatch_lines(["tunegate: partial run, left out: 1 case (faq 1/1)"])


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("import pytest\n@pytest.mark.skip\n" + ASKING, "test_hand.py::test_asks (skipped)"),
        (
            "import pytest\ndef test_asks(generate): pytest.skip('later')\n",
            "test_hand.py::test_asks (skipped)",
        ),
        (
            "import pytest\n@pytest.mark.xfail\ndef test_asks(generate): assert 0",
            "test_hand.py::test_asks (xfailed)",
        ),
        (ASKING.replace("generate", "judge"), "test_hand.py::test_asks (skipped)"),
    ],
    ids=["mark", "call", "xfail", "no judge"],
)
def test_a_test_of_the_model_that_says_nothing_is_named(project, text, named):
    project.pytester.makepyfile(test_hand=text)
    result = project.run("golden_sets", "test_hand.py", "--gate-accept=ship")
    result.stdout.fnmatch_lines([f"tunegate: partial run, left out: tests ({named})"])
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert stored(project)[1] == (named,)
    assert f"{named} was left out of it; run the whole gate" in refused(project)


FAILS = "def test_unit(): assert 0\n"


@pytest.mark.parametrize(
    ("text", "arguments", "status"),
    [
        (FAILS, ["-x"], 1),
        (FAILS, ["--maxfail=1"], 1),
        ("import pytest\ndef test_unit(): pytest.exit('enough')\n", [], 2),
        ("import pytest\ndef test_unit(): pytest.exit('enough', returncode=0)\n", [], 2),
        ("import pytest\ndef test_unit(): pytest.exit('enough', returncode=7)\n", [], 7),
        ("def test_unit(request): request.session.shouldstop = 'enough'\n", [], 2),
    ],
    ids=["-x", "--maxfail", "exit", "exit 0", "exit 7", "shouldstop"],
)
def test_a_session_that_ends_early_says_its_verdict_and_is_partial(project, text, arguments, status):
    project.pytester.makepyfile(test_hand=text + ASKING)
    result = project.run("golden_sets", "test_hand.py", "--gate-accept=ship", *arguments)
    assert result.ret == status
    result.stdout.fnmatch_lines(
        ["*INCONCLUSIVE*", "*left out: tests (test_hand.py::test_asks (not run))", "ERROR: *"]
    )
    line, named = stored(project)
    assert line.partial
    assert named == ("test_hand.py::test_asks (not run)",)
    assert "was left out of it" in refused(project)


@pytest.mark.parametrize("missing", ["terminal", "capture", "junitxml", "cacheprovider", "skipping"])
def test_a_session_without_a_plugin_of_pytest_s_has_a_verdict(project, missing):
    result = project.run("-p", f"no:{missing}", "--gate-json=g.json")
    assert result.ret == pytest.ExitCode.OK
    assert (project.pytester.path / "g.json").exists()
    shown = result.stdout.str().lower()
    assert shown.count("inconclusive") >= 1


def test_a_problem_is_said_without_a_terminal_reporter(project):
    result = project.run("-p", "no:terminal", "-k", "peru", "--gate-accept=ship")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: run * can't be accepted as ship: *"])


@pytest.mark.parametrize(("error", "status"), [("OSError(28, 'No space left')", 4), ("KeyError('x')", 3)])
def test_another_plugin_that_breaks_at_the_end_takes_no_verdict(project, error, status):
    project.pytester.makeconftest(f"def pytest_sessionfinish(): raise {error}")
    result = project.run()
    assert result.ret == status
    result.stdout.fnmatch_lines(["*INCONCLUSIVE*", "ERROR: another plugin broke at the session's end: *"])
