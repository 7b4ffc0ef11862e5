"""A set that can never pass its own gate is told before the first run."""

from dataclasses import replace

import pytest

from harness.authoring.passable import (
    least_drop_left_open,
    why_it_never_passes,
    why_it_never_regresses,
)
from harness.statistics.clustered_drop import clustered_drop
from harness.statistics.clusters import group
from harness.types import GateSettings, GoldenCase, GoldenSet, Message


def set_of(n, clusters=None, **gate):
    cases = tuple(
        GoldenCase(
            id=f"c{number}",
            set_name="s",
            messages=(Message(role="user", content="?"),),
            cluster=None if clusters is None else f"k{number % clusters}",
        )
        for number in range(n)
    )
    return GoldenSet(name="s", path="s.yaml", cases=cases, gate=GateSettings(**gate))


@pytest.mark.parametrize(("n", "passes"), [(20, False), (70, True), (200, True)])
def test_independent_cases(n, passes):
    assert (why_it_never_passes(set_of(n)) is None) is passes


def test_clusters_count_as_one_case_each():
    """What the gate says of as many equal answers, to the last digit."""
    units = group([0.0] * 54, [f"k{number % 22}" for number in range(54)])
    assert least_drop_left_open(set_of(54, 22)) == pytest.approx(clustered_drop(units, 0.9).high_unseen)
    message, remedy = why_it_never_passes(set_of(54, 22))
    assert message.startswith(
        "it can never pass its gate: with 54 cases in 22 clusters even equal answers leave"
    )
    assert "population: cases" in remedy


def test_a_margin_or_another_question_changes_it():
    assert why_it_never_passes(set_of(54, 22, margin=0.16)) is None
    assert why_it_never_passes(set_of(54, 22, population="cases")) is None
    assert why_it_never_passes(replace(set_of(30), probes_forgetting=True)) is None


def test_four_clusters_can_never_regress():
    """All of four get worse by chance once in 16 times, all of five once in 32."""
    message, remedy = why_it_never_regresses(set_of(40, 4))
    assert message.endswith("4 clusters can all get worse by chance with a probability of 0.0625")
    assert remedy.startswith("make it 5 clusters or more")
    assert why_it_never_regresses(set_of(40, 5)) is None
    assert why_it_never_regresses(set_of(40, 4, population="cases")) is None
    assert why_it_never_regresses(set_of(40)) is None
