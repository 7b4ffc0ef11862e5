"""The set that a calibration writes among a project's, and what it is refused for."""

import json

from harness.errors import PromptError, SettingsError
from harness.golden.load import load_golden_set
from tests.studies.test_calibration import calibrate, engine

__all__ = ["engine"]


def test_the_set_asks_as_it_was_chosen(engine, tiny_model_dir, tmp_path, monkeypatch):
    """What a base passes without thinking, it may fail with it: its gate refused every probe."""
    monkeypatch.chdir(tmp_path)
    values = {"enable_thinking": False, "style": "short and 'plain'"}
    result = calibrate(tiny_model_dir, "--chat-template-kwargs", json.dumps(values))
    assert result.exit_code == 0, result.output
    path = tmp_path / "golden_sets" / "probes.yaml"
    assert all(case.generation.chat_template_kwargs == values for case in load_golden_set(path).cases)
    assert "max_reasoning_tokens" not in path.read_text()
    assert calibrate(tiny_model_dir, "--overwrite").exit_code == 0
    assert "generation" not in path.read_text().partition("cases:")[0]


def test_what_leaves_no_probe_is_told(engine, tiny_model_dir, tmp_path, monkeypatch):
    """Without the permission no probe of code can be asked; that ended in a traceback."""
    monkeypatch.chdir(tmp_path)
    refused = calibrate(tiny_model_dir, "--skill", "code")
    assert isinstance(refused.exception, PromptError)
    assert "can't be asked any probe: they run code, which allow-code-checks does not allow" in str(
        refused.exception
    )
    assert engine.asked == []


def test_a_name_that_another_set_has_is_refused_before_a_model_is_read(tmp_path, monkeypatch):
    """After hours of answers the next gate refused both sets, and the printed power was of either."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "golden_sets").mkdir()
    other = tmp_path / "golden_sets" / "forget.yaml"
    other.write_text("name: probes\ncases:\n  - {id: a, prompt: x, checks: [{type: contains, value: x}]}\n")
    refused = calibrate("nowhere").exception
    assert isinstance(refused, SettingsError)
    assert str(refused) == (
        "--output golden_sets/probes.yaml: the name of its set, probes, is taken by golden_sets/forget.yaml: "
        "write to another file"
    )
    elsewhere = calibrate("nowhere", "--output", "golden_sets/mine.yaml").exception
    assert "is taken by" not in str(elsewhere)
