"""The example of all checks: each case passes and fails as it says, and a gate runs it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.authoring.lint import lint_golden_set
from harness.golden.load import load_golden_set
from harness.golden.yaml_lines import parse_yaml
from harness.registry.content_metrics import CONTENT_METRICS
from harness.run.scoring import Judging, score_cases
from harness.types import Completion, Outcome, Permissions

FOLDER = Path(__file__).parents[1] / "examples" / "checks" / "golden"
SHOP = load_golden_set(FOLDER / "shop.yaml")


def outcome_of(case, text):
    answer = Completion(text=text, stop_reason="stop", prompt_tokens=9, completion_tokens=9, latency_s=0.5)
    answer = replace(answer, earlier=(answer,) * max(len(case.turns) - 1, 0))
    (result,) = score_cases([case], {case.key: answer}, judging=Judging(allowed=Permissions(code=True)))
    return result


@pytest.mark.parametrize("case", SHOP.cases, ids=lambda case: case.id)
def test_each_case_passes_and_fails_as_it_says(case):
    passed = outcome_of(case, case.metadata["passes"])
    assert passed.outcome is Outcome.PASSED, [score for score in passed.scores if not score.passed]
    assert outcome_of(case, case.metadata["fails"]).outcome is Outcome.FAILED


def test_the_lint_finds_nothing():
    assert [str(finding) for finding in lint_golden_set(SHOP)] == []


def test_all_of_these_checks_are_shown():
    used = {single.type.removeprefix("not-") for case in SHOP.cases for single in case.single_checks}
    used |= {check.type for case in SHOP.cases for check in case.checks}
    assert {metric.name for metric in CONTENT_METRICS} - used == {"cost", "choice-likelihood"}


def test_the_editors_schema_takes_it():
    import jsonschema

    from harness.golden.editor_schema import golden_schema

    jsonschema.validate(parse_yaml(FOLDER / "shop.yaml").data, golden_schema())


def test_a_gate_runs_it(pytester, tiny_adapter_dir, monkeypatch):
    """On an engine that gives each case's passing answer on one side, and its failing one on the other."""
    answers = {case.key: case.metadata for case in SHOP.cases}

    class Engine:
        def __init__(self, sides, plan):
            self.plan = plan

        def generate(self, requests, on_batch):
            for index, request in enumerate(requests):
                kind = "fails" if request.side == "candidate" and request.key == "shop/mood" else "passes"
                text = answers[request.key][kind]
                on_batch(
                    {
                        index: Completion(
                            text=text, stop_reason="stop", prompt_tokens=9, completion_tokens=9, latency_s=0.5
                        )
                    }
                )

        def losses(self, requests, on_batch):
            raise AssertionError("no check needs losses")

        def largest_logit_change(self, side):
            return 1.0

    monkeypatch.setattr("harness.run.generation.open_sides", Engine)
    shutil.copytree(FOLDER, pytester.path / "golden_sets")
    arguments = [f"--model={tiny_adapter_dir}", "--gate-no-forgetting"]
    refused = pytester.runpytest_inprocess("-p", "no:xdist", *arguments)
    assert refused.ret == 4
    refused.stderr.fnmatch_lines(["*shop/discount: code: it runs code that a model wrote*"])
    result = pytester.runpytest_inprocess(
        "-p", "no:xdist", *arguments, "--gate-allow-code", "-k", "not stock", "--gate-json=record.json"
    )
    record = json.loads((pytester.path / "record.json").read_text())
    outcomes = {each["case"]["id"]: each["outcome"] for each in record["run"]["results"]}
    assert outcomes.pop("mood") == "failed"
    assert set(outcomes.values()) == {"passed"}
    assert {row["metric"] for row in record["comparison"]["metrics"]} >= {"pass-rate", "macro-f1", "tokens"}
    assert len(record["run"]["results"]) == len(SHOP.cases) - 2
    (exchange,) = [each for each in record["run"]["results"] if each["case"]["id"] == "exchange"]
    assert len(exchange["completion"]["earlier"]) == 1
    assert result.ret in {0, 1}
