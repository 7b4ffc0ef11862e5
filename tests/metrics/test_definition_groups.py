"""Groups of checks, from the YAML to a case's outcome."""

from pathlib import Path

import pytest
import yaml

from harness.errors import GoldenError
from harness.golden.load import load_golden_set
from harness.metrics.definition import combined, single_checks
from harness.run.scoring import score_cases
from harness.types import CaseResult, Check, Completion, GoldenCase, MetricError, Outcome, Score

HAS_A, HAS_B, HAS_C = ({"type": "contains", "value": letter} for letter in "abc")


def load(folder: Path, *checks: object, **case: object) -> GoldenCase:
    path = folder / "set.yaml"
    path.write_text(
        yaml.safe_dump({"name": "x", "cases": [{"id": "one", "prompt": "p", "checks": [*checks], **case}]})
    )
    return load_golden_set(path).cases[0]


def run(case: GoldenCase, text: str) -> CaseResult:
    answer = Completion(text=text, stop_reason="stop", prompt_tokens=1, completion_tokens=1, latency_s=0.1)
    return score_cases([case], {case.key: answer})[0]


@pytest.mark.parametrize(
    ("group", "text", "outcome"),
    [
        ({"type": "any-of", "checks": [HAS_A, HAS_B]}, "b", "passed"),
        ({"type": "any-of", "checks": [HAS_A, HAS_B]}, "c", "failed"),
        ({"type": "not-any-of", "checks": [HAS_A, HAS_B]}, "c", "passed"),
        ({"type": "not-any-of", "checks": [HAS_A, HAS_B]}, "b", "failed"),
        ({"type": "all-of", "checks": [HAS_A, HAS_B]}, "ab", "passed"),
        ({"type": "all-of", "checks": [HAS_A, HAS_B]}, "b", "failed"),
        ({"type": "not-all-of", "checks": [HAS_A, HAS_B]}, "b", "passed"),
        ({"type": "not-all-of", "checks": [HAS_A, HAS_B]}, "ab", "failed"),
        ({"type": "all-of", "threshold": 0.5, "checks": [HAS_A, HAS_B]}, "b", "passed"),
        ({"type": "all-of", "threshold": 0.6, "checks": [HAS_A, HAS_B]}, "b", "failed"),
        ({"type": "all-of", "threshold": 0.75, "checks": [{**HAS_A, "weight": 3}, HAS_B]}, "a", "passed"),
        ({"type": "all-of", "threshold": 0.75, "checks": [{**HAS_A, "weight": 3}, HAS_B]}, "b", "failed"),
        # Three tenths are not quite 0.3 in binary.
        ({"type": "all-of", "threshold": 0.3, "checks": [{**HAS_A, "weight": 0.1}, {**HAS_B, "weight": 0.2}, {**HAS_C, "weight": 0.7}]}, "ab", "passed"),
        ({"type": "any-of", "checks": [{"type": "not-contains", "value": "a"}, HAS_B]}, "a", "failed"),
        ({"type": "any-of", "checks": [{"type": "all-of", "checks": [HAS_A, HAS_B]}, HAS_C]}, "a", "failed"),
        ({"type": "any-of", "checks": [{"type": "all-of", "checks": [HAS_A, HAS_B]}, HAS_C]}, "c", "passed"),
        ({"type": "any-of", "checks": [{"type": "f1", "threshold": 0.9}, HAS_C]}, "good answer", "passed"),
    ],
)  # fmt: skip
def test_a_group_decides(tmp_path, group, text, outcome):
    assert run(load(tmp_path, group, references=["good answer"]), text).outcome == outcome


@pytest.mark.usefixtures("hurried")
def test_a_member_that_breaks_makes_the_group_an_error_even_if_another_passes(tmp_path):
    slow = {"type": "regex", "value": r"(a|aa)+$"}
    case = load(tmp_path, {"type": "any-of", "checks": [HAS_A, slow]})
    result = run(case, "a" * 80 + "b")
    assert result.outcome is Outcome.ERRORED
    assert result.errors[0].metric == "any-of"
    assert result.errors[0].error.startswith("regex: the pattern")


# The answer has no code block, so nothing is known of what is in it.
IN_BLOCK = {"type": "contains", "value": "a", "transform": "code-block"}


@pytest.mark.parametrize(
    ("group", "outcome"),
    [
        ({"type": "any-of", "checks": [IN_BLOCK]}, "failed"),
        ({"type": "not-any-of", "checks": [IN_BLOCK]}, "failed"),
        ({"type": "not-any-of", "checks": [IN_BLOCK, HAS_B]}, "failed"),
        ({"type": "any-of", "checks": [IN_BLOCK, HAS_C]}, "passed"),
        ({"type": "not-all-of", "checks": [IN_BLOCK]}, "failed"),
        ({"type": "not-all-of", "checks": [IN_BLOCK, HAS_B]}, "passed"),
        ({"type": "not-all-of", "checks": [IN_BLOCK, HAS_C]}, "failed"),
        ({"type": "not-any-of", "checks": [{"type": "not-any-of", "checks": [IN_BLOCK]}]}, "failed"),
        ({"type": "any-of", "checks": [{"type": "not-all-of", "checks": [IN_BLOCK]}, HAS_C]}, "passed"),
    ],
)  # fmt: skip
def test_a_group_is_not_decided_by_a_member_that_finds_nothing_to_check(tmp_path, group, outcome):
    assert run(load(tmp_path, group), "c\n```\na").outcome == outcome


def test_a_member_without_a_result_leaves_the_group_without_one():
    group = Check(type="any-of", checks=(Check(type="contains"), Check(type="llm-rubric")))
    passed = Score(metric="contains", value=1.0, passed=True)
    assert combined(group, [passed, None]) is None
    assert isinstance(combined(group, [passed, MetricError(metric="llm-rubric", error="down")]), MetricError)


def test_the_reason_names_what_failed(tmp_path):
    (score,) = run(load(tmp_path, {"type": "all-of", "checks": [HAS_A, HAS_B, HAS_C]}), "a").scores
    assert score.explanation.startswith("1 of 3 pass; failed: contains: 'b' is missing")


def test_members_are_found_with_their_places(tmp_path):
    case = load(tmp_path, HAS_A, {"type": "any-of", "checks": [HAS_B, {"type": "all-of", "checks": [HAS_C]}]})
    assert [(place, check.value) for place, check in single_checks(case.checks)] == [
        ((0,), "a"),
        ((1, 0), "b"),
        ((1, 1, 0), "c"),
    ]
    assert [check.value for check in case.single_checks] == ["a", "b", "c"]


def test_texts_of_members_are_filled(tmp_path):
    member = {"type": "contains", "value": "{{who}}"}
    case = load(tmp_path, {"type": "any-of", "checks": [member]}, vars={"who": "Bob"})
    assert case.checks[0].checks[0].value == "Bob"


@pytest.mark.parametrize("reference", ["5 km", "042", "1,234", "$5"])
def test_references_of_numeric_checks_are_texts_with_a_number(tmp_path, reference):
    case = load(tmp_path, {"type": "numeric"}, references=[reference])
    assert run(case, reference).outcome is Outcome.PASSED


def test_a_changed_member_is_another_case(tmp_path):
    group = {"type": "all-of", "threshold": 0.5, "checks": [HAS_A, HAS_B]}
    before = load(tmp_path, group).content_sha256
    assert load(tmp_path, {**group, "checks": [HAS_A, HAS_C]}).content_sha256 != before
    assert load(tmp_path, {**group, "checks": [HAS_A, {**HAS_B, "weight": 2}]}).content_sha256 != before
    assert load(tmp_path, group).content_sha256 == before


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ({"type": "any-of"}, r"checks\[0\].checks: the key is missing"),
        ({"type": "any-of", "checks": []}, r"checks\[0\].checks"),
        ({"type": "any-of", "checks": [{"type": "f1"}]}, r"checks\[0\].checks\[0\]: f1 decides nothing .*a threshold"),
        ({"type": "any-of", "checks": [{"type": "contain", "value": "a"}]}, r"checks\[0\].checks\[0\].type: unknown check type 'contain'; did you mean contains"),
        ({"type": "any-of", "checks": [HAS_A, {"type": "contains", "value": None}]}, r"checks\[0\].checks\[1\].value: null is no value of contains"),
        ({"type": "any-of", "checks": [{"type": "contains", "valu": "a"}]}, r"checks\[0\].checks\[0\].valu: unknown key of contains; did you mean value"),
        ({"type": "any-of", "checks": [{**HAS_A, "weight": 0}]}, r"checks\[0\].weight: found 0"),
        ({"type": "any-of", "checks": [{"type": "f1", "threshold": True}]}, r"checks\[0\].threshold: found true"),
        ({"type": "any-of", "threshold": 0.5, "checks": [HAS_A]}, "any-of is true or false"),
        ({"type": "not-all-of", "threshold": 0.5, "checks": [HAS_A]}, "not-all-of is true or false"),
        ({"type": "any-of", "checks": [HAS_A], "transform": "strip"}, "write it in its members"),
        ({**HAS_A, "weight": 2}, r"checks\[0\].weight: only members of an all-of with a threshold have a weight"),
        ({"type": "any-of", "checks": [{**HAS_A, "weight": 2}]}, r"checks\[0\].checks\[0\].weight: only members of an all-of with"),
        ({"type": "not-any-of", "checks": [{**HAS_A, "weight": 1}]}, r"checks\[0\].weight: only members"),
        ({"type": "all-of", "checks": [HAS_A, {**HAS_A, "weight": 2}]}, r"checks\[1\].weight: only members .*a threshold of the group"),
        ({"type": "f1", "checks": [HAS_A]}, "unknown key of f1"),
    ],
)  # fmt: skip
def test_a_faulty_group_is_refused(tmp_path, check, message):
    with pytest.raises(GoldenError, match=message):
        load(tmp_path, check, references=["a"])
