"""From answers to results."""

import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from harness.metrics.definition import ScoringRequest, graded
from harness.run.distrust import Distrust
from harness.run.scoring import Judging, score_cases
from harness.types import (
    Check,
    GenerationSettings,
    MetricError,
    Outcome,
    Permissions,
    Score,
    TextLoss,
)
from tests.run.answers_to_score import EQUALS, MemoryCache, answer, length_metric, make_case, score_one

Metric = Callable[[Sequence[ScoringRequest]], list[Score | MetricError]]


def test_a_case_passes_when_every_deciding_check_does() -> None:
    assert score_one("yes", EQUALS, Check(type="contains", value="y")).outcome is Outcome.PASSED
    assert score_one("yes", EQUALS, Check(type="contains", value="z")).outcome is Outcome.FAILED


def test_a_graded_check_without_a_threshold_only_informs() -> None:
    (score,) = score_one("other", Check(type="f1")).scores
    assert (score.value, score.passed, score.threshold) == (0.0, None, None)

    assert score_one("other", Check(type="f1")).outcome is Outcome.UNSCORED
    assert score_one("yes", EQUALS, Check(type="f1")).outcome is Outcome.PASSED


def test_a_case_without_checks_is_unscored() -> None:
    assert score_one("yes").outcome is Outcome.UNSCORED


def test_a_result_names_the_checks_that_a_distrusted_judge_would_decide() -> None:
    """Without a panel nobody is asked; the result has the check with the reason."""
    rubric = Check(type="llm-rubric", value="Good.")
    case = make_case("case", EQUALS, rubric)
    for distrust, reasons in [
        (Distrust(everything="kappa 0.1"), [("llm-rubric", "the judge is unreliable: kappa 0.1")]),
        (Distrust(questions={"rubric": "kappa 0.2"}), [("llm-rubric", "the judge is unreliable: kappa 0.2")]),
        (Distrust(questions={"tone": "kappa 0.2"}), []),
    ]:
        (result,) = score_cases([case], {case.key: answer("yes")}, judging=Judging(distrust=distrust))
        assert [(each.metric, each.reason) for each in result.unscored] == reasons


def test_a_threshold_decides_a_graded_check() -> None:
    for threshold, passed in [(0.5, True), (2 / 3, True), (0.7, False)]:
        check = Check(type="f1", threshold=threshold)
        (score,) = score_one("one", check, references=("one two",)).scores
        assert (score.passed, score.threshold) == (passed, threshold)


def test_rounding_noise_does_not_fail_a_value_that_equals_its_threshold(replace_metric) -> None:
    replace_metric("f1", lambda requests: [graded(r, 0.1 + 0.2 - 1e-12, "") for r in requests])

    assert score_one("x", Check(type="f1", threshold=0.3)).outcome is Outcome.PASSED


def test_where_lower_is_better_the_threshold_is_a_maximum() -> None:
    stuck, fine = "a b c d " * 20, "a b c d e f"

    assert score_one(stuck, Check(type="repetition", threshold=0.2)).outcome is Outcome.FAILED
    assert score_one(fine, Check(type="repetition", threshold=0.2)).outcome is Outcome.PASSED


@pytest.mark.parametrize("text", ["yes", "no"])
def test_a_deciding_check_that_nobody_may_judge_leaves_its_case_without_a_verdict(text: str) -> None:
    """The other check alone must not decide, whichever way it goes; what only informs may be left out."""
    judged = Check(type="llm-rubric", value="is polite")
    graded_only = Check(type="llm-reference")
    for left_out, outcome in [
        (judged, Outcome.UNSCORED),
        (Check(type="llm-reference", threshold=3), Outcome.UNSCORED),
        (graded_only, Outcome.PASSED if text == "yes" else Outcome.FAILED),
    ]:
        case = make_case("case", EQUALS, left_out, references=("r",))
        distrusting = Judging(distrust=Distrust(everything="kappa 0.1"))
        (result,) = score_cases([case], {case.key: answer(text)}, judging=distrusting)
        assert result.outcome is outcome
        assert [score.metric for score in result.scores] == ["equals"]
        assert result.errors == ()


@pytest.mark.parametrize("text", ["yes", "no", ""])
def test_an_inverted_check_is_the_mirror_of_its_type(text: str) -> None:
    (plain,) = score_one(text, EQUALS).scores
    (inverted,) = score_one(text, Check(type="not-equals", value="yes")).scores

    assert inverted.metric == "not-equals"
    assert inverted.value == 1 - plain.value
    assert inverted.passed is not plain.passed
    assert inverted.explanation == plain.explanation


def test_scores_come_in_the_order_of_the_checks_and_results_in_that_of_the_cases() -> None:
    checks = [Check(type="f1"), EQUALS, Check(type="f1"), Check(type="not-equals", value="yes")]
    cases = [make_case(name, *checks, references=("r",)) for name in "ba"]
    results = score_cases(cases, {case.key: answer("yes") for case in cases})

    assert [result.case.id for result in results] == ["b", "a"]
    for result in results:
        assert [score.metric for score in result.scores] == ["f1", "equals", "f1", "not-equals"]


def test_a_skipped_case_is_neither_scored_nor_missed() -> None:
    cases = [make_case("one", EQUALS, skip="later"), make_case("two", EQUALS, skip="later")]
    with_answer, without = score_cases(cases, {"set/one": answer("yes")})

    assert with_answer.outcome is without.outcome is Outcome.SKIPPED
    assert with_answer.scores == without.scores == without.errors == ()
    assert without.completion is None


@pytest.mark.parametrize("fresh", [True, False])
def test_a_metric_sees_what_its_check_may_need(replace_metric, fresh: bool) -> None:
    """Each answer of a case by its number where judges have to look afresh, and the baseline's answer beside it."""
    seen: list[ScoringRequest] = []

    def watching(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
        seen.extend(requests)
        return length_metric(requests)

    replace_metric("f1", watching)
    case = replace(make_case("case", Check(type="f1"), references=("r",)), repeat=2)
    skipped = make_case("skipped", Check(type="f1"), references=("r",), skip="later")
    first, second = case.answer_keys
    judging = Judging(fresh=fresh, baseline_texts={first: "before"}, allowed=Permissions(python=True))
    losses = {case.key: (TextLoss(passage="r", nats_per_token=1.0, tokens=4),)}
    score_cases(
        [skipped, case],
        {first: answer("one"), second: answer("two"), skipped.key: answer("x")},
        judging=judging,
        reference_losses=losses,
    )

    assert [(request.text, request.baseline_text) for request in seen] == [("one", "before"), ("two", None)]
    assert [request.repeat for request in seen] == ([1, 2] if fresh else [0, 0])
    assert all(request.allowed.python and request.panel is None for request in seen)
    assert all(request.reference_losses == losses[case.key] for request in seen)
    assert not score_metric_requests(replace_metric)[0].allowed.python


def score_metric_requests(replace_metric) -> list[ScoringRequest]:
    """What a metric is asked where nothing is said of judging."""
    seen: list[ScoringRequest] = []
    replace_metric("f1", lambda requests: [seen.append(r) or graded(r, 0.5, "") for r in requests])
    score_one("x", Check(type="f1"))
    return seen


def test_each_metric_runs_once_over_all_cases(replace_metric) -> None:
    batches = []

    def counting(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
        batches.append(len(requests))
        return length_metric(requests)

    replace_metric("similar", counting)
    cases = [make_case(str(n), Check(type="similar"), EQUALS, references=("r",)) for n in range(100)]
    score_cases(cases, {case.key: answer("x") for case in cases})

    assert batches == [100]


def test_progress_is_told_metric_by_metric_in_chunks(replace_metric) -> None:
    replace_metric("similar", length_metric)
    cases = [make_case(str(n), EQUALS, Check(type="similar"), references=("r",)) for n in range(300)]
    told: list[tuple[str, int, int]] = []
    score_cases(cases, {case.key: answer("x") for case in cases}, on_progress=lambda *step: told.append(step))

    assert [step for step in told if step[0] == "equals"] == [("equals", 0, 300), ("equals", 300, 300)]
    assert [step for step in told if step[0] == "similar"] == [
        ("similar", 0, 300),
        ("similar", 256, 300),
        ("similar", 300, 300),
    ]


def test_reference_losses_reach_the_perplexity_check() -> None:
    cases = [make_case(name, Check(type="perplexity", threshold=3), references=("r",)) for name in "ab"]
    losses = {"set/a": (TextLoss(passage="r", nats_per_token=1.0, tokens=4),)}
    measured, unmeasured = score_cases(
        cases, {case.key: answer("x") for case in cases}, reference_losses=losses
    )

    assert measured.scores[0].value == pytest.approx(math.e)
    assert measured.outcome is Outcome.PASSED
    assert unmeasured.outcome is Outcome.ERRORED


@pytest.mark.parametrize(
    ("check", "key"),
    [
        (Check(type="perplexity", threshold=3), "set/a"),
        (Check(type="choice-likelihood", threshold=1, options={"choices": ("r", "s")}), "set/a (choices)"),
    ],
)
def test_why_a_loss_is_missing_is_told(check: Check, key: str) -> None:
    """A server that dies while losses are measured is no engine that gives none."""
    case = make_case("a", check, references=("r",))
    for failures, said in (
        ({key: "the server is gone"}, "the server is gone"),
        ({}, "this engine gives no losses"),
    ):
        (result,) = score_cases([case], {case.key: answer("x")}, loss_failures=failures)
        assert result.outcome is Outcome.ERRORED
        assert result.errors[0].error.endswith(f" was not measured: {said}")


@pytest.mark.parametrize("failed", ["perplexity", "choice-likelihood", None])
def test_a_failed_text_errs_its_check_and_an_unmeasured_one_leaves_it_unscored(failed: str | None) -> None:
    """Each needs its own text, whatever became of the other's."""
    likelihood = Check(type="choice-likelihood", threshold=1, options={"choices": ("r", "s")})
    case = make_case("a", Check(type="perplexity", threshold=3), likelihood, references=("r",))
    keys = {"perplexity": "set/a", "choice-likelihood": "set/a (choices)"}
    failures = {keys[failed]: "no reply"} if failed else {}
    unmeasured = {key: f"no {metric}" for metric, key in keys.items() if metric != failed}
    (result,) = score_cases([case], {case.key: answer("x")}, loss_failures=failures, unmeasured=unmeasured)
    assert [error.metric for error in result.errors] == ([failed] if failed else [])
    assert result.outcome is (Outcome.ERRORED if failed else Outcome.UNSCORED)
    told = {keys[each.metric]: each.reason for each in result.unscored}
    assert told == {key: f"was not measured: {why}" for key, why in unmeasured.items()}
    losses = {"set/a": (TextLoss(passage="set/a", nats_per_token=0.1, tokens=1),)}
    unmeasured = {"set/a (choices)": "no /tokenize"}
    (result,) = score_cases([case], {case.key: answer("x")}, reference_losses=losses, unmeasured=unmeasured)
    assert ([score.metric for score in result.scores], result.errors) == (["perplexity"], ())
    assert result.outcome is Outcome.UNSCORED


def test_an_expensive_score_is_computed_once_whatever_its_threshold(replace_metric) -> None:
    texts = []

    def counting(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
        texts.extend(request.text for request in requests)
        return length_metric(requests)

    replace_metric("bleu", counting)
    cache = MemoryCache()
    for threshold, expected in [(0.2, Outcome.PASSED), (0.9, Outcome.FAILED), (None, Outcome.UNSCORED)]:
        case = make_case("case", Check(type="bleu", threshold=threshold), references=("r",))
        (result,) = score_cases([case], {case.key: answer("four")}, cache=cache)
        assert result.outcome is expected
        assert result.scores[0].threshold == threshold
        assert result.scores[0].value == 0.4

    assert texts == ["four"]


def test_only_what_the_cache_lacks_is_computed(replace_metric) -> None:
    texts = []

    def counting(requests: Sequence[ScoringRequest]) -> list[Score | MetricError]:
        texts.extend(request.text for request in requests)
        return length_metric(requests)

    replace_metric("bleu", counting)
    cache = MemoryCache()
    cases = [make_case(str(n), Check(type="bleu"), references=("r",)) for n in range(4)]
    score_cases(cases[::2], {case.key: answer("x" * n) for n, case in enumerate(cases)}, cache=cache)
    results = score_cases(cases, {case.key: answer("x" * n) for n, case in enumerate(cases)}, cache=cache)

    assert texts == ["", "xx", "x", "xxx"]
    assert [result.scores[0].value for result in results] == [0, 0.1, 0.2, 0.3]


def test_errors_and_cheap_scores_are_not_kept(replace_metric) -> None:
    replace_metric("bleu", lambda requests: [MetricError(metric="bleu", error="broke") for _ in requests])
    cache = MemoryCache()
    case = make_case("case", Check(type="bleu"), EQUALS, Check(type="f1"), references=("r",))
    score_cases([case], {case.key: answer("x")}, cache=cache)

    assert cache == {}


_LEAN = """
import sys
from pathlib import Path
from harness.metrics.definition import ScoringRequest
from harness.metrics.libraries import cache_key
from harness.metrics.libraries import missing_extras, require_encoders
from harness.run.scoring import score_cases
from harness.types import Check, Completion, GoldenCase, Score

class MemoryCache(dict):
    put = dict.__setitem__

encoder = Path(sys.argv[1])
(encoder / "config.json").write_text('{"num_hidden_layers": 2}')
(encoder / "model.safetensors").write_bytes(b"weights")
names = sys.argv[2].split()
checks = tuple(
    Check(type=name, value={"type": "object"} if name == "is-json" else None,
          options={"model": str(encoder)} if name in ("bertscore", "similar") else {})
    for name in names
)
case = GoldenCase(id="c", set_name="s", messages=(), references=("{}",), checks=checks)
done = Completion(text="{}", stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1)
cache = MemoryCache()
for check in checks:
    key = cache_key(ScoringRequest(case=case, check=check, text="{}"))
    if key is not None:
        cache[key] = Score(metric=check.type, value=0.5)
missing_extras([case])
require_encoders([case])
(result,) = score_cases([case], {case.key: done}, cache=cache)
assert not result.errors, result.errors
assert len(result.scores) == len(names)
heavy = "torch transformers evaluate datasets numpy scipy pandas sacrebleu rouge_score bert_score".split()
assert not set(heavy) & set(sys.modules), set(heavy) & set(sys.modules)
"""


@pytest.mark.parametrize(
    "names",
    [
        "equals contains starts-with is-json json-equals is-refusal repetition exact-match f1",
        "bleu chrf rouge-1 rouge-2 rouge-l rouge-lsum bertscore similar",
    ],
    ids=["cheap checks", "cached expensive checks"],
)
def test_no_heavy_library_is_imported(names: str, tmp_path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _LEAN, str(tmp_path), names], capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


THOUGHT = "<think>\nThe user wants JSON. I can't answer wrongly; Paris or Rome? SECRET-1\n</think>\n\n"


@pytest.mark.parametrize(
    ("check", "text"),
    [
        (Check(type="equals", value="Paris"), "Paris"),
        (Check(type="is-json"), '{"a": 1}'),
        (Check(type="json-equals", value={"a": 1}), '{"a": 1}'),
        (Check(type="starts-with", value="Paris"), "Paris"),
        (Check(type="contains", value="Paris"), "Berlin"),
        (Check(type="not-contains", value="SECRET-1"), "I keep it."),
        (Check(type="is-refusal"), "Sure, Paris."),
        (Check(type="length", options={"max": 10}), "Paris"),
        (Check(type="regex", value=r"^\d+$"), "42"),
        (Check(type="f1", threshold=0.9), "reference"),
    ],
    ids=lambda value: value.type if isinstance(value, Check) else None,
)
def test_no_check_sees_the_reasoning(check: Check, text: str) -> None:
    thought, bare = score_one(THOUGHT + text, check), score_one(text, check)
    assert thought.scores == bare.scores
    assert thought.completion is not None
    assert thought.completion.text == text
    assert "SECRET-1" in (thought.completion.reasoning or "")


def test_checks_see_the_reasoning_where_that_is_asked_for() -> None:
    case = replace(
        make_case("case", Check(type="contains", value="SECRET-1")),
        generation=GenerationSettings(score_reasoning=True),
    )
    (result,) = score_cases([case], {case.key: answer(THOUGHT + "Paris")})
    assert result.outcome is Outcome.PASSED


@pytest.mark.parametrize("stop_reason", ["length", "stop"])
def test_a_reasoning_without_an_answer_fails_whatever_is_checked(stop_reason: str) -> None:
    """Nothing would please a check that something is absent, a limit from above, and an optional one."""
    case = make_case(
        "case",
        Check(type="not-contains", value="no"),
        Check(type="repetition", threshold=0.5),
        Check(type="length", options={"max": 10}),
        Check(type="f1"),
        references=("yes",),
    )
    cut = replace(answer("<think>hm"), stop_reason=stop_reason)
    (result,) = score_cases([case], {case.key: cut})
    assert result.outcome is Outcome.FAILED
    assert [score.passed for score in result.scores] == [False, False, False, None]
    assert result.scores[0].value == 0.0
    assert all(score.explanation.startswith("no answer: ") for score in result.scores[:3])


def test_the_perplexity_of_a_reference_needs_no_answer() -> None:
    case = make_case("case", Check(type="perplexity", threshold=10), references=("yes",))
    losses = {case.key: (TextLoss(passage="", nats_per_token=1.0, tokens=3),)}
    (result,) = score_cases([case], {case.key: answer("<think>hm")}, reference_losses=losses)
    assert result.outcome is Outcome.PASSED
