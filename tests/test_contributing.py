"""CONTRIBUTING.md's recipes work: each is followed in a copy of the sources, and what it adds is used."""

import os
import re
import shutil
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
GOLDEN = """\
name: lines
cases:
  - id: a
    prompt: Say it.
    tags: [t]
    checks: [{type: one-line}]
  - id: b
    prompt: Say it, please.
    tags: [t]
    checks: [{type: not-one-line}]
"""
JUDGED = "name: j\ncases:\n  - {id: a, prompt: Hi, tags: [t], checks: [{type: contains, value: Hi}]}\n"


def recipe(title):
    """A section's file and its text, the file of the record and the record."""
    section = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)[1]
    new, records = re.findall(r"`((?:harness|trainers)/[\w/]+\.py)`", section)[:2]
    code, record = re.findall(r"^```python\n(.*?)^```", section, re.MULTILINE | re.DOTALL)
    return new, code, records, record


TITLES = re.findall(r"^## (Add an? .*)$", PAGE, re.MULTILINE)


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A copy of the sources with what all recipes add."""
    copy = tmp_path_factory.mktemp("sources")
    for package in ("harness", "trainers", "reports", "tunegate"):
        shutil.copytree(ROOT / package, copy / package)
    shutil.copytree(ROOT / "golden_sets" / "general", copy / "golden_sets" / "general")
    for new, code, records, record in map(recipe, TITLES):
        assert not (copy / new).exists()
        (copy / new).write_text(code)
        text = (copy / records).read_text()
        start = next(each for each in ("_ALL: tuple[Metric, ...] = (\n", "_ALL: tuple[TrainMethod, ...] = (\n", "    for kind in (\n") if each in text)  # fmt: skip
        assert text.count(start) == 1
        (copy / records).write_text(text.replace(start, f"{start}{record.rstrip()},\n"))
    return copy


@pytest.fixture
def project(tmp_path, sources, copies):
    """An empty project, and a function that runs a command there."""
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "golden_sets").mkdir()

    def run(*command):
        environment = os.environ | {"PYTHONPATH": str(sources), "PYTHONSAFEPATH": "1"}
        return copies(sys.executable).run(command, tmp_path, environment)

    return tmp_path, run


def test_there_are_four_and_each_is_short():
    assert TITLES == ["Add a metric", "Add a judge", "Add an engine", "Add a trainer"]
    for title in TITLES:
        _, code, _, record = recipe(title)
        assert len([line for line in code.splitlines() if line.strip()]) <= 20, title
        assert len(record.splitlines()) <= 8, title


@pytest.mark.processes
def test_the_metric_scores(project):
    folder, run = project
    (folder / "golden_sets" / "lines.yaml").write_text(GOLDEN)
    shown = run("-m", "tunegate", "golden", "schema")
    assert '"one-line"' in shown.stdout
    code = (
        "from harness.golden.load import load_golden_set; from harness.run.scoring import score_cases\n"
        "from harness.types import Completion; from pathlib import Path\n"
        "cases = load_golden_set(Path('golden_sets/lines.yaml')).cases\n"
        "answer = Completion(text='one\\ntwo', stop_reason='stop', prompt_tokens=1, completion_tokens=1, latency_s=0)\n"
        "print(*(f'{r.case.id}:{r.outcome}' for r in score_cases(cases, {k: answer for c in cases for k in c.answer_keys})))"
    )
    assert run("-c", code).stdout.split() == ["a:failed", "b:passed"]


@pytest.mark.processes
def test_the_judge_answers(project):
    _, run = project
    code = (
        "from harness.judge.open import open_judge; from harness.judge.questions import single_request\n"
        "from harness.run.cache import Cache\n"
        "with Cache(None) as cache, open_judge('length:5', cache) as judge:\n"
        "    for answer in ('short', 'too long an answer'):\n"
        "        request = single_request('rubric', 'a', (), answer, rubric='Be short.')\n"
        "        print(judge.submit(request).result().data['pass'])"
    )
    done = run("-c", code)
    assert done.stdout.split() == ["True", "False"], done.stderr


@pytest.mark.processes
def test_the_engine_is_gated(project):
    folder, run = project
    (folder / "golden_sets" / "j.yaml").write_text(JUDGED)
    done = run(
        "-m",
        "pytest",
        "-p",
        "tunegate.pytest_plugin",
        "--model=echo:any",
        "--gate-baseline=none",
        "--gate-no-forgetting",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout


@pytest.mark.processes
def test_the_trainer_trains(project):
    folder, run = project
    (folder / "train.jsonl").write_text('{"prompt": "Hi", "completion": "Hello!"}\n')
    shown = run("-m", "tunegate", "train", "first-answer", "--init")
    assert "output: answer.txt" in shown.stdout, shown.stderr
    (folder / "first.yaml").write_text(shown.stdout)
    done = run("-m", "tunegate", "train", "first-answer", "first.yaml")
    assert done.returncode == 0, done.stderr
    assert (folder / "answer.txt").read_text() == "Hello!"
