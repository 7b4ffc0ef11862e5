"""Logs that lm-eval wrote."""

import json
import shutil
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.history.logs.lm_eval import read, recognises

DATA = Path(__file__).parent / "data" / "lm_eval"


@pytest.fixture
def log(tmp_path):
    """A copy of the base's log, to be spoiled."""
    return Path(shutil.copytree(DATA / "base", tmp_path / "log"))


def samples(folder, task):
    return next(folder.glob(f"samples_{task}_*.jsonl"))


def test_a_folder_is_one_run():
    log = read(DATA / "base")
    assert (log.tool, log.model) == ("lm-eval 0.4.13", "tiny-base")
    assert log.deciding == {"capitals": "exact_match,strict-match", "sums": "acc"}
    assert {case.set_name for case in log.cases} == {"capitals", "sums"}
    assert len(log.cases) == 40
    # The corpus metric bleu has no value for a document.
    assert set(log.facts) == {"acc", "acc_norm", "exact_match,strict-match", "exact_match,flexible-extract"}


def test_a_document_has_prompt_answer_and_target():
    cases = {case.key: case for case in read(DATA / "base").cases}
    capital, total = cases["capitals/3"], cases["sums/3"]
    assert capital.messages[0].content == "Q: Capital of country 3?\nA:"
    assert (capital.answers[0].text, capital.references) == (" City3", ("City3",))
    assert capital.answers[0].explanations == {
        "exact_match,strict-match": "extracted 'City3'",
        "exact_match,flexible-extract": "extracted 'City3'",
    }
    # Of a choice the answer is the likeliest.
    assert (total.answers[0].text.strip(), total.references) == ("6", ("6",))
    assert [cases["sums/0"].answers[0].values["acc"], total.answers[0].values["acc"]] == [0.0, 1.0]


@pytest.mark.parametrize("name", ["results_*.json", "samples_sums_*.jsonl"])
def test_a_single_file_names_the_run_too(name):
    path = next((DATA / "base").glob(name))
    assert recognises(path)
    assert {"sums/0"} <= {case.key for case in read(path).cases}


def test_samples_without_results_are_read_where_their_metrics_are_known(log):
    next(log.glob("results_*.json")).unlink()
    found = read(samples(log, "sums"))
    assert found.deciding == {"sums": "acc"}
    assert found.facts["acc"].higher_is_better


def test_a_cut_line_is_named(log):
    path = samples(log, "sums")
    path.write_text(path.read_text()[:-40])
    with pytest.raises(DataError, match=r"samples_sums.*:20: cut off in the middle"):
        read(log)


def test_missing_lines_are_noticed(log):
    path = samples(log, "sums")
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(DataError, match="19 of 20 documents are in it"):
        read(log)


def test_a_doubled_document_is_named(log):
    path = samples(log, "sums")
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join([*lines[:-1], lines[0]]))
    with pytest.raises(DataError, match=r":20: id '0' was used before on line 1"):
        read(log)


def test_results_without_samples_name_the_option(log):
    for path in log.glob("samples_*"):
        path.unlink()
    with pytest.raises(DataError, match="run lm-eval with --log_samples"):
        read(log)


def test_two_runs_in_a_folder_are_refused(log):
    results = next(log.glob("results_*.json"))
    shutil.copy(results, log / "results_2026-01-01T00-00-00.000000.json")
    with pytest.raises(DataError, match="2 runs are in it: name one"):
        read(log)


def test_another_form_is_refused(log):
    path = next(log.glob("results_*.json"))
    path.write_text(json.dumps({"results": []}))
    with pytest.raises(DataError, match="of another type"):
        read(log)


def test_another_version_of_a_task_is_another_case(log):
    path = next(log.glob("results_*.json"))
    facts = json.loads(path.read_text())
    facts["versions"]["sums"] = 2.0
    path.write_text(json.dumps(facts))
    before, now = ({case.key: case.identity for case in read(each).cases} for each in (DATA / "base", log))
    assert before["sums/0"] != now["sums/0"]
    assert before["capitals/0"] == now["capitals/0"]


def test_a_metric_on_an_unknown_scale_is_left_to_the_user(log):
    path = samples(log, "sums")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        line["metrics"], line["brier"] = ["brier"], 0.3
    path.write_text("\n".join(map(json.dumps, lines)))
    found = read(log)
    assert found.deciding["sums"] == "brier"
    assert "brier" not in found.facts
