"""A gate in CI: a line every half a minute, JUnit with the verdict, Ctrl-C says what is kept, no traces of a refusal."""

import os
import signal
import time
from pathlib import Path
from xml.etree import ElementTree

import pytest

ANSWERS = ["france", "italy", "spain", "norway", "peru", "japan", "kenya", "egypt", "cuba", "iran"]


@pytest.fixture
def slow(project, monkeypatch):
    """Each answer takes a while, and a line is due after a fraction of it."""
    monkeypatch.setattr("harness.presentation.stage_lines.EVERY_S", 0.05)
    generate = project.engine.generate

    def slowly(engine, requests, on_batch):
        for place, request in enumerate(requests):
            time.sleep(0.03)
            found = {}
            generate(engine, [request], found.update)
            on_batch({place: found[0]})

    monkeypatch.setattr(project.engine, "generate", slowly)
    return project


def test_a_log_says_how_far_it_is_and_what_is_lost(slow):
    slow.wrong["candidate"] = {"france", "italy"}
    result = slow.run()
    lines = [line for line in result.outlines if line.startswith("tunegate: answering ")]
    assert lines
    assert all("/20" in line for line in lines)
    assert any(" left" in line for line in lines)
    assert lines[-1].endswith(", 2 lost so far")


def test_a_stored_baseline_counts_too(slow):
    slow.run()
    slow.wrong["candidate"] = {"france", "italy"}
    result = slow.run("--gate-baseline=latest", "--gate-no-cache")
    lines = [line for line in result.outlines if line.startswith("tunegate: answering ")]
    assert lines[-1].endswith(", 2 lost so far")


def test_a_quiet_log_stays_quiet(slow):
    assert "answering" not in slow.run("-q").stdout.str()


def test_junit_has_the_verdict_and_each_case(project, monkeypatch):
    project.wrong["candidate"] = {"peru"}
    monkeypatch.setenv("CI_JOB_URL", "https://gitlab.example/a/b/-/jobs/7")
    project.run("--junitxml=j.xml")
    suite = ElementTree.parse(project.pytester.path / "j.xml").getroot().find("testsuite")
    facts = {each.get("name"): each.get("value") for each in suite.find("properties")}
    assert facts["tunegate.verdict"] == "inconclusive"
    assert facts["tunegate.reasons"].startswith("capitals pass-rate is inconclusive")
    assert Path(facts["tunegate.report"]).name == "report.html"
    assert Path(facts["tunegate.report"]).is_file()
    assert facts["tunegate.link"] == "https://gitlab.example/a/b/-/jobs/7"
    named = ("run", "model", "baseline", "verdict", "summary", "reasons", "report", "link")
    assert set(facts) == {f"tunegate.{name}" for name in named}
    assert suite.get("failures") == "0"
    cases = {each.get("name"): each for each in suite.iter("testcase")}
    own = {
        name: {p.get("name"): p.get("value") for p in each.iter("property")} for name, each in cases.items()
    }
    assert own["peru"] == {"tunegate.outcome": "failed", "tunegate.contains": "0"}
    assert own["cuba"] == {"tunegate.outcome": "passed", "tunegate.contains": "1"}
    assert all(float(each.get("time")) >= 0.01 for each in cases.values())


def run_to_interrupt(project, *arguments):
    chosen = ("-p", "no:xdist", f"--model={project.adapter}", "--gate-no-forgetting", *arguments)
    return project.pytester.runpytest_inprocess(*chosen, no_reraise_ctrlc=True)


def test_after_an_interrupt_it_says_what_is_kept_and_goes_on_from_there(project, monkeypatch):
    generate = project.engine.generate

    def interrupted(engine, requests, on_batch):
        generate(engine, requests[:7], on_batch)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(project.engine, "generate", interrupted)
        result = run_to_interrupt(project)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines(
        ["tunegate: interrupted: 7 of 20 answers are kept; the same command continues from them"]
    )
    assert project.run().ret == pytest.ExitCode.OK
    assert len(project.asked) == 20


@pytest.mark.parametrize(
    ("phase", "kept"),
    [
        ("run.generation.open_sides", "interrupted before the first answer"),
        ("run.session.score_cases", "20 of 20 answers are kept"),
        ("plugin.session.conclude_session", "20 of 20 answers are kept"),
        ("plugin.delivery.save", "20 of 20 answers are kept"),
    ],
    ids=["loading", "scoring", "judging", "saving"],
)
@pytest.mark.usefixtures("plain_signals")
def test_an_interrupt_in_any_phase_ends_with_2_and_loses_no_answer(project, monkeypatch, phase, kept):
    def interrupted(*_, **__):
        os.kill(os.getpid(), signal.SIGTERM)  # as CI stops a job; Ctrl-C raises the same

    with monkeypatch.context() as patched:
        patched.setattr(f"harness.{phase}", interrupted)
        result = run_to_interrupt(project)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stdout.fnmatch_lines([f"tunegate: *{kept}*"])
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert project.run().ret == pytest.ExitCode.OK
    assert len(project.asked) == 20


@pytest.mark.parametrize(
    ("hook", "raised", "status"),
    [
        ("pytest_unconfigure(config)", "ValueError('no disk')", 3),
        ("pytest_unconfigure(config)", "KeyboardInterrupt", 2),
        ("pytest_sessionfinish(session)", "SystemExit(0)", 3),
        ("pytest_terminal_summary()", "pytest.fail.Exception('too slow')", 3),
    ],
)
def test_what_breaks_after_the_verdict_is_one_line_and_no_regression(project, hook, raised, status):
    project.pytester.makeconftest(f"import pytest\ndef {hook}:\n    raise {raised}\n")
    result = run_to_interrupt(project)
    assert result.ret == status
    lines = [line for line in (*result.outlines, *result.errlines) if line.startswith("ERROR: ")]
    assert len(lines) == 1
    assert "at the session's end" in lines[0]
    result.stdout.fnmatch_lines(["*INCONCLUSIVE*"])


EARLY_ENDS = {
    "pytest_cmdline_main(config)": "pytest.exit('enough')",
    "pytest_cmdline_main()": "raise SystemExit(0)",
    "pytest_configure()": "pytest.exit('enough', returncode=0)",
    "pytest_configure(config)": "pytest.exit('enough', returncode=1)",
    "pytest_collection(session)": "pytest.exit('enough', returncode=257)",
    "pytest_sessionstart()": "pytest.exit('enough', returncode=False)",
    "pytest_collection_modifyitems()": "pytest.exit('enough', returncode=0)",
    "pytest_runtest_setup()": "pytest.exit('enough', returncode=256)",
    "pytest_runtest_logfinish(nodeid)": "if 'iran' in nodeid: pytest.exit('enough', returncode=0)",
}


@pytest.mark.parametrize("hook", EARLY_ENDS)
def test_what_ends_a_gate_early_makes_no_verdict_of_it(project, hook):
    """Even after the last case."""
    project.pytester.makeconftest(f"import pytest\ndef {hook}:\n    {EARLY_ENDS[hook]}\n")
    result = run_to_interrupt(project, "--gate-accept=ship")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stderr.fnmatch_lines(["tunegate: * ended the session early*"])
    assert not (project.pytester.path / "baselines").exists()


def test_pytest_exit_keeps_another_status_and_nothing_is_accepted(project):
    ended = "if 'iran' in nodeid: pytest.exit('enough', returncode=7)"
    project.pytester.makeconftest(f"import pytest\ndef pytest_runtest_logfinish(nodeid):\n    {ended}\n")
    assert project.run("--gate-accept=ship").ret == 7
    assert not (project.pytester.path / "baselines").exists()


@pytest.mark.parametrize(("asked", "status"), [("'enough'", 2), ("'enough', 1", 2), ("'enough', 7", 7)])
def test_a_conftest_that_ends_pytest_itself_decides_no_verdict(project, asked, status):
    project.pytester.makeconftest(f"import pytest\ndef pytest_cmdline_main(): pytest.exit({asked})\n")
    result = run_to_interrupt(project)
    assert result.ret == status
    result.stderr.fnmatch_lines(["Exit: enough"])


def test_after_the_verdict_a_conftest_that_ends_pytest_is_a_line(project):
    project.pytester.makeconftest(
        "import pytest\n@pytest.hookimpl(wrapper=True, tryfirst=True)\n"
        "def pytest_cmdline_main():\n    yield\n    pytest.exit('enough', 1)\n"
    )
    result = run_to_interrupt(project)
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.stderr.fnmatch_lines(["ERROR: another plugin broke at the session's end: Exit: enough"])


def test_a_conftest_that_collects_nothing_is_no_gate(project):
    project.pytester.makeconftest("def pytest_collection(): return True\n")
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --model: no golden case is selected, so nothing would be gated*"])


FIRST = "import pytest\n@pytest.hookimpl(tryfirst=True)\ndef {}: return {}\n"


@pytest.mark.parametrize("status", [0, 1, "None if config.option.collectonly else 0"])
def test_a_conftest_that_takes_the_place_of_pytest_is_no_gate(project, status):
    project.pytester.makeconftest(FIRST.format("pytest_cmdline_main(config)", status))
    result = project.run()
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["ERROR: --model: nothing was gated: a conftest.py or another plugin ended*"])
    assert project.run("--collect-only").ret == (0 if isinstance(status, str) else status)
    assert project.run("--gate-json=x.json", model=False).ret == (status if isinstance(status, int) else 0)


@pytest.mark.parametrize("hook", ["pytest_runtestloop()", "pytest_runtest_protocol(item)"])
def test_a_conftest_that_runs_no_items_changes_no_verdict(project, hook):
    """The cases are judged, and the run says that the items were not run."""
    project.pytester.makeconftest(FIRST.format(hook, True))
    project.wrong["candidate"] = set(ANSWERS)
    result = project.run("--gate-accept=ship")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*REGRESS*", "tunegate: partial run, left out: 10 cases (capitals 10/10)"])


AROUND = "import pytest\n@pytest.hookimpl(wrapper=True, tryfirst=True)\ndef {}(session):\n    {}\n    {}\n"
FAILING = {
    "at the end": ("pytest_sessionfinish", "yield", "session.exitstatus = 1", 4),
    "before the end": ("pytest_sessionfinish", "session.exitstatus = 1", "yield", 4),
    "ended after it": ("pytest_sessionfinish", "yield", "pytest.exit('enough', 1)", 3),
    "ended before it": ("pytest_sessionfinish", "pytest.exit('enough', 1)", "yield", 3),
    "a rule, as of coverage": ("pytest_runtestloop", "yield", "session.testsfailed += 1", 4),
    "stopped": ("pytest_runtestloop", "session.shouldfail = 'too slow'", "yield", 4),
}


@pytest.mark.parametrize("kind", FAILING)
def test_what_another_plugin_fails_is_no_regression(project, kind):
    """The verdict is said; the status of a regression is for regressions."""
    hook, first, then, status = FAILING[kind]
    project.pytester.makeconftest(AROUND.format(hook, first, then))
    result = project.run("--gate-accept=ship", "--gate-margin=0.5")
    assert result.ret == status
    result.stdout.fnmatch_lines(["*PASS*"])
    lines = [line for line in (*result.outlines, *result.errlines) if "another plugin" in line]
    assert lines
    project.wrong["candidate"] = set(ANSWERS)
    assert project.run("--gate-no-cache").ret == pytest.ExitCode.TESTS_FAILED


@pytest.mark.processes
def test_ctrl_c_while_a_conftest_is_imported_is_an_interruption(project):
    project.pytester.makeconftest("raise KeyboardInterrupt\n")
    result = project.pytester.runpytest_subprocess(f"--model={project.adapter}")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert result.errlines == ["tunegate: interrupted while conftest files were loaded"]


@pytest.mark.processes
def test_a_conftest_that_ends_the_process_is_no_success_of_a_gate(project):
    project.pytester.makeconftest("raise SystemExit(0)\n")
    result = project.pytester.runpytest_subprocess(f"--model={project.adapter}")
    assert result.ret == pytest.ExitCode.INTERRUPTED
    result.stderr.fnmatch_lines(["tunegate: a conftest.py ended pytest by SystemExit(0): exit status 2"])


@pytest.mark.processes
@pytest.mark.parametrize("hook", ["pytest_tunegate_register(reg)", "pytest_tunegate_report(record, other)"])
def test_a_hook_with_a_wrong_argument_is_no_regression(project, hook):
    """Pytest ends with a traceback and status 1."""
    project.pytester.makeconftest(f"def {hook}: ...\n")
    result = project.pytester.runpytest_subprocess(f"--model={project.adapter}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    (line,) = [line for line in result.errlines if line]
    assert line.startswith(f"ERROR: Plugin '{project.pytester.path / 'conftest.py'}' for hook '{hook[:15]}")


@pytest.mark.parametrize("end", ["session.exitstatus = 0", "pytest.exit('green', returncode=0)"])
def test_a_plugin_around_ours_makes_no_success_of_a_regression(project, end):
    project.wrong["candidate"] = set(ANSWERS)
    project.pytester.makeconftest(
        f"""
        import pytest

        @pytest.hookimpl(wrapper=True, tryfirst=True)
        def pytest_sessionfinish(session):
            yield
            {end}
        """
    )
    assert project.run().ret == pytest.ExitCode.TESTS_FAILED


def test_without_a_cache_it_says_that_nothing_is_kept(project, monkeypatch):
    def interrupted(engine, requests, on_batch):
        raise KeyboardInterrupt

    monkeypatch.setattr(project.engine, "generate", interrupted)
    result = run_to_interrupt(project, "--gate-no-cache")
    result.stdout.fnmatch_lines(
        ["tunegate: interrupted at 0 of 20 answers; nothing is kept (--gate-no-cache)"]
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ("--gate-margin=7",),
        ("--gate-golden=nowhere.yaml",),
        ("--gate-baseline=nowhere",),
        ("-k", "nothing-has-this-name"),
        ("--collect-only",),
    ],
)
def test_a_refused_session_leaves_no_directory(project, arguments):
    project.run(*arguments)
    assert not (project.pytester.path / ".tunegate").exists()


@pytest.mark.parametrize(
    "text", ["name: x\n", "name: x\ncases: [{id: a, prompt: p, checks: [{type: llm-rubric, value: good}]}]\n"]
)
def test_a_refused_golden_set_leaves_no_directory(project, pytester, text):
    (pytester.path / "golden_sets" / "more.yaml").write_text(text)
    assert project.run().ret == pytest.ExitCode.USAGE_ERROR
    assert not (pytester.path / ".tunegate").exists()
