"""Cases that the server of a plan can't be asked."""

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.errors import SettingsError
from harness.studies import parity


def test_they_are_refused_before_any_plan_answers(tiny_adapter_dir, judge_server, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "s.yaml").write_text(
        "name: s\ncases:\n"
        "  - {id: a, prompt: w1, checks: [{type: contains, value: w}]}\n"
        "  - {id: b, prompt: w1, checks: [{type: contains, value: w}], generation: {max_reasoning_tokens: 4}}\n"
    )
    monkeypatch.setattr(parity, "measure_parity", lambda *_, **__: pytest.fail("a plan answers"))
    arguments = ["parity", "--model", str(tiny_adapter_dir), "--golden", "s.yaml", "--no-forgetting"]
    result = CliRunner().invoke(app, [*arguments, "--plans", f"peft,openai:m@{judge_server.url}"])
    assert isinstance(result.exception, SettingsError), result.output
    assert str(result.exception).startswith("s/b: max_reasoning_tokens can't be sent to a server")
    assert not judge_server.bodies
