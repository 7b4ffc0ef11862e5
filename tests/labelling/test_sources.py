"""Where answers are found."""

import dataclasses
import json

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.errors import DataError, SettingsError
from harness.history.store import open_history
from harness.labelling.items import items_of
from harness.labelling.run_answers import answers_of_record, is_of_run
from harness.labelling.sources import answers_of_files
from harness.labelling.stored_labels import read_labels
from harness.types import (
    CaseResult,
    Check,
    Completion,
    Environment,
    ExecutionPlan,
    GateRecord,
    GoldenCase,
    GoldenSet,
    Message,
    ModelRef,
    Outcome,
    Repeat,
    Run,
)


def result(set_name, number, text, checks=()):
    case = GoldenCase(
        id=f"case-{number}",
        set_name=set_name,
        messages=(Message(role="user", content=f"{set_name} {number}"),),
        references=("right",),
        checks=checks,
    )
    completion = None
    if text is not None:
        completion = Completion(
            text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1
        )
    return CaseResult(case=case, completion=completion, outcome=Outcome.PASSED)


def run(run_id, *results):
    return Run(
        id=run_id,
        started_at="2026-01-01T00:00:00+00:00",
        duration_s=1,
        model=ModelRef(label="secret-model", base_model="b", base_sha256="b" * 64),
        plan=ExecutionPlan(engine="e", dtype="float32", device="cpu", batch_tokens=1),
        environment=Environment(python="3", platform="p", packages={}),
        golden_sets=(
            GoldenSet(name="task", path="task.yaml"),
            GoldenSet(name="general", path="general.yaml", probes_forgetting=True),
        ),
        collected=len(results),
        results=results,
    )


CHECKS = (Check(type="llm-rubric", value="Is kind."), Check(type="tone", value="Calm."))
RECORD = GateRecord(
    run=run("r1", result("task", 0, "new", CHECKS), result("task", 1, None), result("general", 0, "probe")),
    baseline=run("r0", result("task", 0, "old", CHECKS), result("task", 7, "not asked of the candidate")),
)


def test_a_run_gives_its_answers_and_its_baselines_to_the_same_cases():
    found = answers_of_record(RECORD, [], None)
    assert [(one.text, one.origin) for one in found] == [
        ("new", "candidate of run r1"),
        ("old", "baseline of run r0"),
    ]
    assert found[0].wanted == found[1].wanted
    assert dataclasses.astuple(found[0].wanted) == ("Is kind.", "Calm.", ("right",))


def test_of_several_answers_to_a_case_the_first_is_labelled():
    """It was the one that decided the case, the worst: rates by such labels are those of failures."""
    several = result("task", 0, "bad")
    repeats = tuple(
        Repeat(completion=dataclasses.replace(several.completion, text=text), outcome=outcome)
        for text, outcome in (("good", Outcome.PASSED), ("bad", Outcome.FAILED))
    )
    record = GateRecord(run=run("r1", dataclasses.replace(several, repeats=repeats)))
    assert [one.text for one in answers_of_record(record, [], "Is kind.")] == ["good"]


def test_a_stored_run_is_labelled_blind(tmp_path, monkeypatch):
    """Without a file the latest run is taken; sides and the model's name are kept, and not shown."""
    monkeypatch.chdir(tmp_path)
    with open_history(tmp_path / "history.sqlite") as history:
        history.save(RECORD)
    command = ["judge", "label", "--history", "history.sqlite", "--who", "ada"]
    result = CliRunner().invoke(app, command, input="p\na\n" * 3)
    assert "3 of 3 labelled by ada" in result.output
    assert "Is kind." in result.output
    assert not [name for name in ("secret-model", "candidate", "baseline", "r1") if name in result.output]
    origins = {origin for label in read_labels([tmp_path / "labels.jsonl"]) for origin in label.item.origins}
    assert origins == {"candidate of run r1", "baseline of run r0"}


def test_only_answers_of_a_run_are_that_run_s_whatever_a_file_calls_its_model(tmp_path):
    file = tmp_path / "answers.jsonl"
    file.write_text('{"prompt": "q", "answer": "x", "model": "candidate of run r1"}\n')
    (written,) = items_of(answers_of_files([file], "Is kind."), ask="answers", seed=0)
    assert not is_of_run(written, "r1")
    stored = items_of(answers_of_record(RECORD, ["task"], None), ask="answers", seed=0)
    assert {item.answers[0]: [r for r in ("r0", "r1") if is_of_run(item, r)] for item in stored} == {
        "new": ["r1"],
        "old": ["r0"],
    }


def test_probes_are_labelled_on_request_and_an_unknown_set_is_refused():
    assert [one.text for one in answers_of_record(RECORD, ["general"], "Helps.")] == ["probe"]
    with pytest.raises(SettingsError, match=r"--set orders: not in run r1 .allowed: task, general"):
        answers_of_record(RECORD, ["orders"], None)


def test_lines_of_a_file_with_one_prompt_belong_together(tmp_path):
    path = tmp_path / "answers.jsonl"
    rows = [
        {"prompt": "Q", "answer": "one", "model": "secret", "reference": "right"},
        {"prompt": [{"role": "user", "content": "Q"}], "answer": "two", "reference": "right"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    first, second = answers_of_files([path], "Helps.")
    assert (first.messages, first.wanted) == (second.messages, second.wanted)
    assert first.wanted.rubric == "Helps."
    assert (first.origin, second.origin) == ("secret", f"{path}:2")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\n", "contains no answer"),
        ("{", "answers.jsonl:1: not JSON"),
        ('{"prompt": "Q"}', "answers.jsonl:1: answer: field required"),
        ('\n{"prompt": "Q", "answer": "A", "anser": 1}', "answers.jsonl:2: anser: extra"),
        ('{"prompt": "", "answer": "A"}', "prompt: "),
        ("[]", "answers.jsonl:1: "),
    ],
)
def test_a_bad_line_is_named(tmp_path, text, message):
    path = tmp_path / "answers.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        answers_of_files([path], None)
