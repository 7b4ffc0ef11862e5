"""Looks at several sets, at several answers a case and at uneven clusters: both errors over all sets and looks."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.simulated_sets import PASS, REGRESS, first, flips, judged_by_looks, paired
from harness.comparison.metric_verdicts import judge
from harness.statistics.paired_binary import Trials
from harness.types import GateVerdict
from tests.statistics.chance import at_most

LOOKS = 5
# In one random order: its looks are at the same shares in all runs.
SIZES = np.random.default_rng(0).permutation([1] * 40 + [2] * 25 + [5] * 12 + [12] * 5 + [30])


def named(metric, name):
    return replace(metric, set_name=name, keys=tuple(f"{name}/{place}" for place in range(len(metric.keys))))


def repeated(random, n, drop):
    """Three answers a case; of a fifth of the cases every other one passes."""
    chance = np.where(random.random(n) < 0.2, 0.5, 1.0)
    then, now = random.binomial(3, chance), random.binomial(3, np.maximum(chance - drop, 0))
    return replace(
        paired(np.zeros(n)),
        baseline=tuple((then / 3).tolist()),
        candidate=tuple((now / 3).tolist()),
        trials=tuple(Trials(int(b), 3, int(c), 3) for b, c in zip(then, now, strict=True)),
    )


def uneven(random, drop, alike):
    """Clusters of 1 to 30 cases that flip as one with a probability."""
    of_case, law = np.repeat(np.arange(SIZES.size), SIZES), [0.03 + drop, 0.03, 0.94 - drop]
    whole, single = (random.choice([1.0, -1.0, 0.0], size, p=law) for size in (SIZES.size, of_case.size))
    together = (random.random(SIZES.size) < alike)[of_case]
    return paired(np.where(together, whole[of_case], single), of_case.tolist())


def three_sets(random, drop):
    """One falls, one has 100 cases, one 300."""
    return [
        named(paired(flips(random, n, 0.03 + fall, 0.03)), name)
        for name, n, fall in (("a", 200, drop), ("b", 100, 0.0), ("c", 300, 0.0))
    ]


def three_kinds(random, drop):
    """Single answers that fall, beside repeated ones and uneven clusters."""
    return [
        named(paired(flips(random, 150, 0.03 + drop, 0.03)), "a"),
        named(repeated(random, 60, 0.0), "b"),
        named(uneven(random, 0.0, 0.5), "c"),
    ]


KINDS = {
    "three sets": three_sets,
    "three kinds of sets": three_kinds,
    "repeated answers": lambda random, drop: [repeated(random, 100, drop)],
    "uneven clusters, independent": lambda random, drop: [uneven(random, drop, 0.0)],
    "uneven clusters, half alike": lambda random, drop: [uneven(random, drop, 0.5)],
    "uneven clusters, alike": lambda random, drop: [uneven(random, drop, 1.0)],
}


def test_a_worked_example_of_two_sets():
    """Of 100 cases in a 20 are reached, of 40 in b too: each set has half of the level, spent by its own share.

    8 of 20 lost are 1/512 by mid-p, and are multiplied by 0.025 / 0.0073851 for the look and by 2 for the sets.
    """
    lost = named(paired(np.array([1.0] * 8 + [0.0] * 92)), "a")
    same = named(paired(np.zeros(40)), "b")
    margins = {("a", "pass-rate"): 0.05, ("b", "pass-rate"): 0.05}
    now = [first(lost, 20), first(same, 20)]
    rows = judge(now, margins, fractions={"a": [0.2], "b": [0.5]}, expected=list(margins))[0]
    # Pocock's shape: 0.025 ln(1 + (e - 1) 0.2) = 0.0073851 of the level is spent.
    assert rows[0].p_adjusted == pytest.approx(2 * (1 / 512) * 0.025 / 0.0073851, rel=1e-4)
    assert [row.verdict for row in rows] == [REGRESS, GateVerdict.INCONCLUSIVE]
    # Asked by looks, b with its 40 cases has none before 24, and its half of the level waits for it.
    assert judged_by_looks([lost, same], 0.05, LOOKS) == (REGRESS, pytest.approx(20 / 140))
    alone = judge(now[:1], margins, fractions={"a": [0.2]}, expected=list(margins))[0]
    assert alone[0].p_adjusted == rows[0].p_adjusted


@pytest.mark.usefixtures("verdicts_alone")
@pytest.mark.simulation
@pytest.mark.parametrize("kind", KINDS)
def test_looks_over_all_sets_are_wrong_in_five_percent(kind):
    """400 runs of each, five looks: no change regresses, and a drop of 0.1, the margin, passes; 3.3 points of chance."""
    random, runs = np.random.default_rng(15), 400
    unchanged, at_margin = (
        [judged_by_looks(KINDS[kind](random, drop), 0.1, LOOKS)[0] for _ in range(runs)]
        for drop in (0.0, 0.1)
    )
    assert unchanged.count(REGRESS) / runs <= at_most(0.05, runs)
    assert at_margin.count(PASS) / runs <= at_most(0.05, runs)
