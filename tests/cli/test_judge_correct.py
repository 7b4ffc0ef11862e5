"""tunegate judge correct, as it is typed, with labels that were typed too."""

import json
import re
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from harness.cli.judge_correct import _mean
from harness.cli.main import app
from harness.history.store import open_history
from harness.types import Check, GateRecord, Interval

RUNNER = CliRunner()
CASES = 24


@pytest.fixture
def stored(tmp_path, monkeypatch, make_result, make_run):
    """A run and its baseline whose answers say what they are worth; the judge passed all of them."""
    monkeypatch.chdir(tmp_path)

    def run(name, worth):
        results = []
        for number in range(CASES):
            result = make_result(f"s/{number:02}", scores=[("llm-rubric", 1.0)], prompt=f"Question {number}?")
            case = replace(result.case, checks=(Check(type="llm-rubric", value="Is kind."),))
            text = f"{'warm' if worth(number) else 'cold'} words of the {name}"
            results.append(replace(result, case=case, completion=replace(result.completion, text=text)))
        return make_run(results, run_id=f"run-{name}")

    record = GateRecord(
        run=run("candidate", lambda number: number % 4 == 0),
        baseline=run("baseline", lambda number: number % 4),
    )
    with open_history(tmp_path / ".tunegate" / "history.sqlite") as history:
        history.save(record)


def judge(*arguments, **rest):
    return RUNNER.invoke(app, ["judge", *arguments], **rest)


def label(count):
    """Labels as an honest person types them, who reads each answer first."""
    asked = ("label", "--run", "latest", "--ask", "answers", "--who", "ada")
    for _ in range(count):
        shown = judge(*asked, input="q\n").output
        judge(*asked, input="p\nq\n" if "warm words" in shown else "f\nq\n")


def test_means_and_their_difference_are_told(stored):
    """The judge passes everything; of the candidate's answers a quarter is kind, of the baseline's three."""
    label(2 * CASES)
    result = judge("correct", "latest")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert lines[0] == "run run-candidate: 48 of 48 labels used"
    row = re.compile(
        r"s llm-rubric candidate 24 100% \[9\d%, 100%\] 24 25% \[\d+%, \d+%\] 25% \[\d+%, \d+%\]"
    )
    assert any(row.fullmatch(line) for line in lines), result.output
    assert "candidate minus baseline, paired by case" in lines
    assert re.fullmatch(r"s llm-rubric 24 \+0% \[.*\] 24 and 24 -50% \[-\d+%, -\d+%\]", lines[-1]), lines[-1]


@pytest.mark.parametrize(
    ("metric", "ends", "sign", "told"),
    [
        ("llm-rubric", (0.9975, 0.99, 0.9996), "", "99.8% [99%, 99.96%]"),
        ("llm-rubric", (1.0, 0.99, 1.0), "", "100% [99%, 100%]"),
        ("llm-rubric", (-0.002, -0.015, 0.011), "+", "-0.2% [-2%, +1%]"),
        ("llm-rubric", (0.0, -0.01, 0.01), "+", "+0% [-1%, +1%]"),
        ("llm-reference", (3.456, 3.1, 3.8), "", "3.46 [3.10, 3.80]"),
        ("llm-reference", (0.004, -0.1, 0.11), "+", "+0.004 [-0.10, +0.11]"),
    ],
)
def test_only_all_is_told_as_100_percent_and_only_nothing_as_0(metric, ends, sign, told):
    """A judge that passed 399 of 400 answers had a mean of 100 %."""
    interval = Interval(
        **dict(zip(("estimate", "low", "high"), ends, strict=True)), confidence=0.9, method=""
    )
    assert _mean(interval, metric, sign) == told


def test_a_person_who_stops_early_has_labelled_enough_to_be_told_how_rough_it_is(stored):
    label(12)
    result = judge("correct", "run-cand", "--metric", "llm-rubric", "--json")
    found = json.loads(result.stdout)
    assert found["used"] == 12
    rows = {row["side"]: row for row in found["rows"]}
    assert rows["candidate"]["labelled"] + rows["baseline"]["labelled"] == 12
    assert "few labels" in rows["candidate"]["note"]
    assert rows["candidate"]["corrected"]["low"] < 0.25 < rows["candidate"]["corrected"]["high"]


def test_one_label_makes_no_figure(stored):
    label(1)
    result = judge("correct", "latest")
    assert result.exit_code == 0
    assert "too few labels: 2 are needed" in result.output
    assert "nan" not in result.output.lower()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing"], "no run 'nothing' (allowed: latest, "),
        (["latest"], "labels.jsonl: can't be read"),
        (["latest", "--labels", "empty.jsonl"], "no label is of an answer that the judge scored"),
        (
            ["latest", "--labels", "empty.jsonl", "--metric", "pairwise"],
            "--metric pairwise: can't be corrected",
        ),
        (["latest", "--labels", "empty.jsonl", "--metric", "tone"], "no judge's score of tone is stored"),
        (["latest", "--history", "none.sqlite"], "none.sqlite: no such history file"),
    ],
)
def test_bad_input_is_one_line(stored, tmp_path, arguments, message):
    (tmp_path / "empty.jsonl").write_text("")
    assert message in str(judge("correct", *arguments).exception)
