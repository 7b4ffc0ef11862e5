"""What is advised where answers to exactly these cases vary can lead to a pass, and how much of it is enough."""

from dataclasses import replace

import pytest

from harness.comparison.gate import run_gate
from harness.comparison.steadying import with_remedies
from harness.presentation.sentences import sentences_of
from harness.types import Check, GateSettings, GateVerdict, GenerationSettings, Outcome, Stability

OWN = {"s": GateSettings(population="cases")}


@pytest.fixture
def computed(make_result, make_run):
    """Makes a run of so many cases in bfloat16, of which the first ones fail."""

    def make(n, failed=0, gates=OWN, **changes):
        results = [make_result(f"s/{place:03}", place >= failed) for place in range(n)]
        return replace(make_run(results, gates=gates, dtype="bfloat16"), **changes)

    return make


def advice(candidate, baseline, reruns=0):
    """The end of an inconclusive sentence, where the baseline always passes so many reruns."""
    noise = (
        {each.key: Stability(passed=reruns, answers=reruns) for each in baseline.results} if reruns else {}
    )
    _, verdict = run_gate(candidate, baseline, stability=noise)
    assert verdict.outcome is GateVerdict.INCONCLUSIVE
    return sentences_of(verdict)[0].partition("; computed in bfloat16: ")[2]


@pytest.mark.parametrize(
    ("n", "told"),
    [
        (
            54,
            "repeat each case 4 times or more at a temperature above 0, ask 141 such cases or more with a noise "
            "record (tunegate noise), or widen the margin to 0.17",
        ),
        (
            130,
            "record how its answers vary (tunegate noise -r 16), or repeat each case 3 times or more at a "
            "temperature above 0",
        ),
        (
            200,
            "record how its answers vary (tunegate noise), or repeat each case 2 times or more at a temperature "
            "above 0",
        ),
    ],
)
def test_a_noise_record_is_advised_where_endless_reruns_leave_a_pass(computed, n, told):
    """The candidate's single answers alone leave 1.645 sqrt(0.109375 / n) + 0.25 / n: of 54 cases 0.079."""
    run = computed(n)
    assert advice(run, run) == told


def test_what_is_advised_leads_to_a_pass_of_equal_answers(computed, make_result, make_run):
    run = computed(54)
    assert advice(run, run, reruns=5).endswith("(tunegate noise), or widen the margin to 0.09")
    assert advice(run, run, reruns=100_000).endswith(
        "ask 141 such cases or more with a noise record (tunegate noise), or widen the margin to 0.08"
    )
    wide = computed(54, gates={"s": GateSettings(population="cases", margin=0.17)})
    more, scarce = computed(141), computed(130)
    for each, reruns in ((wide, 0), (more, 5), (scarce, 16)):
        noise = {one.key: Stability(passed=reruns, answers=reruns) for one in each.results} if reruns else {}
        assert run_gate(each, each, stability=noise)[1].outcome is GateVerdict.PASS
    assert advice(scarce, scarce, reruns=15).startswith("record how its answers vary (tunegate noise -r 16)")
    repeated = [
        replace(
            result,
            case=replace(result.case, repeat=4, generation=GenerationSettings(temperature=0.7)),
            repeats=(result,) * 4,
        )
        for result in (make_result(f"s/{place:03}") for place in range(54))
    ]
    four = make_run(repeated, gates=OWN, dtype="bfloat16")
    assert run_gate(four, four)[1].outcome is GateVerdict.PASS


def test_lost_cases_take_more_and_more_than_the_margin_have_no_number(computed):
    """Two of 200 lost leave less room for chance; of 54 four are 0.074, beyond the margin of 0.05."""
    equal = computed(200)
    assert "repeat each case 2 times" in advice(equal, equal)
    assert "repeat each case 3 times" in advice(computed(200, 2), equal)
    assert advice(computed(54, 4), computed(54)) == "repeat each case at a temperature above 0"


def test_what_is_advised_is_enough_if_what_is_missing_was_lost(computed):
    """Of the 57 compared cases 0.158 is left possible; a margin of 0.16 was advised, and let nothing pass."""

    def runs(**gate):
        gates = {"s": GateSettings(population="cases", max_errored=0.05, **gate)}
        whole = computed(60, gates=gates)
        broken = [replace(each, outcome=Outcome.ERRORED) for each in whole.results[:3]]
        return replace(whole, results=(*broken, *whole.results[3:])), whole

    assert advice(*runs()) == "widen the margin to 0.21"
    for margin, outcome in ((0.16, GateVerdict.INCONCLUSIVE), (0.21, GateVerdict.PASS)):
        assert run_gate(*runs(margin=margin))[1].outcome is outcome
    # Another tool's log lacks a case: how many are enough is not told.
    broken, whole = runs()
    finding = run_gate(broken, whole)[1].findings[0].data
    comparison, _ = run_gate(broken, whole)
    found = with_remedies(
        replace(finding, missing=4, steady_answers=None), comparison.metrics[0], (broken, whole), comparison
    )
    assert found.steady_answers is None


def test_no_noise_record_is_advised_where_vllm_answers(computed):
    """``tunegate noise`` answers here, and its record is of another engine and precision."""
    run = computed(54)
    run = replace(run, plan=replace(run.plan, engine="vllm", dtype="unknown", device="server"))
    _, verdict = run_gate(run, run)
    assert sentences_of(verdict)[0].endswith(
        "repeat each case 4 times or more at a temperature above 0, ask 552 such cases or more, or widen the "
        "margin to 0.17"
    )


ALONE = "repeat each case 10 times or more at a temperature above 0, ask 552 such cases or more, or widen the margin to 0.36"
RECORDED = (
    "repeat each case 10 times or more at a temperature above 0, ask 141 such cases or more with a noise record "
    "(tunegate noise), or widen the margin to 0."
)


@pytest.mark.parametrize(
    ("checks", "repeats", "weights", "noted", "helps"),
    [
        ((), 1, "peft", 0, f"{RECORDED}36"),
        ((), 1, "peft", 2, f"{RECORDED}21"),
        ((), 1, "nf4", 0, ALONE),
        ((Check(type="llm-rubric", value="Kind?"),), 1, "peft", 0, ALONE),
        (
            (),
            2,
            "peft",
            0,
            RECORDED.replace(" at a temperature above 0", "").replace("141", "57") + "19",
        ),
    ],
)
def test_what_was_done_or_tells_nothing_is_not_advised(computed, checks, repeats, weights, noted, helps):
    """A record that is there, one that no gate finds, and reruns that no judge sees."""
    run = computed(12)
    results = tuple(
        replace(
            each, case=replace(each.case, checks=checks), repeats=(each,) * repeats if repeats > 1 else ()
        )
        for each in run.results
    )
    run = replace(run, results=results, plan=replace(run.plan, weights=weights))
    assert advice(run, run, reruns=noted) == helps


def test_a_set_without_a_compared_case_has_plain_advice(computed):
    run = computed(12)
    comparison, verdict = run_gate(run, run)
    finding, row = verdict.findings[0].data, comparison.metrics[0]
    nothing = replace(comparison, unpaired={each.key: "errored" for each in run.results})
    found = with_remedies(replace(finding, steady_answers=None), row, (run, run), nothing)
    assert (found.steadied_by, found.steady_answers) == ("repeat", None)
