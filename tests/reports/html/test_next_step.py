"""What to do next follows from the findings: reject, add cases, calibrate, fix, accept."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.types import (
    ChangedCasesFinding,
    Check,
    FailedTestsFinding,
    Finding,
    FindingData,
    GateRecord,
    GateVerdict,
    Interval,
    MetricFacts,
    MetricFinding,
    MustPassFinding,
    NothingToLoseFinding,
    NoVerdictFinding,
    Outcome,
    Score,
    SetLooks,
    TripwireFinding,
    UnscoredMetric,
    Verdict,
)
from reports.earlier_runs import EarlierRuns
from reports.html.banners import banners
from reports.html.lead import lead_of
from reports.html.next_step import next_step

Invented = Callable[..., GateRecord]
DROP = Interval(estimate=0.05, low=-0.01, high=0.11, confidence=0.9, method="made up")


def judged(
    record: GateRecord, outcome: GateVerdict, data: FindingData, set_name: str = "orders"
) -> GateRecord:
    """The record with one deciding finding."""
    metric = "pass-rate" if isinstance(data, MetricFinding) else None
    finding = Finding(verdict=outcome, set_name=set_name, metric=metric, data=data)
    return replace(record, verdict=Verdict(outcome=outcome, findings=(finding,)))


def metric(**changes: Any) -> MetricFinding:
    given: dict[str, Any] = {
        "scale": "binary",
        "baseline": 0.9,
        "candidate": 0.85,
        "drop": DROP,
        "n": 40,
        "clusters": 40,
        "p_value": 0.2,
        "lost": 3,
        "gained": 1,
        "margin": 0.05,
        "minimum_detectable_drop": 0.18,
        **changes,
    }
    return MetricFinding(**given)


def test_a_regression_is_rejected_and_says_what_to_read(invented: Invented) -> None:
    step = next_step(judged(invented(lost=5), GateVerdict.REGRESS, metric()))
    assert (step.title, step.command) == ("Reject it.", "pytest --model=adapters/orders")
    assert "Read the lost cases" in step.text
    # Its directory has the rejected model.
    assert step.condition == "Only after training it again:"


def test_forgotten_skills_call_for_milder_training(invented: Invented) -> None:
    step = next_step(judged(invented(probes_lost=9), GateVerdict.REGRESS, metric(), "general"))
    assert step.title == "Reject it."
    assert "lower learning rate" in step.text


@pytest.mark.parametrize(
    ("settle", "title"), [(160, "Add about 120 cases to “orders”."), (None, "Add cases to “orders”.")]
)
def test_an_inconclusive_metric_needs_so_many_more_cases(
    invented: Invented, settle: int | None, title: str
) -> None:
    step = next_step(judged(invented(), GateVerdict.INCONCLUSIVE, metric(cases_to_settle=settle)))
    assert step.title == title
    assert "40 cases detect drops from 18\u00a0pts." in step.text
    assert step.command == "tunegate golden new golden_sets/orders.yaml"


@pytest.mark.parametrize(
    ("facts", "baseline", "high", "said"),
    [
        (None, 0.15, 0.11, True),
        (None, 0.15, 0.2, False),
        (MetricFacts(kind="graded", higher_is_better=False), 0.8, 0.19, True),
        (MetricFacts(kind="graded", higher_is_better=False), 0.8, 0.21, False),
        (MetricFacts(kind="graded", higher_is_better=False, most=None), 0.8, 2.1, True),
    ],
)
def test_a_larger_drop_is_advised_only_where_that_much_can_be_lost(
    invented: Invented, facts: MetricFacts | None, baseline: float, high: float, said: bool
) -> None:
    """With a margin that allows to lose all, the row would be untestable."""
    data = metric(baseline=baseline, high_unseen=high)
    record = judged(invented(), GateVerdict.INCONCLUSIVE, data)
    if facts is not None:
        record = replace(record, run=replace(record.run, metrics={"pass-rate": facts}))
    assert ("allow a larger drop" in next_step(record).text) is said


@pytest.mark.parametrize(
    ("unsaved", "title", "command"),
    [
        (None, "Accept it.", "tunegate runs accept"),
        (
            "tunegate runs recover",
            "Save it, then accept it.",
            "tunegate runs recover && tunegate runs accept",
        ),
        ("", "Make room for the history, then gate again.", "pytest --model=adapters/orders"),
    ],
)
def test_a_run_is_accepted_only_once_it_is_stored(
    invented: Invented, unsaved: str | None, title: str, command: str
) -> None:
    record = judged(invented(), GateVerdict.PASS, metric(lost=0))
    record = replace(record, run=replace(record.run, collected=len(record.run.results)))
    step = next_step(record, EarlierRuns(unsaved=unsaved))
    assert step.title == title
    assert step.command.startswith(command)
    assert ("saves it" in str(banners(record, (), unsaved))) == bool(unsaved)


@pytest.mark.parametrize(("rows", "said"), [(2, "one more row"), (60, "59 more rows")])
def test_other_inconclusive_metrics_are_counted(invented: Invented, rows: int, said: str) -> None:
    record = judged(invented(), GateVerdict.INCONCLUSIVE, metric(cases_to_settle=160))
    assert record.verdict is not None
    verdict = replace(record.verdict, findings=record.verdict.findings * rows)
    step = next_step(replace(record, verdict=verdict))
    assert step.title == "Add about 120 cases to “orders”."
    assert f"The same goes for {said} of the table." in step.text


def test_losses_that_only_a_judge_sees_call_for_a_calibration(invented: Invented) -> None:
    record = judged(invented(orders=60, lost=10), GateVerdict.REGRESS, metric())
    results = tuple(
        replace(result, scores=(Score(metric="llm-rubric", value=0.0, passed=False),))
        for result in record.run.results
    )
    step = next_step(replace(record, run=replace(record.run, results=results)))
    assert step.title == "Reject it, or calibrate the judge."
    assert step.command.startswith("tunegate judge calibrate")


@pytest.mark.parametrize(
    ("threshold", "told"),
    [
        (9.0, ("Score these texts, or take the checks out.", "perplexity was not measured: too long")),
        (
            None,
            (
                "Give the unscored cases a check that decides.",
                "A check decides if it is true or false, or has a threshold.",
            ),
        ),
    ],
)
def test_why_texts_were_not_measured_is_told_where_checks_that_decide_are_unscored(
    invented: Invented, threshold: float | None, told: tuple[str, str]
) -> None:
    data = NoVerdictFinding(side="candidate", outcome=Outcome.UNSCORED, cases=3, n=40, tolerated=0.05)
    record = judged(invented(unscored=3), GateVerdict.INCONCLUSIVE, data)
    checks = (Check(type="perplexity", threshold=threshold),)
    reasons = (UnscoredMetric(metric="perplexity", reason="was not measured: too long"),)
    results = tuple(
        replace(result, case=replace(result.case, checks=checks), unscored=reasons)
        if result.outcome is Outcome.UNSCORED
        else result
        for result in record.run.results
    )
    step = next_step(replace(record, run=replace(record.run, results=results)))
    assert (step.title, step.text) == told


def test_probes_that_were_not_answered_call_for_room(invented: Invented) -> None:
    data = NoVerdictFinding(
        side="baseline", outcome=Outcome.UNSCORED, cases=3, n=40, tolerated=0.05, unanswered=3
    )
    step = next_step(judged(invented(unscored=3), GateVerdict.INCONCLUSIVE, data))
    assert step.title == "Let the model come to its answers."
    assert all(remedy in step.text for remedy in ("max_reasoning_tokens", "enable_thinking: false"))


def test_checks_that_an_unreliable_judge_left_unscored_call_for_one_too(invented: Invented) -> None:
    data = NoVerdictFinding(side="candidate", outcome=Outcome.UNSCORED, cases=3, n=40, tolerated=0.05)
    record = judged(invented(unscored=3), GateVerdict.INCONCLUSIVE, data)
    assert next_step(record).title == "Give the unscored cases a check that decides."
    results = tuple(
        replace(result, case=replace(result.case, checks=(Check(type="llm-rubric", value="polite"),)))
        for result in record.run.results
    )
    assert (
        next_step(replace(record, run=replace(record.run, results=results))).title == "Calibrate the judge."
    )


@pytest.mark.parametrize(
    ("data", "outcome", "title"),
    [
        (MustPassFinding(cases=("orders/a",)), GateVerdict.REGRESS, "Reject it."),
        (FailedTestsFinding(tests=("t.py::t",)), GateVerdict.REGRESS, "Reject it, or correct the tests."),
        (
            TripwireFinding(change=DROP, limit=0.1),
            GateVerdict.INCONCLUSIVE,
            "Find out why the loss on general text rose.",
        ),
        (
            NothingToLoseFinding(passed=0, n=40, margin=0.05),
            GateVerdict.INCONCLUSIVE,
            "Add cases to “orders” that the baseline passes.",
        ),
        (
            NoVerdictFinding(side="candidate", outcome=Outcome.ERRORED, cases=9, n=40, tolerated=0),
            GateVerdict.INCONCLUSIVE,
            "Fix what is missing, then gate again.",
        ),
        (
            ChangedCasesFinding(cases=30, n=40, tolerated=0.05),
            GateVerdict.INCONCLUSIVE,
            "Compare “orders” with the baseline's model itself.",
        ),
        (
            ChangedCasesFinding(
                cases=30, n=40, tolerated=0.05, causes={"decided by rouge-l, which was different": 30}
            ),
            GateVerdict.INCONCLUSIVE,
            "Name a stored run as baseline, or accept this one.",
        ),
    ],
)
def test_each_other_reason_has_its_step(
    invented: Invented, data: FindingData, outcome: GateVerdict, title: str
) -> None:
    assert next_step(judged(invented(), outcome, data)).title == title


def test_a_pass_may_be_accepted_once_it_is_whole(invented: Invented) -> None:
    step = next_step(judged(invented(), GateVerdict.PASS, metric()))
    assert step.title == "Accept it."
    assert step.command == "tunegate runs accept 20260131-142501-7f3a main --reason '…'"
    elsewhere = next_step(
        judged(invented(), GateVerdict.PASS, metric()), EarlierRuns(place=" --directory out")
    )
    assert elsewhere.command == "tunegate runs accept 20260131-142501-7f3a main --directory out --reason '…'"
    part = next_step(judged(invented(collected=500), GateVerdict.PASS, metric()))
    assert (part.title, part.text) == (
        "Run all cases.",
        "This run answered 100 of 500. Only a whole run can be accepted.",
    )
    undecided = next_step(
        judged(invented(collected=500), GateVerdict.INCONCLUSIVE, metric(cases_to_settle=160))
    )
    assert undecided.title == "Run all cases."


def test_without_a_verdict_a_baseline_is_missing(invented: Invented) -> None:
    step = next_step(invented(compared=False))
    assert step.command == "pytest --model=adapters/orders --gate-baseline=base"


def test_a_whole_model_is_not_sent_to_the_base_that_it_has_not(invented: Invented) -> None:
    """The same command gave NO BASELINE again."""
    record = invented(compared=False)
    model = replace(record.run.model, adapter_dir=None, adapter_sha256=None)
    record = replace(record, run=replace(record.run, model=model))
    step = next_step(record)
    assert step.title == "Accept it."
    assert step.text.startswith("A whole model has no base to be compared with. Later candidates")
    assert step.command.startswith("tunegate runs accept")
    logged = replace(record, run=replace(record.run, model=replace(model, base_sha256="")))
    assert next_step(logged).command == ""


def test_a_model_s_name_is_quoted_for_the_shell(invented: Invented) -> None:
    record = invented(compared=False)
    model = replace(record.run.model, label="$(reboot) \u202eevil")
    step = next_step(replace(record, run=replace(record.run, model=model)))
    assert step.command == "pytest --model='$(reboot) ⟨U+202E⟩evil' --gate-baseline=base"


@pytest.mark.parametrize(
    ("label", "directory", "typed"),
    [
        ("../adapters/a b", "/p/adapters/a b", "'adapters/a b'"),
        ("a", "/p/sub/a", "sub/a"),
        ("/p/it's", "/p/it's", """'it'"'"'s'"""),
        ("../../q/a", "/q/a", "/q/a"),
        ("adapters/a", "/elsewhere/adapters/a", "adapters/a"),
        ("smollm2", None, "smollm2"),
    ],
)
def test_the_command_is_typed_in_the_project_s_root(
    invented: Invented, label: str, directory: str | None, typed: str
) -> None:
    """Wherever the gate was started: the golden sets' files are relative to the root too."""
    record = invented(compared=False)
    model = replace(record.run.model, label=label, adapter_dir=directory)
    step = next_step(replace(record, run=replace(record.run, model=model)), EarlierRuns(project=Path("/p")))
    assert step.command == f"pytest --model={typed} --gate-baseline=base"


def test_a_whole_model_s_directory_is_found_from_where_the_gate_was_started(
    invented: Invented, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "models" / "a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "sub")
    record = invented(compared=False)
    model = replace(record.run.model, label="../models/a", adapter_dir=None)
    step = next_step(replace(record, run=replace(record.run, model=model)), EarlierRuns(project=tmp_path))
    assert step.command == "pytest --model=models/a --gate-baseline=base"


def test_a_run_that_stopped_early_is_answered_whole_before_it_is_accepted(invented: Invented) -> None:
    record = judged(invented(orders=3, probes=2), GateVerdict.PASS, metric())
    looks = SetLooks(
        set_name="orders", look=2, planned=5, fractions=(0.2, 0.4), cases=8, answered=3, out_of_turn=()
    )
    run = replace(record.run, collected=len(record.run.results) + 5, looks=(looks,))
    step = next_step(replace(record, run=run))
    assert step.title == "Run all cases."
    assert step.command.endswith("--gate-looks=1")


def test_a_run_that_stopped_early_says_where(invented: Invented) -> None:
    record = invented(orders=3, probes=2)
    looks = SetLooks(
        set_name="orders", look=2, planned=5, fractions=(0.2, 0.4), cases=8, answered=3, out_of_turn=()
    )
    run = replace(record.run, collected=len(record.run.results) + 5, looks=(looks,))
    titles = {each.title: each.items for each in banners(replace(record, run=run))}
    assert titles["Decided early, at look 2 of 5"] == ("orders: 3 of 8 cases",)
    assert not [title for title in titles if title.startswith("Partial run")]


def test_a_must_pass_case_whose_check_broke_is_no_reason_to_reject(invented: Invented) -> None:
    """Nothing is wrong with its answer, as far as anyone knows."""
    record = invented(errored=2)
    broken = tuple(result.key for result in record.run.results if result.outcome is Outcome.ERRORED)
    told = next_step(judged(record, GateVerdict.INCONCLUSIVE, MustPassFinding(cases=broken)))
    assert told.title == "Fix what is missing, then gate again."
    assert told.text.endswith("could not be computed: rouge-l: OSError: no such file")


def test_the_reason_says_what_a_must_pass_case_is_about(invented: Invented) -> None:
    record = invented()
    about = "Never promises a refund."
    results = tuple(
        replace(result, case=replace(result.case, description=about)) for result in record.run.results
    )
    key = results[0].key
    told = judged(record, GateVerdict.REGRESS, MustPassFinding(cases=(key,)))
    assert lead_of(told).endswith(f" did not pass: {key.partition('/')[2]}.")
    told = replace(told, run=replace(told.run, results=results))
    assert lead_of(told).endswith(f" did not pass: {key.partition('/')[2]} (Never promises a refund).")


@pytest.mark.parametrize("outcome", [Outcome.ERRORED, Outcome.UNSCORED])
def test_what_has_no_verdict_comes_before_more_cases(invented: Invented, outcome: Outcome) -> None:
    """Where most checks broke, further cases would break too."""
    record = judged(invented(errored=30), GateVerdict.INCONCLUSIVE, metric(cases_to_settle=70))
    data = NoVerdictFinding(side="candidate", outcome=outcome, cases=30, n=40, tolerated=0.0)
    missing = Finding(verdict=GateVerdict.INCONCLUSIVE, set_name="orders", data=data)
    assert record.verdict is not None
    findings = (*record.verdict.findings, missing)
    record = replace(record, verdict=replace(record.verdict, findings=findings))
    assert lead_of(record).startswith("Too much is missing for a verdict: orders: 30 of 40 cases ")
    told = next_step(record)
    assert "Add" not in told.title
    if outcome is Outcome.ERRORED:
        assert told.text == "A check could not be computed: rouge-l: OSError: no such file"
