"""tunegate judge label and export, as they are typed."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest
from typer.testing import CliRunner

from harness.cli.label_dialogue import LabelCommand, parse_line
from harness.cli.main import app
from harness.judge.labelled import load_labelled_set
from harness.labelling.label import LabelValue
from harness.labelling.stored_labels import read_labels
from trainers.data.preferences import load_pairs, load_thumbs

RUNNER = CliRunner()


@pytest.fixture
def answers(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "answers.jsonl"
    rows = [
        {
            "prompt": f"Question {n}?",
            "answer": f"{word} answer {n}",
            "model": f"model-{word}",
            "reference": f"It is {n}.",
        }
        for n in range(4)
        for word in ("good", "bad")
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def label(typed, *arguments, who="ada"):
    return RUNNER.invoke(app, ["judge", "label", "answers.jsonl", "--who", who, *arguments], input=typed)


def kept(tmp_path):
    return read_labels([tmp_path / "labels.jsonl"])


def test_neither_model_nor_side_nor_file_is_shown(answers, tmp_path):
    result = label("?\n" + "p4 fine\na\n" * 12)
    assert "model" not in result.output
    assert "answers.jsonl" not in result.output
    assert "candidate" not in result.output
    assert "good answer 1" in result.output
    assert "It is 1." in result.output
    assert {origin for one in kept(tmp_path) for origin in one.item.origins} == {"model-good", "model-bad"}


def test_labels_have_who_and_when_and_the_comment(answers, tmp_path):
    result = label("F2 misses the point\n", "--ask", "answers")
    assert result.exit_code == 0, result.output
    (only,) = kept(tmp_path)
    assert only.said == LabelValue(passed=False, grade=2, comment="misses the point")
    assert only.who == "ada"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00", only.at)
    assert "1 of 8 labelled by ada" in result.output


def test_a_later_call_goes_on_where_the_first_one_stopped(answers, tmp_path):
    label("p\np\np\nq\n", "--ask", "answers")
    assert "3 of 8" in label("q\n", "--ask", "answers").output
    assert "8 of 8" in label("f\n" * 5, "--ask", "answers").output
    assert [one.said.passed for one in kept(tmp_path)] == [True] * 3 + [False] * 5
    assert len({one.item.id for one in kept(tmp_path)}) == 8


def test_each_person_labels_everything(answers):
    label("p\n" * 8, "--ask", "answers")
    assert "8 of 8 labelled by bob" in label("f\n" * 8, "--ask", "answers", who="bob").output


def test_what_was_skipped_comes_again(answers):
    assert "7 of 8" in label("s\n" + "p\n" * 7, "--ask", "answers").output
    assert "8 of 8" in label("p\n", "--ask", "answers").output


def test_going_back_shows_the_label_which_stands_until_it_is_replaced(answers, tmp_path):
    result = label("p first\nu\n\nu\nf second\nq\n", "--ask", "answers")
    assert result.output.count("so far: pass (first); Enter keeps it") == 2
    labels = kept(tmp_path)
    assert [one.said.comment for one in labels] == ["first", "second"]
    assert labels[0].item.id == labels[1].item.id
    assert "1 of 8" in result.output


def test_the_very_last_label_can_be_gone_back_to_and_taken_back(answers):
    assert "7 of 8" in label("p\n" * 8 + "u\nx\nq\n", "--ask", "answers").output


def test_a_line_that_means_nothing_is_asked_again_with_help(answers, tmp_path):
    result = label("7\nperhaps\n\na\np\n", "--ask", "answers")
    assert result.output.count("p passes, f fails") == 4
    assert len(kept(tmp_path)) == 1


def test_labels_reach_calibration_and_trainers(answers, tmp_path):
    """Pairs are decided by what is in the answers, wherever they are shown."""
    label("p3 because\nf1\n" * 4, "--ask", "answers")
    label("a\n" * 4, "--ask", "pairs")
    for kind, name in (("calibration", "ours.yaml"), ("pairs", "pairs.jsonl"), ("thumbs", "thumbs.jsonl")):
        result = RUNNER.invoke(app, ["judge", "export", kind, name])
        assert result.exit_code == 0, result.output
    items = load_labelled_set(tmp_path / "ours.yaml").items
    assert sorted(item.task for item in items) == ["factuality"] * 8 + ["pairwise"] * 4 + ["reference"] * 8
    assert len(load_pairs([tmp_path / "pairs.jsonl"]).rows) == 4
    assert (
        sorted(row["label"] for row in load_thumbs([tmp_path / "thumbs.jsonl"]).rows)
        == [False] * 4 + [True] * 4
    )
    chosen = {row.item.answers[0] for row in kept(tmp_path) if row.said.preference}
    assert {row["chosen"][0]["content"] for row in load_pairs([tmp_path / "pairs.jsonl"]).rows} == chosen


def test_calibrate_reads_what_people_labelled(answers, tmp_path, judge_server):
    label("p\nf\n" * 4, "--ask", "answers")
    RUNNER.invoke(app, ["judge", "export", "calibration", "golden_sets/judge/ours.yaml"])
    judge_server.answer = lambda body: {"reason": "r", "pass": True}
    result = RUNNER.invoke(app, ["judge", "calibrate", "--judge", judge_server.spec])
    assert "8 items of ours" in result.output


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["export", "pairs", "out.jsonl", "--labels", "none.jsonl"], "none.jsonl: can't be read"),
        (["label", "none.jsonl"], "none.jsonl: can't be read"),
        (["label", "answers.jsonl", "--run", "latest"], "not both"),
        (["label", "--history", "none.sqlite"], "no such history file"),
    ],
)
def test_bad_input_is_one_line(answers, arguments, message):
    result = RUNNER.invoke(app, ["judge", *arguments])
    assert message in str(result.exception)


def test_one_sided_thumbs_are_said_to_be_so(answers):
    label("p\n", "--ask", "answers")
    assert "kto needs both" in RUNNER.invoke(app, ["judge", "export", "thumbs", "t.jsonl"]).output


@pytest.mark.parametrize(("how", "status"), [(signal.SIGINT, 2), (signal.SIGKILL, -signal.SIGKILL)])
def test_ending_it_midway_loses_nothing(answers, tmp_path, how, status):
    """Two labels are typed, the third question is shown: Ctrl-C, or a kill, and both labels are kept."""
    # A process that runs in the background of a script inherits that Ctrl-C is ignored.
    heeds = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    start = heeds + "from harness.cli.main import main; main()"
    arguments = ["judge", "label", "answers.jsonl", "--who", "ada", "--ask", "answers"]
    command = [sys.executable, "-c", start, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        process.stdin.write("p\nf it is wrong\n")
        process.stdin.flush()
        shown = tmp_path / "labels.jsonl"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline and (not shown.exists() or shown.read_bytes().count(b"\n") < 2):
            time.sleep(0.05)
        time.sleep(0.3)  # the third question is being shown
        process.send_signal(how)
        output, errors = process.communicate(timeout=30)
    assert process.returncode == status, (output, errors)
    assert [one.said.passed for one in kept(tmp_path)] == [True, False]
    if how == signal.SIGINT:
        assert "2 of 8 labelled by ada" in output
        assert "Traceback" not in errors
    assert "8 of 8" in label("p\n" * 6, "--ask", "answers").output


@pytest.mark.parametrize(
    ("line", "answers_shown", "meaning"),
    [
        ("p", 1, LabelValue(passed=True)),
        ("p 3 facts are there", 1, LabelValue(passed=True, comment="3 facts are there")),
        ("fail2", 1, LabelValue(passed=False, grade=2)),
        (" 5 ", 1, LabelValue(grade=5)),
        ("B because", 2, LabelValue(preference="b", comment="because")),
        ("tie", 2, LabelValue(preference="tie")),
        ("u", 2, LabelCommand.BACK),
        ("p", 2, None),
        ("a", 1, None),
        ("6", 1, None),
        ("", 1, None),
        ("p4x", 1, None),
    ],
)
def test_what_is_typed_means(line, answers_shown, meaning):
    assert parse_line(line, answers_shown) == meaning
