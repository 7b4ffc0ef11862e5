"""What is refused as a baseline, and a file that comes back as it was written."""

import dataclasses
import json
import math

import pytest

from harness.baselines.accept import accept_run
from harness.baselines.file import baseline_path, load_baseline, run_of
from harness.comparison.gate import run_gate
from harness.errors import BaselineError
from harness.registry.content_metrics import MACRO_F1
from harness.studies.trend import trends_of_accepted
from harness.types import GateSettings, GateVerdict, MetricFacts, Outcome
from tests.comparison.test_whole_sets_set_metrics import EXPECTED, macro_f1
from tests.comparison.test_whole_sets_set_metrics import run_of as classified


@pytest.fixture
def run(make_run, make_result):
    results = [make_result(f"set/case-{n}", n < 8, scores=[("rouge-l", n / 10)]) for n in range(10)]
    return make_run(results, losses={"tides": 2.5})


def test_the_file_holds_what_a_gate_needs(run, tmp_path):
    """Compared with its own file, a run has the same figures as compared with itself."""
    accepted = load_baseline(accept_run(run, "shipped", "why", tmp_path))
    kept = run_of(accepted, [result.case for result in run.results])
    # A selection of its cases, or one more than it had, makes it no partial baseline.
    assert not run_of(accepted, [run.results[0].case]).lacks_cases
    from_file, from_run = run_gate(run, kept)[0], run_gate(run, run)[0]
    assert [dataclasses.replace(row) for row in from_file.metrics] == list(from_run.metrics)
    assert kept.text_losses == run.text_losses
    assert run_gate(run, kept)[1].outcome is not GateVerdict.REGRESS


def test_a_part_of_an_accepted_run_is_no_whole_baseline(make_run, make_result, tmp_path):
    """A gate of 100 selected cases stored these of 500; compared with it, or accepted, it was taken for all."""
    results = [make_result(f"set/case-{n}", n % 5 != 0) for n in range(40)]
    accepted = load_baseline(accept_run(make_run(results), "shipped", "why", tmp_path))
    whole = run_of(accepted, [result.case for result in results])
    part = run_of(accepted, [result.case for result in results[:30]])
    assert (whole.left_out, len(part.left_out)) == ((), 10)
    assert whole.id != part.id
    candidate = make_run([make_result(f"set/case-{n}", n % 5 != 0 and n < 30) for n in range(40)])
    assert run_gate(candidate, whole, margin=0.2)[1].outcome is GateVerdict.REGRESS
    assert run_gate(candidate, part, margin=0.2)[1].outcome is GateVerdict.INCONCLUSIVE
    # Where the others aren't asked, or were added since, nothing is lacking.
    asked = dataclasses.replace(candidate, results=candidate.results[:30])
    assert run_gate(asked, part, margin=0.2)[1].outcome is GateVerdict.PASS
    grown = [make_result(f"set/new-{n}") for n in range(10)]
    more = dataclasses.replace(asked, results=(*asked.results, *grown))
    assert run_gate(more, part, margin=0.2)[1].outcome is GateVerdict.PASS
    with pytest.raises(BaselineError, match=r"set/case-30 and 9 more was left out of it; run the whole gate"):
        accept_run(part, "other", "why", tmp_path)


@pytest.mark.parametrize("unit", [1e-12, 1e-6, 1.0, 1e8])
@pytest.mark.parametrize("values", [(1.0, 2.0, 4.0, 5.0), (3.0,) * 4], ids=["varied", "alike"])
def test_the_kept_means_have_their_interval_in_any_unit(make_run, make_result, tmp_path, unit, values):
    """Of costs of 1e-10 the interval was 0.5 below and above them."""
    results = [make_result(f"set/{n}", scores=[("cost", value * unit)]) for n, value in enumerate(values)]
    facts = {"cost": MetricFacts(kind="graded", most=None, higher_is_better=False)}
    run = dataclasses.replace(make_run(results), metrics=facts)
    kept = load_baseline(accept_run(run, "shipped", "why", tmp_path)).summaries
    (mean,) = (each.summary.mean for each in kept if each.summary.metric == "cost")
    half = 2.353363434801 * math.sqrt(10 / 12) if len(set(values)) > 1 else 3 * (1 - 0.05 ** (1 / 4))
    assert mean.estimate / unit == pytest.approx(3)
    assert mean.high / unit == pytest.approx(3 + half)


def test_a_metric_of_whole_sets_is_kept_and_followed_as_others_are(tmp_path):
    """Files had no macro-F1: where it was gated, accepted runs had no trend of it, and nothing said so."""
    gate = GateSettings(metric_margins={MACRO_F1: 0.05})
    worse = ["red" if label == "blue" else label for label in EXPECTED]
    accepted = []
    for name, answers in (("first", EXPECTED), ("second", worse)):
        run = dataclasses.replace(classified(answers, EXPECTED, gate=gate), id=name)
        accepted.append(load_baseline(accept_run(run, name, "why", tmp_path)))
    (trend,) = (each for each in trends_of_accepted(accepted) if each.metric == MACRO_F1)
    whole = macro_f1(list(zip(EXPECTED, worse, strict=True)))
    assert [point.summary.n for point in trend.points] == [34, 34]
    assert [point.summary.mean.estimate for point in trend.points] == pytest.approx([1.0, whole])
    assert trend.points[1].summary.mean.low < whole < trend.points[1].summary.mean.high


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"collected": 12}, r"it answered 10 of 12 cases; run all of them"),
        (
            {"dirty": True},
            r"it was made with uncommitted changes; commit and gate again, or give --allow-dirty",
        ),
    ],
)
def test_a_run_that_can_not_serve_is_refused(run, tmp_path, change, message):
    if "dirty" in change:
        run = dataclasses.replace(run, environment=dataclasses.replace(run.environment, **change))
    else:
        run = dataclasses.replace(run, **change)
    with pytest.raises(BaselineError, match=message):
        accept_run(run, "shipped", "why", tmp_path)
    assert not (tmp_path / "baselines").exists()


def test_where_git_refuses_to_tell_a_run_is_not_taken_for_a_clean_one(run, tmp_path, monkeypatch):
    run = dataclasses.replace(run, environment=dataclasses.replace(run.environment, dirty=None))
    assert accept_run(run, "outside-git", "why", tmp_path).is_file()
    monkeypatch.setattr("harness.baselines.accept.git_problem", lambda root: "fatal: dubious ownership")
    with pytest.raises(
        BaselineError, match=r"uncommitted changes \(fatal: dubious ownership\); give --allow"
    ):
        accept_run(run, "shipped", "why", tmp_path)
    assert accept_run(run, "shipped", "why", tmp_path, allow_dirty=True).is_file()


def test_uncommitted_changes_may_be_allowed(run, tmp_path):
    run = dataclasses.replace(run, environment=dataclasses.replace(run.environment, dirty=True))
    assert accept_run(run, "shipped", "why", tmp_path, allow_dirty=True).is_file()


@pytest.mark.parametrize("outcome", [Outcome.ERRORED, Outcome.UNSCORED])
def test_too_many_cases_without_a_verdict_are_refused(make_run, make_result, tmp_path, outcome):
    results = [make_result(f"set/case-{n}", outcome if n < 2 else True) for n in range(10)]
    run = make_run(results, gates={"set": GateSettings(max_errored=0.1, max_unscored=0.1)})
    with pytest.raises(BaselineError, match=rf"2 of 10 cases of set are {outcome} \(allowed: 10%\)"):
        accept_run(run, "shipped", "why", tmp_path)


def test_a_tolerated_share_below_one_percent_is_not_none(make_run, make_result, tmp_path):
    results = [make_result(f"set/case-{n}", Outcome.ERRORED if n < 2 else True) for n in range(10)]
    run = make_run(results, gates={"set": GateSettings(max_errored=0.004)})
    with pytest.raises(BaselineError, match=r"2 of 10 cases of set are errored \(allowed: 0\.4%\)"):
        accept_run(run, "shipped", "why", tmp_path)


def test_cases_that_only_grade_are_accepted_where_their_scores_are_gated(make_run, make_result, tmp_path):
    """They neither pass nor fail, and lack nothing by it; without a gated score nothing is known of them."""
    results = [make_result(f"set/case-{n}", Outcome.UNSCORED, scores=[("rouge-l", 0.8)]) for n in range(10)]
    gated = make_run(results, gates={"set": GateSettings(metric_margins={"rouge-l": 0.05})})
    assert accept_run(gated, "shipped", "why", tmp_path).is_file()
    with pytest.raises(BaselineError, match="10 of 10 cases of set are unscored"):
        accept_run(make_run(results), "other", "why", tmp_path)


def test_another_plan_does_not_replace_a_baseline(run, tmp_path):
    accept_run(run, "shipped", "why", tmp_path)
    other = dataclasses.replace(run, plan=dataclasses.replace(run.plan, dtype="bfloat16"))
    with pytest.raises(BaselineError, match=r"dtype bfloat16, not float32.*take another name"):
        accept_run(other, "shipped", "why", tmp_path)
    asked = dataclasses.replace(run.plan, chat_template_kwargs={"enable_thinking": False})
    with pytest.raises(BaselineError, match=r"chat_template_kwargs {'enable_thinking': False}, not {}"):
        accept_run(dataclasses.replace(run, plan=asked), "shipped", "why", tmp_path)


@pytest.mark.parametrize(
    ("dtype", "change", "differs"),
    [
        ("float32", {"device": "cuda"}, None),
        ("float32", {"device": "cuda:split:0=22GiB"}, None),
        ("float32", {"batch_tokens": 99}, None),
        ("float32", {"device": "cpu"}, "device cpu, not cuda"),
        ("float32", {"dtype": "bfloat16"}, "dtype bfloat16, not float32"),
        ("bfloat16", {"device": "cuda"}, "device in full cuda, not cuda:split:0=20GiB"),
        ("bfloat16", {"batch_tokens": 99}, "batch_tokens 99, not 4096"),
    ],
)
def test_in_float32_the_kind_of_device_is_the_way_of_a_plan(run, tmp_path, dtype, change, differs):
    """Texts and losses of a split base are those of one device, whatever each part may take."""
    plan = dataclasses.replace(run.plan, dtype=dtype, device="cuda:split:0=20GiB", batch_tokens=4096)
    run = dataclasses.replace(run, plan=plan)
    accept_run(run, "shipped", "why", tmp_path)
    other = dataclasses.replace(run, plan=dataclasses.replace(plan, **change))
    if differs is None:
        assert accept_run(other, "shipped", "why", tmp_path).is_file()
        return
    with pytest.raises(BaselineError, match=rf"replace \({differs}\); take another name"):
        accept_run(other, "shipped", "why", tmp_path)


def test_a_golden_set_that_was_changed_since_is_refused(run, tmp_path):
    (tmp_path / "set.yaml").write_text("name: set\n")
    with pytest.raises(BaselineError, match=r"set.yaml was changed since; gate again"):
        accept_run(run, "shipped", "why", tmp_path)


def test_a_reason_and_a_name_are_needed(run, tmp_path):
    with pytest.raises(BaselineError, match="--reason: say why"):
        accept_run(run, "shipped", " ", tmp_path)
    for name in ("base", "latest", "../up", "", "a b"):
        with pytest.raises(BaselineError, match="not a name"):
            accept_run(run, name, "why", tmp_path)


@pytest.mark.parametrize("damage", ["{", "[]", "{}", '{"schema_version": 1, "name": "x"}'])
def test_a_damaged_file_is_told_in_one_line_and_repaired_by_accepting_again(run, tmp_path, damage):
    path = baseline_path(tmp_path, "shipped")
    path.parent.mkdir()
    path.write_text(damage)
    with pytest.raises(BaselineError, match=r"shipped.json: not a baseline: .*; accept a run again"):
        load_baseline(path)
    accept_run(run, "shipped", "why", tmp_path)
    assert load_baseline(path).run_id == run.id


def test_a_later_format_is_told(run, tmp_path):
    path = accept_run(run, "shipped", "why", tmp_path)
    path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 4}))
    with pytest.raises(BaselineError, match="written in format 4, this tunegate reads 3: upgrade"):
        load_baseline(path)
    with pytest.raises(BaselineError, match="upgrade"):
        accept_run(run, "shipped", "why", tmp_path)
