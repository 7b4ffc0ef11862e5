"""Several answers to a case: asked apart, scored apart, folded into one result."""

from dataclasses import replace

import pytest

from harness.comparison.pairing import fold_repeats, pair_runs, paired_metrics, stability_of
from harness.errors import GoldenError
from harness.golden.load import load_golden_set
from harness.run.cache import Cache
from harness.run.generation import answer_cases
from harness.run.scoring import score_cases
from harness.types import Completion, ExecutionPlan, ModelRef, Outcome, Repeat, Stability

SET = """
name: s
generation: {{temperature: {temperature}}}
defaults: {{checks: [{{type: contains, value: 'yes'}}], repeat: {default}}}
cases:
  - {{id: a, prompt: Say yes., repeat: 3}}
  - {{id: b, prompt: Say yes again.}}
"""


@pytest.fixture(name="cases_of")
def _cases_of(tmp_path):
    def load(temperature=0.7, default=1):
        path = tmp_path / "s.yaml"
        path.write_text(SET.format(temperature=temperature, default=default), encoding="utf-8")
        return load_golden_set(path).cases

    return load


def completion(text):
    return Completion(text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1)


def test_a_case_says_how_often_it_is_asked(cases_of):
    assert [case.repeat for case in cases_of(default=2)] == [3, 2]
    assert cases_of()[0].answer_keys == ("s/a", "s/a#2", "s/a#3")
    assert cases_of()[1].answer_keys == ("s/b",)


def test_repeats_of_greedy_decoding_are_refused(cases_of):
    """They would be the same answer three times, taken for three pieces of evidence."""
    with pytest.raises(
        GoldenError, match=r"s\.yaml:6: cases\[0\]\.repeat: a: at temperature 0 all 3 answers are the same"
    ):
        cases_of(temperature=0)


def test_how_often_a_case_is_asked_does_not_change_what_it_asks(cases_of):
    """So that a baseline of five answers can be compared with a candidate of three."""
    first, second = cases_of(default=1)[1], cases_of(default=4)[1]
    assert first.content_sha256 == second.content_sha256


class RecordingEngine:
    plan = ExecutionPlan(engine="fake", dtype="float32", device="cpu", batch_tokens=1)

    def __init__(self):
        self.seen = []

    def generate(self, requests, on_batch):
        self.seen += requests
        on_batch(
            {
                place: completion(f"{request.key} {request.settings.seed}")
                for place, request in enumerate(requests)
            }
        )

    def largest_logit_change(self, side):
        return 1.0


def test_each_answer_has_a_seed_and_a_cache_entry_of_its_own(cases_of):
    engine, model = RecordingEngine(), ModelRef(label="m", base_model="m", base_sha256="0")
    plan = engine.plan
    with Cache(None) as cache:
        for _ in range(2):
            answers = answer_cases(
                {"candidate": model}, plan, cases_of(), cache, lambda *_: None, open_engine=lambda *_: engine
            )
    assert [(request.key, request.settings.seed) for request in engine.seen] == [
        ("s/a", 0),
        ("s/a#2", 1),
        ("s/a#3", 2),
        ("s/b", 0),
    ]
    assert answers["candidate"].completions["s/a#3"].text == "s/a#3 2"


def scored(cases, texts):
    keys = [key for case in cases for key in case.answer_keys]
    return score_cases(cases, {key: completion(text) for key, text in zip(keys, texts, strict=True)})


def test_answers_are_scored_apart_and_folded(cases_of):
    """The case passes if all answers do; what is shown is the first answer that failed."""
    first, second = scored(cases_of(), ["yes", "no", "never", "yes"])
    assert (first.outcome, second.outcome) == (Outcome.FAILED, Outcome.PASSED)
    assert first.completion.text == "no"
    assert [each.completion.text for each in first.repeats] == ["yes", "no", "never"]
    assert [each.outcome for each in first.repeats] == [Outcome.PASSED, Outcome.FAILED, Outcome.FAILED]
    assert stability_of(first) == Stability(passed=1, answers=3)
    assert second.repeats == ()


def test_one_missing_answer_makes_the_case_errored(cases_of):
    case = cases_of()[0]
    (result,) = score_cases([case], {"s/a": completion("yes"), "s/a#2": completion("yes")})
    assert result.outcome is Outcome.ERRORED
    assert result.errors


def test_results_of_single_answers_stay_as_they_are(make_result):
    results = [make_result("s/a"), make_result("s/b")]
    assert fold_repeats(results) == results


def test_repeats_are_averaged_inside_the_case(cases_of, make_run):
    """Two of three against three of three is a drop of a third in one case, not of one answer in four cases."""
    now, then = scored(cases_of(), ["yes", "no", "yes", "yes"]), scored(cases_of(), ["yes"] * 4)
    rate, contains = paired_metrics(pair_runs(make_run(now), make_run(then)))
    assert rate.candidate == contains.candidate == (pytest.approx(2 / 3), 1.0)
    assert rate.drops == (pytest.approx(1 / 3), 0.0)
    assert (rate.trials[0].baseline_passed, rate.trials[0].candidate_passed, rate.trials[0].candidate) == (
        3,
        2,
        3,
    )
    assert rate.repeated


def test_a_score_knows_of_how_many_parts_it_is_a_mean(make_result, make_run):
    """Three answers of two such checks each against one answer: a fall of passes and fails is counted in them."""
    scores = [("contains", 1.0), ("contains", 0.0)]
    now = make_run([make_result("s/a", True, scores=scores)], run_id="new")
    answers = tuple(
        Repeat(completion=None, scores=now.results[0].scores, outcome=Outcome.PASSED) for _ in range(3)
    )
    then = make_run([replace(now.results[0], repeats=answers)], run_id="old")
    found = next(each for each in paired_metrics(pair_runs(now, then)) if each.metric == "contains")
    assert found.parts == ((6, 2),)
