"""Gates that are continued, or compared, under other values of the chat template: real answers, whole sessions."""

import json
import shutil

import pytest

from harness.engines.transformers_engine import TransformersEngine

CASES = "\n".join(
    f"  - {{id: c{n}, prompt: what is w{n}, checks: [{{type: regex, value: 'w[0-4]'}}]}}" for n in range(12)
)
SET = f"name: small\ngeneration: {{max_new_tokens: 6}}\ncases:\n{CASES}\n"
TONES = {tone: f'--gate-chat-template-kwargs={{"tone": "{tone}"}}' for tone in ("w7", "w8")}


@pytest.fixture
def adapter(tmp_path, tiny_model_dir, tiny_adapter_dir):
    """An adapter whose base's template reads ``tone``."""
    base = shutil.copytree(tiny_model_dir, tmp_path / "base")
    template = (base / "chat_template.jinja").read_text()
    (base / "chat_template.jinja").write_text("{{ tone }} " + template)
    directory = shutil.copytree(tiny_adapter_dir, tmp_path / "adapter")
    config = json.loads((directory / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = str(base)
    (directory / "adapter_config.json").write_text(json.dumps(config))
    return directory


@pytest.fixture
def gate(pytester, write_golden, adapter, monkeypatch):
    """Runs a gate: its result, its texts by side, and how many answers the engine was asked for."""
    write_golden(pytester, "small", SET)
    generate, asked = TransformersEngine.generate, []

    def noted(engine, requests, on_batch):
        asked.extend(requests)
        generate(engine, requests, on_batch)

    monkeypatch.setattr(TransformersEngine, "generate", noted)

    def run(*arguments):
        asked.clear()
        record = pytester.path / "record.json"
        record.unlink(missing_ok=True)
        given = (f"--model={adapter}", "--gate-no-forgetting", f"--gate-json={record}", *arguments)
        result = pytester.runpytest_inprocess("-p", "no:xdist", *given, no_reraise_ctrlc=True)
        texts = {}
        if record.exists():
            kept = json.loads(record.read_text())
            for side in ("run", "baseline"):
                # An accepted run has no texts.
                answers = [each["completion"] for each in kept[side]["results"]]
                texts[side] = [each["text"] for each in answers if each is not None]
        return result, texts, len(asked)

    return run


def interrupted(gate, monkeypatch, *arguments):
    """A gate that is interrupted once some of its answers are there."""
    generate = TransformersEngine.generate

    def stopped(engine, requests, on_batch):
        generate(engine, requests[:9], on_batch)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(TransformersEngine, "generate", stopped)
        result, texts, _ = gate(*arguments)
    assert result.ret == pytest.ExitCode.INTERRUPTED
    assert texts == {}
    result.stdout.fnmatch_lines(["tunegate: interrupted: 9 of 24 answers are kept; *"])


def test_a_gate_that_goes_on_with_other_values_takes_no_answer_of_before(gate, monkeypatch):
    fresh = {tone: gate(values, "--gate-no-cache")[1] for tone, values in TONES.items()}
    assert fresh["w7"] != fresh["w8"]
    interrupted(gate, monkeypatch, TONES["w7"])
    _, texts, asked = gate(TONES["w8"])
    assert (texts, asked) == (fresh["w8"], 24)
    _, texts, asked = gate(TONES["w7"])
    assert (texts, asked) == (fresh["w7"], 24 - 9)


@pytest.mark.parametrize("name", ["main", "latest"])
def test_a_run_with_other_values_is_refused_as_a_baseline_before_a_model_is_asked(gate, name):
    """An accepted one and a stored one; with the same values it is compared."""
    accept = ["--gate-accept=main", "--gate-accept-reason=first"]
    first, texts, _ = gate(TONES["w7"], "--gate-margin=1", *accept)
    assert first.ret == pytest.ExitCode.OK
    same, again, asked = gate(TONES["w7"], f"--gate-baseline={name}")
    assert same.ret == pytest.ExitCode.OK
    assert (again["run"], asked) == (texts["run"], 0)
    for values in ([TONES["w8"]], []):
        refused, none, asked = gate(*values, f"--gate-baseline={name}")
        assert (refused.ret, none, asked) == (pytest.ExitCode.USAGE_ERROR, {}, 0)
        refused.stderr.fnmatch_lines(['ERROR: *was asked with chat_template_kwargs {"tone": "w7"}, not {*'])
