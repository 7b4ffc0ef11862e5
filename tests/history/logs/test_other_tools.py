"""Logs that HELM, deepeval and MLflow wrote: whole, and cut or of another form."""

import json
import shutil
from pathlib import Path

import pytest

from harness.errors import DataError
from harness.history.logs import deepeval, helm, mlflow
from harness.history.logs.kinds import read_log

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize(
    ("path", "tool", "key", "text", "lost"),
    [
        ("helm/base", "HELM", "capitals/id3", "City3", "capitals/id0"),
        ("helm/base/per_instance_stats.json", "HELM", "capitals/id3", "City3", "capitals/id0"),
        ("deepeval/base.json", "deepeval", "deepeval/country-3", "It is City3.", "deepeval/country-0"),
    ],
)
def test_a_case_has_answer_values_and_prompt(path, tool, key, text, lost):
    log = read_log(DATA / path)
    cases = {case.key: case for case in log.cases}
    assert (log.tool, len(cases)) == (tool, 12)
    assert cases[key].answers[0].text == text
    assert "Capital of country 3?" in cases[key].messages[0].content
    assert cases[key].references == ("City3",)
    (name,) = [name for name in ("exact_match", "Names") if name in log.facts]
    assert [cases[each].answers[0].values[name] for each in (key, lost)] == [1.0, 0.0]


@pytest.mark.parametrize("path", ["genai_base.json", "base/eval_results_table.json"])
def test_rows_of_mlflow_are_known_by_their_content(path):
    log = read_log(DATA / "mlflow" / path)
    again = read_log(DATA / "mlflow" / path.replace("base", "cand"))
    assert {case.key for case in log.cases} == {case.key for case in again.cases}
    assert len(log.cases) == 12
    first = log.cases[0]
    assert "Capital of country 0?" in first.messages[0].content
    assert first.answers[0].text == "I do not know."


def test_mlflow_s_truths_have_a_direction_and_numbers_have_none():
    assert set(read_log(DATA / "mlflow/genai_base.json").facts) == {"hit/value"}
    assert read_log(DATA / "mlflow/base/eval_results_table.json").facts == {}


def test_the_direction_of_a_deepeval_metric_is_that_of_its_verdicts(tmp_path):
    facts = json.loads((DATA / "deepeval/base.json").read_text())
    for test in facts["testCases"]:
        (metric,) = test["metricsData"]
        metric.update(name="Bias", score=0.9 if not metric["success"] else 0.1)
    path = tmp_path / "run.json"
    path.write_text(json.dumps(facts))
    assert not deepeval.read(path).facts["Bias"].higher_is_better


def test_tests_without_a_name_are_known_by_their_content(tmp_path):
    facts = json.loads((DATA / "deepeval/base.json").read_text())
    for number, test in enumerate(facts["testCases"]):
        test["name"] = f"test_case_{number}"
    path = tmp_path / "run.json"
    path.write_text(json.dumps(facts))
    names = [case.id for case in deepeval.read(path).cases]
    facts["testCases"].reverse()
    path.write_text(json.dumps(facts))
    assert sorted(case.id for case in deepeval.read(path).cases) == sorted(names)


def test_a_metric_that_broke_is_an_error(tmp_path):
    facts = json.loads((DATA / "deepeval/base.json").read_text())
    facts["testCases"][0]["metricsData"][0].update(error="no key\nmore", score=None, success=None)
    path = tmp_path / "run.json"
    path.write_text(json.dumps(facts))
    answer = deepeval.read(path).cases[0].answers[0]
    assert (answer.error, answer.passed, answer.values) == ("Names: no key", None, {})


@pytest.mark.parametrize(
    ("source", "change", "message"),
    [
        ("deepeval/base.json", lambda text: text[:700], "cut off|not JSON"),
        ("deepeval/base.json", lambda text: '{"testCases": []}', "it has no test cases"),
        (
            "deepeval/base.json",
            lambda text: text.replace('"metricsData"', '"metrics"'),
            "'metricsData' is missing",
        ),
        ("mlflow/genai_base.json", lambda text: text[:-90], "cut off|not JSON"),
        ("mlflow/genai_base.json", lambda text: '{"columns":["a/value"],"data":[]}', "it has no rows"),
        (
            "mlflow/genai_base.json",
            lambda text: '{"columns":["a/value"],"data":[[1, 2]]}',
            "row 1 has not one cell",
        ),
        (
            "mlflow/genai_base.json",
            lambda text: '{"columns":["a/value"],"data":[["x"]]}',
            "no column NAME/score",
        ),
    ],
)
def test_what_is_not_whole_is_refused(tmp_path, source, change, message):
    path = tmp_path / "log.json"
    path.write_text(change((DATA / source).read_text()))
    with pytest.raises(DataError, match=message):
        read_log(path)


@pytest.fixture
def helm_run(tmp_path):
    return Path(shutil.copytree(DATA / "helm" / "base", tmp_path / "run"))


def test_helm_s_values_alone_are_enough(helm_run):
    (helm_run / "scenario_state.json").unlink()
    log = helm.read(helm_run)
    assert log.cases[0].answers[0].text is None
    assert log.deciding == {"capitals": "exact_match"}


def test_a_perturbed_instance_shares_its_cluster(helm_run):
    path = helm_run / "per_instance_stats.json"
    rows = json.loads(path.read_text())
    rows.append({**rows[0], "perturbation": {"name": "typos"}})
    path.write_text(json.dumps(rows))
    (helm_run / "scenario_state.json").unlink()
    case = helm.read(helm_run).cases[-1]
    assert (case.id, case.cluster) == ("id0 (typos)", "id0")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:-1], "11 of 12 answers are in it"),
        (lambda rows: [*rows, rows[0]], "id 'id0' .answer 0. was used before"),
        (lambda rows: [], "it has no instances"),
        (lambda rows: [{"stats": []}], "an instance has no id"),
    ],
)
def test_helm_runs_that_are_not_whole_are_refused(helm_run, change, message):
    path = helm_run / "per_instance_stats.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(DataError, match=message):
        helm.read(helm_run)


def test_a_csv_of_mlflow_s_table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("request,response,ok/value\nq,a,yes\nr,b,no\n")
    assert mlflow.recognises(path)
    log = read_log(path)
    assert [case.answers[0].values for case in log.cases] == [{"ok/value": 1.0}, {"ok/value": 0.0}]
    other = tmp_path / "rows.csv"
    other.write_text("id,score\na,1\n")
    assert not mlflow.recognises(other)
