"""Commands that answer golden cases ask as a gate of the project does."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.engines.open import describe_model
from harness.history.store import open_history

GOLDEN = """\
name: small
generation: {max_new_tokens: 4}
cases: [{id: one, prompt: what is w1, checks: [{type: not-equals, value: impossible}]}]
"""
TEMPLATE = "{{ tone }} {% for message in messages %}{{ message.content }} {% endfor %}"


@pytest.fixture
def project(tmp_path, tiny_adapter_dir, tiny_model_dir, monkeypatch):
    """A golden set, and two adapters with a template that reads ``tone``, whose base is on another machine."""
    for step in (30, 31):
        directory = shutil.copytree(tiny_adapter_dir, tmp_path / "run" / f"checkpoint-{step}")
        (directory / "chat_template.jinja").write_text(TEMPLATE)
        config = json.loads((directory / "adapter_config.json").read_text())
        config["base_model_name_or_path"] = "unsloth/tiny-bnb-4bit"
        (directory / "adapter_config.json").write_text(json.dumps(config))
    (tmp_path / "small.yaml").write_text(GOLDEN)
    (tmp_path / "pyproject.toml").write_text("[tool.tunegate]\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


COMMANDS = {
    "rank": ["rank", "run/checkpoint-30", "run/checkpoint-31", "--no-forgetting"],
    "noise": ["noise", "--model", "run/checkpoint-30", "-r", "2", "--no-forgetting"],
    "bisect": ["bisect", "run", "--case", "one"],
    "parity": ["parity", "--model", "run/checkpoint-30", "--plans", "peft,merged", "--no-forgetting"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_values_of_the_template_and_the_base_are_the_projects(command, project, tiny_model_dir, monkeypatch):
    from harness.run import prompting

    asked, render = set(), prompting.render_prompt

    def note(tokenizer, messages, settings):
        prompt = render(tokenizer, messages, settings)
        asked.add(prompt.text.strip())
        return prompt

    monkeypatch.setattr(prompting, "render_prompt", note)
    arguments = [*COMMANDS[command], "--golden", "small.yaml"]
    result = CliRunner().invoke(app, arguments, env={"HF_HUB_OFFLINE": "1"})
    assert "unsloth/tiny-bnb-4bit" in str(result.exception)
    (project / "pyproject.toml").write_text(
        f'[tool.tunegate]\nbase = "{tiny_model_dir}"\nchat_template_kwargs = {{ tone = "w7" }}\n'
    )
    assert CliRunner().invoke(app, arguments, catch_exceptions=False).exit_code == 0
    assert "w7 what is w1" in asked
    given = ["--chat-template-kwargs", '{"tone": "w8"}', "--base", str(tiny_model_dir)]
    assert CliRunner().invoke(app, [*arguments, *given], catch_exceptions=False).exit_code == 0
    assert "w8 what is w1" in asked


@pytest.mark.parametrize("command", ["noise", "rank", "probes"])
def test_a_served_model_is_the_one_that_a_gate_takes_it_for(command, project, judge_server, second_server):
    """By the project's word for its weights; else no gate finds a noise record, and no answer is kept."""
    judge_server.answer = second_server.answer = lambda body: "yes"
    (project / "small.yaml").write_text(
        "name: small\ncases: [{id: a, prompt: Say yes., checks: [{type: is-json}]}]\n"
    )
    arguments = {
        "noise": [
            "noise",
            "--model",
            judge_server.spec,
            "-r",
            "2",
            "--golden",
            "small.yaml",
            "--no-forgetting",
        ],
        "rank": [
            *("rank", judge_server.spec, f"openai:other@{second_server.url}", "--no-forgetting"),
            *("--golden", "small.yaml", "--baseline", f"openai:third@{judge_server.url}"),
        ],
        "probes": ["probes", "calibrate", judge_server.spec, "--skill", "tools", "--level", "easy"],
    }[command]

    def asked():
        before = len(judge_server.bodies)
        result = CliRunner().invoke(app, arguments)
        return len(judge_server.bodies) - before, result.output

    first, output = asked()
    assert first
    assert ("not stored: nobody identifies the weights" in " ".join(output.split())) == (command == "noise")
    (project / "pyproject.toml").write_text('[tool.tunegate]\nmodel_id = "r1"\nserver_concurrency = 1\n')
    judge_server.most_at_once = 0
    again, output = asked()
    assert again == first
    assert judge_server.most_at_once == 1
    assert "not stored" not in output
    # Reruns are of no cache; answers are kept under the word, and a request sees if the server knows names.
    assert asked()[0] == first if command == "noise" else asked()[0] < first
    if command == "noise":
        served = describe_model(judge_server.spec, model_id="r1")
        with open_history(project / ".tunegate" / "history.sqlite") as history:
            assert {key[0] for key in history.load_noise()} == {served.base_sha256}
        arguments += ["--model-id", "r2"]
        asked()
        typed = describe_model(judge_server.spec, model_id="r2")
        with open_history(project / ".tunegate" / "history.sqlite") as history:
            assert {key[0] for key in history.load_noise()} == {served.base_sha256, typed.base_sha256}
