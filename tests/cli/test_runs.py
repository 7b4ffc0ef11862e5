"""Stored runs as a user reads them."""

import json

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.run import generation

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


def test_show_prints_the_gate_and_a_case(runs):
    shown = RUNNER.invoke(app, ["runs", "show", "latest"]).stdout
    assert "REGRESS" in shown
    case = RUNNER.invoke(app, ["runs", "show", "latest", "--case", "capitals/c3"]).stdout
    assert "answer: no idea" in case
    assert RUNNER.invoke(app, ["runs", "show", "latest", "--case", "capitals/none"]).exit_code == 2


def test_compare_judges_two_stored_runs(runs):
    assert RUNNER.invoke(app, ["runs", "compare", "latest", "latest~1"]).exit_code == 1
    assert RUNNER.invoke(app, ["runs", "compare", "latest~1", "latest"]).exit_code == 0


def test_an_unknown_run_is_named(runs):
    result = RUNNER.invoke(app, ["runs", "show", "yesterday"])
    assert "no run 'yesterday'" in str(result.exception)
