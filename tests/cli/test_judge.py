"""tunegate judge calibrate, as it is typed."""

import json

import pytest
from typer.testing import CliRunner

from harness.cli.main import app

RUNNER = CliRunner()
ITEM = """\
  - id: item-{number}
    task: {task}
    question: What of {number}?
    {fields}
    label: {label}
    reason: by rule
"""


@pytest.fixture
def labelled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = ["name: made\nlabelled_by: by rule\nitems:\n"]
    for number in range(30):
        good = number % 2
        word = "correct" if good else "wrong"
        fields = f"rubric: Is so.\n    answer: {word} {number}"
        lines.append(
            ITEM.format(number=number, task="rubric", fields=fields, label="pass" if good else "fail")
        )
        other = "wrong" if good else "correct"
        fields = f"answer_a: {word} {number}\n    answer_b: {other}"
        lines.append(
            ITEM.format(number=f"{number}-pair", task="pairwise", fields=fields, label="a" if good else "b")
        )
    path = tmp_path / "golden_sets" / "judge" / "made.yaml"
    path.parent.mkdir(parents=True)
    path.write_text("".join(lines))
    return path


def honest(body):
    text = body["messages"][1]["content"]
    if "Answer A:" not in text:
        return {"reason": "r", "pass": "correct" in text.rpartition("Answer to judge:")[2]}
    first, _, _ = text.partition("Answer A:")[2].partition("Answer B:")
    return {"reason": "r", "winner": "A" if "correct" in first else "B"}


def calibrate(server, *arguments):
    return RUNNER.invoke(app, ["judge", "calibrate", "--judge", server.spec, *arguments])


def test_a_judge_that_always_says_a_is_unreliable_and_the_exit_status_says_so(labelled, judge_server):
    judge_server.answer = lambda body: {"reason": "r", "winner": "A", "pass": True}
    result = calibrate(judge_server)
    assert result.exit_code == 1
    assert "UNRELIABLE: order consistency 0.00" in result.output


def test_an_honest_judge_is_reliable(labelled, judge_server):
    judge_server.answer = honest
    result = calibrate(judge_server, str(labelled))
    assert result.exit_code == 0, result.output
    assert result.output.rstrip().endswith("RELIABLE")
    assert "agreement kappa" in result.output


def test_a_second_calibration_asks_nothing(labelled, judge_server):
    judge_server.answer = honest
    first = calibrate(judge_server)
    asked = len(judge_server.bodies)
    second = calibrate(judge_server)
    assert len(judge_server.bodies) == asked > 0
    assert f"{asked} requests" in first.output
    assert "0 requests" in second.output


def test_json_holds_all_figures(labelled, judge_server):
    judge_server.answer = honest
    found = json.loads(calibrate(judge_server, "--json").stdout)
    assert found["judge"] == judge_server.spec
    assert {measure["name"] for measure in found["measures"]} >= {"agreement kappa", "order consistency"}


def test_a_stricter_threshold_refuses_more(labelled, judge_server):
    def nearly(body):
        flip = any(f"What of {number}?" in str(body) for number in (2, 3, 4, 5, 6))
        reply = honest(body)
        return {"reason": "r", "pass": reply["pass"] != flip} if "pass" in reply else reply

    judge_server.answer = nearly
    assert calibrate(judge_server).exit_code == 0
    result = calibrate(judge_server, "--min-kappa", "0.95")
    assert result.exit_code == 1
    assert "UNRELIABLE: agreement kappa 0." in result.output


@pytest.mark.parametrize("arguments", [["nowhere"], ["--min-kappa", "2"]])
def test_bad_input_is_refused(labelled, judge_server, arguments):
    assert calibrate(judge_server, *arguments).exit_code != 0
    assert judge_server.bodies == []
