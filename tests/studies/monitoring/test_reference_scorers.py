"""What another judge, encoder or version scored is not counted together."""

from dataclasses import replace

import pytest

from harness.studies.monitoring.reference_scorers import facts_of, joined_facts, scored_otherwise
from harness.studies.monitoring.watched_checks import WatchedChecks
from harness.types import Check, MetricFacts

NOW = MetricFacts(kind="binary", scored_by={"judge": "one", "encoder minilm": "abc"})


@pytest.mark.parametrize(
    ("before", "said"),
    [
        ({}, ""),
        # By which cases a run selected it is a number or not.
        ({"kind": "graded"}, ""),
        # Unknown, and what nothing was scored by yet.
        ({"scored_by": None}, ""),
        ({"scored_by": {}}, ""),
        ({"scored_by": {"judge": "other"}}, "tone was judged by other before, by one now"),
        (
            {"scored_by": {"encoder minilm": "abd"}},
            "the encoder minilm of tone had other files before (abd, now abc)",
        ),
        ({"version": "0"}, "tone was scored with version 0 before, with 1 now"),
        ({"most": 5.0}, "tone had another direction or scale before"),
    ],
)
def test_a_difference_is_told_in_one_line(before, said):
    assert scored_otherwise({"tone": NOW}, {"tone": replace(NOW, **before)}) == said


def test_what_is_unknown_before_is_no_difference():
    assert scored_otherwise({"tone": NOW}, {}) == ""


def test_the_first_known_judge_stays_known():
    silent = replace(NOW, scored_by={})
    known = joined_facts({"tone": NOW}, {"tone": replace(NOW, scored_by=None)})
    assert joined_facts({"tone": silent}, known) == {"tone": NOW}


def test_all_names_of_a_judge_stay_known():
    """Its server deals the questions to two models: a small look may ask the one alone, the next one the other."""
    known = {"tone": replace(NOW, scored_by={"judge": "one"})}
    for name in ("one, two", "two"):
        now = {"tone": replace(NOW, scored_by={"judge": name})}
        assert scored_otherwise(now, known) == ""
        known = joined_facts(now, known)
    assert known["tone"].scored_by == {"judge": "one, two"}


def test_only_judged_checks_have_a_judge():
    watched = WatchedChecks(checks=(Check(type="contains"),), judged=(Check(type="tone"),))
    found = facts_of(watched, "one")
    assert {name: each.scored_by for name, each in found.items()} == {
        "contains": {},
        "tone": {"judge": "one"},
    }
    assert facts_of(WatchedChecks(), "one") == {}
