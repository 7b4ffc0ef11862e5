"""A set that can never pass its own gate is told before the first run."""

from dataclasses import replace

import pytest

from harness.authoring.passable import least_drop_left_open, why_it_never_passes
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
    """54 cases in 22 clusters miss a share of 1 - 0.05^(1/22) of all clusters in 5 % of draws, or a little more."""
    assert least_drop_left_open(set_of(54, 22)) == pytest.approx(1 - 0.05 ** (1 / 22), abs=0.02)
    message, remedy = why_it_never_passes(set_of(54, 22))
    assert message.startswith(
        "it can never pass its gate: with 54 cases in 22 clusters even equal answers leave"
    )
    assert "population: cases" in remedy


def test_a_margin_or_another_question_changes_it():
    assert why_it_never_passes(set_of(54, 22, margin=0.16)) is None
    assert why_it_never_passes(set_of(54, 22, population="cases")) is None
    assert why_it_never_passes(replace(set_of(30), probes_forgetting=True)) is None
