"""Options and settings that do nothing: each case where that is so, in a whole session, and one where not."""

import pytest

from harness.engines.open import describe_model
from harness.history.store import open_history
from harness.run.session import metric_facts
from harness.types import Stability

JUDGED = "cases: [{id: one, prompt: Say yes., checks: [{type: llm-rubric, value: Says yes.}]}]\n"
YES = "{{id: c{n}, prompt: Say yes to {n}., references: ['yes'], checks: [{{type: exact-match}}]}}"
MANY = "cases:\n" + "".join(f"  - {YES.format(n=n)}\n" for n in range(120))
CASES = "".join(MANY.splitlines(keepends=True)[:13])
GRADED = (
    "gate: {metrics: {levenshtein: {margin: 0.3}}}\n"
    "cases: [{id: one, prompt: Say yes., references: ['yes'], checks: [{type: levenshtein}]}]\n"
)


@pytest.fixture
def sets(project, write_golden, monkeypatch):
    """Sets of all kinds, of which a test chooses."""
    monkeypatch.setenv("COLUMNS", "200")
    for name, text in {
        "plain": CASES,
        "many": MANY,
        "drawn": f"generation: {{temperature: 1}}\n{CASES}",
        "own": f"gate: {{population: cases}}\n{CASES}",
        "probes": f"probes_forgetting: true\n{CASES}",
        "graded": GRADED,
        "graded_probes": f"probes_forgetting: true\n{GRADED}",
        "judged": JUDGED,
        "timed": f"gate: {{metrics: {{latency: {{margin: 9}}}}}}\ndefaults: {{checks: [{{type: latency}}]}}\n{CASES}",
    }.items():
        write_golden(project.pytester, name, f"name: {name}\n{text}")
    return project


def run(sets, chosen, *arguments):
    """A part of the sets, so that the bundled probes are not asked."""
    return sets.run(f"golden_sets/{chosen}.yaml", *arguments, forgetting=True)


NONE = "--gate-baseline=none"


@pytest.mark.parametrize(
    ("chosen", "arguments", "said"),
    [
        ("plain", [NONE, "--gate-confirm=2"], "--gate-confirm (there is no baseline)"),
        (
            "plain",
            [NONE, "--gate-margin=.1", "--gate-forgetting-margin=.1"],
            "--gate-margin, --gate-forgetting-margin (there is no baseline)",
        ),
        ("probes", ["--gate-margin=.1"], "--gate-margin (no task set has a case that passes or fails)"),
        ("graded", ["--gate-margin=.1"], "--gate-margin (no task set has a case that passes or fails)"),
        ("plain", ["--gate-forgetting-margin=.1"], "--gate-forgetting-margin (no set probes forgetting)"),
        (
            "graded_probes",
            ["--gate-forgetting-margin=.1"],
            "--gate-forgetting-margin (no probe passes or fails)",
        ),
        ("graded", ["--gate-confirm=2"], "--gate-confirm (no case passes or fails)"),
        ("plain", ["--gate-confirm=2"], "--gate-confirm (greedy answers in float32 come out the same again)"),
        ("own", ["--gate-looks=3"], "--gate-looks (each set is answered at once)"),
        ("plain", ["--gate-looks=3"], "--gate-looks (each set is answered at once)"),
        (
            "plain",
            ["--gate-server-concurrency=2", "--gate-server-timeout=9", "--gate-server-prices=1/2"],
            "--gate-server-concurrency, --gate-server-timeout, --gate-server-prices "
            "(no model is behind a server)",
        ),
        (
            "plain",
            ["--gate-judge-concurrency=2", "--gate-judge-timeout=9", "--gate-judge-prices=1/2"],
            "--gate-judge-concurrency, --gate-judge-timeout, --gate-judge-prices (no judge is named)",
        ),
        (
            "plain",
            ["--gate-judge=openai:m@http://127.0.0.1:9/v1", "--gate-judge-timeout=9"],
            "--gate-judge, --gate-judge-timeout (no check or test asks a judge)",
        ),
        ("plain", ["--gate-allow-python"], "--gate-allow-python (no check runs a function of this project)"),
        ("plain", ["--gate-allow-code"], "--gate-allow-code (no check runs code that a model writes)"),
        (
            "plain",
            ["--gate-device=cuda", "--gate-workers=2"],
            "--gate-workers (one process answers, unless a base and its adapters answer on a CPU)",
        ),
        (
            "timed",
            ["--gate-workers=2"],
            "--gate-workers (a set gates a time, so nothing computes beside what is timed)",
        ),
    ],
    ids=str,
)
def test_what_does_nothing_is_said(sets, chosen, arguments, said):
    result = run(sets, chosen, *arguments)
    result.stdout.fnmatch_lines([f"tunegate: without effect: {said}"])
    assert result.ret == pytest.ExitCode.OK


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([NONE, "--gate-fail-on=inconclusive"], "--gate-fail-on: has no effect: without a baseline no*"),
        (["--gate-accept-reason=why"], "--gate-accept-reason: has no effect: no run is accepted*"),
        (["--gate-accept-dirty"], "--gate-accept-dirty: has no effect: no run is accepted*"),
        (
            ["--gate-engine=vllm", "--gate-server=http://127.0.0.1:9/v1", "--gate-server-args=--seed 1"],
            "--gate-server-args: has no effect: the server of --gate-server is running*",
        ),
        (
            ["--gate-engine=ray+vllm", "--gate-workers=2"],
            "--gate-workers: has no effect: each node of the Ray cluster asks the one server that it starts*",
        ),
    ],
    ids=str,
)
def test_what_contradicts_the_rest_is_refused(sets, arguments, said):
    result = run(sets, "plain", *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*{said}"])
    assert sets.asked == []


@pytest.mark.parametrize(
    ("chosen", "arguments"),
    [
        ("drawn", ["--gate-confirm=2"]),
        ("plain", ["--gate-confirm=2", "--gate-dtype=bfloat16"]),
        ("many", ["--gate-margin=.9", "--gate-looks=3", "--gate-fail-on=inconclusive"]),
        ("probes", ["--gate-forgetting-margin=.1"]),
        ("plain", ["--gate-device=cpu", "--gate-workers=2", "--gate-batch-tokens=999", "--co"]),
        ("plain", [NONE, "--gate-fail-on=case", "--gate-confirm=0"]),
    ],
    ids=str,
)
def test_what_acts_is_not_mentioned(sets, chosen, arguments):
    result = run(sets, chosen, *arguments)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*without effect*")


FIXED = """
import hashlib

from harness.registry import EngineKind
from harness.types import ModelRef


def describe(reference):
    sha256 = hashlib.sha256(reference.encode()).hexdigest()
    return ModelRef(label=reference, base_model=reference, base_sha256=sha256)


def pytest_tunegate_register(registry):
    registry.add(EngineKind(name="fixed", summary="s", describe=describe, open=describe))
"""


def test_answers_of_a_plug_in_reproduce_by_the_same_rule(sets):
    """One rule for what passes exactly its own cases at once, and for what new answers can't confirm."""
    sets.pytester.makeconftest(FIXED)

    def gate(chosen, *arguments):
        models = ["--model=fixed:new", "--gate-baseline=fixed:old", "--gate-confirm=2"]
        of_set = f"golden_sets/{chosen}.yaml"
        return sets.pytester.runpytest_inprocess("-p", "no:xdist", of_set, *models, *arguments)

    said = "tunegate: without effect: --gate-confirm (greedy answers in float32 come out the same again)"
    found = gate("own")
    found.stdout.fnmatch_lines([said, "*PASS*fixed:new against fixed:old*"])
    for chosen, arguments in (("own", ["--gate-dtype=bfloat16"]), ("drawn", [])):
        gate(chosen, *arguments).stdout.no_fnmatch_line("*without effect: --gate-confirm*")
    sets.wrong["candidate"] = {f"c{n}" for n in range(12)}
    lost = gate("plain", "--gate-no-cache")
    lost.stdout.fnmatch_lines([said, "*REGRESS*"])


def test_a_judge_that_is_asked_acts(sets, judge_server, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    judge_server.answer = lambda body: {"reason": "read it", "pass": True}
    options = [f"--gate-judge={judge_server.spec}", "--gate-judge-timeout=9", "--gate-confirm=2"]
    result = run(sets, "judged", *options)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*without effect*")


@pytest.mark.parametrize(
    "test",
    [
        "def test_it(judge):\n    assert judge",
        "def test_it(generate, request):\n    assert request.getfixturevalue('judge')",
        "import pytest\n@pytest.fixture\ndef grade(judge):\n    return judge\n"
        "def test_it(model, grade):\n    assert grade",
    ],
    ids=["directly", "at run time", "by a fixture"],
)
def test_a_test_that_asks_a_judge_counts(sets, judge_server, test):
    (sets.pytester.path / "golden_sets" / "judged.yaml").unlink()
    path = sets.pytester.makepyfile(test_it=test)
    result = run(sets, "plain", path, f"--gate-judge={judge_server.spec}")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*without effect*")


def test_a_judge_on_this_machine_has_no_timeout(sets, tiny_model_dir):
    options = [f"--gate-judge=local:{tiny_model_dir}", "--gate-judge-timeout=9", "--co"]
    result = run(sets, "judged", *options)
    result.stdout.fnmatch_lines(
        ["tunegate: without effect: --gate-judge-timeout (the judge answers on this machine)"]
    )


def test_a_server_decides_how_it_computes(pytester, write_golden, judge_server):
    write_golden(pytester, "plain", f"name: plain\n{CASES}")
    judge_server.answer = lambda body: "yes"
    options = ["--gate-dtype=bfloat16", "--gate-device=cpu", "--gate-workers=2", "--gate-batch-tokens=99"]
    model = f"--model=openai:m@{judge_server.url}"
    result = pytester.runpytest_inprocess("-p", "no:xdist", model, "--gate-no-forgetting", *options)
    assert result.ret == pytest.ExitCode.OK
    named = "--gate-dtype, --gate-device, --gate-workers, --gate-batch-tokens"
    result.stdout.fnmatch_lines([f"tunegate: without effect: {named} (the server decides)"])


def test_a_server_loads_its_models_itself(pytester, write_golden, judge_server):
    write_golden(pytester, "plain", f"name: plain\n{CASES}")
    judge_server.answer = lambda body: "yes"
    options = ["--gate-no-forgetting", "--gate-baseline=none", "--gate-weights=nf4"]
    result = pytester.runpytest_inprocess("-p", "no:xdist", f"--model=openai:m@{judge_server.url}", *options)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    said = "--gate-weights: has no effect: whoever runs the model loads it: a server is started with*"
    result.stderr.fnmatch_lines([f"*{said}"])


def test_heads_have_no_template(pytester, write_golden, tiny_multitask_dir):
    case = "{id: room, prompt: book the room, references: [book], checks: [{type: f1}]}"
    write_golden(pytester, "desk", f"name: desk\ngeneration: {{task: intent}}\ncases: [{case}]\n")
    options = ['--gate-chat-template-kwargs={"a": 1}', "--co"]
    result = pytester.runpytest_inprocess("-p", "no:xdist", f"--model={tiny_multitask_dir}", *options)
    result.stdout.fnmatch_lines(
        ["tunegate: without effect: --gate-chat-template-kwargs (multi-task models have no chat template)"]
    )


def test_a_standing_setting_is_for_the_whole_gate(sets, monkeypatch):
    """It may act on what this session leaves out; it refuses nothing."""
    sets.pytester.makepyprojecttoml('[tool.tunegate]\nforgetting-margin = 0.2\naccept-reason = "nightly"\n')
    monkeypatch.setenv("TUNEGATE_ACCEPT_DIRTY", "true")
    result = run(sets, "plain")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*without effect*margin*")
    result.stdout.fnmatch_lines(
        [
            "tunegate: without effect: accept_reason of [[]tool.tunegate], TUNEGATE_ACCEPT_DIRTY "
            "(no run is accepted: give --gate-accept=NAME)"
        ]
    )


def test_a_misspelt_variable_is_said(sets, monkeypatch):
    monkeypatch.setenv("TUNEGATE_CONFRIM", "3")
    monkeypatch.setenv("TUNEGATE_OF_OUR_OWN", "3")
    result = run(sets, "plain")
    result.stdout.fnmatch_lines(
        ["tunegate: without effect: TUNEGATE_CONFRIM (did you mean TUNEGATE_CONFIRM[?])"]
    )
    result.stdout.no_fnmatch_line("*OF_OUR_OWN*")


@pytest.mark.parametrize("named", [["golden_sets/plain.yaml"], ["tests", "-k", "not test_it"]], ids=str)
def test_a_standing_judge_is_for_the_tests_that_a_session_leaves_out(project, write_golden, named):
    project.pytester.makepyprojecttoml('[tool.tunegate]\njudge = "openai:m@http://127.0.0.1:9/v1"\n')
    write_golden(project.pytester, "plain", f"name: plain\n{CASES}")
    (project.pytester.mkdir("tests") / "test_tone.py").write_text("def test_it(judge):\n    assert judge\n")
    result = project.run("golden_sets/plain.yaml", *named)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.no_fnmatch_line("*without effect*")
    typed = project.run("golden_sets/plain.yaml", *named, "--gate-judge=openai:m@http://127.0.0.1:9/v1")
    typed.stdout.fnmatch_lines(["tunegate: without effect: --gate-judge (no check or test asks a judge)"])


def test_a_margin_of_a_set_that_only_grades_is_said(project, write_golden):
    (project.pytester.path / "golden_sets" / "capitals.yaml").unlink()
    graded = GRADED.splitlines(keepends=True)[1]
    write_golden(project.pytester, "graded", f"name: graded\ngate: {{margin: 0}}\n{graded}")
    project.run().stdout.fnmatch_lines(
        ["tunegate: without effect: gate.margin of graded (no case passes or fails: give a check*"]
    )


def test_graded_answers_of_its_own_cases_that_do_not_reproduce_are_said(sets, write_golden):
    own = GRADED.replace("gate: {", "gate: {population: cases, ")
    write_golden(sets.pytester, "own_graded", f"name: own_graded\n{own}")
    said = "tunegate: without effect: gate.population: cases of own_graded (for its metrics: graded*"
    run(sets, "own_graded").stdout.no_fnmatch_line(said)
    run(sets, "own_graded", "--gate-dtype=bfloat16").stdout.fnmatch_lines([said])


KEYS = f"gate: {{max_regressed: 0, margin: 0.1}}\n{CASES}"


def test_keys_of_sets_that_do_nothing_are_said(sets, write_golden):
    write_golden(sets.pytester, "keys", f"name: keys\n{KEYS}")
    result = run(sets, "keys")
    result.stdout.fnmatch_lines(
        ["tunegate: without effect: gate.max_regressed of keys (each case is answered*"]
    )
    result.stdout.no_fnmatch_line("*without effect*gate.margin*")


def test_a_noise_record_makes_regressed_cases_testable(sets, write_golden):
    write_golden(sets.pytester, "keys", f"name: keys\n{KEYS}")
    run(sets, "keys")
    with open_history(sets.pytester.path / ".tunegate" / "history.sqlite") as history:
        gated = history.load_run("latest")
        stability = {each.case.key: Stability(passed=5, answers=5) for each in gated.results}
        cases = [each.case for each in gated.results]
        model = describe_model(gated.model.base_model)
        history.save_noise(model, gated.plan.dtype, cases, stability, metric_facts)
    run(sets, "keys").stdout.no_fnmatch_line("*without effect*")


def test_a_noise_record_may_show_that_answers_do_not_reproduce(sets):
    confirming = "tunegate: without effect: --gate-confirm*"
    for passed, acts in ((5, False), (3, True)):
        run(sets, "plain")
        with open_history(sets.pytester.path / ".tunegate" / "history.sqlite") as history:
            gated = history.load_run("latest")
            cases = [each.case for each in gated.results]
            stability = {each.key: Stability(passed=passed, answers=5) for each in cases}
            model = describe_model(gated.model.base_model)
            history.save_noise(model, gated.plan.dtype, cases, stability, metric_facts)
        shown = run(sets, "plain", "--gate-confirm=2").stdout
        shown.no_fnmatch_line(confirming) if acts else shown.fnmatch_lines([confirming])


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["--gate-margin=.1"], pytest.ExitCode.OK),
        (["--gate-accept=new"], pytest.ExitCode.USAGE_ERROR),
        (["--gate-baseline=new"], pytest.ExitCode.USAGE_ERROR),
        (["--gate-fail-on=inconclusive"], pytest.ExitCode.USAGE_ERROR),
        (["--gate-accept=new", "--co"], pytest.ExitCode.OK),
    ],
    ids=str,
)
def test_without_a_model_options_of_a_gate_do_nothing(sets, arguments, status):
    result = sets.run(*arguments, model=False, forgetting=True)
    name = arguments[0].partition("=")[0]
    assert result.ret == status
    assert f"{name} has no effect without --model" in result.stdout.str() + result.stderr.str()


def test_options_of_the_project_need_no_model(sets):
    sets.pytester.makeini("[pytest]\naddopts = --gate-accept=new\n")
    assert sets.run("--gate-golden=golden_sets/plain.yaml", model=False).ret == pytest.ExitCode.OK
