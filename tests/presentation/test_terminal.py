"""The gate's section says the verdict first and every figure beside its n and interval."""

import io
from dataclasses import replace

import pytest
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.comparison.gate import run_gate
from harness.presentation.console import open_console, visible_text
from harness.presentation.terminal import (
    confidences,
    detectable_range,
    outcome_counts,
    pairs,
    plan_lines,
    render_gate,
)
from harness.types import (
    CaseResult,
    Check,
    Completion,
    Environment,
    ExecutionPlan,
    GateRecord,
    GateVerdict,
    GoldenCase,
    GoldenSet,
    Interval,
    Message,
    MetricError,
    ModelRef,
    Outcome,
    Placement,
    Run,
    TextLoss,
)
from harness.types.training import CanaryNotes, TrainingManifest


def make_run(label, passed, *, collected=None, loss=2.0):
    """Sixty probes, of which the first ``passed`` pass."""
    results = []
    for number in range(60):
        right = number < passed
        case = GoldenCase(
            id=f"case-{number}",
            set_name="general",
            messages=(Message(role="user", content="?"),),
            checks=(Check(type="contains", value="yes"),),
            tags=("words",),
        )
        completion = Completion(
            text="yes" if right else "[b]no[/b]",
            stop_reason="stop",
            prompt_tokens=1,
            completion_tokens=1,
            latency_s=0.1,
        )
        outcome = Outcome.PASSED if right else Outcome.FAILED
        results.append(CaseResult(case=case, completion=completion, outcome=outcome))
    return Run(
        id=f"run-{label}",
        started_at="2026-01-01T00:00:00+00:00",
        duration_s=1.0,
        model=ModelRef(label=label, base_model="base", base_sha256="b"),
        plan=ExecutionPlan(engine="transformers", dtype="float32", device="cpu", batch_tokens=1),
        environment=Environment(python="3", platform="p", packages={}),
        golden_sets=(GoldenSet(name="general", path="g.yaml", probes_forgetting=True),),
        collected=collected or 60,
        results=tuple(results),
        text_losses=tuple(
            TextLoss(passage=str(i), nats_per_token=loss + i / 100, tokens=50) for i in range(12)
        ),
    )


def shown(record, width=80):
    text = io.StringIO()
    Console(file=text, width=width, color_system=None).print(render_gate(record, width))
    return text.getvalue()


def gated(passed, *, before=60, **candidate):
    runs = make_run("mine", passed, **candidate), make_run("base", before)
    comparison, verdict = run_gate(*runs)
    return GateRecord(run=runs[0], baseline=runs[1], comparison=comparison, verdict=verdict)


@pytest.mark.parametrize(("passed", "word"), [(60, "PASS"), (20, "REGRESS"), (57, "INCONCLUSIVE")])
def test_the_verdict_stands_first(passed, word):
    assert shown(gated(passed)).startswith(f" {word} ")


def test_a_name_of_several_lines_is_one_line_of_the_headline():
    record = gated(60)
    model = replace(record.run.model, label="a\n::error::b\a")
    first, second, *_ = shown(replace(record, run=replace(record.run, model=model))).splitlines()
    assert "a⟨LF⟩::error::b⟨BEL⟩ against base" in first
    assert second.startswith("metric")


def test_a_regression_shows_its_figures_and_first_cases():
    text = shown(gated(20, loss=3.0))
    assert "1.00 → 0.33" in text
    assert "kept 20 of 60 probes" in text
    assert "tripwire" in text
    assert "lost cases (40)" in text
    assert "and 35 more in the report" in text
    assert "now  '[b]no[/b]'" in text


def test_a_language_that_is_lost_stands_beside_a_pass():
    """An equal answer to each probe, and German three nats a token less likely."""

    def with_german(run, loss):
        german = tuple(
            TextLoss(passage=f"german/{i}", nats_per_token=loss + i / 10, tokens=100) for i in range(4)
        )
        return replace(run, text_losses=(*run.text_losses, *german))

    runs = with_german(make_run("mine", 60), 6.0), with_german(make_run("base", 60), 3.0)
    comparison, verdict = run_gate(*runs)
    text = shown(GateRecord(run=runs[0], baseline=runs[1], comparison=comparison, verdict=verdict), 120)
    assert text.startswith(" PASS ")
    assert (
        "• cross-entropy on other text rose on german by 3.00 nats per token [1.42, 4.58]: for information"
        in text
    )
    assert "other text german +3.00 (for information)" in text


@pytest.mark.parametrize(
    ("alike", "told"),
    [
        (12, "general text +0.00 ["),
        (5, "general text (5 of 12 passages) +0.00 ["),
        (2, "general text is not compared: 2 of 12 passages have as many tokens on both sides"),
    ],
)
def test_passages_that_another_tokenizer_splits_otherwise_are_counted(alike, told):
    runs = [make_run(label, 60) for label in ("mine", "base")]
    losses = [replace(loss, tokens=50 if n < alike else 60) for n, loss in enumerate(runs[0].text_losses)]
    runs[0] = replace(runs[0], text_losses=tuple(losses))
    comparison, verdict = run_gate(*runs)
    text = shown(GateRecord(run=runs[0], baseline=runs[1], comparison=comparison, verdict=verdict), 120)
    assert told in text
    assert text.count("general text") == 1


@pytest.mark.parametrize("width", [80, 120])
def test_no_line_is_longer_than_the_terminal(width):
    assert max(map(len, shown(gated(20), width).splitlines())) <= width


def test_verdicts_are_never_cut():
    """On 80 columns a long name wraps; the verdict's word stays whole."""
    lines = [line for line in shown(gated(57)).splitlines() if not line.startswith("•")]
    assert sum("inconclusive" in line for line in lines) == 1


def test_a_set_with_nothing_to_lose_is_not_shown_as_passed():
    record = gated(2, before=2)
    text = shown(record)
    assert "not testable" in text
    assert "pass, equal" not in text
    assert "INCONCLUSIVE" in text
    (reason,) = [line for line in text.splitlines() if line.startswith("•")]
    assert reason.startswith("• general: the baseline passes 2 of 60 cases")


def test_without_a_baseline_there_is_no_verdict():
    text = shown(GateRecord(run=make_run("base", 50)))
    assert "60 cases: 50 passed, 10 failed; no baseline, so no verdict" in text


def test_what_a_reason_says_is_not_counted_again():
    """Two of 60 errored, where none is tolerated: one line says so."""
    record = gated(60)
    broken = MetricError(metric="contains", error="service down")
    results = [
        replace(result, outcome=Outcome.ERRORED, errors=(broken,)) if number < 2 else result
        for number, result in enumerate(record.run.results)
    ]
    run = replace(record.run, results=tuple(results))
    comparison, verdict = run_gate(run, record.baseline)
    text = shown(GateRecord(run=run, baseline=record.baseline, comparison=comparison, verdict=verdict), 120)
    assert "• general: 2 of 60 cases errored in the candidate, 0% are tolerated" in text
    assert "• candidate:" not in text
    quiet = replace(verdict, findings=())
    text = shown(GateRecord(run=run, baseline=record.baseline, comparison=comparison, verdict=quiet), 120)
    assert "• candidate: 60 cases: 58 passed, 2 errored" in text


def test_a_partial_run_names_its_denominator():
    assert outcome_counts(make_run("mine", 60, collected=184)) == "60 of 184 cases: 60 passed"


def test_canaries_of_training_are_shown_in_one_paragraph():
    """With and without a baseline; a manifest without them adds nothing."""
    run = make_run("mine", 50)
    lines = ("length 84 → 31 (n=64, 64), drifted", "refusals 0.00 → 0.00 (n=64, 64)")
    training = TrainingManifest(canaries=CanaryNotes(summary=lines))
    watched = replace(run, model=replace(run.model, training=training))
    text = shown(GateRecord(run=watched), 120)
    assert "canaries    length 84 → 31 (n=64, 64), drifted; refusals 0.00 → 0.00 (n=64, 64)" in text
    assert "canaries" not in shown(GateRecord(run=run), 120)


def test_lost_pairs_stand_beside_the_n():
    """58 of 60 cases are compared; without a loss the number stands alone."""
    baseline = make_run("old", 60)
    run = make_run("new", 55)
    broken = replace(
        run, results=tuple(replace(r, outcome=Outcome.ERRORED) for r in run.results[:2]) + run.results[2:]
    )
    for candidate, expected in ((broken, "58/60"), (run, "60")):
        comparison, verdict = run_gate(candidate, baseline)
        assert pairs(comparison.metrics[0], comparison) == expected
        assert expected in shown(
            GateRecord(run=candidate, baseline=baseline, comparison=comparison, verdict=verdict)
        )


def test_tables_are_measured_with_hidden_characters_visible():
    table = Table("name", "value", box=None)
    table.add_row("a\x1b[31mb\u202ec", visible_text(Text("d\x00e")))
    table.add_row("plain", "other")
    shown = io.StringIO()
    open_console(file=shown, width=80).print(table)
    header, first, second = [line for line in shown.getvalue().splitlines() if line.strip()]
    assert first.split() == ["a⟨ESC⟩[31mb⟨U+202E⟩c", "d⟨NUL⟩e"]
    assert header.index("value") == first.index("d⟨NUL⟩e") == second.index("other")


def test_styles_stay_where_they_were():
    text = Text("a\x1bbc")
    text.stylize("bold", 2, 3)
    made = visible_text(text)
    assert made.plain == "a⟨ESC⟩bc"
    assert [made.plain[span.start : span.end] for span in made.spans] == ["b"]


def test_the_confidence_of_several_looks_is_named():
    """A set that was decided early has a wider interval than one that was answered at once."""
    intervals = [
        Interval(estimate=0.0, low=-0.1, high=0.1, confidence=each, method="made up") for each in (0.9, 0.968)
    ]
    assert confidences(intervals[:1]) == "90 %"
    assert confidences(intervals) == "90 to 97 %"
    assert confidences([]) == "90 %"


def test_what_clusters_detect_is_a_range():
    assert detectable_range(None, None) == "none"
    assert detectable_range(0.084, None) == "≥ 0.08"
    assert detectable_range(0.084, 0.406) == "≥ 0.08 to 0.41"
    assert detectable_range(0.084, 0.0841) == "≥ 0.08"


def test_a_row_of_which_most_cases_errored_shows_no_mean_and_no_pass():
    """The mean of the few others would be taken for the set's."""
    record = gated(60)
    broken = MetricError(metric="contains", error="service down")
    results = [
        result if number < 20 else replace(result, outcome=Outcome.ERRORED, errors=(broken,))
        for number, result in enumerate(record.run.results)
    ]
    run = replace(record.run, results=tuple(results))
    comparison, verdict = run_gate(run, record.baseline)
    # As with a wide margin.
    rows = tuple(replace(row, verdict=GateVerdict.PASS) for row in comparison.metrics)
    comparison = replace(comparison, metrics=rows)
    text = shown(GateRecord(run=run, baseline=record.baseline, comparison=comparison, verdict=verdict))
    (line,) = [each for each in text.splitlines() if each.startswith("general") and "/60" in each]
    assert line.split()[1:4] == ["20/60", "40/60", "errored"]
    assert "1.00 → 1.00" not in text
    assert "not scored" in line
    few = replace(record.run, results=tuple(results[:35]))
    assert "1.00 → 1.00" in shown(
        GateRecord(run=few, baseline=record.baseline, comparison=comparison, verdict=verdict)
    )


def test_a_base_that_was_unpacked_is_said():
    placed = [
        Placement(side=side, weights="own", batches="mixed", decoder="batched", unpacked=stored)
        for side, stored in (("candidate", "fp8"), ("baseline", "fp8"), ("base", None))
    ]
    plan = ExecutionPlan(engine="transformers", dtype="float32", device="cpu", batch_tokens=1)
    assert plan_lines(plan) == []
    assert plan_lines(replace(plan, placements=tuple(placed))) == [
        "weights: stored in fp8, turned into float32 on cpu: candidate, baseline"
    ]
