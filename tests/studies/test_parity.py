"""One adapter computed in several ways: what changes is told with its size."""

import time
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.engines.open import describe_model
from harness.engines.served.next_token import NextToken
from harness.golden.load import load_golden_set
from harness.presentation.boundary import run_process
from harness.run import generation
from harness.studies import parity
from harness.studies.parity import _compared, _PlanAnswers, measure_parity
from harness.studies.parity_plans import check_plans, split_plans
from harness.types import GateSettings, GateVerdict, MustPassFinding, Outcome, Repeat

CASES = "\n".join(
    f"  - {{id: c{n}, prompt: what is w{n}, checks: [{{type: regex, value: 'w'}}]}}" for n in range(8)
)


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """Answers are kept in the project's folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def golden(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(f"name: small\ngeneration: {{max_new_tokens: 4}}\ncases:\n{CASES}\n")
    return path


def test_merging_in_float32_changes_rounding_only_and_four_bits_change_more(tiny_adapter_dir, golden):
    model, sets = describe_model(str(tiny_adapter_dir)), [load_golden_set(golden)]
    found = measure_parity(model, ["peft", "merged", "nf4", "bf16"], sets, lambda *_: None)
    merged, nf4, half = found[:3]
    assert merged.same_text.estimate == 1.0
    assert merged.flips is not None
    assert merged.flips.estimate == 0.0
    assert 0 < merged.largest_logprob_change < 1e-3
    assert nf4.largest_logprob_change > 100 * merged.largest_logprob_change
    assert half.largest_logprob_change > merged.largest_logprob_change
    assert [(pair.against, pair.plan) for pair in found] == [
        ("peft", "merged"),
        ("peft", "nf4"),
        ("peft", "bf16"),
        ("merged", "nf4"),
        ("merged", "bf16"),
        ("nf4", "bf16"),
    ]
    assert found[3].largest_logprob_change == pytest.approx(nf4.largest_logprob_change, rel=0.05)


def test_a_server_of_the_same_weights_is_at_par(tiny_model_dir, tiny_adapter_dir, golden, start_app):
    url = start_app(tiny_model_dir, [tiny_adapter_dir], runtime_adapters=True)
    model, sets = describe_model(str(tiny_adapter_dir)), [load_golden_set(golden)]
    served, base = f"openai:{tiny_adapter_dir.name}@{url}", f"openai:{tiny_model_dir.name}@{url}"
    names = check_plans(split_plans(f"peft, {served},vllm:{url},{base}"))
    found = measure_parity(model, names, sets, lambda *_: None, with_noise=True)
    same = [pair for pair in found if base not in (pair.plan, pair.against)]
    assert [(pair.plan, pair.against, pair.is_noise) for pair in same] == [
        (served, "peft", False),
        (f"vllm:{url}", "peft", False),
        (f"vllm:{url}", served, False),
        (served, served, True),
        (f"vllm:{url}", f"vllm:{url}", True),
    ]
    for pair in same:
        assert (pair.same_text.estimate, pair.flips.estimate) == (1.0, 0.0)
        assert pair.is_noise or pair.largest_logprob_change < 1e-3
    # Another model is not.
    (other,) = [pair for pair in found if (pair.plan, pair.against) == (base, "peft")]
    assert other.same_text.estimate < 1.0
    assert other.largest_logprob_change > 0.1


def test_servers_without_log_probabilities_are_compared_by_answers(tiny_adapter_dir, golden, judge_server):
    judge_server.answer = lambda body: "w1"
    model, sets = describe_model(str(tiny_adapter_dir)), [load_golden_set(golden)]
    names = ["peft", f"openai:m@{judge_server.url}"]
    (pair,) = measure_parity(model, names, sets, lambda *_: None)
    assert pair.largest_logprob_change is None
    assert pair.same_text.estimate < 1.0


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("options", ["--server-concurrency", "1", "--server-timeout", "0.3", "--model-id", "release 3"]),
        ("project", []),
    ],
)
def test_servers_are_asked_as_the_settings_say(
    tiny_adapter_dir, golden, judge_server, monkeypatch, tmp_path, source, told
):
    """One request at a time, each given up after its time limit, and no list of models without need."""
    monkeypatch.chdir(tmp_path)
    if source == "project":
        written = "server_concurrency = 1\nserver_timeout_s = 0.3\nmodel_id = 'release 3'\n"
        (tmp_path / "pyproject.toml").write_text(f"[tool.tunegate]\n{written}")
    judge_server.answer = lambda body: "w1"
    judge_server.faults, judge_server.slow_s = ["", "slow"], 5.0
    arguments = ["parity", "--model", str(tiny_adapter_dir), "--golden", str(golden), "--no-forgetting"]
    plans = ["--plans", f"peft,openai:m@{judge_server.url}"]
    started = time.perf_counter()
    result = CliRunner().invoke(app, [*arguments, *plans, *told])
    assert not isinstance(result.exception, TypeError | KeyError), result.output
    assert "openai:m@" in result.output
    assert judge_server.most_at_once <= 2  # one that was given up may still be under way there
    assert len(judge_server.bodies) > 8  # the slow one was repeated
    assert time.perf_counter() - started < 60


def test_the_command_prints_a_row_a_plan(tiny_adapter_dir, golden):
    arguments = [
        "parity",
        "--model",
        str(tiny_adapter_dir),
        "--plans",
        "peft,merged",
        "--golden",
        str(golden),
        "--no-forgetting",
    ]
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "against" in result.output
    assert "100.0% [" in result.output


def test_cases_that_only_grade_have_no_verdicts_to_flip(tiny_adapter_dir, golden):
    golden.write_text(
        "name: small\ngate: {metrics: {rouge-l: {margin: 0.5}}}\n"
        "cases: [{id: a, prompt: what is w1, references: [w1], checks: [{type: rouge-l}]}]\n"
    )
    arguments = ["--model", str(tiny_adapter_dir), "--plans", "peft,merged", "--golden", str(golden)]
    result = CliRunner().invoke(app, ["parity", *arguments, "--no-forgetting"])
    assert result.exit_code == 0, result.output
    assert "–" in result.output


def test_what_neither_plan_answered_is_no_equal_text(make_run, make_result):
    """Of four cases neither plan answered one, and one of them another; two have the same answer."""
    results = [make_result(f"s/{place}") for place in range(4)]
    broken = [replace(each, completion=None, outcome=Outcome.ERRORED) for each in results]
    runs = [make_run([*broken[:lost], *results[lost:]]) for lost in (1, 2)]
    found = compared(*runs)
    assert found.same_text.estimate == pytest.approx(2 / 3)
    nothing = make_run(broken)
    assert compared(nothing, nothing).same_text is None


def compared(now, before, tests=1, tokens=(None, None)):
    """The second plan's answers against the first's."""
    answers = (_PlanAnswers(run=run, tokens=each) for run, each in zip((now, before), tokens, strict=True))
    return _compared("b", "a", *answers, [result.key for result in before.results], tests)


def test_several_plans_share_the_level_as_several_models_do(make_run, make_result):
    """Three tests at 5 % each called one of three equal plans worse in 14 % of runs."""
    before = make_run([make_result(f"s/{n:03}") for n in range(60)])
    now = make_run([make_result(f"s/{n:03}", n >= 5) for n in range(60)])
    alone, of_many = compared(now, before), compared(now, before, tests=5)
    assert (alone.verdict.outcome, of_many.verdict.outcome) == (GateVerdict.REGRESS, GateVerdict.INCONCLUSIVE)
    assert of_many.comparison.models == 5


def must_pass(result):
    return replace(result, case=replace(result.case, must_pass=True))


@pytest.mark.parametrize(
    ("then", "now", "verdict"),
    [
        (False, False, GateVerdict.PASS),
        (False, Outcome.ERRORED, GateVerdict.PASS),
        (Outcome.ERRORED, Outcome.ERRORED, GateVerdict.PASS),
        (Outcome.ERRORED, False, GateVerdict.PASS),
        (False, True, GateVerdict.PASS),
        (True, False, GateVerdict.REGRESS),
        (True, Outcome.ERRORED, GateVerdict.INCONCLUSIVE),
    ],
)
def test_a_case_that_must_pass_and_does_not_in_the_tested_plan_is_not_lost(
    make_run, make_result, then, now, verdict
):
    """A gate of the model is meant to fail by it; of a plan it said "worse than the first" at 0 flips."""
    others = [make_result(f"s/{n:03}") for n in range(200)]
    gates = {"s": GateSettings(max_errored=0.05)}
    runs = [
        make_run([must_pass(make_result("s/must", outcome)), *others], gates=gates) for outcome in (now, then)
    ]
    found = compared(*runs)
    assert found.verdict.outcome is verdict
    told = [each.verdict for each in found.verdict.findings if isinstance(each.data, MustPassFinding)]
    assert told == ([] if verdict is GateVerdict.PASS else [verdict])


def test_probes_that_no_plan_passes_are_no_skills_to_lose(make_run, make_result):
    """A classifier answers every probe by a label: after hours no row of any set was told."""

    def run(passed, lost=0):
        probes = [make_result(f"general/{n:03}", n < passed) for n in range(100)]
        own = [make_result(f"s/{n:03}", n >= lost) for n in range(100)]
        return make_run([*probes, *own], probes={"general"})

    found = compared(run(0), run(0))
    assert (found.verdict.outcome, found.nothing_to_forget) == (GateVerdict.PASS, ("general",))
    assert found.flips.estimate == 0.0
    found = compared(run(20), run(0))
    assert (found.verdict.outcome, found.flips.estimate) == (GateVerdict.PASS, 0.1)
    assert compared(run(0, lost=20), run(0)).verdict.outcome is GateVerdict.REGRESS
    # What the first one passes can be lost.
    found = compared(run(0), run(60))
    assert (found.verdict.outcome, found.nothing_to_forget) == (GateVerdict.REGRESS, ())


def test_the_command_names_probes_that_no_plan_passes(tiny_adapter_dir, golden, tmp_path):
    probes = tmp_path / "skills.yaml"
    cases = golden.read_text().partition("\n")[2].replace("value: 'w'", "value: 'never'")
    probes.write_text(f"name: skills\nprobes_forgetting: true\n{cases}")
    arguments = ["--model", str(tiny_adapter_dir), "--plans", "peft,merged"]
    files = ["--golden", str(golden), "--golden", str(probes)]
    result = CliRunner().invoke(app, ["parity", *arguments, *files])
    assert result.exit_code == 0, result.output
    told = " ".join(result.output.split())
    assert told.count("skills: peft passes none of its probes, so that nothing can be forgotten") == 1


@pytest.mark.parametrize("served", [True, False])
def test_beside_a_server_answers_do_not_end_when_they_are_decided(
    tiny_adapter_dir, golden, judge_server, served
):
    """A server answers in full: of equal weights no answer was the same."""
    golden.write_text(
        golden.read_text().replace("max_new_tokens: 4", "max_new_tokens: 40, stop_when_decided: true")
    )
    judge_server.answer = lambda body: "w1"
    model, sets = describe_model(str(tiny_adapter_dir)), [load_golden_set(golden)]
    assert all(case.generation.decided_by for case in sets[0].cases)
    asked = []

    def note(case_sides, *arguments, **named):
        asked.extend(case.generation.decided_by for case in arguments[1])
        return answer(case_sides, *arguments, **named)

    answer = parity.answer_cases
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(parity, "answer_cases", note)
        names = ["peft", f"openai:m@{judge_server.url}" if served else "merged"]
        measure_parity(model, names, sets, lambda *_: None)
    assert len(asked) == 16
    assert any(asked) is not served


def test_cases_of_one_cluster_are_no_independent_ones(make_run, make_result):
    """Eight of forty cases flip, a whole cluster of five."""
    for cluster in (lambda n: None, lambda n: f"doc-{n // 8}"):
        before, now = (
            make_run(
                [
                    with_text(
                        make_result(f"s/{n:03}", n >= lost, cluster=cluster(n)), "no" if n < lost else "yes"
                    )
                    for n in range(40)
                ]
            )
            for lost in (0, 8)
        )
        found = compared(now, before)
        width = found.flips.high - found.flips.low
        assert (found.flips.estimate, found.same_text.estimate) == (0.2, 0.8)
        assert width == pytest.approx(found.same_text.high - found.same_text.low)
        assert (width > 0.4) is (cluster(0) is not None)


def with_text(result, text, *earlier):
    said = tuple(replace(result.completion, text=each) for each in earlier)
    return replace(result, completion=replace(result.completion, text=text, earlier=said))


def test_all_answers_to_a_case_and_to_its_turns_count_as_its_text(make_run, make_result):
    result = make_result("s/a")
    once, other = (with_text(result, "yes", earlier) for earlier in ("one", "two"))
    assert compared(*(make_run([each]) for each in (once, once))).same_text.estimate == 1.0
    assert compared(*(make_run([each]) for each in (once, other))).same_text.estimate == 0.0
    answers = [
        Repeat(completion=each.completion, outcome=Outcome.PASSED)
        for each in (once, once, with_text(result, "yes, too", "one"))
    ]
    first, second = (replace(once, repeats=tuple(answers[start : start + 2])) for start in (0, 1))
    assert compared(make_run([first]), make_run([second])).same_text.estimate == 0.0


def test_only_prompts_whose_tokens_meet_are_compared(make_run, make_result):
    run, here = make_run([make_result("s/a")]), NextToken(logprobs={"a": -0.5, "b": -1.0}, rest=-20.0)
    near, far = (NextToken(logprobs={name: -0.75}, rest=-0.75) for name in ("a", "z"))
    assert compared(run, run, tokens=([here, here], [near, far])).largest_logprob_change == 0.25
    assert compared(run, run, tokens=([here], [far])).largest_logprob_change is None


class AnswerCount:
    """Counts the answers that were computed, by the kind of plan; Ctrl-C ends the first plan that is named."""

    def __init__(self, monkeypatch, ended=""):
        self.monkeypatch, self.ended, self.answers = monkeypatch, ended, {}

    def __enter__(self):
        self.context = self.monkeypatch.context()
        patched = self.context.__enter__()
        compute, tokens = generation.compute_missing, parity._next_tokens

        def counting(engine, answers, *rest):
            name = engine.plan.weights if engine.plan.engine == "transformers" else engine.plan.engine
            self.answers[name] = self.answers.get(name, 0) + len(answers.missing_answers)
            compute(engine, answers, *rest)

        def ending(engine, requests):
            if self.ended in (engine.plan.weights, engine.plan.engine):
                raise KeyboardInterrupt
            return tokens(engine, requests)

        patched.setattr(generation, "compute_missing", counting)
        patched.setattr(parity, "_next_tokens", ending)
        return self

    def __exit__(self, *error):
        return self.context.__exit__(*error)


def run(*arguments):
    return run_process(lambda: app(["parity", *arguments], prog_name="tunegate", standalone_mode=False))


def test_after_ctrl_c_the_same_command_goes_on(tiny_adapter_dir, golden, monkeypatch, capsys):
    """An interrupt lost the answers of all plans; a gate's, under the same plan, are the same answers."""
    arguments = ["--model", str(tiny_adapter_dir), "--plans", "peft,merged,nf4", "--golden", str(golden)]
    with AnswerCount(monkeypatch, ended="merged") as first:
        assert run(*arguments, "--no-forgetting") == 2
    assert first.answers == {"peft": 8, "merged": 8}
    assert capsys.readouterr().err.splitlines() == [
        "tunegate: finished answers are kept; the same command continues from them",
        "tunegate: interrupted",
    ]
    with AnswerCount(monkeypatch) as second:
        assert run(*arguments, "--no-forgetting") == 0
    assert second.answers == {"nf4": 8}
    told = capsys.readouterr().out
    with AnswerCount(monkeypatch) as third:
        assert run(*arguments, "--no-forgetting") == 0
    assert third.answers == {}
    assert capsys.readouterr().out == told


def test_servers_are_asked_anew(tiny_adapter_dir, golden, judge_server, monkeypatch, capsys):
    """Whether a server answers as the tested model does, answers of yesterday don't say."""
    judge_server.answer = lambda body: "w1"
    plans = f"peft,openai:m@{judge_server.url}"
    arguments = [
        "--model",
        str(tiny_adapter_dir),
        "--plans",
        plans,
        "--golden",
        str(golden),
        "--model-id",
        "r",
    ]
    with AnswerCount(monkeypatch, ended="openai") as first:
        assert run(*arguments, "--no-forgetting") == 2
    assert "finished answers are kept, but for those of servers" in capsys.readouterr().err
    with AnswerCount(monkeypatch) as second:
        run(*arguments, "--no-forgetting")
    assert first.answers == {"peft": 8, "openai": 8}
    assert second.answers == {"openai": 8}
