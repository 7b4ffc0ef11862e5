"""Logs that HELM, deepeval and MLflow wrote: whole, and cut or of another form."""

import json
import shutil
from pathlib import Path

import pytest

from harness.baselines.logged_run import runs_of
from harness.errors import DataError, SettingsError
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


@pytest.mark.parametrize("change", [{"score": 0.5, "threshold": 0.5, "success": True}, {"threshold": None}])
def test_a_deepeval_metric_whose_verdicts_fit_both_directions_has_none(tmp_path, change):
    facts = json.loads((DATA / "deepeval/base.json").read_text())
    for test in facts["testCases"]:
        test["metricsData"][0].update(change)
    path = tmp_path / "run.json"
    path.write_text(json.dumps(facts))
    assert deepeval.read(path).facts == {}


def test_two_metrics_of_one_name_are_two(tmp_path):
    facts = json.loads((DATA / "deepeval/base.json").read_text())
    metrics = facts["testCases"][1]["metricsData"]
    metrics.append({**metrics[0], "score": 0.25})
    path = tmp_path / "run.json"
    path.write_text(json.dumps(facts))
    assert deepeval.read(path).cases[1].answers[0].values == {"Names": 1.0, "Names 2": 0.25}


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


def stat(mean):
    return {"name": {"name": "exact_match"}, "count": 1, "mean": mean}


@pytest.fixture
def helm_run(tmp_path):
    return Path(shutil.copytree(DATA / "helm" / "base", tmp_path / "run"))


def test_helm_s_values_alone_are_enough(helm_run):
    (helm_run / "scenario_state.json").unlink()
    log = helm.read(helm_run)
    assert log.cases[0].answers[0].text is None
    assert log.deciding == {"capitals": "exact_match"}


@pytest.mark.parametrize(
    ("further", "name"),
    [({"perturbation": {"name": "typos"}}, "typos"), ({"train_trial_index": 1}, "trial 1")],
)
def test_an_instance_that_is_asked_in_two_ways_is_one_cluster(helm_run, further, name):
    """Other examples come before a second trial's question."""
    path = helm_run / "per_instance_stats.json"
    rows = json.loads(path.read_text())
    rows.append({**rows[0], **further})
    path.write_text(json.dumps(rows))
    (helm_run / "scenario_state.json").unlink()
    cases = helm.read(helm_run).cases
    assert {case.id: case.cluster for case in (cases[0], cases[1], cases[-1])} == {
        "id0": "id0",
        "id1": None,
        f"id0 ({name})": "id0",
    }


def test_a_request_that_failed_is_an_error(helm_run):
    """HELM scores its empty answer 0."""
    path = helm_run / "scenario_state.json"
    facts = json.loads(path.read_text())
    facts["request_states"][2]["result"].update(success=False, error="429\nmore", completions=[])
    path.write_text(json.dumps(facts))
    answer = helm.read(helm_run).cases[2].answers[0]
    assert (answer.error, answer.values, answer.text) == ("429", {}, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows[:-1], "11 of 12 answers are in it"),
        (lambda rows: [*rows, rows[0]], "id 'id0' .answer 0. was used before"),
        (lambda rows: [], "it has no instances"),
        (lambda rows: ["x", *rows], "instance 1: not an object"),
        (
            lambda rows: [{**rows[0], "stats": [stat(1.0), stat(0.0)]}, *rows[1:]],
            "instance id0: exact_match has two values",
        ),
        (lambda rows: [{**rows[0], "stats": [stat(float("inf"))]}, *rows[1:]], "inf is not a number"),
        (lambda rows: [{"stats": []}], "an instance has no id"),
    ],
)
def test_helm_runs_that_are_not_whole_are_refused(helm_run, change, message):
    path = helm_run / "per_instance_stats.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(DataError, match=message):
        helm.read(helm_run)


@pytest.fixture
def feedback(tmp_path):
    """A table of mlflow.genai with an expectation and two judges' feedback."""

    def written(**further):
        columns = ["request", "is_spam/value", "ok/value", "tone/value", *further]
        path = tmp_path / "result.json"
        rows = [["q", True, True, False, *further.values()], ["r", True, False, True, *further.values()]]
        path.write_text(json.dumps({"columns": columns, "data": rows}))
        return path

    return written


def test_what_an_answer_should_be_is_no_score_of_mlflow(feedback):
    told = [{"assessment_name": "is_spam", "expectation": {"value": True}}, {"assessment_name": "ok"}]
    log = read_log(feedback(assessments=told))
    assert log.deciding == {"mlflow": "ok/value"}
    assert set(log.facts) == {"ok/value", "tone/value"}


def test_where_mlflow_does_not_tell_them_apart_the_deciding_column_is_asked_for(feedback):
    with pytest.raises(
        SettingsError, match=r"say which metric decides with --metric .*is_spam/value, ok/value"
    ):
        runs_of([read_log(feedback())], {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"columns":["request","a/value","a/value"],"data":[["q",1,0]]}', "column 'a/value' occurs twice"),
        (
            '{"columns":["request","a/value","execution_duration"],"data":[["q",true,1e400]]}',
            "row 1: execution_duration: inf is not a number",
        ),
    ],
)
def test_a_table_of_mlflow_that_is_damaged(tmp_path, text, message):
    path = tmp_path / "result.json"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_log(path)


def test_rows_of_mlflow_without_an_input_are_paired_by_their_number(tmp_path):
    path = tmp_path / "result.json"
    path.write_text('{"columns":["a/value"],"data":[[true],[false]]}')
    log = read_log(path)
    assert [case.id for case in log.cases] == ["1", "2"]
    assert log.notes == ("result.json: rows without an input are paired by their number alone",)


def test_a_csv_of_mlflow_s_table(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("request,response,ok/value\nq,a,yes\nr,b,no\n")
    assert mlflow.recognises(path)
    log = read_log(path)
    assert [case.answers[0].values for case in log.cases] == [{"ok/value": 1.0}, {"ok/value": 0.0}]
    other = tmp_path / "rows.csv"
    other.write_text("id,score\na,1\n")
    assert not mlflow.recognises(other)
