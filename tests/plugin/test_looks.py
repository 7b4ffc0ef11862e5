"""``--gate-looks`` in a whole session: what is asked, said and stored, and how the session ends."""

import json

import pytest

SET = """\
name: towns
cases:
{cases}"""
CASE = "  - {{id: t{n}, prompt: Say yes to {n}., references: ['yes'], checks: [{{type: exact-match}}]}}\n"
N = 300


@pytest.fixture
def towns(project, write_golden, monkeypatch):
    """Three hundred cases."""
    write_golden(project.pytester, "towns", SET.format(cases="".join(CASE.format(n=n) for n in range(N))))
    monkeypatch.setenv("COLUMNS", "200")
    return project


def run(project, *arguments):
    return project.run("golden_sets/towns.yaml", "--gate-no-forgetting", *arguments)


def test_an_equal_model_is_asked_a_part(towns):
    result = run(towns, "--gate-looks=5", "--gate-json=gate.json")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["*PASS*", "*towns: decided at look 2 of 5, after 120 of 300 cases*"])
    result.assert_outcomes(passed=120, skipped=180)
    assert len(towns.asked) == 2 * 120
    record = json.loads((towns.pytester.path / "gate.json").read_text(encoding="utf-8"))
    (looks,) = record["run"]["looks"]
    assert (looks["look"], looks["planned"], looks["answered"], looks["cases"]) == (2, 5, 120, N)
    (stopped,) = [each for each in record["verdict"]["findings"] if each["data"]["kind"] == "stopped"]
    assert "decided at look 2 of 5" in stopped["sentence"]


def test_a_harmful_model_is_stopped_at_once_and_says_so_later(towns):
    towns.wrong["candidate"] = {f"t{n}" for n in range(0, N, 2)}
    result = run(towns, "--gate-looks=5")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*REGRESS*", "*60 of 300 cases were answered: the gate stopped at look 1 of 5*"]
    )
    shown = towns.pytester.runpython_c("from harness.cli.main import app; app(['runs', 'show', 'latest'])")
    shown.stdout.fnmatch_lines(["*60 of 300 cases*"])
    listed = towns.pytester.runpython_c("from harness.cli.main import app; app(['runs', 'list'])")
    listed.stdout.fnmatch_lines(["*regress*stopped at look 1 of 5*"])


def test_a_set_that_no_look_reached_was_selected_and_left_out(towns):
    """Ten capitals are too few for a look before the last; one that must pass is answered, and not compared."""
    path = towns.pytester.path / "golden_sets" / "capitals.yaml"
    path.write_text(path.read_text().replace("tags: [letter-f]", "must_pass: true", 1))
    towns.wrong["candidate"] = {f"t{n}" for n in range(0, N, 2)}
    result = towns.run("--gate-looks=5", "--gate-json=gate.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        ["*capitals: 0 of 10 cases were answered: the gate stopped at look 1 of 5, since*"]
    )
    result.stdout.no_fnmatch_line("*partial run*")
    record = json.loads((towns.pytester.path / "gate.json").read_text(encoding="utf-8"))
    few = next(each for each in record["run"]["looks"] if each["set_name"] == "capitals")
    assert (few["answered"], few["out_of_turn"]) == (0, ["capitals/france"])
    assert {row["set_name"] for row in record["comparison"]["metrics"]} == {"towns"}
    page = next(towns.pytester.path.glob(".tunegate/runs/*/report.html")).read_text(encoding="utf-8")
    assert "Partial run" not in page
    assert "capitals: 0 of 10 cases" in page


def test_by_default_all_cases_are_answered(towns):
    run(towns).assert_outcomes(passed=N)


def test_a_second_session_asks_nothing_anew(towns):
    run(towns, "--gate-looks=5")
    asked = len(towns.asked)
    run(towns, "--gate-looks=5").assert_outcomes(passed=120, skipped=180)
    assert len(towns.asked) == asked


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--gate-baseline=none"], "*--gate-looks 5: without a baseline there is no verdict to stop at*"),
        (["--gate-accept=new"], "*--gate-accept new: a baseline needs all cases, and --gate-looks 5*"),
        (["--gate-fail-on=case"], "*--gate-fail-on case: each case counts, and --gate-looks 5*"),
        (["--gate-looks=0"], "*looks: found '0' (allowed: a whole number from 1 to 20)*"),
    ],
)
def test_what_needs_all_cases_is_refused(towns, arguments, said):
    result = run(towns, "--gate-looks=5", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([said])
    assert towns.asked == []


def test_the_setting_can_stand_in_the_project(towns):
    towns.pytester.makepyprojecttoml("[tool.tunegate]\nlooks = 5\n")
    run(towns).assert_outcomes(passed=120, skipped=180)


def test_a_stopped_run_is_no_baseline(towns):
    run(towns, "--gate-looks=5")
    result = towns.pytester.runpython_c(
        "from harness.cli.main import app; app(['runs', 'accept', 'latest', 'new', '--reason', 'why'])"
    )
    assert result.ret != 0
    assert "without --gate-looks" in result.stdout.str() + result.stderr.str()


def test_an_interrupt_at_a_later_look_counts_the_answers_of_all(towns, monkeypatch):
    """An equal model needs two looks, each of 60 cases: 7 answers of the second one are there."""
    generate, calls = towns.engine.generate, []

    def interrupted(engine, requests, on_batch):
        calls.append(len(requests))
        if len(calls) == 1:
            return generate(engine, requests, on_batch)
        generate(engine, requests[:7], on_batch)
        raise KeyboardInterrupt

    monkeypatch.setattr(towns.engine, "generate", interrupted)
    chosen = ("-p", "no:xdist", f"--model={towns.adapter}", "--gate-no-forgetting", "--gate-looks=5")
    result = towns.pytester.runpytest_inprocess("golden_sets/towns.yaml", *chosen, no_reraise_ctrlc=True)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert calls == [120, 120]
    result.stdout.fnmatch_lines(["tunegate: interrupted: 127 of 240 answers are kept; *"])
