"""The rows of a case's checks in the report."""

from harness.types import CaseResult, Check, GoldenCase, Outcome, Score, UnscoredMetric
from reports.html.case_checks import check_rows


def test_a_check_without_a_score_says_why() -> None:
    checks = (Check(type="contains"), Check(type="llm-reference"))
    case = GoldenCase(id="a", set_name="s", messages=(), references=("Rome",), checks=checks)
    result = CaseResult(
        case=case,
        completion=None,
        scores=(Score(metric="contains", value=1.0, passed=True),),
        unscored=(UnscoredMetric(metric="llm-reference", reason="the judge is unreliable: kappa 0.1"),),
        outcome=Outcome.PASSED,
    )

    scored, unscored = check_rows(result, None, 1000, {})

    assert (scored.name, scored.candidate.passed) == ("contains", True)
    assert (unscored.name, unscored.candidate.value, unscored.candidate.passed) == (
        "llm-reference",
        "unscored",
        None,
    )
    assert "the judge is unreliable: kappa 0.1" in str(unscored.why)
