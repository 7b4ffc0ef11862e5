"""The example distribution works from its wheel in a project of its own: one of each kind of extension."""

import dataclasses
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from harness.registry import Metric

pytestmark = pytest.mark.processes
ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "plugin"


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A directory into which the example's wheel was installed."""
    source = tmp_path_factory.mktemp("source")
    shutil.copytree(EXAMPLE, source / "plugin", ignore=shutil.ignore_patterns("__pycache__", ".tunegate"))
    target = tmp_path_factory.mktemp("installed")
    wanted = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--target", target]
    command = [sys.executable, "-m", "pip", "install", *wanted, source / "plugin"]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=300)
    assert [path.name for path in target.glob("*.dist-info")] == ["tunegate_example-0.1.0.dist-info"]
    return target


class Guesthouse:
    """The example's project, copied, with the plug-in on its path."""

    def __init__(self, path, installed, process):
        self.path, self.installed, self.process = path, installed, process

    def run(self, *command, returns=0):
        paths = os.pathsep.join(map(str, (self.installed, ROOT)))
        environment = {
            **os.environ,
            "PYTHONPATH": paths,
            "PYTEST_ADDOPTS": "-p no:langsmith_plugin -p no:xdist",
        }
        done = self.process.run(("-m", *command), self.path, environment)
        assert done.returncode == returns, done.stdout + done.stderr
        assert "Traceback" not in done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def guesthouse(tmp_path, installed, copies):
    project = tmp_path / "front-desk"
    shutil.copytree(EXAMPLE / "project", project, ignore=shutil.ignore_patterns("__pycache__", ".tunegate"))
    return Guesthouse(project, installed, copies(sys.executable))


@pytest.fixture
def trained(guesthouse):
    """The project with the answers that its own training method learnt."""
    assert "learnt 8 answers by heart" in guesthouse.run("tunegate", "train", "memorise", "memorise.yaml")
    return guesthouse


GATE = ("pytest", "--gate-judge=keyword:please", "--gate-json=record.json")


def test_engine_metric_judge_python_check_and_sink_take_part_in_a_gate(trained):
    output = trained.run(*GATE, "--model=canned:answers.json", "--gate-baseline=canned:answers.json", "-v")
    assert "8 passed" in output
    assert "judge:  keyword:please" in output
    record = json.loads((trained.path / "record.json").read_text())
    run = record["run"]
    assert (run["plan"]["engine"], run["model"]["label"]) == ("canned", "canned:answers.json")
    scores = {score["metric"]: score for score in run["results"][0]["scores"]}
    assert scores["politeness"]["value"] == 1.0
    assert scores["politeness"]["explanation"] == "found thank, welcome, please"
    assert "'please' is in the answer" in scores["llm-rubric"]["explanation"]
    assert scores["python:checks.py:whole_sentence"]["passed"] is True
    assert scores["python:checks.py:brevity"]["value"] == pytest.approx(1 - 16 / 40)
    assert run["metrics"]["politeness"]["kind"] == "graded"
    ledger = trained.path / ".tunegate" / "runs" / "ledger.txt"
    assert ledger.read_text().splitlines() == [f"{run['id']} canned:answers.json: inconclusive"]
    assert f"report: {ledger}" in output


def test_a_worse_model_of_the_engine_regresses(trained):
    output = trained.run(*GATE, "--model=canned:curt.json", "--gate-baseline=canned:answers.json", returns=1)
    assert "REGRESS" in output
    record = json.loads((trained.path / "record.json").read_text())
    drops = {row["metric"]: row["drop"]["estimate"] for row in record["comparison"]["metrics"]}
    assert drops["pass-rate"] == 1.0
    assert drops["politeness"] > 0.5


def test_answers_of_the_engine_come_from_the_cache(trained):
    """Its file decides: without it the stored answers can't be asked for."""
    arguments = (*GATE, "--model=canned:answers.json", "--gate-baseline=none")
    trained.run(*arguments)
    changed = json.loads((trained.path / "answers.json").read_text())
    changed["When do you open?"] = "At nine"
    (trained.path / "answers.json").write_text(json.dumps(changed))
    trained.run(*arguments, returns=1)
    results = json.loads((trained.path / "record.json").read_text())["run"]["results"]
    assert results[0]["completion"]["text"] == "At nine"
    (trained.path / "answers.json").unlink()
    output = trained.run(*arguments, returns=4)
    assert "ERROR: canned:answers.json: can't be read: No such file or directory" in output


def test_variables_name_the_engine_too(trained, monkeypatch):
    monkeypatch.setenv("TUNEGATE_MODEL", "canned:answers.json")
    assert "8 passed" in trained.run(*GATE, "--gate-baseline=none")


def test_the_reward_is_configured_and_built_like_any_other(guesthouse):
    config = guesthouse.path / "grpo.yaml"
    config.write_text(
        "base: tiny\ndata: prompts.jsonl\noutput: out\n"
        "rewards:\n  - {type: polite, most: 1, weight: 2.0}\n  - {type: json-valid}\n"
    )
    (guesthouse.path / "build.py").write_text(
        "from pathlib import Path\n"
        "from trainers.config_file import load_config\n"
        "from trainers.methods.grpo import GrpoConfig\n"
        "from trainers.rewards.build import build_rewards\n"
        "rewards = build_rewards(load_config(Path('grpo.yaml'), GrpoConfig).rewards)\n"
        "print([(r.name, r.weight, r.function(['please, thanks', '{}'])) for r in rewards])\n"
    )
    assert "[('polite', 2.0, [0.5, 0.0]), ('json-valid', 1.0, [0.0, 1.0])]" in guesthouse.run("build")
    config.write_text(config.read_text().replace("most: 1", "most: 0"))
    refused = guesthouse.run("tunegate", "train", "grpo", "grpo.yaml", returns=4)
    assert "grpo.yaml:5: rewards.0.most: found 0" in refused
    config.write_text(config.read_text().replace("type: polite", "type: rude"))
    refused = guesthouse.run("tunegate", "train", "grpo", "grpo.yaml", returns=4)
    assert "grpo.yaml:5: rewards.0.type: found" in refused
    assert "polite" in refused


def test_command_schema_lint_and_init_read_the_same_registry(guesthouse):
    assert "memorise" in guesthouse.run("tunegate", "train", "--help")
    assert "output: answers.json" in guesthouse.run("tunegate", "train", "memorise", "--init")
    schema = json.loads(guesthouse.run("tunegate", "golden", "schema"))
    kinds = [each["properties"]["type"]["const"] for each in schema["$defs"]["CheckYaml"]["oneOf"]]
    assert "politeness" in kinds
    guesthouse.run("tunegate", "golden", "lint", "golden_sets")


def test_the_log_reader_is_for_compare(guesthouse):
    for name, word in (("before", "yes"), ("after", "no")):
        lines = "".join(f"case-{number} {word}\n" for number in range(8))
        (guesthouse.path / f"{name}.tally").write_text(lines)
    output = guesthouse.run("tunegate", "compare", "before.tally", "after.tally", "--no-save", returns=1)
    assert "tally pass-rate fell" in output
    (guesthouse.path / "after.tally").write_text("case-0 perhaps\n")
    output = guesthouse.run("tunegate", "compare", "before.tally", "after.tally", "--no-save", returns=4)
    assert "after.tally:1: 'perhaps' is neither yes nor no" in output


def test_without_the_plug_in_its_names_are_refused_in_one_line(guesthouse, tmp_path):
    guesthouse.installed = tmp_path
    output = guesthouse.run(*GATE, "--model=canned:curt.json", returns=4)
    assert "no model 'canned:curt.json'" in output or "canned:curt.json" in output
    output = guesthouse.run("tunegate", "golden", "lint", "golden_sets", returns=4)
    assert "unknown check type 'politeness'" in output


def test_a_plug_in_that_breaks_at_import_is_one_line(guesthouse, tmp_path):
    broken = tmp_path / "broken"
    (broken / "broken-1.dist-info").mkdir(parents=True)
    (broken / "broken-1.dist-info" / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: broken\nVersion: 1\n"
    )
    (broken / "broken-1.dist-info" / "entry_points.txt").write_text(
        "[tunegate.plugins]\nbroken = broken_plugin\n"
    )
    (broken / "broken_plugin.py").write_text("import gone_module\n")
    guesthouse.installed = f"{guesthouse.installed}{os.pathsep}{broken}"
    line = "tunegate: warning: plug-in broken is left out: ModuleNotFoundError: No module named 'gone_module'"
    assert guesthouse.run("tunegate", "golden", "lint", "golden_sets").count(line) == 1
    output = guesthouse.run(*GATE, "--model=canned:curt.json", "--gate-baseline=none", "-q", returns=1)
    assert output.count(line) == 1


def test_the_page_shows_the_example_s_own_code():
    """Each file of docs/extending.md is shown there as it is."""
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    files = [*(EXAMPLE / "tunegate_example").glob("*.py"), EXAMPLE / "pyproject.toml"]
    files += [EXAMPLE / "project" / "pyproject.toml", EXAMPLE / "project" / "golden_sets" / "checks.py"]
    assert len(files) == 11
    assert [
        str(file) for file in files if f"\n{file.read_text(encoding='utf-8').rstrip()}\n```" not in page
    ] == []


def test_the_page_names_each_field_that_a_metric_of_one_s_own_has():
    page = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    own = {"name", "summary", "function", "extra", "judged", "always_references"}
    fields = {field.name for field in dataclasses.fields(Metric)} - own
    assert [name for name in sorted(fields) if f"`{name}`" not in page] == []
