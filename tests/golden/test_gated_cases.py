"""Which cases each gated metric of a set has, and how far it can fall."""

import math
from dataclasses import replace

import pytest

from harness.golden.gated_cases import cases_of_metric, is_graded, judged_cases, largest_drop
from harness.types import Check, GateSettings, GoldenCase, GoldenSet, Message


def set_of(*types, **gate):
    cases = tuple(
        GoldenCase(
            id=str(place),
            set_name="s",
            messages=(Message(role="user", content="?"),),
            checks=(Check(type=each),),
        )
        for place, each in enumerate(types)
    )
    return GoldenSet(name="s", path="s.yaml", cases=cases, gate=GateSettings(**gate))


def test_cases_by_metric():
    golden_set = set_of("equals", "rouge-l", "classification", metric_margins={"rouge-l": 0.1})
    assert [case.id for case in judged_cases(golden_set)] == ["0", "2"]
    assert [case.id for case in cases_of_metric(golden_set, "rouge-l")] == ["1"]
    assert [case.id for case in cases_of_metric(golden_set, "macro-f1")] == ["2"]
    assert [case.id for case in judged_cases(set_of("equals", "rouge-l"))] == ["0"]


@pytest.mark.parametrize(
    ("metric", "drop"),
    [("pass-rate", 1.0), ("macro-f1", 1.0), ("equals", 1.0), ("rouge-l", 1.0), ("perplexity", math.inf)],
)
def test_the_largest_drop(metric, drop):
    assert largest_drop(metric) == drop


def test_a_group_has_a_score_and_its_members_have_none():
    golden_set = set_of("equals", metric_margins={"all-of": 0.1})
    group = Check(type="all-of", threshold=0.5, checks=(Check(type="rouge-l", threshold=0.5),))
    golden_set = replace(golden_set, cases=tuple(replace(each, checks=(group,)) for each in golden_set.cases))
    assert [case.id for case in cases_of_metric(golden_set, "all-of")] == ["0"]
    assert cases_of_metric(golden_set, "rouge-l") == []


def test_a_group_without_a_threshold_is_counted():
    """As in the gate, where one threshold makes all of its scores numbers."""
    named = ("equals", "rouge-l", "classification")
    plain = {each: set_of(each).cases for each in named}
    assert [is_graded(each, cases) for each, cases in plain.items()] == [False, True, False]
    assert is_graded("macro-f1", plain["classification"])
    whole = Check(type="all-of", checks=(Check(type="equals"),))
    cases = [replace(plain["equals"][0], checks=(check,)) for check in (whole, replace(whole, threshold=0.5))]
    assert [is_graded("all-of", some) for some in (cases[:1], cases)] == [False, True]
