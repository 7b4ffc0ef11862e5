"""Several models in one session: an item a case and model, one batch, a verdict each, and a ranking."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from harness.cli.main import app

ALL = {"france", "italy", "spain", "norway", "peru", "japan", "kenya", "egypt", "cuba", "iran"}
MILD, WILD, BASELINE = "candidate-1", "candidate-2", "baseline"


@pytest.fixture
def adapters(project, tiny_model_dir, make_tiny_adapter, monkeypatch):
    """A directory of two adapters; the project's sessions gate them unless a test names others."""
    for seed, name in enumerate(("mild", "wild"), start=5):
        make_tiny_adapter(tiny_model_dir, project.pytester.path / "adapters" / name, spread=0.3, seed=seed)
    project.loss |= {MILD: 2.0, WILD: 2.0}
    monkeypatch.setenv("COLUMNS", "120")
    return project.pytester.path / "adapters"


@pytest.fixture
def run(project, adapters):
    """Runs pytest with both models, or with those that are given."""

    def start(*arguments, models=("adapters/mild", "adapters/wild"), **rest):
        return project.run(*(f"--model={model}" for model in models), *arguments, model=False, **rest)

    return start


def refused(project, result, line):
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([line])
    assert result.stderr.str().count("ERROR") == 1
    assert project.opened == []


def test_each_case_is_an_item_for_each_model(run):
    result = run("--collect-only", "-q")
    result.stdout.fnmatch_lines(
        [
            "golden_sets/capitals.yaml::france?mild?",
            "golden_sets/capitals.yaml::france?wild?",
            "20 tests collected*",
        ]
    )


@pytest.mark.parametrize(
    "arguments",
    [["--model=adapters"], ["--model=adapters", "--model=adapters/wild"]],
    ids=["directory", "overlap"],
)
def test_a_directory_stands_for_the_adapters_in_it_each_once(project, adapters, arguments):
    result = project.run(*arguments, "--collect-only", "-q", model=False)
    result.stdout.fnmatch_lines(["*::france?mild?", "*::france?wild?", "20 tests collected*"])


def test_models_of_one_name_are_told_apart_by_their_parents(run, adapters):
    (adapters.parent / "old").mkdir()
    (adapters / "mild").rename(adapters.parent / "old" / "wild")
    result = run("--collect-only", "-q", models=("adapters/wild", "old/wild"))
    result.stdout.fnmatch_lines(["*::france?adapters/wild?", "*::france?old/wild?"])


def test_a_directory_with_one_adapter_is_one_model(project, adapters):
    """Its cases keep the names that they have with a single model."""
    (adapters / "wild").rename(adapters.parent / "elsewhere")
    result = project.run("--model=adapters", "--collect-only", "-q", model=False)
    result.stdout.fnmatch_lines(["golden_sets/capitals.yaml::france", "10 tests collected*"])


def test_all_are_answered_on_one_engine_and_the_baseline_once(project, run):
    result = run()
    result.assert_outcomes(passed=20)
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["tunegate: 2 models (mild, wild) against *, float32 on cpu"])
    assert len(project.opened) == 1
    assert project.opened[0].plan.mixed
    assert sorted(project.asked) == sorted(
        f"{side}:{case}" for side in (MILD, WILD, BASELINE) for case in ALL
    )


def test_the_ranking_names_who_regressed_and_why(project, run):
    """The regressed model fails the session, stands last, and its first reason and both reports are told."""
    project.wrong |= {MILD: ALL, BASELINE: {"peru"}}
    result = run()
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(
        [
            "*= tunegate =*",
            "2 models against *; gain over n=10 cases; intervals at 90%*",
            "model *verdict *task gain *probes kept *run*",
            "wild *inconclusive *+0.10 ?*?* * ????????-??????-????*",
            "mild *regress *-0.90 ?*?*????????-??????-????*",
            "• mild: capitals pass-rate fell: 0.900 → 0.000*",
            "report: wild: *report.html",
            "report: mild: *report.html",
        ]
    )
    result.stdout.fnmatch_lines(["*10 passed, 10 missed*"])


def test_names_stay_whole_where_a_line_is_short(run, monkeypatch):
    """The runs then have lines of their own."""
    monkeypatch.setenv("COLUMNS", "66")
    lines = [
        "wild  *inconclusive *",
        "mild  *inconclusive *",
        "• wild: run ????????-*",
        "• mild: run ????????-*",
    ]
    run().stdout.fnmatch_lines_random(lines)


def test_the_failure_says_which_model_it_was(project, run):
    project.wrong[WILD] = {"peru"}
    result = run("--gate-fail-on=case")
    result.stdout.fnmatch_lines(["*capitals/peru?wild?*", "answer:  I do not know", "FAILED *::peru?wild?*"])


def test_each_run_is_kept_and_has_its_own_report(project, run, adapters):
    result = run("--gate-report=out.html", "--gate-json=out.json")
    result.stdout.fnmatch_lines(["report: mild: *out-mild.html", "report: mild: *out-mild.json"])
    records = [json.loads((adapters.parent / f"out-{name}.json").read_text()) for name in ("mild", "wild")]
    assert [record["run"]["model"]["label"] for record in records] == ["adapters/mild", "adapters/wild"]
    assert (adapters.parent / "out-wild.html").is_file()
    # The first gate's run can be a baseline afterwards: it is in the history.
    later = run(f"--gate-baseline={records[0]['run']['id']}")
    later.stdout.fnmatch_lines([f"tunegate: 2 models (mild, wild) against run {records[0]['run']['id']}*"])


def test_each_is_judged_at_its_share_of_the_level(project, run):
    """Four lost of ten are a regression for a model that is gated alone, and not yet beside another."""
    lost = {"france", "italy", "spain", "norway"}
    project.wrong |= {"candidate": lost, MILD: lost}
    assert project.run().ret == pytest.ExitCode.TESTS_FAILED
    result = run("--gate-json=out.json")
    assert result.ret == pytest.ExitCode.OK
    record = json.loads((project.pytester.path / "out-mild.json").read_text())
    # A pass is a claim about one model alone: its interval is that of a single gate.
    assert record["comparison"]["metrics"][0]["drop"]["confidence"] == pytest.approx(0.9)
    result.stdout.fnmatch_lines(["mild *inconclusive*"])


def test_fail_on_inconclusive_counts_for_any_of_them(project, run):
    project.wrong[WILD] = {"peru"}
    assert run().ret == pytest.ExitCode.OK
    assert run("--gate-fail-on=inconclusive", "--gate-margin=0.8").ret == pytest.ExitCode.OK
    assert run("--gate-fail-on=inconclusive").ret == pytest.ExitCode.TESTS_FAILED


def test_k_answers_the_selected_cases_of_the_selected_models(project, run):
    """What isn't selected isn't generated; the baseline answers what any of them is asked."""
    result = run("-k", "(france and mild) or italy")
    result.assert_outcomes(passed=3, deselected=17)
    assert sorted(project.asked) == [
        "baseline:france",
        "baseline:italy",
        f"{MILD}:france",
        f"{MILD}:italy",
        f"{WILD}:italy",
    ]
    result.stdout.fnmatch_lines(
        ["2 models against *; gain over n=1–2 cases*", "• wild: 1 of 10 cases: 1 passed"]
    )


def test_a_model_that_is_selected_alone_is_gated_alone(project, run):
    """At the whole level, with the whole section of a single gate."""
    project.wrong[WILD] = ALL
    result = run("-k", "wild", "--gate-json=out.json")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    result.stdout.fnmatch_lines(["*REGRESS*adapters/wild against *", "lost cases (10)"])
    record = json.loads((project.pytester.path / "out-wild.json").read_text())
    assert record["comparison"]["metrics"][0]["drop"]["confidence"] == pytest.approx(0.9)
    assert not any(question.startswith(MILD) for question in project.asked)


def test_lf_reruns_what_each_model_missed(project, run):
    project.wrong |= {MILD: {"peru"}, WILD: {"cuba"}}
    run()
    run("--lf", "--collect-only", "-q").stdout.fnmatch_lines(
        ["*::peru?mild?", "*::cuba?wild?", "2 tests collected*"]
    )


def test_a_node_id_selects_a_case_of_one_model_or_of_all(run):
    run("golden_sets/capitals.yaml::peru[wild]").assert_outcomes(passed=1)
    run("golden_sets/capitals.yaml::peru").assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("flag", "line"),
    [
        ("--gate-accept=shipped", "ERROR: --gate-accept shipped: *tunegate runs accept RUN shipped*"),
        ("--gate-confirm=3", "ERROR: --gate-confirm 3: resamples for one model at a time*"),
        ("--gate-baseline=none", "ERROR: --gate-baseline none: several models are ranked by what they gain*"),
        ("--model=nowhere", "ERROR: *no model 'nowhere'*"),
    ],
)
def test_what_has_no_meaning_for_several_is_refused_in_one_line(project, run, flag, line):
    refused(project, run(flag), line)


def test_models_that_share_no_base_need_a_baseline(project, run, tiny_model_dir, make_tiny_adapter, tmp_path):
    from transformers import AutoModelForCausalLM

    other = shutil.copytree(tiny_model_dir, tmp_path / "other_base")
    model = AutoModelForCausalLM.from_pretrained(other)
    model.lm_head.weight.data.mul_(2.0)
    model.save_pretrained(other)
    stranger = make_tiny_adapter(other, tmp_path / "stranger", spread=0.3)
    result = run(f"--model={stranger}")
    refused(project, result, "ERROR: the models share no base (*): name one for all with --gate-baseline")
    result = run(f"--model={stranger}", f"--gate-baseline={tiny_model_dir}")
    result.assert_outcomes(passed=30)


def test_the_variable_and_the_project_file_name_several(project, adapters, monkeypatch):
    project.pytester.makepyprojecttoml("[tool.tunegate]\nmodel = ['adapters/mild', 'adapters/wild']\n")
    project.run(model=False).assert_outcomes(passed=20)
    monkeypatch.setenv("TUNEGATE_MODEL", json.dumps(["adapters/wild", "adapters/mild"]))
    result = project.run("--collect-only", "-q", model=False)
    result.stdout.fnmatch_lines(["*::france?wild?", "*::france?mild?"])
    project.run("--model=adapters/mild", model=False).assert_outcomes(passed=10)


def test_a_stored_run_is_the_baseline_of_all(project, run):
    project.run()
    before = len(project.asked)
    project.wrong[WILD] = ALL
    result = run("--gate-baseline=latest", "--gate-no-cache")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert {question.partition(":")[0] for question in project.asked[before:]} == {MILD, WILD}
    result.stdout.fnmatch_lines(["mild *+0.00*", "wild *regress *-1.00*"])


def test_an_accepted_run_is_the_baseline_of_all(project, run):
    project.run("--gate-accept=shipped", "--gate-accept-reason=first")
    result = run("--gate-baseline=shipped")
    assert result.ret == pytest.ExitCode.OK
    result.stdout.fnmatch_lines(["tunegate: 2 models (mild, wild) against shipped, accepted *"])


def test_another_adapter_is_the_baseline_of_all_and_the_base_is_asked_for_the_probes(project, run, adapters):
    """What each forgot since the base is in its record."""
    (adapters.parent / "golden_sets/general").mkdir()
    (adapters.parent / "golden_sets/general/g.yaml").write_text(
        "name: g\nprobes_forgetting: true\ncases:\n"
        + "".join(
            f"  - {{id: a{n}, prompt: Say yes {n}, tags: [words], checks: [{{type: contains, value: 'yes'}}]}}\n"
            for n in range(60)
        )
    )
    project.loss |= {"base": 2.0}
    project.wrong[WILD] = {f"a{n}" for n in range(6)}
    result = run(f"--gate-baseline={project.adapter}", "--gate-json=out.json", forgetting=True)
    of_base = [question for question in project.asked if question.startswith("base:")]
    assert sorted(of_base) == sorted(f"base:a{n}" for n in range(60))
    record = json.loads((adapters.parent / "out-wild.json").read_text())
    assert record["comparison"]["forgetting_since_base"]["overall"]["retained"] == 54
    result.stdout.fnmatch_lines(["*kept of n=60 probes*", "mild *100% ?*?* [*] *", "wild *90% ?*?*"])


JUDGED = """\
name: judged
defaults:
  checks: [{type: llm-rubric, value: "Names the capital."}]
cases:
"""


@pytest.fixture
def judged(project, write_golden, judge_server, monkeypatch):
    """A set of a judge's checks only, and a judge that fails who doesn't know."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    cases = "".join(f"  - {{id: {id}, prompt: What is the capital of {id}?}}\n" for id in sorted(ALL))
    write_golden(project.pytester, "judged", JUDGED + cases)
    judge_server.answer = lambda body: {
        "reason": "read it",
        "pass": "do not know" not in body["messages"][1]["content"].rpartition("Answer to judge:")[2],
    }
    return project


def test_a_judge_decides_for_all_of_them(judged, run, judge_server):
    """Answers that are equal are judged once, whoever gave them."""
    judged.wrong[WILD] = ALL
    result = run("golden_sets/judged.yaml", f"--gate-judge={judge_server.spec}")
    assert result.ret == pytest.ExitCode.TESTS_FAILED
    assert len(judge_server.bodies) == 20
    result.stdout.fnmatch_lines(
        ["• wild: judged pass-rate fell*", "judge:  openai:scripted@*", "*20 requests*"]
    )


def test_a_missing_judge_is_told_before_a_model_loads(judged, run):
    refused(judged, run("golden_sets/judged.yaml"), "*llm-rubric needs a judge: give --gate-judge (10 of*")


def test_an_unreliable_judge_is_refused_before_a_model_loads(judged, run, judge_server):
    from harness.judge.calibration import Calibration
    from harness.judge.trust import save_calibration
    from harness.run.cache import Cache
    from harness.run.judging import open_panel
    from harness.settings import Settings

    with Cache(None) as cache, open_panel(Settings(judge=(judge_server.spec,)), cache) as panel:
        found = Calibration(
            judge=panel.identity, prompts={}, labelled={}, items=40, measures=(), reasons=("kappa 0.1",)
        )
    save_calibration(found, judged.pytester.path / ".tunegate")
    result = run("golden_sets/judged.yaml", f"--gate-judge={judge_server.spec}")
    refused(judged, result, "*UNRELIABLE: kappa 0.1; llm-rubric of judged/*")


def test_a_judge_that_breaks_leaves_its_cases_errored_and_that_is_told(judged, run, judge_server):
    judge_server.answer = lambda body: "no idea"
    result = run("golden_sets/judged.yaml", f"--gate-judge={judge_server.spec}", "-k", "peru or cuba")
    assert result.ret == pytest.ExitCode.INTERNAL_ERROR
    result.assert_outcomes(deselected=16)
    result.stdout.fnmatch_lines(["*16 deselected, 4 errored in*"])
    result.stdout.fnmatch_lines(["• baseline: *2 errored", "• mild: *2 errored", "• wild: *2 errored"])


def test_hand_written_tests_run_for_each_model(project, run):
    project.pytester.makepyfile(
        test_hand="""
        def test_one(generate, model):
            assert generate("What?", max_new_tokens=5).text == "yes"
            assert model.label.endswith(("mild", "wild"))

        def test_two(golden):
            assert len(golden("golden_sets/capitals.yaml").cases) == 10
        """
    )
    result = run("test_hand.py", "golden_sets", "-v")
    result.assert_outcomes(passed=23)
    result.stdout.fnmatch_lines_random(["*::test_one?mild? PASSED*", "*::test_one?wild? PASSED*"])
    asked = [each for each in project.asked if "generate" in each]
    assert sorted(asked) == [f"{MILD}:generate", f"{WILD}:generate"]
    assert len(project.opened) == 2


def test_a_project_s_own_fixture_named_model_is_left_alone(project, run):
    project.pytester.makepyfile(
        test_hand="""
        import pytest

        @pytest.fixture
        def model():
            return "mine"

        def test_one(model):
            assert model == "mine"
        """
    )
    run("test_hand.py", "golden_sets").assert_outcomes(passed=21)


def test_a_fixture_that_is_asked_for_at_run_time_fails_with_one_line(project, run):
    """Which model it would be can't be told then."""
    project.pytester.makepyfile(test_hand="def test_one(request): request.getfixturevalue('generate')")
    result = run("test_hand.py", "golden_sets")
    result.assert_outcomes(errors=0, failed=1, passed=20)
    result.stdout.fnmatch_lines(["*2 models are gated: name generate or model among the test's arguments*"])


@pytest.mark.parametrize("looks", [1, 2])
def test_the_evidence_of_each_model_is_replayed_at_its_part_of_the_level(project, run, looks):
    """Seven lost cases regress by themselves, and at half the level too; five only by themselves."""
    project.wrong[MILD], project.wrong[WILD] = set(sorted(ALL)[:5]), set(sorted(ALL)[:7])
    run("--gate-json=g.json", f"--gate-looks={looks}")
    files = sorted(project.pytester.path.glob("g-*.json"))
    verdicts = [json.loads(each.read_text())["verdict"]["outcome"] for each in files]
    done = CliRunner().invoke(app, ["verify", *map(str, files), "--root", str(project.pytester.path)])
    assert done.exit_code == 1, done.output
    said = [line for line in done.output.splitlines() if line.startswith("20 scores")]
    assert all("0 differences" in line for line in said)
    assert [line.rpartition(" ")[2] for line in said] == verdicts
    assert "regress" in verdicts
    refused = CliRunner().invoke(app, ["verify", *map(str, files), "--accept", "x"])
    assert "are for one file" in str(refused.exception)
