"""One adapter computed in several ways: what changes is told with its size."""

import time
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.engines.open import describe_model
from harness.engines.served.next_token import NextToken, largest_change
from harness.errors import SettingsError
from harness.golden.load import load_golden_set
from harness.studies.parity import _compared, _PlanAnswers, check_plans, measure_parity, split_plans
from harness.types import Outcome

CASES = "\n".join(
    f"  - {{id: c{n}, prompt: what is w{n}, checks: [{{type: regex, value: 'w'}}]}}" for n in range(8)
)


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


@pytest.mark.parametrize(
    ("plans", "option", "line"),
    [
        ("peft,merged", ["--server-timeout", "3"], "--server-timeout: acts on no plan but one that asks"),
        ("peft,merged", ["--server-concurrency", "3"], "--server-concurrency: acts on no plan but one that"),
        (
            "peft,vllm:http://127.0.0.1:9/v1",
            ["--server-args", "-x"],
            "--server-args: acts on no plan but vllm",
        ),
        ("peft,vllm", ["--model-id", "x"], "--model-id: acts on no plan but openai:MODEL@URL"),
    ],
)
def test_a_setting_of_servers_that_acts_on_no_plan_is_refused(tiny_adapter_dir, golden, plans, option, line):
    arguments = ["parity", "--model", str(tiny_adapter_dir), "--golden", str(golden), "--plans", plans]
    result = CliRunner().invoke(app, [*arguments, *option])
    assert line in str(result.exception)


def test_a_listed_token_is_compared_with_the_most_that_it_can_be():
    few = NextToken(logprobs={"a": -0.5, "b": -1.5}, rest=-1.5)
    all_of_them = NextToken(logprobs={"a": -0.4, "c": -1.0, "b": -3.0}, rest=-20.0)
    assert largest_change(few, few) == 0.0
    # b fell by 1.5; c has at most -1.5 where few tokens are listed, so at least 0.5 more here.
    assert largest_change(few, all_of_them) == pytest.approx(1.5)
    assert largest_change(NextToken(logprobs={"a": -0.4}, rest=-1.5), all_of_them) == pytest.approx(0.5)


def test_the_addresses_of_a_pool_are_no_plans():
    assert split_plans("peft, openai:m@http://a/v1,http://b/v1 ,nf4") == [
        "peft",
        "openai:m@http://a/v1,http://b/v1",
        "nf4",
    ]


def test_unknown_plans_and_single_ones_are_refused():
    with pytest.raises(SettingsError, match=r"--plans: found 'int3' \(allowed: two or more of peft, merged"):
        check_plans(["peft", "int3"])
    with pytest.raises(SettingsError, match="peft is not a pair"):
        check_plans(["peft"])


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
    found = _compared(
        "b", "a", *(_PlanAnswers(run=run, tokens=None) for run in runs), [r.key for r in results]
    )
    assert found.same_text.estimate == pytest.approx(2 / 3)
