"""A gate's evidence, replayed where no model is."""

import json
from dataclasses import replace

import pytest

from harness.baselines.run_file import read_record_file
from harness.comparison.gate import run_gate
from harness.errors import SettingsError
from harness.run.scoring import score_cases
from harness.run.verification import verify
from harness.types import (
    Check,
    Completion,
    GateRecord,
    GateSettings,
    GateVerdict,
    GoldenCase,
    Message,
    Permissions,
    Run,
    Score,
    Stability,
    UnscoredMetric,
)
from reports.json_file import render_json

JUDGED = Check(type="llm-rubric", value="is polite")


def cases(*more):
    return [
        GoldenCase(
            id=f"c{number}",
            set_name="s",
            messages=(Message(role="user", content=f"Capital {number}?"),),
            references=("Paris",),
            checks=(Check(type="contains", value="Paris"), Check(type="f1"), *more),
        )
        for number in range(20)
    ]


def scored(make_run, asked, wrong, run_id):
    answers = {
        case.key: Completion(
            text="Rome" if number < wrong else "Paris",
            stop_reason="stop",
            prompt_tokens=3,
            completion_tokens=1,
            latency_s=0.1,
        )
        for number, case in enumerate(asked)
    }
    return make_run(score_cases(asked, answers), run_id=run_id)


@pytest.fixture
def record(make_run):
    """Twelve of twenty cases lost."""
    asked = cases()
    baseline, candidate = (
        scored(make_run, asked, wrong, name) for wrong, name in ((0, "before"), (12, "now"))
    )
    comparison, verdict = run_gate(candidate, baseline, margin=0.1)
    return GateRecord(run=candidate, baseline=baseline, comparison=comparison, verdict=verdict)


def test_a_metric_that_this_installation_lacks_is_refused_by_name(record, tmp_path):
    result = record.run.results[0]
    foreign = replace(result.case, checks=(*result.case.checks, Check(type="not-politeness", threshold=0.5)))
    results = (replace(result, case=foreign), *record.run.results[1:])
    with pytest.raises(SettingsError, match=r"^politeness: unknown metric; install the plug-in"):
        verify(replace(record, run=replace(record.run, results=results)), tmp_path, Permissions())


def test_what_was_scored_honestly_verifies(record, tmp_path):
    path = tmp_path / "gate.json"
    path.write_text(render_json(record))
    read, changed = read_record_file(path)
    assert not changed
    found = verify(read, tmp_path, Permissions())
    assert (found.faults, found.scores) == ((), 80)
    assert found.recorded == found.recomputed == "regress"
    assert dict(found.unverified) == {"s.yaml: not in this project": 1}


@pytest.mark.parametrize(
    ("level", "verdict"), [(None, "regress"), (0.0148, "inconclusive"), (0.02, "regress")]
)
def test_a_look_of_a_training_is_verified_at_its_own_level(make_run, tmp_path, level, verdict):
    """Five of 20 cases lost are p = 1/64: a regression at 5 %, and none at the first fifth of a training."""
    asked = cases()
    baseline, candidate = (
        scored(make_run, asked, wrong, name) for wrong, name in ((0, "before"), (5, "now"))
    )
    comparison, found = run_gate(candidate, baseline, regress_alpha=level)
    assert found.outcome == verdict
    comparison = replace(comparison, regress_level=level)
    record = GateRecord(run=candidate, baseline=baseline, comparison=comparison, verdict=found)
    (tmp_path / "look.json").write_text(render_json(record))
    replayed = verify(read_record_file(tmp_path / "look.json")[0], tmp_path, Permissions())
    assert (replayed.faults, replayed.recomputed) == ((), verdict)


def changed_score(record):
    first, *rest = record.run.results
    scores = tuple(replace(score, value=1.0) for score in first.scores)
    results = (replace(first, scores=scores), *rest)
    return replace(record, run=replace(record.run, results=results))


def changed_outcome(record):
    first, *rest = record.run.results
    return replace(record, run=replace(record.run, results=(replace(first, outcome="passed"), *rest)))


def changed_verdict(record):
    return replace(record, verdict=replace(record.verdict, outcome="pass"))


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (changed_score, "candidate s/c0: contains is 1, recomputed 0"),
        (changed_outcome, "candidate s/c0: the outcome is passed, recomputed failed"),
        (changed_verdict, "the verdict is pass, recomputed regress"),
    ],
)
def test_what_was_changed_is_named(record, tmp_path, change, fault):
    found = verify(change(record), tmp_path, Permissions())
    assert fault in found.faults


@pytest.fixture
def noted(make_run):
    """54 equal answers in bfloat16, of exactly these cases, which a noise record of 5/5 lets pass at 0.10."""
    asked = [case for n in range(3) for case in (replace(each, id=f"{each.id}-{n}") for each in cases())][:54]
    runs = [scored(make_run, asked, 0, name) for name in ("before", "now")]
    gate = GateSettings(population="cases", margin=0.1)
    before, now = (
        replace(
            run,
            plan=replace(run.plan, dtype="bfloat16"),
            golden_sets=tuple(replace(each, gate=gate) for each in run.golden_sets),
        )
        for run in runs
    )
    stability = {case.key: Stability(passed=5, answers=5) for case in asked}
    comparison, verdict = run_gate(now, before, stability=stability)
    return GateRecord(run=now, baseline=before, comparison=comparison, verdict=verdict)


def test_a_verdict_that_rests_on_a_noise_record_verifies(noted, tmp_path):
    assert noted.verdict.outcome is GateVerdict.PASS
    assert run_gate(noted.run, noted.baseline)[1].outcome is GateVerdict.INCONCLUSIVE
    path = tmp_path / "gate.json"
    path.write_text(render_json(noted))
    found = verify(read_record_file(path)[0], tmp_path, Permissions())
    assert (found.faults, found.recomputed) == ((), GateVerdict.PASS)


def test_without_its_noise_record_it_is_another_verdict(noted, tmp_path):
    changed = replace(noted, comparison=replace(noted.comparison, noise={}))
    assert verify(changed, tmp_path, Permissions()).faults == (
        "the verdict is pass, recomputed inconclusive",
    )


def test_an_earlier_file_without_its_noise_record_is_not_called_false(noted, tmp_path):
    earlier = replace(noted, comparison=replace(noted.comparison, noise=None))
    found = verify(earlier, tmp_path, Permissions())
    assert (found.faults, found.recomputed) == ((), None)
    (told,) = [each for each in found.unverified if each.startswith("the verdict: ")]
    assert "noise record" in told


def test_an_earlier_file_whose_verdict_needs_none_is_verified(record, tmp_path):
    earlier = replace(record, comparison=replace(record.comparison, noise=None))
    assert verify(earlier, tmp_path, Permissions()).recomputed is GateVerdict.REGRESS


def test_another_golden_set_is_named(record, tmp_path):
    (tmp_path / "s.yaml").write_text(
        "name: s\ncases: [{id: a, prompt: p, checks: [{type: contains, value: x}]}]\n"
    )
    assert verify(record, tmp_path, Permissions()).faults == (
        "s.yaml differs from the golden set of the run",
    )


def test_a_judge_s_scores_are_believed_and_listed(make_run, tmp_path):
    asked = cases(JUDGED)
    run: Run = scored(make_run, asked, 0, "now")
    results = tuple(
        replace(
            r,
            scores=(*r.scores, Score(metric="llm-rubric", value=1.0, passed=True)),
            errors=(),
            outcome="passed",
        )
        for r in run.results
    )
    found = verify(GateRecord(run=replace(run, results=results)), tmp_path, Permissions())
    assert found.faults == ()
    (told,) = [each for each in found.unverified if each.startswith("llm-rubric: ")]
    assert found.unverified[told] == 20


def test_answers_that_are_not_stored_are_listed(record, tmp_path):
    baseline = replace(
        record.baseline, results=tuple(replace(r, completion=None) for r in record.baseline.results)
    )
    found = verify(replace(record, baseline=baseline), tmp_path, Permissions())
    assert found.faults == ()
    assert found.unverified["answers whose text is not stored"] == 20


def test_a_changed_file_is_noticed(record, tmp_path):
    path = tmp_path / "gate.json"
    facts = json.loads(render_json(record))
    facts["run"]["model"]["label"] = "other"
    path.write_text(json.dumps(facts))
    assert read_record_file(path)[1]


def test_what_was_left_unscored_on_purpose_is_no_other_outcome(make_run, tmp_path):
    """An unreliable judge's check has no score; without a judge it has an error here."""
    run = scored(make_run, cases(JUDGED), 0, "now")
    reason = UnscoredMetric(metric="llm-rubric", reason="the judge is unreliable")
    results = tuple(replace(r, errors=(), outcome="unscored", unscored=(reason,)) for r in run.results)
    found = verify(GateRecord(run=replace(run, results=results)), tmp_path, Permissions())
    assert found.faults == ()
