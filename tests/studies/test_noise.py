"""Reruns of one model: what flips, how often, and what a gate makes of it."""

import dataclasses
from dataclasses import replace
from types import SimpleNamespace

import pytest
from rich.console import Console
from typer.testing import CliRunner

from harness.cli.main import app
from harness.cli.noise import _print, _told
from harness.comparison.gate import run_gate
from harness.engines.base import CANDIDATE
from harness.engines.open import choose_plan, describe_model
from harness.errors import (
    CasesFailedError,
    EngineError,
    NoneAnsweredError,
    SettingsError,
    TextsUnmeasuredError,
)
from harness.golden.load import load_golden_set
from harness.history.store import noted_stability, open_history
from harness.presentation.boundary import run_process
from harness.presentation.terminal import render_gate
from harness.run import open_telemetry
from harness.run.cache import Cache
from harness.run.generation import answer_cases
from harness.run.resampling import _reseeded_cases
from harness.run.session import metric_facts
from harness.run.workload import plan_workload
from harness.studies import noise as noise_study
from harness.studies.noise import Noise, _reseeded, measure_noise, plan_reruns, unstable_interval
from harness.types import Completion, ExecutionPlan, GateRecord, Stability

PLAN = ExecutionPlan(engine="transformers", dtype="float32", device="cpu", batch_tokens=4096)
GOLDEN = """\
name: small
generation: {max_new_tokens: 4}
cases:
  - {id: greedy, prompt: what is w1, checks: [{type: regex, value: 'w'}]}
  - {id: sampled, prompt: what is w2, checks: [{type: regex, value: '^w'}], generation: {temperature: 2.0}}
"""


@pytest.fixture
def golden(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(GOLDEN)
    return path


def test_greedy_answers_in_float32_never_flip_and_samples_do(tiny_model_dir, golden):
    """Batches, order and seeds change from rerun to rerun; only the sampled case has reason to care."""
    model = describe_model(str(tiny_model_dir))
    plan = choose_plan("float32", "cpu", 4096, [model])
    reruns = plan_reruns(plan, 8, ["float32"])
    assert len({(rerun.batch_tokens, rerun.seed) for rerun in reruns}) == 8
    noise = measure_noise(model, plan, reruns, load_golden_set(golden).cases, lambda *_: None)
    assert noise.texts["small/greedy"] == 1
    assert noise.texts["small/sampled"] > 1
    assert noise.stability["small/greedy"].answers == 8
    assert set(noise.unstable) <= {"small/sampled"}


def test_no_rerun_has_a_seed_of_the_run_or_of_another_rerun(golden):
    """An answer that was counted before is no further evidence: of a server, the seed alone decides it."""
    case = replace(load_golden_set(golden).cases[1], repeat=100)
    reruns = plan_reruns(PLAN, 50, ["float32"])
    asked = [case, *(_reseeded(case, rerun.seed) for rerun in reruns)]
    seeds = [
        request.settings.seed
        for each in asked
        for request in plan_workload({CANDIDATE: None}, [each]).answers
    ]
    assert len(seeds) == 51 * 100
    assert len(set(seeds)) == len(seeds)


def test_no_rerun_however_many_has_a_seed_of_confirming_answers(golden):
    golden_set = load_golden_set(golden)
    case = golden_set.cases[1]
    (confirming,) = _reseeded_cases([golden_set], [case.key], 100)
    first = confirming.generation.seed
    seeds = {case.generation.seed + each.seed for each in plan_reruns(PLAN, 300, ["float32"])}
    assert max(seeds) > first + 100
    assert not {seed + answer for seed in seeds for answer in range(100)} & set(range(first, first + 100))


def test_the_first_rerun_of_a_sampled_case_is_not_the_runs_answer(tiny_model_dir, golden):
    model = describe_model(str(tiny_model_dir))
    plan = choose_plan("float32", "cpu", 4096, [model])
    case = load_golden_set(golden).cases[1]
    (rerun, *_) = plan_reruns(plan, 2, ["float32"])
    texts = {
        answer_cases({CANDIDATE: model}, plan, [each], Cache(None), lambda *_: None)[CANDIDATE]
        .completions[case.key]
        .text
        for each in (case, _reseeded(case, rerun.seed))
    }
    assert len(texts) == 2


def test_the_flip_rate_is_unbiased():
    """Three of four and four of four: two reruns disagree with chances 1/2 and 0."""
    noise = Noise(
        model=None,
        reruns=(),
        stability={"a": Stability(passed=3, answers=4), "b": Stability(passed=4, answers=4)},
        texts={},
    )
    assert noise.flip_rate == pytest.approx(0.25)
    assert noise.unstable == ("a",)
    assert unstable_interval(noise).estimate == 0.5
    assert dataclasses.replace(noise, stability={}).flip_rate is None


def test_a_gate_marks_what_was_noted(make_run, make_result):
    """The unstable case is told with its count, after the stable one; both stay in the pass rate."""
    before = make_run([make_result(f"set/{n}", True) for n in "abcdef"], run_id="before")
    now = make_run([make_result(f"set/{n}", n not in "ab") for n in "abcdef"])
    noted = {"set/a": Stability(passed=3, answers=5), "set/b": Stability(passed=5, answers=5)}
    comparison, verdict = run_gate(now, before, stability=noted)
    assert dict(comparison.unstable) == {"set/a": noted["set/a"]}
    assert comparison.metrics[0].lost == ("set/a", "set/b")
    record = GateRecord(run=now, baseline=before, comparison=comparison, verdict=verdict)
    from rich.console import Console

    console = Console(width=100, record=True)
    console.print(render_gate(record, 100))
    text = console.export_text()
    assert "lost cases (2, 1 of them unstable in the baseline's own reruns)" in text
    assert text.index("set/b") < text.index("set/a  (reruns passed 3 of 5)")


def test_the_note_holds_for_cases_that_are_asked_alike(tiny_model_dir, golden, tmp_path):
    model, cases = describe_model(str(tiny_model_dir)), load_golden_set(golden).cases
    with open_history(tmp_path / "h.sqlite") as history:
        history.save_noise(
            model, "float32", cases, {"small/greedy": Stability(passed=1, answers=5)}, metric_facts
        )
        history.save_noise(
            model, "float32", cases, {"small/greedy": Stability(passed=2, answers=5)}, metric_facts
        )
        noted = history.load_noise()
    assert noted_stability(noted, model, PLAN, cases, metric_facts) == {
        "small/greedy": Stability(passed=2, answers=5)
    }
    assert noted_stability(noted, model, replace(PLAN, dtype="bfloat16"), cases, metric_facts) == {}
    assert noted_stability(noted, model, replace(PLAN, weights="nf4"), cases, metric_facts) == {}
    thinking = replace(PLAN, chat_template_kwargs={"enable_thinking": True})
    assert noted_stability(noted, model, thinking, cases, metric_facts) == {}
    asked = [case.asked_with(thinking.chat_template_kwargs) for case in cases]
    with open_history(tmp_path / "h.sqlite") as history:
        history.save_noise(
            model, "float32", asked, {"small/greedy": Stability(passed=3, answers=5)}, metric_facts
        )
        noted_both = history.load_noise()
    # One way of asking takes no other's place.
    assert noted_stability(noted_both, model, thinking, cases, metric_facts)["small/greedy"].passed == 3
    assert noted_stability(noted_both, model, PLAN, cases, metric_facts)["small/greedy"].passed == 2
    golden.write_text(GOLDEN.replace("what is w1", "what is w3"))
    assert noted_stability(noted, model, PLAN, load_golden_set(golden).cases, metric_facts) == {}


def test_the_command_tells_and_keeps(tiny_model_dir, golden, tmp_path):
    arguments = [
        "noise",
        "--model",
        str(tiny_model_dir),
        "-r",
        "2",
        "--golden",
        str(golden),
        "--no-forgetting",
    ]
    result = CliRunner().invoke(app, [*arguments, "--directory", str(tmp_path / "kept")])
    assert result.exit_code == 0, result.output
    assert "2 reruns of 2 cases" in " ".join(result.output.split())
    with open_history(tmp_path / "kept" / "history.sqlite") as history:
        model, cases = describe_model(str(tiny_model_dir)), load_golden_set(golden).cases
        noted = noted_stability(history.load_noise(), model, PLAN, cases, metric_facts)
    assert noted["small/greedy"].answers == 2
    # Where a gate's --gate-history put the history, whatever --gate-directory says.
    elsewhere = ["--directory", str(tmp_path / "kept"), "--history", str(tmp_path / "other.sqlite")]
    assert CliRunner().invoke(app, [*arguments, *elsewhere]).exit_code == 0
    with open_history(tmp_path / "other.sqlite") as history:
        assert (
            noted_stability(history.load_noise(), model, PLAN, cases, metric_facts)["small/greedy"].answers
            == 2
        )
    wrong = CliRunner().invoke(app, [*arguments, "--dtype", "float3"])
    assert "--dtype: found 'float3'" in str(wrong.exception)


@pytest.mark.parametrize(
    "checks",
    [
        "{type: rouge-l}",
        "{type: llm-rubric, value: Polite.}",
        "{type: is-json}, {type: llm-rubric, value: A.}",
    ],
)
def test_cases_of_which_none_can_flip_are_refused(golden, checks):
    golden.write_text(f"name: small\ncases: [{{id: a, prompt: Hi., references: [Hi], checks: [{checks}]}}]\n")
    result = CliRunner().invoke(
        app, ["noise", "--model", "smollm2", "--golden", str(golden), "--no-forgetting"]
    )
    assert isinstance(result.exception, SettingsError)
    assert "no case passes or fails without a judge" in str(result.exception)


def test_cases_without_a_verdict_are_counted(tiny_model_dir, golden, tmp_path):
    golden.write_text(
        f"{GOLDEN}  - {{id: graded, prompt: Hi., references: [Hi], checks: [{{type: rouge-l}}]}}\n"
    )
    result = CliRunner().invoke(
        app,
        [
            *("noise", "--model", str(tiny_model_dir), "-r", "2", "--golden", str(golden), "--no-forgetting"),
            *("--directory", str(tmp_path / "kept")),
        ],
    )
    assert result.exit_code == 0, result.output
    assert "2 reruns of 2 cases" in " ".join(result.output.split())
    assert "1 without a verdict" in " ".join(result.output.split())


def test_reruns_in_which_no_case_has_a_verdict_are_no_measurement(make_run):
    empty = Noise(model=make_run([]).model, reruns=(), stability={}, texts={"s/a": 1})
    with pytest.raises(EngineError, match="no case has a verdict in any rerun"):
        _print(Console(), "float32", empty)


def test_the_reruns_are_told_of_where_telemetry_is_configured(monkeypatch):
    closed = []
    opened = SimpleNamespace(close=lambda records, **facts: closed.append((records, facts)))
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setattr(open_telemetry, "open_command_telemetry", lambda environment, command: opened)
    found = {"a": Stability(passed=1, answers=2), "b": Stability(passed=2, answers=2)}
    noise = Noise(model=None, reruns=(None, None), stability=found, texts={})
    with pytest.raises(EngineError), _told("mine", [(None, noise), (None, noise)]):
        raise EngineError("down")
    assert closed == [({}, {"reruns": 4, "cases": 2, "unstable": 1})]


class TextlessEngine:
    """Answers each case with ``w``, or fails on it, and scores no text."""

    def __init__(self, fault, fails=()):
        self.fault, self.fails, self.plan = fault, fails, None

    def opened(self, sides, plan):
        self.plan = plan
        return self

    def generate(self, requests, on_batch):
        answer = Completion(text="w", stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1)
        failed = {n: "the server is gone" for n, each in enumerate(requests) if each.key in self.fails}
        on_batch({n: answer for n in range(len(requests)) if n not in failed})
        if failed:
            raise CasesFailedError(failed)

    def losses(self, requests, on_batch):
        raise self.fault(dict.fromkeys(range(len(requests)), "no log-probabilities of a prompt"))

    def largest_logit_change(self, side):
        return 1.0


LOSSES = """\
name: small
cases:
  - {id: told, prompt: what is w1, references: [w1], checks: [{type: regex, value: w}, {type: perplexity}]}
  - {id: likely, prompt: what is w2, references: [w2], checks: [{type: perplexity, threshold: 3}]}
  - {id: lost, prompt: what is w3, checks: [{type: regex, value: w}]}
"""


@pytest.mark.parametrize(
    ("fault", "verdicts"),
    [(TextsUnmeasuredError, {"small/told"}), (CasesFailedError, set())],
)
def test_why_a_case_has_no_verdict_is_what_a_gate_says(tiny_model_dir, golden, fault, verdicts):
    """A server that scores no text took the verdicts of all cases that also grade one, without a reason."""
    golden.write_text(LOSSES)
    engine = TextlessEngine(fault, fails=("small/lost",))
    model = describe_model(str(tiny_model_dir))
    plan = choose_plan("float32", "cpu", 4096, [model])
    reruns, cases = plan_reruns(plan, 2, ["float32"]), load_golden_set(golden).cases
    noise = measure_noise(model, plan, reruns, cases, lambda *_: None, open_engine=engine.opened)
    assert set(noise.stability) == verdicts
    assert all(found == Stability(passed=2, answers=2) for found in noise.stability.values())
    assert set(noise.without) == {case.key for case in cases} - verdicts
    assert "was not measured: no log-probabilities of a prompt" in noise.without["small/likely"]
    assert noise.without["small/lost"] == "the server is gone"


def test_the_command_says_why_cases_have_no_verdict(make_run):
    noise = Noise(
        model=make_run([]).model,
        reruns=(None, None),
        stability={"s/a": Stability(passed=2, answers=2)},
        texts={"s/a": 1, "s/b": 0, "s/c": 0, "s/d": 1},
        without={"s/b": "the server is gone", "s/c": "the server is gone", "s/d": ""},
    )
    console = Console(width=100, record=True)
    _print(console, "float32", noise)
    told = " ".join(console.export_text().split())
    assert "3 without a verdict" in told
    assert "2 without a verdict: the server is gone" in told
    with pytest.raises(EngineError, match="no case has a verdict in any rerun: the server is gone"):
        _print(Console(), "float32", replace(noise, stability={}))


def interrupted(arguments, monkeypatch, rerun, error=KeyboardInterrupt):
    """Run the command, and press Ctrl-C, or fail, when a rerun begins."""
    answer, begun = noise_study.answer_cases, []

    def stop(*given, **named):
        begun.append(given)
        if len(begun) == rerun:
            raise error
        return answer(*given, **named)

    with monkeypatch.context() as patched:
        patched.setattr(noise_study, "answer_cases", stop)
        return run_process(lambda: app(arguments, prog_name="tunegate", standalone_mode=False))


def test_after_ctrl_c_or_a_failure_the_finished_reruns_are_the_record(
    tiny_model_dir, golden, tmp_path, monkeypatch, capsys
):
    arguments = [
        *("noise", "--model", str(tiny_model_dir), "--golden", str(golden), "--no-forgetting"),
        *("--directory", str(tmp_path / "kept"), "--dtype", "float32"),
    ]
    model, cases = describe_model(str(tiny_model_dir)), load_golden_set(golden).cases

    def answers():
        with open_history(tmp_path / "kept" / "history.sqlite") as history:
            noted = noted_stability(history.load_noise(), model, PLAN, cases, metric_facts)
        return {key: found.answers for key, found in noted.items()}

    both = {case.key: 2 for case in cases}
    assert interrupted([*arguments, "-r", "5"], monkeypatch, rerun=2) == 2
    assert capsys.readouterr().err.splitlines() == [
        "tunegate: nothing is kept: fewer than 2 reruns were finished",
        "tunegate: interrupted",
    ]
    assert answers() == {}
    assert interrupted([*arguments, "-r", "5"], monkeypatch, rerun=3) == 2
    assert capsys.readouterr().err.splitlines() == [
        "tunegate: kept as noise record: 2 of 5 reruns in float32, unless one has more; the same command begins anew",
        "tunegate: interrupted",
    ]
    assert answers() == both
    assert CliRunner().invoke(app, [*arguments, "-r", "3"]).exit_code == 0
    assert interrupted([*arguments, "-r", "5"], monkeypatch, rerun=3) == 2
    assert answers() == dict.fromkeys(both, 3)
    capsys.readouterr()
    gone = NoneAnsweredError("the server is gone", {0: "gone"})
    assert interrupted([*arguments, "-r", "6"], monkeypatch, rerun=5, error=gone) == 4
    assert capsys.readouterr().err.splitlines() == [
        "tunegate: kept as noise record: 4 of 6 reruns in float32, unless one has more; the same command begins anew",
        "tunegate: the server is gone",
    ]
    assert answers() == dict.fromkeys(both, 4)
    assert interrupted([*arguments, "-r", "6"], monkeypatch, rerun=1, error=gone) == 4
    assert capsys.readouterr().err.splitlines() == ["tunegate: the server is gone"]


def test_after_ctrl_c_nothing_is_promised_of_weights_that_nobody_identifies(
    golden, tmp_path, monkeypatch, capsys, judge_server
):
    judge_server.answer = lambda body: "w"
    arguments = ["noise", "--model", judge_server.spec, "-r", "3", "--golden", str(golden), "--no-forgetting"]
    assert interrupted([*arguments, "--directory", str(tmp_path)], monkeypatch, rerun=3) == 2
    assert "nothing is kept: nobody identifies the weights of" in capsys.readouterr().err
