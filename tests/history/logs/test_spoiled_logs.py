"""Whatever value is anywhere in a log: it is read, or refused in one line."""

import gzip
import json
import random
import shutil
from pathlib import Path

import pytest

from harness.baselines.logged_run import runs_of
from harness.errors import DataError, InputError
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


# Where a file's beginning tells its reader.
FILES = ["inspect/base.json", "promptfoo/base.json", "deepeval/base.json", "mlflow/genai_base.json"]


@pytest.mark.parametrize("source", FILES, ids=lambda each: each.replace("/", "-"))
def test_a_file_is_recognised_and_read_in_every_form(tmp_path, source):
    content = (DATA / source).read_bytes()
    whole = read_log(DATA / source)

    def cases(name, written):
        (tmp_path / name).write_bytes(written)
        return read_log(tmp_path / name).cases

    assert cases("bom.json", b"\xef\xbb\xbf" + content) == whole.cases
    assert cases("packed.json.gz", gzip.compress(content)) == whole.cases
    assert cases("lines.json", content.replace(b"\n", b"\r\n")) == whole.cases


@pytest.mark.parametrize("source", FILES, ids=lambda each: each.replace("/", "-"))
@pytest.mark.parametrize(
    ("name", "spoil_bytes", "message"),
    [
        ("a.json", lambda content: content.decode().encode("utf-16"), "convert it, as by iconv"),
        ("a.json", lambda content: content[:300] + b"\xe9" + content[300:], "not UTF-8 text"),
        ("a.json", lambda content: content[: len(content) // 2], "cut off|not JSON"),
        ("a.json", lambda content: content + b"\n" + content, "Extra data"),
        ("a.json.gz", lambda content: gzip.compress(content)[:-9], "cut off, or not gzip"),
        ("a.json", lambda content: b" \n", "it is empty"),
        ("a.json", lambda content: b"", "it is empty"),
    ],
)
def test_a_damaged_file_is_refused_in_one_line(tmp_path, source, name, spoil_bytes, message):
    path = tmp_path / name
    path.write_bytes(spoil_bytes((DATA / source).read_bytes()))
    with pytest.raises(DataError, match=message) as error:
        read_log(path)
    assert "\n" not in str(error.value)
