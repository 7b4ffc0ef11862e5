"""A set that can never pass its own gate is told before the first run."""

from dataclasses import replace

import pytest

from harness.authoring.passable import (
    as_computed,
    computed_in,
    last_level,
    least_drop_left_open,
    notes_of_no_pass,
    why_it_never_passes,
    why_metrics_never_pass,
)
from harness.comparison import metric_verdicts
from harness.comparison.gate import run_gate
from harness.comparison.whole_sets import _row
from harness.settings import Settings
from harness.statistics.classification import LabelledCase
from harness.statistics.clustered_drop import clustered_drop
from harness.statistics.clusters import group
from harness.studies.set_power import pass_chance_of
from harness.types import (
    Check,
    GateSettings,
    GateVerdict,
    GenerationSettings,
    GoldenCase,
    GoldenSet,
    Message,
    MetricFacts,
)


def set_of(n, clusters=None, **gate):
    cases = tuple(
        GoldenCase(
            id=f"c{number}",
            set_name="s",
            messages=(Message(role="user", content="?"),),
            checks=(Check(type="equals"),),
            cluster=None if clusters is None else f"k{number % clusters}",
        )
        for number in range(n)
    )
    return GoldenSet(name="s", path="s.yaml", cases=cases, gate=GateSettings(**gate))


@pytest.mark.parametrize(("n", "passes"), [(20, False), (70, True), (200, True)])
def test_independent_cases(n, passes):
    assert (why_it_never_passes(set_of(n)) is None) is passes


def test_clusters_count_as_one_case_each():
    """What the gate says of as many equal answers, to the last digit."""
    units = group([0.0] * 54, [f"k{number % 22}" for number in range(54)])
    assert least_drop_left_open(set_of(54, 22)) == pytest.approx(clustered_drop(units, 0.9).high_unseen)
    message, remedy = why_it_never_passes(set_of(54, 22))
    assert message.startswith(
        "it can pass its gate only by gains: with 54 cases in 22 clusters even equal answers leave"
    )
    assert "population: cases" in remedy


def test_a_set_that_equal_models_sometimes_pass_is_not_said_to_never_pass():
    """Chance gains a few cases: at 60 cases a third of runs pass."""
    assert 0.2 < pass_chance_of(set_of(60).cases, 0.05, 0.02) < 0.5
    message, _ = why_it_never_passes(set_of(60))
    assert "only by gains" in message
    assert "leave a drop of 0.051 possible, and its margin is 0.05" in message


def test_a_margin_or_another_question_changes_it():
    assert why_it_never_passes(set_of(54, 22, margin=0.16)) is None
    assert why_it_never_passes(set_of(54, 22, population="cases")) is None
    assert why_it_never_passes(replace(set_of(30), probes_forgetting=True)) is None


@pytest.mark.parametrize("clusters", [1, 2, 3, 7, 22])
def test_a_handful_of_clusters_has_the_bound_of_the_gate(clusters):
    units = group([0.0] * 44, [f"k{number % clusters}" for number in range(44)])
    assert least_drop_left_open(set_of(44, clusters)) == pytest.approx(clustered_drop(units, 0.9).high_unseen)


def with_cases(golden_set, **changes):
    return replace(golden_set, cases=tuple(replace(case, **changes) for case in golden_set.cases))


def test_answers_that_vary_leave_a_drop_of_these_cases_open():
    """Each of 54 single answers may be a coin toss: 1.645 sqrt(54 / 2) / 54 + 0.25 / 54 = 0.1629."""
    warm = with_cases(set_of(54, population="cases"), generation=GenerationSettings(temperature=0.7))
    assert least_drop_left_open(warm) == pytest.approx(0.162906, abs=1e-6)
    message, remedy = why_it_never_passes(warm)
    assert "54 cases whose answers vary even equal answers leave a drop of 0.163 possible" in message
    assert "temperature: 0" in remedy
    assert why_it_never_passes(with_cases(warm, repeat=20)) is None


FEW = "ask 141 such cases or more with a noise record (tunegate noise), or widen the margin to 0.45"
NO_RECORD = "ask 552 such cases or more, or widen the margin to 0.45"
REPEAT = "repeat each case 12 times or more"
JUDGED, CODE = Check(type="llm-rubric", value="polite"), Check(type="python:checks.py:polite")
MIXED = Check(type="any-of", checks=(JUDGED, CODE))


@pytest.mark.parametrize(
    ("checks", "temperature", "repeat", "computed", "told"),
    [
        ((), 0.7, 1, "float32", f"{REPEAT}, make answers and scores reproduce (temperature: 0), {FEW}"),
        ((), 0.7, 2, "server", f"{REPEAT}, {FEW.replace('141', '57').replace('0.45', '0.24')}"),
        (
            (),
            0.7,
            1,
            "bfloat16",
            f"{REPEAT}, make answers and scores reproduce (temperature: 0, dtype float32), {FEW}",
        ),
        (
            (),
            0.0,
            1,
            "bfloat16",
            f"{REPEAT} at a temperature above 0, make answers and scores reproduce (dtype float32), {FEW}",
        ),
        ((), 0.0, 1, "server", f"{REPEAT} at a temperature above 0, {FEW}"),
        ((CODE,), 0.0, 1, "float32", f"{REPEAT} at a temperature above 0, {FEW}"),
        (
            (JUDGED,),
            0.0,
            1,
            "float32",
            f"{REPEAT} at a temperature above 0, make answers and scores reproduce (no judge), {NO_RECORD}",
        ),
        ((MIXED,), 0.0, 1, "float32", f"{REPEAT} at a temperature above 0, {NO_RECORD}"),
    ],
)
def test_only_what_can_be_done_and_is_not_done_yet_is_advised_of_answers_that_vary(
    checks, temperature, repeat, computed, told
):
    """Of eight cases no number of reruns is enough; a set of `python` checks in float32 was told to choose float32."""
    base = set_of(8, population="cases")
    settings = GenerationSettings(temperature=temperature)
    own = with_cases(base, checks=(*base.cases[0].checks, *checks), generation=settings, repeat=repeat)
    (note,) = notes_of_no_pass(own, computed=computed)
    assert note.partition("its margin is 0.05: ")[2] == told


@pytest.mark.parametrize(
    ("n", "told"),
    [
        # Endless reruns leave 1.645 sqrt(0.109375 / n) + 0.25 / n of the candidate's single answers.
        (54, "widen the margin to 0.17"),
        (128, "widen the margin to 0.11"),
        (130, "record how much they vary (tunegate noise -r 16: such records are not read here)"),
        (200, "record how much they vary (tunegate noise: such records are not read here)"),
    ],
)
def test_a_noise_record_is_advised_where_reruns_can_lead_to_a_pass(n, told):
    """Of 54 cases they never do: 0.0787 are left, more than the margin of 0.05."""
    (note,) = notes_of_no_pass(set_of(n, population="cases"), computed="server")
    assert note.endswith(f", or {told}")
    assert ("ask 141 such cases" in note) is (n < 129)


def test_an_advised_number_lets_equal_answers_pass_and_one_less_does_not():
    few = with_cases(set_of(54, population="cases"), generation=GenerationSettings(temperature=0.7))
    assert "repeat each case 4 times or more" in why_it_never_passes(few)[1]
    assert why_it_never_passes(with_cases(few, repeat=4)) is None
    assert why_it_never_passes(with_cases(few, repeat=3)) is not None
    wide = replace(few, gate=GateSettings(population="cases", margin=0.17))
    assert why_it_never_passes(wide) is None


def test_where_nothing_may_be_lost_no_number_of_answers_is_advised():
    none = with_cases(
        set_of(54, population="cases", margin=0.0), generation=GenerationSettings(temperature=0.7)
    )
    assert why_it_never_passes(none)[1] == (
        "make answers and scores reproduce (temperature: 0), or widen the margin to 0.17"
    )


@pytest.mark.parametrize(
    ("given", "computed"),
    [
        ({}, ""),
        ({"device": "cpu"}, "float32"),
        ({"dtype": "float32", "device": "cuda"}, "float32"),
        ({"dtype": "bfloat16"}, "bfloat16"),
        ({"engine": "vllm"}, "server"),
        ({"engine": "ray+vllm:10.0.0.5:6379", "dtype": "float32"}, "server"),
        ({"engine": "ray:10.0.0.5:6379", "dtype": "float32"}, "float32"),
        ({"model": ("openai:judge@http://127.0.0.1:8000/v1",)}, "server"),
    ],
    ids=str,
)
def test_how_a_project_computes_is_taken_from_its_settings(given, computed):
    assert computed_in(Settings(**given)) == computed


def test_answers_that_rounding_may_change_leave_these_cases_open():
    """As many equal ones as pass in float32; of further cases it makes no difference before a run."""
    own, sample = set_of(54, population="cases"), set_of(70)
    assert least_drop_left_open(own) == 0
    for computed in ("bfloat16", "server"):
        assert least_drop_left_open(as_computed(own, computed)) == pytest.approx(0.162906, abs=1e-6)
        assert as_computed(sample, computed) == sample
    assert as_computed(own, "") == as_computed(own, "float32") == own
    assert least_drop_left_open(as_computed(with_cases(own, repeat=20), "server")) < 0.05


def test_a_note_says_for_which_computation_it_holds():
    own = set_of(54, population="cases", metric_margins={"equals": 0.05})
    notes = {each: notes_of_no_pass(own, computed=each) for each in ("float32", "bfloat16", "server", "")}
    assert notes["float32"] == []
    rate, metric = notes["bfloat16"]
    assert rate.startswith("computed in bfloat16, it can pass its gate only by gains: with 54 cases")
    assert "leave a drop of 0.163 possible" in rate
    assert "tunegate noise" in rate
    assert metric.startswith("computed in bfloat16, equals can pass its gate only by gains")
    assert notes["server"][0].startswith("answered by a server, it can pass")
    assert notes[""][0].startswith(
        "computed in bfloat16 (dtype auto, on a GPU that has it) or answered by a server,"
    )
    # What holds in any case is told once.
    few = set_of(54, population="cases", margin=1.0)
    assert notes_of_no_pass(few, computed="") == notes_of_no_pass(few)


@pytest.mark.parametrize(
    ("checks", "temperature", "repeat", "computed", "told"),
    [
        ((), 0.0, 1, "float32", "(gate: {population: cases})"),
        ((), 0.0, 1, "bfloat16", "in float32 (gate: {population: cases})"),
        ((), 0.0, 1, "server", ""),
        ((), 0.7, 1, "float32", ""),
        ((), 0.7, 30, "float32", "(gate: {population: cases})"),
        (("llm-rubric",), 0.0, 1, "float32", ""),
    ],
)
def test_the_other_question_is_a_way_out_only_where_it_leads_to_a_pass(
    checks, temperature, repeat, computed, told
):
    """Of 20 single answers of a judge it leaves a drop of 0.273 open, where further cases like these leave 0.14."""
    few = set_of(20)
    more = tuple(Check(type=each, value="polite") for each in checks)
    few = with_cases(
        few,
        checks=(*few.cases[0].checks, *more),
        generation=GenerationSettings(temperature=temperature),
        repeat=repeat,
    )
    _, remedy = why_it_never_passes(few, computed=computed)
    way = f", or ask about these very cases {told}" if told else ""
    assert remedy == f"add independent cases, {'or ' * (not told)}widen the margin to 0.15{way}"
    own = replace(few, gate=replace(few.gate, population="cases"))
    followed = "float32" if "float32" in told else computed
    assert (why_it_never_passes(own, computed=followed) is None) is bool(told)


def test_where_nobody_says_how_answers_are_computed_the_way_out_says_it():
    (note,) = notes_of_no_pass(set_of(20), computed="")
    assert note.endswith(", or ask about these very cases in float32 (gate: {population: cases})")


def test_no_drop_is_beyond_a_margin_of_one(make_result, make_run):
    """A candidate that gained passes, but for probes, whose gains say nothing of what was kept."""
    for probes, verdict in ((False, GateVerdict.PASS), (True, GateVerdict.INCONCLUSIVE)):
        golden_set = replace(set_of(200, margin=1.0), probes_forgetting=probes)
        told = "it can never pass its gate" if probes else "it can pass its gate only by gains"
        assert why_it_never_passes(golden_set) == (
            f"{told}: no drop can be beyond its margin of 1",
            "choose a smaller margin",
        )
        metrics = replace(golden_set, gate=replace(golden_set.gate, metric_margins={"equals": 1.0}))
        ((message, _),) = why_metrics_never_pass(metrics)
        assert message == f"{told.replace('it', 'equals', 1)}: no drop can be beyond its margin of 1"
        runs = [make_run([make_result(f"s/{n:03}", n < 50) for n in range(200)]) for _ in range(2)]
        gained = [make_result(f"s/{n:03}", True) for n in range(200)]
        sets = (replace(golden_set, cases=()),)
        now, before = (replace(each, golden_sets=sets) for each in runs)
        (row,) = run_gate(replace(now, results=tuple(gained)), before)[0].metrics
        assert row.verdict is verdict
        assert run_gate(now, before)[0].metrics[0].verdict is GateVerdict.INCONCLUSIVE


METRICS = {"rouge-l": 1.0, "perplexity": 4.0, "json-equals": 1.0}
# Of 1, 8 and 40 tokens.
REFERENCES = [("yes",), ("a b c d e f g h i j k l m n o p",), ("one " * 40,)]


@pytest.mark.parametrize("population", ["sample", "cases"])
@pytest.mark.parametrize("margin", [0.01, 0.05, 0.1, 0.3, 1.0])
@pytest.mark.parametrize(
    ("n", "clusters"), [(3, None), (4, 2), (20, None), (54, 22), (54, None), (300, None), (300, 54)]
)
@pytest.mark.parametrize(
    ("metric", "references"),
    [*((metric, ()) for metric in METRICS), *(("perplexity", each) for each in REFERENCES)],
)
def test_the_lint_says_of_metrics_what_the_gate_says_of_equal_answers(  # noqa: PLR0917 # each is a parameter
    make_result, make_run, metric, references, n, clusters, margin, population, monkeypatch
):
    """Scores at the best end of their scale, of models that answer alike: never is said exactly where no pass is."""
    # What could be detected takes most of the time, and decides nothing.
    for name in ("smallest_detectable", "smallest_detectable_of_clusters", "cases_to_settle"):
        monkeypatch.setattr(metric_verdicts, name, lambda *_, **__: None)
    gates = {"s": GateSettings(metric_margins={metric: margin}, population=population)}
    cases = [
        make_result(
            f"s/{place:03}", scores=[(metric, METRICS[metric])], cluster=clusters and f"k{place % clusters}"
        )
        for place in range(n)
    ]
    cases = [replace(each, case=replace(each.case, references=references)) for each in cases]
    run = make_run(cases, gates=gates)
    comparison, judged = run_gate(run, run)
    (verdict,) = (row.verdict for row in comparison.metrics if row.metric == metric)
    empty = {each.metric for each in judged.findings if each.data.kind == "nothing-to-lose"}
    asked = tuple(replace(result.case, checks=(Check(type=metric),)) for result in cases)
    told = why_metrics_never_pass(replace(run.golden_sets[0], cases=asked))
    assert bool(told) is (verdict is not GateVerdict.PASS or metric in empty)


def test_a_graded_metric_may_pass_from_a_low_mean_only(make_result, make_run):
    """The mean of the baseline up to which equal scores pass is told; beside it, the gate agrees."""
    gates = {"s": GateSettings(metric_margins={"rouge-l": 0.05})}

    def passes(mean):
        results = [make_result(f"s/{place:03}", scores=[("rouge-l", mean)]) for place in range(40)]
        run = make_run(results, gates=gates)
        rows = run_gate(run, run)[0].metrics
        return next(row.verdict is GateVerdict.PASS for row in rows if row.metric == "rouge-l")

    golden_set = with_cases(set_of(40, metric_margins={"rouge-l": 0.05}), checks=(Check(type="rouge-l"),))
    ((message, _),) = why_metrics_never_pass(golden_set)
    limit = float(message.partition("within ")[2].partition(" ")[0])
    assert 0.05 < limit < 1
    assert passes(limit - 0.01)
    assert not passes(limit + 0.01)


@pytest.mark.parametrize("unit", [1e-10, 1e-6, 1.0, 1e8])
def test_a_score_without_an_end_passes_up_to_a_mean_that_its_margin_tells(make_result, make_run, unit):
    """Its unit is that of its values, of which nothing is known: a margin of 1e-6 was compared with a drop of 0.05."""
    gates = {"s": GateSettings(metric_margins={"cost": 0.5 * unit})}
    facts = {"cost": MetricFacts(kind="graded", most=None, higher_is_better=False)}

    def passes(mean):
        results = [make_result(f"s/{place:03}", scores=[("cost", mean)]) for place in range(40)]
        run = replace(make_run(results, gates=gates), metrics=facts)
        rows = run_gate(run, run)[0].metrics
        return next(row.verdict is GateVerdict.PASS for row in rows if row.metric == "cost")

    def told(n, **gate):
        of_cost = set_of(n, metric_margins={"cost": 0.5 * unit}, **gate)
        return why_metrics_never_pass(with_cases(of_cost, checks=(Check(type="cost"),)))

    ((message, _),) = told(40)
    limit = float(message.partition("at most ")[2].partition(":")[0])
    assert 1 < limit / unit < 20
    assert passes(limit * 0.99)
    assert not passes(limit * 1.01)
    assert told(100) == told(40, population="cases") == []


def test_the_last_look_needs_more_cases():
    """Of five looks the last is at about 1.9 %: 62 equal cases then leave a drop of 0.07 possible."""
    for n, at_once, by_looks in ((50, False, False), (62, True, False), (120, True, True)):
        golden_set = set_of(n)
        level = last_level(golden_set, 5)
        assert 0.015 < level < 0.025
        assert (why_it_never_passes(golden_set) is None) is at_once
        assert (why_it_never_passes(golden_set, level) is None) is by_looks
    assert "at the last look" in why_it_never_passes(set_of(62), last_level(set_of(62), 5))[0]
    assert last_level(set_of(15), 5) == last_level(set_of(62), 1) == 0.05
    assert last_level(set_of(62, population="cases"), 5) == 0.05


def test_the_bound_of_the_macro_f1_is_that_of_the_gate():
    """40 equal answers of which four have the rarest of three labels: a third of 1 - 0.05^(1/4) may be lost."""
    labels = ["red"] * 20 + ["green"] * 16 + ["blue"] * 4
    check = Check(type="classification", options={"labels": ["red", "green", "blue"]})
    base = set_of(40, metric_margins={"macro-f1": 0.1})
    cases = tuple(
        replace(case, references=(label,), checks=(check,))
        for case, label in zip(base.cases, labels, strict=True)
    )
    ((message, _),) = why_metrics_never_pass(replace(base, cases=cases))
    bound = (1 - 0.05**0.25) / 3
    assert message.startswith("macro-f1 can pass its gate only by gains")
    assert f"leave a drop of {bound:.3f} possible" in message
    row = _row(
        "s", [LabelledCase(str(n), n, [(each, each)], [(each, each)]) for n, each in enumerate(labels)], 0.9
    )
    assert row.high_unseen == pytest.approx(bound)
    wide = replace(base, cases=cases, gate=GateSettings(metric_margins={"macro-f1": 0.2}))
    assert why_metrics_never_pass(wide) == []
