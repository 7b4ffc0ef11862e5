"""Stored runs as a user reads them."""

import json
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.errors import BaselineError
from harness.history.store import open_history
from harness.run import generation
from harness.types import GateRecord, Outcome

RUNNER = CliRunner()


@pytest.fixture
def runs(monkeypatch, pytester, tiny_adapter_dir):
    """A project with two stored runs of twelve cases: one that equals its base, then one that lost them all."""
    from harness.types import Completion

    answers = {"good": "Paris", "bad": "no idea"}
    state = {"answer": "good"}

    class Engine:
        def __init__(self, plan):
            self.plan = plan

        def generate(self, requests, on_batch):
            for index, asked in enumerate(requests):
                text = "Paris" if asked.side == "baseline" else answers[state["answer"]]
                on_batch(
                    {
                        index: Completion(
                            text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1
                        )
                    }
                )

        def losses(self, requests, on_batch):
            raise AssertionError("nothing to score")

        def largest_logit_change(self, side):
            return 1.0

    monkeypatch.setattr(generation, "open_sides", lambda sides, plan: Engine(plan))
    cases = "".join(
        f"  - {{id: c{i}, prompt: Capital {i}?, references: [Paris], checks: [{{type: contains}}]}}\n"
        for i in range(12)
    )
    (pytester.path / "golden_sets").mkdir()
    (pytester.path / "golden_sets" / "capitals.yaml").write_text(f"name: capitals\ncases:\n{cases}")
    for name in answers:
        state["answer"] = name
        pytester.runpytest_inprocess(
            "-p", "no:xdist", f"--model={tiny_adapter_dir}", "--gate-no-forgetting", "--gate-no-cache"
        )
    monkeypatch.chdir(pytester.path)


def test_list_shows_the_newest_first(runs):
    listed = json.loads(RUNNER.invoke(app, ["runs", "list", "--json"]).stdout)
    assert [line["verdict"] for line in listed] == ["regress", "inconclusive"]
    assert listed[0]["outcomes"] == {"failed": 12}
    assert "regress" in RUNNER.invoke(app, ["runs", "list"]).stdout


def test_the_list_has_whole_ids_and_what_changed_on_80_columns(runs):
    newest, first = json.loads(RUNNER.invoke(app, ["runs", "list", "--json"]).stdout)
    head, *lines = RUNNER.invoke(app, ["runs", "list"], env={"COLUMNS": "80"}).stdout.splitlines()
    assert head.split() == ["run", "date", "commit", "passed", "change", "verdict"]
    assert lines[0].split()[0] == newest["id"]
    assert lines[0].split()[-3:] == ["0/12", "-12", "regress"]
    assert lines[2].split()[0] == first["id"]
    assert lines[2].split()[-3:] == ["12/12", "none", "inconclusive"]
    assert max(map(len, (head.rstrip(), lines[0].rstrip()))) <= 80
    assert lines[1] == f"  {newest['model']}"
    wide = RUNNER.invoke(app, ["runs", "list"], env={"COLUMNS": "200"}).stdout.splitlines()
    assert len(wide) == 3
    assert wide[1].rstrip().endswith(newest["model"])


@pytest.mark.parametrize(
    ("filters", "verdicts"),
    [
        (["--verdict", "regress"], ["regress"]),
        (["--verdict", "pass"], []),
        (["--model", "tiny_adapter"], ["regress", "inconclusive"]),
        (["--model", "none-like-this"], []),
        (["--set", "capitals"], ["regress", "inconclusive"]),
        (["--set", "other"], []),
        (["--commit", "abc"], []),
        (["--limit", "1"], ["regress"]),
        (["--verdict", "inconclusive", "--limit", "1"], ["inconclusive"]),
    ],
)
def test_the_list_is_filtered(runs, filters, verdicts):
    found = json.loads(RUNNER.invoke(app, ["runs", "list", "--json", *filters]).stdout)
    assert [line["verdict"] for line in found] == verdicts
    text = RUNNER.invoke(app, ["runs", "list", *filters]).stdout
    assert ("no stored run is like that" in text) == (not verdicts)


def test_a_run_s_commit_is_listed_and_found(tmp_path, make_run, make_result):

    from harness.history.store import open_history
    from harness.types import GateRecord

    run = make_run([make_result("s/a")])
    with open_history(tmp_path / "history.sqlite") as history:
        for name, commit, dirty in (("one", "a" * 40, False), ("two", "b" * 40, True)):
            environment = replace(run.environment, commit=commit, dirty=dirty)
            history.save(GateRecord(run=replace(run, id=name, environment=environment)))
    text = RUNNER.invoke(app, ["runs", "list", "--directory", str(tmp_path)]).stdout
    assert "aaaaaaa " in text
    assert "bbbbbbb*" in text
    found = RUNNER.invoke(
        app, ["runs", "list", "--json", "--directory", str(tmp_path), "--commit", "bbb"]
    ).stdout
    assert [line["id"] for line in json.loads(found)] == ["two"]


def test_a_model_s_name_takes_one_line_whatever_is_in_it(tmp_path, make_run, make_result):

    from harness.history.store import open_history
    from harness.types import GateRecord

    run = make_run([make_result("s/a")])
    model = replace(run.model, label="a\x1b[31m\n::error::b")
    with open_history(tmp_path / "history.sqlite") as history:
        history.save(GateRecord(run=replace(run, model=model)))
    text = RUNNER.invoke(app, ["runs", "list", "--directory", str(tmp_path)]).stdout
    assert [line.strip() for line in text.splitlines()][2:] == ["a⟨ESC⟩[31m⟨LF⟩::error::b"]


def test_show_prints_the_gate_and_a_case(runs):
    shown = RUNNER.invoke(app, ["runs", "show", "latest"]).stdout
    assert "REGRESS" in shown
    case = RUNNER.invoke(app, ["runs", "show", "latest", "--case", "capitals/c3"]).stdout
    assert "answer: no idea" in case
    assert RUNNER.invoke(app, ["runs", "show", "latest", "--case", "capitals/none"]).exit_code == 2


def test_compare_judges_two_stored_runs(runs):
    assert RUNNER.invoke(app, ["runs", "compare", "latest", "latest~1"]).exit_code == 1
    assert RUNNER.invoke(app, ["runs", "compare", "latest~1", "latest"]).exit_code == 0


def test_runs_without_a_common_case_are_not_compared(tmp_path, make_run, make_result):
    """No verdict is the verdict on nothing: it is refused, as tunegate compare refuses it."""
    with open_history(tmp_path / "history.sqlite") as history:
        for name in ("one", "other"):
            history.save(GateRecord(run=make_run([make_result(f"{name}/a")], run_id=name)))
    kept = ["--history", str(tmp_path / "history.sqlite")]
    refused = RUNNER.invoke(app, ["runs", "compare", "one", "other", *kept]).exception
    assert isinstance(refused, BaselineError)
    assert "no case can be compared (1 only in the baseline, 1 only in the candidate)" in str(refused)


@pytest.mark.parametrize(("must_pass", "status"), [(True, 1), (False, 0)])
def test_runs_whose_common_cases_have_no_verdict_get_one(tmp_path, make_run, make_result, must_pass, status):
    """A must-pass case that failed is a regression, whatever the baseline lacks."""
    with open_history(tmp_path / "history.sqlite") as history:
        for name, outcome in (("now", Outcome.FAILED), ("then", Outcome.ERRORED)):
            made = make_result("s/a", outcome)
            result = replace(made, case=replace(made.case, must_pass=must_pass))
            history.save(GateRecord(run=make_run([result], run_id=name)))
    kept = ["--history", str(tmp_path / "history.sqlite")]
    told = RUNNER.invoke(app, ["runs", "compare", "now", "then", *kept])
    assert told.exit_code == status, told.output
    assert ("REGRESS" if must_pass else "INCONCLUSIVE") in told.stdout


def test_an_unknown_run_is_named(runs):
    result = RUNNER.invoke(app, ["runs", "show", "yesterday"])
    assert "no run 'yesterday'" in str(result.exception)
