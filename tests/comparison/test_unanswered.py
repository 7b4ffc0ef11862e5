"""Probes that were reasoned of and not answered, in a gate: no lost skill, no kept one, and no end of it all."""

from dataclasses import replace

import pytest

from harness.comparison.gate import run_gate
from harness.comparison.unanswered import unanswered_probes
from harness.errors import BaselineError
from harness.presentation.sentences import sentences_of
from harness.types import Check, Outcome, UnscoredMetric
from tests.comparison.conftest import OPEN, PASS, REGRESS, row_of

ROOM = (
    "got a reasoning and no answer, which says nothing of a skill: give the probes room for it "
    "(max_reasoning_tokens, behind a server max_new_tokens, in a set of your own such as tunegate probes "
    "calibrate writes), or turn it off (chat_template_kwargs: {enable_thinking: false})"
)


@pytest.fixture
def probed(make_result, make_run):
    """Makes a run of 80 orders and 130 probes, of which the first are unanswered and the next failed."""

    def result(key, outcome):
        found = make_result(key, outcome)
        check = Check(type="contains", value="yes")
        case = replace(found.case, checks=(check,), probes_forgetting=key.startswith("general/"))
        if outcome is not Outcome.UNSCORED:
            return replace(found, case=case)
        cut = replace(found.completion, text="", reasoning="Well, ", stop_reason="length")
        reason = UnscoredMetric(metric="contains", reason="has no answer to read")
        return replace(found, case=case, completion=cut, unscored=(reason,))

    def build(*, unanswered=0, failed=0, lost=0):
        orders = [result(f"orders/{n:02}", n >= lost) for n in range(80)]
        open_probes = [Outcome.UNSCORED] * unanswered + [Outcome.FAILED] * failed
        outcomes = open_probes + [Outcome.PASSED] * (130 - len(open_probes))
        probes = [result(f"general/{n:03}", outcome) for n, outcome in enumerate(outcomes)]
        return make_run([*orders, *probes], probes={"general"})

    return build


def test_an_adapter_that_reasons_now_has_lost_nothing_by_it(probed):
    """Its probes were cut in the reasoning: nobody knows what it kept, and its task is judged."""
    comparison, verdict = run_gate(probed(unanswered=130), probed(failed=5))
    assert verdict.outcome is OPEN
    assert row_of(comparison).verdict is PASS
    told = sentences_of(verdict)
    assert (
        f"general: 130 of 130 cases were left unscored in the candidate, 5% are tolerated: they {ROOM}"
        in told
    )
    assert not any("kept 0" in each for each in told)
    assert run_gate(probed(unanswered=130, lost=40), probed(failed=5))[1].outcome is REGRESS


def test_a_base_that_reasons_ends_no_gate(probed):
    """None of its probes has an answer, or one alone, which is wrong: the other sets keep their verdicts."""
    for base in (probed(unanswered=130), probed(unanswered=129, failed=1)):
        for now, outcome in ((base, OPEN), (probed(), OPEN), (probed(lost=40), REGRESS)):
            comparison, verdict = run_gate(now, base)
            assert verdict.outcome is outcome
            assert row_of(comparison).verdict is (PASS if outcome is OPEN else REGRESS)
            assert any(
                "were left unscored in the baseline" in each and ROOM in each
                for each in sentences_of(verdict)
            )


def test_few_answered_probes_of_the_candidate_refuse_no_base(probed):
    """Of the base's 125 passed probes none is compared: the two that are, it failed."""
    now, base = probed(unanswered=128), probed()
    failed = [replace(each, outcome=Outcome.FAILED) for each in base.results[-2:]]
    base = replace(base, results=(*base.results[:-2], *failed))
    assert run_gate(now, base)[1].outcome is OPEN


def test_a_base_that_answers_all_probes_wrong_is_refused_as_ever(probed):
    with pytest.raises(BaselineError, match="general: the baseline passes none of its 130 probes"):
        run_gate(probed(), probed(failed=130))


def test_as_few_as_a_set_tolerates_hold_no_pass_back(probed):
    """Each is taken for lost, as what has no verdict on one side is."""
    comparison, verdict = run_gate(probed(unanswered=3), probed())
    assert verdict.outcome is PASS
    assert row_of(comparison, name="general").missing == 3


def test_only_probes_without_an_answer_are_counted(probed):
    run = probed(unanswered=7, failed=2)
    assert unanswered_probes(run, "general", Outcome.UNSCORED) == 7
    assert unanswered_probes(run, "general", Outcome.ERRORED) == 0
    assert unanswered_probes(run, "orders", Outcome.UNSCORED) == 0
    first = run.results[80]
    scored = replace(first, completion=replace(first.completion, text="yes", reasoning=None))
    mixed = replace(run, results=(*run.results[:80], scored, *run.results[81:]))
    assert unanswered_probes(mixed, "general", Outcome.UNSCORED) == 6
