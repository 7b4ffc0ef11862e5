"""The interference report on answers that are known: who was harmed, by how much, and how sure that is."""

import io
import json

import pytest
from rich.console import Console

from harness.engines.multitask.description import Task
from trainers.data.rows import Examples
from trainers.multitask.config import MultitaskConfig, TaskSettings
from trainers.multitask.data import TaskData
from trainers.multitask.evaluate import compared, measured
from trainers.multitask.report import held_out_facts, interference_report, show


def data_of(kind, rows, tmp_path, name="task"):
    settings = TaskSettings(name=name, kind=kind, data=("x",))
    examples = Examples(
        rows=rows, places=[(tmp_path / "rows.jsonl", line) for line in range(1, len(rows) + 1)], sha256=""
    )
    return TaskData(
        settings=settings,
        train=examples,
        held_out=examples,
        task=Task(name=name, kind=kind, labels=("a", "b")),
    )


def config_of(*tasks, **changes):
    settings = {"output": "out", "tasks": [{"name": name, "kind": "label", "data": "x"} for name in tasks]}
    return MultitaskConfig.model_validate({**settings, **changes})


@pytest.fixture
def labels(tmp_path):
    return data_of("label", [{"text": str(i), "answer": "a"} for i in range(40)], tmp_path)


def test_rows_that_both_get_alike_cancel(labels):
    """12 of 40 lost, none gained: the exact drop, McNemar's p, and the lost rows by file and line."""
    together, alone = ["b"] * 20 + ["a"] * 20, ["b"] * 8 + ["a"] * 32
    (row,) = compared(labels, together, alone)
    assert row["n"] == 40
    assert row["drop"]["estimate"] == pytest.approx(0.3)
    assert row["p_no_drop"] == pytest.approx(0.5**13)  # mid-p of 12 losses of 12
    assert row["worse"] == sorted(f"rows.jsonl:{line}" for line in range(9, 21))
    assert row["better"] == []


def test_findings_take_all_rows_into_account(labels, tmp_path):
    other = data_of("label", labels.train.rows, tmp_path, "other")
    tasks = {"task": labels, "other": other}
    right, wrong = ["a"] * 40, ["b"] * 15 + ["a"] * 25
    report = interference_report(
        config_of("task", "other"), tasks, {"task": wrong, "other": right}, {"task": right, "other": wrong}
    )
    assert [row["finding"] for row in report["rows"]] == ["harmed", "helped"]
    assert report["rows"][0]["p_adjusted"] == pytest.approx(2 * report["rows"][0]["p_no_drop"])
    same = interference_report(
        config_of("task", "other"), tasks, {"task": right, "other": right}, {"task": right, "other": right}
    )
    assert [row["finding"] for row in same["rows"]] == ["no difference shown"] * 2
    assert all(row["drop"]["high"] > 0 for row in same["rows"])


def test_questions_about_one_passage_are_one_piece_of_evidence(tmp_path):
    rows = [{"text": f"Who {i}?\n\nPassage {i // 10}.", "answer": "a"} for i in range(40)]
    clustered = data_of("span", rows, tmp_path)
    apart = data_of("span", [{"text": f"Who?\n\nPassage {i}.", "answer": "a"} for i in range(40)], tmp_path)
    together, alone = ["x"] * 10 + ["a"] * 30, ["a"] * 40
    of_clusters, of_rows = compared(clustered, together, alone)[0], compared(apart, together, alone)[0]
    assert of_clusters["drop"]["estimate"] == of_rows["drop"]["estimate"] == pytest.approx(0.25)
    assert of_clusters["p_no_drop"] > 10 * of_rows["p_no_drop"]
    assert measured(clustered, together)["clusters"] == 4


def test_entities_are_counted_by_row_and_over_all(tmp_path):
    """One sentence with three entities of which two are found, one with one that is: means 0.9 and 6/7 of all."""

    def named(*cities):
        return json.dumps([{"type": "city", "text": city} for city in cities])

    rows = [{"text": "x", "answer": named("a", "b", "c")}, {"text": "y", "answer": named("d")}]
    said = [named("a", "b"), named("d")]
    found = measured(data_of("entities", rows, tmp_path), said)
    assert found["entity-f1"]["estimate"] == pytest.approx((4 / 5 + 1) / 2)
    assert found["entity-f1 over all"]["estimate"] == pytest.approx(6 / 7)


@pytest.mark.parametrize(
    ("changes", "names", "reason"),
    [
        ({"mode": "per-task", "encoder": "lora"}, ["a", "b"], "can't interfere"),
        ({}, ["a"], "one task only"),
        ({"interference": False}, ["a", "b"], "interference: false"),
        ({}, ["a", "b"], "no task has held-out data"),
    ],
)
def test_without_a_comparison_it_says_why(changes, names, reason, tmp_path):
    tasks = {name: data_of("label", [], tmp_path, name) for name in names}
    report = interference_report(config_of(*names, **changes), tasks, {}, {})
    assert report["rows"] == []
    assert reason in report["reason"]


def printed(held_out, report):
    console = Console(file=io.StringIO(), width=80, soft_wrap=True)
    show(console, held_out, report)
    return console.file.getvalue()


def test_the_table_is_printed_whole_on_a_narrow_terminal(labels):
    tasks, right = {"task": labels}, ["a"] * 40
    report = interference_report(config_of("task", "b"), tasks, {"task": right}, {"task": right})
    lines = printed(held_out_facts(tasks, {"task": right}), report).splitlines()
    assert lines[0].split() == ["task", "metric", "n", "alone", "together", "change", "p", "finding"]
    assert lines[1].startswith("task  accuracy  40  1.000 [")
    assert "+0.000 [-0." in lines[1]
    assert lines[1].endswith("1.000  no difference shown")


def test_without_a_comparison_what_was_reached_is_printed(labels):
    report = interference_report(config_of("task"), {"task": labels}, {}, {})
    said = printed(held_out_facts({"task": labels}, {"task": ["a"] * 40}), report)
    assert "held out  task accuracy 1.000 [" in said
    assert ", n=40" in said
