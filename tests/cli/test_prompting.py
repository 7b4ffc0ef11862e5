"""Commands that answer golden cases ask as a gate of the project does."""

import json
import shutil

import pytest
from typer.testing import CliRunner

from harness.cli.main import app

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
