"""Whatever value is anywhere in a log: it is read, or refused in one line."""

import json
import random
import shutil
from pathlib import Path

import pytest

from harness.baselines.logged_run import runs_of
from harness.errors import InputError
from harness.history.logs.kinds import read_log

DATA = Path(__file__).parent / "data"
ODD = [None, "", "x", -1, 2.5, 1e400, [], {}, [None], {"a": 1}, True, "9" * 5000]
LOGS = [
    ("inspect/base.json", "base.json", "inspect"),
    ("promptfoo/base.json", "base.json", "promptfoo"),
    ("deepeval/base.json", "base.json", "deepeval"),
    ("mlflow/genai_base.json", "genai.json", "mlflow"),
    ("helm/base", "per_instance_stats.json", "helm"),
    ("helm/base", "scenario_state.json", "helm"),
    ("helm/base", "run_spec.json", "helm"),
    ("lm_eval/base", "results_*.json", "lm-eval"),
    ("lm_eval/base", "samples_sums_*.jsonl", "lm-eval"),
    ("lm_eval/base", "samples_capitals_*.jsonl", "lm-eval"),
]


def spoil(value, chance):
    """A copy in which one value, reached by a random walk, is another."""
    if isinstance(value, dict) and value and chance.random() < 0.9:
        key = chance.choice(sorted(value))
        return {**value, key: spoil(value[key], chance)}
    if isinstance(value, list) and value and chance.random() < 0.9:
        place = chance.randrange(len(value))
        return [*value[:place], spoil(value[place], chance), *value[place + 1 :]]
    return chance.choice(ODD)


@pytest.mark.parametrize(("source", "name", "reader"), LOGS, ids=lambda each: str(each).replace("/", "-"))
def test_a_spoiled_value_is_read_or_refused_in_one_line(tmp_path, source, name, reader):
    chance = random.Random(f"{source} {name}")
    original = DATA / source
    copy = tmp_path / "log"
    if original.is_dir():
        shutil.copytree(original, copy)
        (path,) = copy.glob(name)
    else:
        copy.mkdir()
        path = Path(shutil.copy(original, copy / name))
        copy = path
    text = path.read_text()
    values = [json.loads(line) for line in text.splitlines()] if path.suffix == ".jsonl" else json.loads(text)
    refused = []
    for _ in range(60):
        spoiled = spoil(values, chance)
        lines = spoiled if path.suffix == ".jsonl" and isinstance(spoiled, list) else [spoiled]
        path.write_text("\n".join(map(json.dumps, lines)))
        try:
            runs_of([read_log(copy, reader)], {})
        except InputError as error:
            refused.append(str(error))
    # Of the run's specification hardly anything is needed.
    assert refused or name == "run_spec.json"
    assert [line for line in refused if len(line.splitlines()) != 1] == []
