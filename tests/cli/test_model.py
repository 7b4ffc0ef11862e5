import json
import struct
import sys

import pytest
from typer.testing import CliRunner

from harness.cli import model as command
from harness.cli.main import main
from harness.models.catalogue import CATALOGUE

CARD = "---\nlanguage: en\nlicense: mit\n---\n# A model\n"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TUNEGATE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


@pytest.fixture
def model(tmp_path):
    """A directory with six thousand numbers in half precision."""
    directory = tmp_path / "model"
    directory.mkdir()
    config = {"architectures": ["LlamaForCausalLM"], "dtype": "float16", "max_position_embeddings": 2048}
    (directory / "config.json").write_text(json.dumps(config))
    header = json.dumps({"w": {"dtype": "F16", "shape": [2, 3000], "data_offsets": [0, 12000]}}).encode()
    (directory / "model.safetensors").write_bytes(struct.pack("<Q", len(header)) + header + b"\1" * 12000)
    return directory


def run(*arguments: str):
    return CliRunner().invoke(command.app, list(arguments))


def facts(output: str) -> dict[str, str]:
    return {line[:14].strip(): line[15:] for line in output.splitlines()}


def test_the_list_tells_what_is_fetched(home):
    (home / "models" / "minilm").mkdir(parents=True)
    (home / "models" / "minilm" / "config.json").write_text("{}")
    rows = {line.split()[0]: line.split() for line in run("list").output.splitlines() if line.strip()}
    assert set(CATALOGUE) < set(rows)
    assert rows["minilm"][-2:] == ["Apache-2.0", "yes"]
    assert rows["smollm2"][-2:] == ["Apache-2.0", "no"]
    assert "93 MB" in " ".join(rows["smollm2"])


def test_show_reads_all_of_it_without_torch(model):
    shown = facts(run("show", str(model)).output)
    sha256 = shown.pop("sha256")
    assert shown == {
        "path": str(model),
        "architecture": "LlamaForCausalLM",
        "parameters": "0.0 million",
        "precision": "float16",
        "size": "0 MB",
        "context": "2048 tokens",
        "chat template": "no",
        "licence": "not stated",
        "source": "not fetched by tunegate",
    }
    assert len(sha256) == 64
    assert sha256.isalnum()


@pytest.mark.parametrize(
    ("name", "content", "row", "expected"),
    [
        ("chat_template.jinja", "{{ x }}", "chat template", "yes"),
        ("tokenizer_config.json", '{"chat_template": "{{ x }}"}', "chat template", "yes"),
        ("tokenizer_config.json", "{}", "chat template", "no"),
        ("README.md", CARD, "licence", "mit"),
        ("README.md", "# no header", "licence", "not stated"),
        ("README.md", "---\n[\n---\n", "licence", "not stated"),
        ("config.json", "{}", "precision", "16 bits a parameter"),
        ("config.json", "{}", "context", "not stated"),
        ("config.json", "{}", "architecture", "not stated"),
    ],
)
def test_show_takes_each_fact_from_where_it_stands(model, name, content, row, expected):
    (model / name).write_text(content)
    assert facts(run("show", str(model)).output)[row] == expected


def test_show_tells_that_a_fetched_model_changed(model):
    (model / "tunegate_model.json").write_text(
        json.dumps({"name": "tiny", "sha256": "0" * 64, "licence": "X"})
    )
    shown = facts(run("show", str(model)).output)
    assert shown["licence"] == "X"
    assert shown["changed"].endswith("run tunegate model fetch tiny")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("model.safetensors", b"\xff", "truncated"),
        ("config.json", b"{", "not JSON"),
        ("config.json", b"[]", "expected a JSON object, found list"),
    ],
)
def test_a_damaged_model_is_one_line_and_exit_status_4(model, name, content, message, monkeypatch, capsys):
    (model / name).write_bytes(content)
    monkeypatch.setattr(sys, "argv", ["tunegate", "model", "show", str(model)])
    with pytest.raises(SystemExit) as caught:
        main()
    printed = capsys.readouterr().err
    assert caught.value.code == 4
    assert printed.startswith(f"tunegate: {model / name}: ")
    assert message in printed
    assert printed.count("\n") == 1


def test_fetch_tells_stages_on_stderr_and_places_on_stdout(monkeypatch, tmp_path):
    """One line a stage where there is no terminal, however often its progress is told."""

    def fetch(name, on_progress):
        for done in (0.0, 0.5, 1.0):
            on_progress("downloading", done)
        on_progress("extracting [bold]", None)
        return tmp_path / name

    monkeypatch.setattr(command, "fetch_model", fetch)
    result = run("fetch", "minilm", "minilm")
    assert result.stdout == f"minilm: {tmp_path / 'minilm'}\n"
    assert result.stderr == "minilm: downloading\nminilm: extracting [bold]\n"


def test_a_misspelt_name_is_told_before_anything_is_fetched(monkeypatch, home):
    monkeypatch.setattr(command, "fetch_model", lambda *_: pytest.fail("fetched all the same"))
    result = run("fetch", "minilm", "smolm2")
    assert "no model 'smolm2'" in str(result.exception)


def test_fetch_takes_a_hub_id(monkeypatch, tmp_path):
    monkeypatch.setattr(command, "resolve_model", lambda name, recorded, again: tmp_path / name)
    assert run("fetch", "org/name").stdout == f"org/name: {tmp_path / 'org/name'}\n"


def test_show_downloads_nothing(home):
    """Looking at a model that isn't here tells how to get it."""
    for reference in ("smollm2", "hf:org/no-such-name"):
        assert f"tunegate model fetch {reference}" in str(run("show", reference).exception)
