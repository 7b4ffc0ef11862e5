"""tunegate judge compare, as it is typed."""

import json
import re
from dataclasses import replace

import pytest
from typer.testing import CliRunner

from harness.cli.main import app
from harness.history.store import open_history
from harness.judge.calibration import AGREEMENT, Calibration, Measure
from harness.judge.prompts import load_prompt
from harness.judge.trust import save_calibration
from harness.types import GateRecord, Interval

RUNNER = CliRunner()


def interval(estimate):
    return Interval(estimate=estimate, low=estimate, high=estimate, confidence=0.9, method="made")


@pytest.fixture
def stored(tmp_path, monkeypatch, make_result, make_run, judge_server):
    """A history of three runs, the first one gated against the second, and a judge that prefers higher grades."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)

    def run(name, grades):
        results = [make_result(f"s/{n:02}", prompt=f"Question {n}?") for n in range(len(grades))]
        results = [
            replace(one, completion=replace(one.completion, text=f"grade {grade}"))
            for one, grade in zip(results, grades, strict=True)
        ]
        made = make_run(results, run_id=f"run-{name}")
        return replace(made, model=replace(made.model, label=name))

    with open_history(tmp_path / ".tunegate" / "history.sqlite") as history:
        history.save(GateRecord(run=run("new", [3] * 12), baseline=run("base", [1] * 12)))
        history.save(GateRecord(run=run("old", [2] * 12 + [1])))

    def answer(body):
        first, second = (
            int(re.search(r"grade (\d)", text)[1])
            for text in body["messages"][1]["content"].partition("Answer A:")[2].split("Answer B:")
        )
        return {"reason": "r", "winner": "A" if first > second else "B"}

    judge_server.answer = answer


def compare(server, *arguments):
    return RUNNER.invoke(app, ["judge", "compare", "--judge", server.spec, *arguments])


def calibration(server, *, pairwise, reasons=()):
    """What a calibration of the judge at the server would have left behind."""
    return Calibration(
        judge=server.spec,
        prompts={"pairwise": load_prompt("pairwise").version},
        labelled={"made": "0"},
        items=40,
        measures=(Measure(name=AGREEMENT, n=40, interval=interval(0.8), needs="", reached=True),),
        by_task={"pairwise": interval(pairwise)},
        reasons=reasons,
        distrusted=("pairwise",) if pairwise < 0.6 else (),
    )


def test_three_models_are_ordered_and_held_against_the_first(stored, judge_server):
    result = compare(judge_server, "run-base", "latest", "latest~1")
    assert result.exit_code == 0, result.output
    lines = [" ".join(line.split()) for line in result.output.splitlines()]
    assert "judge openai:scripted@" in lines[0]
    assert "not calibrated: tunegate judge calibrate shows" in lines[0]
    assert "cases 12 that all models answered; left out: not in every run: 1" in lines
    assert "pairs 36; ties: 0" in lines
    assert "order 100% [82%, 100%] of 36 preferences are the same in both orders" in lines
    table = lines[lines.index("Bradley-Terry strengths") :]
    assert [line.split()[:3] for line in table[2:5]] == [
        ["new", "run-new", "24"],
        ["old", "run-old", "24"],
        ["base", "run-base", "24"],
    ]
    against = table[table.index("against base") :]
    assert [line.split()[:3] for line in against[2:4]] == [["old", "12", "100%"], ["new", "12", "100%"]]


def test_one_run_is_compared_with_its_baseline(stored, judge_server):
    result = compare(judge_server, "run-new")
    assert "against base" in result.output
    assert "pairs     12" in result.output
    assert "was not gated against another" in str(compare(judge_server, "latest").exception)


def test_a_second_comparison_asks_nothing(stored, judge_server):
    compare(judge_server, "run-new", "run-old")
    asked = len(judge_server.bodies)
    result = compare(judge_server, "run-new", "run-old")
    assert len(judge_server.bodies) == asked == 24
    assert "0 requests, 24 cached replies" in result.output


def test_json_holds_the_figures_and_every_pair(stored, judge_server):
    found = json.loads(compare(judge_server, "run-base", "run-new", "--json").stdout)
    assert found["judge"] == judge_server.spec
    assert found["usage"]["requests"] == 24
    assert len(found["comparison"]["pairs"]) == 12
    assert found["comparison"]["rates"][0]["win_rate"]["estimate"] == 1.0


def test_a_calibrated_judge_s_kappa_is_told(stored, judge_server, tmp_path):
    save_calibration(calibration(judge_server, pairwise=0.75), tmp_path / ".tunegate")
    result = compare(judge_server, "run-new", "run-old")
    assert "calibrated on 40 items, kappa 0.80 [0.80, 0.80]; of pairwise 0.75 [0.75, 0.75]" in result.output


@pytest.mark.parametrize(
    ("pairwise", "reasons", "message"),
    [
        (0.3, (), "agreement kappa of pairwise 0.30"),
        (0.8, ("order consistency 0.20",), "UNRELIABLE: order consistency 0.20"),
    ],
)
def test_a_judge_that_cannot_be_trusted_is_refused_and_not_asked(
    stored, judge_server, tmp_path, pairwise, reasons, message
):
    save_calibration(calibration(judge_server, pairwise=pairwise, reasons=reasons), tmp_path / ".tunegate")
    result = compare(judge_server, "run-new", "run-old")
    assert message in str(result.exception)
    assert "take another judge" in str(result.exception)
    assert judge_server.bodies == []


def test_errored_pairs_are_told(stored, judge_server):
    grade = judge_server.answer
    judge_server.answer = lambda body: "no idea" if "Question 3?" in str(body) else grade(body)
    output = compare(judge_server, "run-new", "run-old").output
    assert "errored   1 of 12 pairs: no verdict, not counted; so many are missing that the figures" in output
    assert "1 × no usable reply in 3" in output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["nothing", "run-old"], "no run 'nothing' (allowed: latest, "),
        (["run-new", "latest~1"], "run run-new is named twice"),
        (["run-new", "run-old", "--against", "run-base"], "--against: run run-base is not among"),
        (["run-new", "run-old", "--set", "x"], "--set x: not in run run-new (allowed: s)"),
        (["run-new", "run-old", "--judge", "openai:two@http://127.0.0.1:1/v1"], "an odd number"),
        (["run-new", "--history", "none.sqlite"], "none.sqlite: no such history file"),
    ],
)
def test_bad_input_is_one_line(stored, judge_server, arguments, message):
    result = compare(judge_server, *arguments)
    assert message in str(result.exception)
    assert judge_server.bodies == []
