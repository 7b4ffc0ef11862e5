"""Which cases another judge or encoder may have decided in the baseline."""

from dataclasses import replace

import pytest

from harness.comparison.pairing import pair_runs
from harness.types import Check, MetricFacts, Score


@pytest.mark.parametrize(
    ("member", "scorers", "why"),
    [
        ("contains", ["judge"], ""),
        ("llm-rubric", ["judge"], "which another judge decided"),
        ("similar", ["judge"], ""),
        ("similar", ["encoder minilm"], "whose encoder had other files"),
        ("contains", ["encoder minilm"], ""),
        # Another set's group asks the judge.
        ("similar", ["judge", "encoder minilm"], "whose encoder had other files"),
        ("llm-rubric", ["judge", "encoder minilm"], "which another judge decided"),
        ("contains", ["judge", "encoder minilm"], ""),
    ],
)
def test_a_group_has_another_judge_only_where_a_member_asks_one(make_result, make_run, member, scorers, why):
    """All groups of a run have one name, and the judge of any of them."""
    group = Check(type="all-of", checks=(Check(type=member, value="x"),))

    def run(who):
        result = make_result("s/a")
        score = Score(metric="all-of", value=1.0, passed=True)
        result = replace(result, case=replace(result.case, checks=(group,)), scores=(score,))
        run = make_run([result, make_result("s/b")])
        facts = MetricFacts(higher_is_better=True, kind="binary", scored_by=dict.fromkeys(scorers, who))
        return replace(run, metrics={**run.metrics, "all-of": facts})

    unpaired = pair_runs(run("new"), run("old")).unpaired
    assert unpaired == ({"s/a": f"decided by all-of, {why} in the baseline"} if why else {})
