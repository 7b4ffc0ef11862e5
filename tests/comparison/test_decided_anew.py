"""Which cases another judge or encoder may have decided in the baseline."""

from dataclasses import replace

import pytest

from harness.comparison.pairing import pair_runs
from harness.types import Check, MetricFacts, Score


@pytest.mark.parametrize(
    ("member", "scorer", "is_compared"),
    [
        ("contains", "judge", True),
        ("llm-rubric", "judge", False),
        ("similar", "judge", True),
        ("similar", "encoder minilm", False),
        ("contains", "encoder minilm", True),
    ],
)
def test_a_group_has_another_judge_only_where_a_member_asks_one(
    make_result, make_run, member, scorer, is_compared
):
    """All groups of a run have one name, and the judge of any of them."""
    group = Check(type="all-of", checks=(Check(type=member, value="x"),))

    def run(who):
        result = make_result("s/a")
        score = Score(metric="all-of", value=1.0, passed=True)
        result = replace(result, case=replace(result.case, checks=(group,)), scores=(score,))
        run = make_run([result, make_result("s/b")])
        facts = MetricFacts(higher_is_better=True, kind="binary", scored_by={scorer: who})
        return replace(run, metrics={**run.metrics, "all-of": facts})

    assert ("s/a" not in pair_runs(run("new"), run("old")).unpaired) is is_compared
