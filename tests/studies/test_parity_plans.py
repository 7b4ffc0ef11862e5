"""What a plan of a parity study can't do is told before any answers."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.engines.open import describe_model
from harness.errors import InputError, SettingsError
from harness.studies.parity_plans import check_plans, split_plans, usual_plans

CASES = "cases: [{id: a, prompt: what is w1, checks: [{type: regex, value: w}]}]"


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """Answers are kept in the project's folder."""
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def golden(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(f"name: small\n{CASES}\n")
    return path


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


def test_the_addresses_of_a_pool_are_no_plans():
    assert split_plans("peft, openai:m@http://a/v1,http://b/v1 ,nf4") == [
        "peft",
        "openai:m@http://a/v1,http://b/v1",
        "nf4",
    ]


def test_the_usual_plans_are_those_that_a_model_can_follow(tiny_adapter_dir, tiny_model_dir, monkeypatch):
    assert usual_plans(describe_model(str(tiny_adapter_dir))) == ["peft", "merged", "nf4", "bf16"]
    whole = describe_model(str(tiny_model_dir))
    assert usual_plans(whole) == ["peft", "nf4", "bf16"]
    monkeypatch.setattr("harness.studies.parity_plans.stored_quantisation", lambda base: "gptq")
    assert usual_plans(whole) == ["peft", "bf16"]


def test_unknown_plans_and_single_ones_are_refused():
    with pytest.raises(SettingsError, match=r"--plans: found 'int3' \(allowed: two or more of peft, merged"):
        check_plans(["peft", "int3"])
    with pytest.raises(SettingsError, match="peft is not a pair"):
        check_plans(["peft"])


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("multitask", "a multi-task model has no other plans to compare"),
        ("skipped", "no case to answer: each one is skipped; give --golden a set with others"),
        ("library", "--plans nf4: bitsandbytes is not installed: pip install 'tunegate[train]'"),
        (
            "judged",
            "llm-rubric: a judge decides it, and none is asked here: give --golden sets without such checks",
        ),
    ],
)
def test_what_no_plan_can_do_is_one_line_before_any_answer(
    tiny_adapter_dir, tiny_multitask_dir, golden, monkeypatch, change, line
):
    model = tiny_multitask_dir if change == "multitask" else tiny_adapter_dir
    if change == "skipped":
        golden.write_text(golden.read_text().replace("prompt:", "skip: later, prompt:"))
    if change == "judged":
        golden.write_text(
            golden.read_text().replace("checks: [", "checks: [{type: llm-rubric, value: It is polite.}, ")
        )
    if change == "library":
        monkeypatch.setattr("harness.engines.precision.find_spec", lambda name: None)
    monkeypatch.setattr("harness.studies.parity.open_sides", lambda *_: pytest.fail("a model was loaded"))
    arguments = ["--model", str(model), "--golden", str(golden), "--no-forgetting", "--plans", "peft,nf4"]
    result = CliRunner().invoke(app, ["parity", *arguments])
    assert isinstance(result.exception, SettingsError)
    assert str(result.exception).endswith(line)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("dora", "vLLM runs plain LoRA up to rank 512, and this has DoRA"),
        ("command", "--plans vllm: vllm is not installed: pip install vllm, or name a server: vllm:URL"),
        ("base", "serves none, and the base is"),
    ],
)
def test_what_vllm_can_not_run_is_one_line_before_any_answer(
    tiny_adapter_dir, golden, judge_server, monkeypatch, tmp_path, change, line
):
    adapter = shutil.copytree(tiny_adapter_dir, tmp_path / "mine")
    if change == "dora":
        config = json.loads((adapter / "adapter_config.json").read_text())
        (adapter / "adapter_config.json").write_text(json.dumps({**config, "use_dora": True}))
    monkeypatch.setenv("PATH", str(tmp_path))
    plan = f"vllm:{judge_server.url}" if change == "base" else "vllm"
    monkeypatch.setattr("harness.studies.parity.open_sides", lambda *_: pytest.fail("a model was loaded"))
    arguments = [
        "--model",
        str(adapter),
        "--golden",
        str(golden),
        "--no-forgetting",
        "--plans",
        f"peft,{plan}",
    ]
    result = CliRunner().invoke(app, ["parity", *arguments])
    assert isinstance(result.exception, InputError)
    assert line in str(result.exception)


@pytest.fixture
def unmerged(tiny_model_dir, tiny_adapter_dir, tmp_path):
    """A model that can't be merged."""

    def make(change):
        if change == "whole model":
            return tiny_model_dir
        adapter = shutil.copytree(tiny_adapter_dir, tmp_path / "mine")
        config = json.loads((adapter / "adapter_config.json").read_text())
        if change.isupper():
            config["peft_type"] = change
        elif change == "invocation":
            config["alora_invocation_tokens"] = [5, 6]
        else:
            base = shutil.copytree(tiny_model_dir, tmp_path / "stored")
            written = json.loads((base / "config.json").read_text())
            written["quantization_config"] = {"quant_method": change}
            (base / "config.json").write_text(json.dumps(written))
            config["base_model_name_or_path"] = str(base)
        (adapter / "adapter_config.json").write_text(json.dumps(config))
        return adapter

    return make


@pytest.mark.parametrize("plan", ["merged", "merged-bf16"])
@pytest.mark.parametrize(
    ("change", "line"),
    [
        ("PREFIX_TUNING", r"mine: an adapter that adds more than weights \(virtual tokens\) can't be merged"),
        ("PROMPT_TUNING", r"\(virtual tokens\) can't be merged into its base; leave it out"),
        ("CPT", r"\(CPT\) can't be merged"),
        ("invocation", r"\(LORA\) can't be merged"),
        ("whole model", "a whole model has no adapter to merge; leave it out"),
        (
            "gptq",
            r"stored: its weights are stored quantised \(gptq\), and no adapter can be merged into these",
        ),
        ("awq", r"stored quantised \(awq\)"),
    ],
)
def test_what_can_not_be_merged_is_no_plan(unmerged, golden, monkeypatch, plan, change, line):
    """Virtual tokens answered as in the first plan, whose answers "merged" then had to 100 %."""
    monkeypatch.setattr("harness.studies.parity.open_sides", lambda *_: pytest.fail("a model was loaded"))
    arguments = ["--model", str(unmerged(change)), "--golden", str(golden), "--no-forgetting"]
    result = CliRunner().invoke(app, ["parity", *arguments, "--plans", f"peft,{plan}"])
    assert isinstance(result.exception, SettingsError)
    with pytest.raises(SettingsError, match=f"--plans {plan}: .*{line}"):
        raise result.exception
