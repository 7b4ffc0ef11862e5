"""A gate with several looks: published boundaries, and its errors by simulation through the gate's own functions.

``benchmarks/gate_looks.py`` counts a thousand runs a figure; these few would notice a level that is not divided.
"""

from statistics import NormalDist

import numpy as np
import pytest

from benchmarks.simulated_sets import PASS, REGRESS, clustered, first, flips, judged_by_looks, paired
from harness.comparison.metric_verdicts import judge
from harness.statistics.detectable_drops import Flips
from harness.statistics.looks import LEAST_UNITS, RUNS, WHOLE, level_at, look_chances, look_sizes, part_at
from harness.statistics.paired_binary import excludes_drop
from harness.statistics.paired_graded import mean_drop
from harness.statistics.spending import even_looks
from tests.statistics.chance import at_most

LOOKS = 5


def test_looks_end_with_whole_clusters():
    assert look_sizes([1.0] * 100, 5) == (20, 40, 60, 80, 100)
    # Sixty cases in thirty clusters: the first look would have six of these.
    assert look_sizes([2.0] * 30, 5) == (0, 0, 0, 24, 30)
    assert look_sizes([50.0, *[1.0] * 50], 2) == (1 if LEAST_UNITS <= 1 else 0, 51)
    assert look_sizes([1.0], 3) == (1, 1, 1)


def test_one_look_has_the_whole_level():
    assert level_at(WHOLE, 0.05) == part_at(WHOLE, 0.05) == 0.05


def test_a_part_is_smaller_than_a_level():
    """What is not known to depend on earlier looks gets only what this look adds."""
    looks = even_looks(LOOKS)
    for number in range(2, LOOKS + 1):
        assert part_at(looks[:number], 0.05) < level_at(looks[:number], 0.05) < 0.05


def test_a_level_does_not_depend_on_the_looks_to_come():
    assert level_at((0.2, 0.4), 0.05) == pytest.approx(0.016026553, abs=1e-8)
    assert level_at((0.2, 0.4, 0.5), 0.05) < 0.05


def test_looks_worked_example():
    """As in docs/decisions/0006: of 500 cases 100 with one lost, then 200 with two lost and one gained."""
    first_level, second_level = level_at((0.2,), 0.05), level_at((0.2, 0.4), 0.05)
    assert first_level == pytest.approx(0.0148, abs=5e-5)
    assert second_level == pytest.approx(0.0160, abs=5e-5)
    z = [NormalDist().inv_cdf(1 - level) for level in (first_level, second_level)]
    assert not excludes_drop(1, 0, 100, 0.066, z[0])
    assert excludes_drop(1, 0, 100, 0.068, z[0])
    assert not excludes_drop(2, 1, 200, 0.036, z[1])
    assert excludes_drop(2, 1, 200, 0.038, z[1])


def draw_independent(random, drop):
    return [paired(flips(random, 300, 0.03 + drop, 0.03))]


def draw_clustered(random, drop):
    """100 clusters of three, of which half flip as one."""
    return [paired(clustered(random, 100, 0.03 + drop, 0.03, 0.5), np.repeat(np.arange(100), 3).tolist())]


def draw_several(random, drop):
    """Three metrics with one drop, of which two move partly with the first."""
    moves = flips(random, 300, 0.03 + drop, 0.03)
    others = [
        0.5 * np.where(random.random(300) < 0.5, moves, flips(random, 300, 0.03 + drop, 0.03)) for _ in "ab"
    ]
    return [
        paired(moves),
        *(paired(each, name=name) for name, each in zip(("f1", "bleu"), others, strict=True)),
    ]


@pytest.mark.usefixtures("verdicts_alone")
@pytest.mark.simulation
@pytest.mark.parametrize("draw", [draw_independent, draw_clustered, draw_several])
def test_five_looks_are_no_more_often_wrong_than_one(monkeypatch, draw):
    """Of the harmful ones 20 to 29 % of the cases are answered (docs/gate-evidence.md)."""
    monkeypatch.setitem(mean_drop.__kwdefaults__, "resamples", 999)
    random, runs = np.random.default_rng(14), 200 if draw is draw_several else 500
    unchanged = [judged_by_looks(draw(random, 0.0), 0.05, LOOKS)[0] for _ in range(runs)]
    assert unchanged.count(REGRESS) / runs <= at_most(0.05, runs)
    at_margin = [judged_by_looks(draw(random, 0.05), 0.05, LOOKS)[0] for _ in range(runs)]
    assert at_margin.count(PASS) / runs <= at_most(0.05, runs)
    harmful = [judged_by_looks(draw(random, 0.2), 0.05, LOOKS) for _ in range(40)]
    assert {verdict for verdict, _ in harmful} == {REGRESS}
    assert np.mean([share for _, share in harmful]) <= 0.35


@pytest.mark.usefixtures("verdicts_alone")
@pytest.mark.simulation
def test_undivided_levels_would_be_noticed():
    """The same runs, each look at the whole level: twice as many false alarms."""
    random, runs, wrong = np.random.default_rng(14), 400, 0
    for _ in range(runs):
        (metric,) = draw_independent(random, 0.0)
        margins = {("s", "pass-rate"): 0.0}
        found = (judge([first(metric, cases)], margins)[0][0].verdict for cases in (60, 120, 180, 240, 300))
        wrong += REGRESS in set(found)
    assert wrong / runs > at_most(0.05, runs)


@pytest.mark.simulation
def test_planned_chances_are_those_of_the_gate(verdicts_alone):
    random, runs = np.random.default_rng(15), 600
    found = [judged_by_looks(draw_independent(random, 0.0), 0.05, LOOKS) for _ in range(runs)]
    expected = look_chances(
        (1.0,) * 300, Flips(lose=0.03, gain=0.03, alike=0.0), 0.05, 0.05, margin=0.05, looks=LOOKS
    )
    # Either is simulated, and both have an error.
    apart = 3 * (1 / runs + 1 / RUNS) ** 0.5
    passed, shares = [verdict for verdict, _ in found].count(PASS) / runs, [share for _, share in found]
    assert passed == pytest.approx(expected.passes, abs=apart * (passed * (1 - passed)) ** 0.5)
    assert np.mean(shares) == pytest.approx(expected.share, abs=apart * np.std(shares))


def test_planned_shares_of_a_fixed_example():
    """500 cases, 2 % flip each way, margin 0.05: the shares in docs/gate.md."""
    equal, harmful = (
        look_chances(
            (1.0,) * 500, Flips(lose=0.02 + drop, gain=0.02, alike=0.5), 0.05, 0.05, margin=0.05, looks=LOOKS
        )
        for drop in (0.0, 0.2)
    )
    assert equal.share == pytest.approx(0.38, abs=0.02)
    assert equal.passes > 0.95
    assert harmful.share == pytest.approx(0.20, abs=0.01)
    assert harmful.regress == 1.0


def test_clusters_are_planned_whole():
    sizes = (4.0,) * 40
    still = look_chances(sizes, Flips(lose=0.0, gain=0.0, alike=0.5), 0.05, 0.05, margin=0.2, looks=LOOKS)
    assert still.passes == 1.0
    assert still.regress == 0.0
    assert still.share == pytest.approx(0.6)
