"""``tunegate compare`` on logs of real tools."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from harness.comparison.gate import run_gate
from harness.history.store import open_history
from harness.types import Check, GateRecord, GateSettings, Outcome
from reports.json_file import render_json

DATA = Path(__file__).parents[1] / "history" / "logs" / "data"


@pytest.mark.parametrize(
    ("baseline", "candidate", "lost"),
    [
        ("lm_eval/base", "lm_eval/cand", 16),
        ("inspect/base.eval", "inspect/cand.eval", 8),
        ("inspect/base.json", "inspect/cand.eval", 8),
        ("promptfoo/base.json", "promptfoo/cand.json", 7),
        ("helm/base", "helm/cand", 8),
        ("deepeval/base.json", "deepeval/cand.json", 8),
        ("mlflow/genai_base.json", "mlflow/genai_cand.json", 8),
        ("promptfoo/two.json#table:tiny-base", "promptfoo/two.json#table:tiny-cand", None),
    ],
)
def test_a_lost_model_regresses_in_each_tool_s_log(tunegate, tmp_path, baseline, candidate, lost):
    done = tunegate("compare", DATA / baseline, DATA / candidate, "--json", "--directory", tmp_path)
    found = json.loads(done.stdout)
    metrics = [row for row in found["comparison"]["metrics"] if row["metric"] == "pass-rate"]
    assert lost is None or sum(len(row["lost"]) for row in metrics) == lost
    if lost is not None:
        assert (done.returncode, found["verdict"]["outcome"]) == (1, "regress")
    # The reverse is no regression.
    assert tunegate("compare", DATA / candidate, DATA / baseline, "--directory", tmp_path).returncode == 0


def test_the_comparison_is_a_stored_run_like_any_other(tunegate, tmp_path):
    sides = (DATA / "lm_eval/base", DATA / "lm_eval/cand")
    done = tunegate("compare", *sides, "--directory", tmp_path)
    assert "capitals pass-rate fell: 0.950 → 0.550" in " ".join(done.stdout.split())
    assert "capitals: exact_match,strict-match decides" in " ".join(done.stdout.split())
    (line,) = json.loads(tunegate("runs", "list", "--json", "--directory", tmp_path).stdout)
    assert (line["model"], line["verdict"]) == ("tiny-cand", "regress")
    # The same logs again are the same run.
    tunegate("compare", *sides, "--directory", tmp_path)
    assert len(json.loads(tunegate("runs", "list", "--json", "--directory", tmp_path).stdout)) == 1
    page = tmp_path / "page.html"
    assert tunegate("report", "latest", "--directory", tmp_path, "--output", page).returncode == 0
    text = page.read_text()
    assert "capitals: lost cases have in common" in text
    # There are no weights behind it, and no pytest that would answer again.
    assert "known by its name alone" in text
    assert "tunegate compare BASELINE CANDIDATE" in text
    done = tunegate(
        "runs", "accept", "latest", "shipped", "--reason", "x", "--directory", tmp_path, "--root", tmp_path
    )
    assert done.returncode == 4
    assert "it is of another tool's log" in done.stderr
    done = tunegate("compare", "latest", "latest", "--directory", tmp_path, "--no-save")
    assert done.returncode == 0


def test_nothing_is_stored_if_that_is_asked(tunegate, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = tunegate("compare", DATA / "inspect/base.eval", DATA / "inspect/cand.eval", "--no-save")
    assert done.returncode == 1
    assert list(tmp_path.iterdir()) == []


def test_what_does_not_pair_is_listed(tunegate, tmp_path):
    for name, first in (("a", 0), ("b", 1)):
        rows = [
            {"id": f"c{n}", "passed": True, "prompt": "other" if (name, n) == ("b", 5) else "q"}
            for n in range(first, 20)
        ]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    done = tunegate("compare", tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--no-save")
    text = " ".join(done.stdout.split())
    assert "not compared, changed since the baseline: cases/c5" in text
    assert "not compared, only in the baseline: cases/c0" in text
    found = json.loads(
        tunegate("compare", tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--no-save", "--json").stdout
    )
    assert found["unpaired"] == {"cases/c5": "changed since the baseline", "cases/c0": "only in the baseline"}
    done = tunegate(
        "compare", tmp_path / "a.jsonl", tmp_path / "b.jsonl", "--no-save", "--json", "--pair-by", "id"
    )
    assert json.loads(done.stdout)["unpaired"] == {"cases/c0": "only in the baseline"}


def test_logs_of_two_tools_that_share_no_case(tunegate):
    done = tunegate("compare", DATA / "lm_eval/base", DATA / "inspect/cand.eval", "--no-save")
    assert done.returncode == 4
    assert len(done.stderr.strip().splitlines()) == 1
    assert "no case can be compared" in done.stderr


def test_inconclusive_fails_only_where_it_is_asked(tunegate, tmp_path):
    rows = [{"id": f"c{n}", "passed": n > 0} for n in range(4)]
    path = tmp_path / "few.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    other = Path(shutil.copy(path, tmp_path / "other.jsonl"))
    other.write_text(other.read_text().replace("false", "true"))
    assert tunegate("compare", path, other, "--no-save").returncode == 0
    assert tunegate("compare", path, other, "--no-save", "--fail-on", "inconclusive").returncode == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["missing.jsonl", "missing.jsonl"], "missing.jsonl: no such file"),
        ([DATA / "README.md", DATA / "README.md"], "no reader recognises it"),
        ([DATA / "lm_eval/base", DATA / "lm_eval/cand", "--metric", "accuracy"], "--metric accuracy: not in"),
        ([DATA / "lm_eval/base", DATA / "lm_eval/cand", "--metric", "acc:best"], "'best' is unknown"),
        ([DATA / "lm_eval/base", DATA / "lm_eval/cand", "--format", "mine"], "--format mine: no such reader"),
        ([DATA / "lm_eval/base#x", DATA / "lm_eval/cand"], "#x: a file that lm-eval reads has one run"),
    ],
)
def test_bad_input_is_one_line(tunegate, arguments, message):
    done = tunegate("compare", *arguments, "--no-save")
    assert done.returncode == 4
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_a_gated_run_keeps_the_verdict_of_its_gate(tunegate, tmp_path, make_run, make_result):
    """Compared with something else it may pass, and its regression would be in no list any more."""
    before = make_run([make_result(f"s/{n}") for n in range(20)], run_id="before")
    now = make_run([make_result(f"s/{n}", n > 12) for n in range(20)], run_id="20260101-000000-aaaa")
    comparison, verdict = run_gate(now, before)
    record = GateRecord(run=now, baseline=before, comparison=comparison, verdict=verdict)
    with open_history(tmp_path / "history.sqlite") as history:
        history.save(record)
    (tmp_path / "gate.json").write_text(render_json(record))
    for sides in (("latest", "latest"), ("latest", tmp_path / "gate.json")):
        done = tunegate("compare", *sides, "--directory", tmp_path)
        assert done.returncode == 0
        line = "not stored: run 20260101-000000-aaaa keeps the verdict that is stored with it: regress against run before"
        assert line in done.stderr
        (line,) = json.loads(tunegate("runs", "list", "--json", "--directory", tmp_path).stdout)
        assert (line["verdict"], line["id"]) == ("regress", now.id)


def test_a_second_comparison_names_the_first_whose_verdict_stays(tunegate, tmp_path, make_run, make_result):
    """A run without a baseline of its own has the verdict of its first comparison, which may be another one."""
    ids = {"20260101-000000-aaaa": 0, "20260102-000000-aaaa": 0, "20260103-000000-aaaa": 12}
    with open_history(tmp_path / "history.sqlite") as history:
        for run_id, lost in ids.items():
            run = make_run([make_result(f"s/{n}", n >= lost) for n in range(20)], run_id=run_id)
            history.save(GateRecord(run=run))
    worse, same = "20260103-000000-aaaa", "20260101-000000-aaaa"
    first = tunegate("compare", same, worse, "--directory", tmp_path)
    assert (first.returncode, "not stored" in first.stderr) == (1, False)
    second = tunegate("compare", worse, worse, "--directory", tmp_path)
    assert second.returncode == 0
    assert f"keeps the verdict that is stored with it: regress against run {same}" in second.stderr


@pytest.fixture
def won(tmp_path, make_run, make_result):
    """Stores gated runs that won so much against the answers of another one, and writes their files."""

    def result(name, value):
        made = make_result(f"s/{name}", Outcome.UNSCORED, scores=[("pairwise", value)])
        return replace(made, case=replace(made.case, checks=(Check(type="pairwise"),)))

    def store(**runs):
        with open_history(tmp_path / "history.sqlite") as history:
            for name, (value, opponent) in runs.items():
                gates = {"s": GateSettings(metric_margins={"pairwise": 0.1})}
                run = make_run([result(n, value) for n in range(40)], run_id=name, gates=gates)
                before = make_run([result(n, 0.5) for n in range(40)], run_id=opponent, gates=gates)
                comparison, verdict = run_gate(run, before)
                record = GateRecord(run=run, baseline=before, comparison=comparison, verdict=verdict)
                history.save(record)
                (tmp_path / f"{name}.json").write_text(render_json(record))

    return store


@pytest.mark.parametrize("form", ["{}", "{}.json"])
def test_the_judge_s_answers_to_two_questions_are_not_compared(tunegate, tmp_path, monkeypatch, won, form):
    """One run was preferred to an old model, the other less often to a good one: that is no regression."""
    monkeypatch.chdir(tmp_path)
    won(strong=(1.0, "old"), now=(0.4, "good"))
    done = tunegate(
        "compare", form.format("strong"), form.format("now"), "--directory", tmp_path, "--no-save"
    )
    assert done.returncode == 0
    text = " ".join(done.stdout.split())
    assert "INCONCLUSIVE" in text
    assert "scored with version 5 (against the answers of run old) of it, the candidate with 5" in text
    if form == "{}":
        done = tunegate("runs", "compare", "now", "strong", "--directory", tmp_path)
        assert (done.returncode, "of run old" in " ".join(done.stdout.split())) == (0, True)


@pytest.mark.parametrize(("opponent", "drop"), [("strong", 0.1), ("old", 0.6)])
def test_those_to_one_question_are(tunegate, tmp_path, won, opponent, drop):
    """Compared with the baseline's own answers these tie; two runs may have met the same third one."""
    won(strong=(1.0, "old"), now=(0.4, opponent))
    done = tunegate("compare", "strong", "now", "--directory", tmp_path, "--no-save", "--json")
    rows = {row["metric"]: row for row in json.loads(done.stdout)["comparison"]["metrics"]}
    assert rows["pairwise"]["drop"]["estimate"] == pytest.approx(drop)
