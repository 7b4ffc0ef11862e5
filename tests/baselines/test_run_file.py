"""Runs by name: files of ours, logs, stored runs, and which cases are the same."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from harness.baselines.paired_runs import aligned, answers_to, require_pairs
from harness.baselines.run_file import open_pair, read_record_file, read_run_file
from harness.baselines.target import file_target, find_baseline, stored_run
from harness.comparison.pairing import pair_runs
from harness.errors import BaselineError, DataError
from harness.history.store import open_history
from harness.types import GateRecord, GateVerdict, Outcome
from harness.types.findings import Finding, NoteFinding, Verdict
from reports.json_file import render_json


def test_a_file_of_ours_is_the_run_that_was_stored(tmp_path, make_run, make_result):
    run = make_run([make_result("s/a"), make_result("s/b")])
    path = tmp_path / "gate.json"
    path.write_text(render_json(GateRecord(run=run)))
    assert read_run_file(path) == run
    with open_history(tmp_path / "history.sqlite") as history:
        history.save(GateRecord(run=run))
    pair = open_pair((str(path), run.id), history=tmp_path / "history.sqlite", choices={})
    assert pair.baseline == pair.candidate == run


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"schema_version": 1, "run": {}}', "written in format 1, this tunegate reads 2: write it again"),
        ('{"schema_version": 9, "run": {}}', "written in format 9, this tunegate reads 2: upgrade tunegate"),
        ('{"schema_version": 2, "run": {"id": 3}}', "not a Run: id: Input should be a valid string"),
        ('{"schema_version": 2, "run": {"id"', ":1: "),
    ],
)
def test_a_damaged_file_of_ours_is_refused(tmp_path, text, message):
    path = tmp_path / "gate.json"
    path.write_text(text)
    with pytest.raises(DataError) as error:
        read_run_file(path)
    assert message in str(error.value)


def test_a_finding_of_a_later_version_is_no_damage(tmp_path, make_run, make_result):
    note = Finding(verdict=None, set_name=None, metric=None, data=NoteFinding(text="so it is"))
    verdict = Verdict(outcome=GateVerdict.PASS, findings=(note,))
    run = make_run([make_result("s/a")])
    facts = json.loads(render_json(GateRecord(run=run, verdict=verdict)))
    facts["verdict"]["findings"][0]["data"] = {"kind": "not-yet"}
    path = tmp_path / "gate.json"
    path.write_text(json.dumps(facts))
    with pytest.raises(
        DataError, match=r"'not-yet' is unknown to this version of tunegate; upgrade tunegate$"
    ):
        read_record_file(path)
    assert read_run_file(path) == run


def test_what_is_nowhere_is_named(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        open_pair(("runs/a.jsonl", "b"), history=None, choices={})
    with pytest.raises(BaselineError, match="no such file, and no history here"):
        open_pair(("latest", "latest"), history=None, choices={})
    path = tmp_path / "notes.txt"
    path.write_text("hello")
    with pytest.raises(DataError, match="no reader recognises it"):
        open_pair((str(path), str(path)), history=None, choices={})


def test_the_same_names_with_other_content(make_run, make_result):
    candidate = make_run([make_result("s/a")])
    changed = [replace(r, case=replace(r.case, references=("other",))) for r in candidate.results]
    baseline = replace(candidate, id="before", results=tuple(changed))
    assert aligned(candidate, baseline, "id+content") == baseline
    found = aligned(candidate, baseline, "id")
    assert found.results[0].case == candidate.results[0].case
    assert found.id != "before"


def test_the_same_content_under_other_names(make_run, make_result):
    candidate = make_run([make_result("s/a")])
    renamed = [replace(r, case=replace(r.case, id="z")) for r in candidate.results]
    baseline = replace(candidate, results=tuple(renamed))
    assert aligned(candidate, baseline, "content").results[0].key == "s/a"
    doubled = replace(candidate, results=(*candidate.results, *renamed))
    with pytest.raises(BaselineError, match="have the same content: pair by id"):
        aligned(doubled, baseline, "content")


def test_by_content_another_case_of_the_same_name_takes_no_pair_s_place(make_run, make_result):
    """Case 1 is the baseline's case 0: its own case 1 is another, and is told as one that is missing now."""

    def asking(name, outcome, prompt):
        return make_result(f"s/{name}", outcome, prompt=prompt)

    candidate = make_run([asking("1", False, "X"), asking("2", True, "Y")])
    baseline = make_run([asking("0", True, "X"), asking("1", True, "Z"), asking("1-of-baseline", True, "W")])
    found = aligned(candidate, baseline, "content")
    assert [result.key for result in found.results] == [
        "s/1",
        "s/1-of-baseline-of-baseline",
        "s/1-of-baseline",
    ]
    pairing = pair_runs(candidate, found)
    assert [(now.key, now.outcome, then.outcome) for now, then in pairing.pairs] == [
        ("s/1", Outcome.FAILED, Outcome.PASSED)
    ]
    assert pairing.unpaired == {
        "s/2": "only in the candidate",
        "s/1-of-baseline-of-baseline": "only in the baseline",
        "s/1-of-baseline": "only in the baseline",
    }


@pytest.mark.parametrize(
    ("reason", "remedy"),
    [
        ("changed since the baseline", "--pair-by=id"),
        ("only in the candidate", "--pair-by=content"),
        ("decided by exact-match, which was different in the baseline", "score them again"),
    ],
)
def test_no_pair_at_all_is_refused_with_the_way_out(reason, remedy):
    with pytest.raises(BaselineError, match=remedy):
        require_pairs({"s/a": reason}, [])
    require_pairs({"s/a": reason}, [object()])


def test_of_what_another_judge_decided_both_are_named():
    with pytest.raises(
        BaselineError, match=r"score them again \(llm-rubric: old judged it in the baseline\)$"
    ):
        require_pairs(
            {"s/a": "decided by llm-rubric, which another judge decided in the baseline"},
            [],
            {"llm-rubric": "old judged it in the baseline"},
        )


@pytest.mark.parametrize("reason", ["errored", "unscored", "skipped"])
def test_common_cases_without_a_verdict_are_no_reason_to_refuse(reason):
    require_pairs({"s/a": reason, "s/b": "only in the candidate"}, [])


def test_rows_are_answers_to_golden_cases_by_name(tmp_path, make_run, make_result):
    cases = [
        result.case
        for result in make_run([make_result("s/a"), make_result("s/b"), make_result("s/c")]).results
    ]
    path = tmp_path / "rows.jsonl"
    lines = [{"id": "s/a", "passed": True}, {"set": "s", "id": "b", "passed": False, "prompt": "Other?"}]
    lines.append({"id": "s/c", "passed": True, "sha256": cases[2].content_sha256})
    path.write_text("\n".join(map(json.dumps, lines)))
    target = file_target(str(path))
    assert target.kind == "log"
    assert target.is_stored
    run = stored_run(target, cases)
    assert [result.key for result in run.results] == ["s/a", "s/b", "s/c"]
    same = [
        result.case.content_sha256 == case.content_sha256
        for result, case in zip(run.results, cases, strict=True)
    ]
    # The second one's prompt is another.
    assert same == [True, False, True]


def test_a_file_without_the_golden_cases_is_refused(tmp_path, make_run, make_result):
    run = make_run([make_result("s/a")])
    other = make_run([make_result("t/z")])
    with pytest.raises(BaselineError, match=r"none of the golden cases, by names such as s/a \(found: t/z\)"):
        answers_to(other, [run.results[0].case])


def test_what_is_no_file_is_left_to_the_other_meanings(tmp_path):
    assert file_target(str(tmp_path)) is None
    assert file_target("latest") is None


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir])
def test_the_newest_run_is_no_path(tmp_path, monkeypatch, make_run, make_result, make):
    """A training may write a file or a folder of this name; ``./latest`` names it."""
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "latest")
    run = make_run([make_result("s/a")])
    with open_history(tmp_path / "history.sqlite") as history:
        history.save(GateRecord(run=run))
    target = find_baseline("latest", [run.model], tmp_path, tmp_path / "history.sqlite")
    assert (target.kind, target.run.id) == ("run", run.id)
    names = ("latest", "latest")
    assert open_pair(names, history=tmp_path / "history.sqlite", choices={}).candidate.id == run.id
