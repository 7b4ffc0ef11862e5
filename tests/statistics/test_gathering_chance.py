"""How often a part is named that lost no more than the rest, and how often one that did."""

import numpy as np
import pytest

from harness.statistics.gathering import gathering_p

LEVEL, RUNS = 0.05, 400
PARTS = 8


def named(draw, clusters, parts, runs=RUNS, seed=0):
    """The share of runs in which any of the parts is named."""
    random = np.random.default_rng(seed)
    found = [min(gathering_p(draw(random), clusters, parts)) <= LEVEL for _ in range(runs)]
    return np.mean(found)


def most(runs=RUNS):
    return LEVEL + 3 * (LEVEL * (1 - LEVEL) / runs) ** 0.5


def independent(passes, fall=0.0):
    """Draws the drops of cases that one side passes with these chances, and the other with lower ones."""

    def draw(random):
        before = random.random(len(passes)) < passes
        return before.astype(float) - (random.random(len(passes)) < passes - fall)

    return draw


HARD = np.r_[np.full(30, 0.6), np.ones(70)]
PIECES = [range(start, start + 10) for start in range(0, 100, 10)]


@pytest.mark.parametrize("lost", [4, 5])
def test_a_worked_example_of_the_fewest_lost_cases_that_name_a_part(lost):
    """Four lost cases of a part, none gained, are one way in 16 if nothing changed; five are one in 32."""
    drops = [1.0] * lost + [0.0] * (100 - lost)
    (found,) = gathering_p(drops, range(100), [range(lost)])
    assert found == 0.5**lost
    assert (found <= LEVEL) == (lost == 5)


@pytest.mark.simulation
@pytest.mark.parametrize("fall", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("size", [1, 5])
def test_what_varies_most_is_not_named_for_it(fall, size):
    """30 % of the cases pass in 60 %, the others always; nothing changed, or all fell alike: they are one tag."""
    passes = np.repeat(HARD, size)
    parts = [range(30 * size), range(30 * size, 100 * size), *PIECES]
    assert named(independent(passes, fall), range(100 * size), parts) <= most()


@pytest.mark.simulation
def test_losses_anywhere_in_clusters_of_uneven_sizes_name_no_tag():
    """15 single cases and 40 clusters of ten, each case lost with 0.1 by itself: in 21 % no single one is."""
    clusters = [*range(15), *np.repeat(np.arange(15, 55), 10)]
    parts = [range(15), range(15, 415), range(15, 115), range(200, 300)]
    assert named(lambda random: (random.random(415) < 0.1).astype(float), clusters, parts) <= most()


@pytest.mark.simulation
def test_whole_clusters_of_uneven_sizes_name_no_tag():
    """Each of 40 clusters of 1 to 10 is lost whole with 0.15; tags are of whole clusters, and of parts of each."""
    sizes = [1 + number % 10 for number in range(40)]
    clusters = np.repeat(np.arange(40), sizes)
    parts = [np.flatnonzero(clusters % 4 == tag) for tag in range(4)]
    parts += [range(tag, len(clusters), 4) for tag in range(4)]
    draw = lambda random: (random.random(40) < 0.15)[clusters].astype(float)  # noqa: E731
    assert named(draw, clusters, parts) <= most()


@pytest.mark.simulation
@pytest.mark.parametrize("size", [1, 4])
def test_a_part_that_lost_more_is_named(size):
    """One of eight tags of 100 cases or clusters loses 40 % of its cases, the others 2 % each way."""
    units = np.repeat(np.arange(100), size)
    tags = [np.flatnonzero(units % PARTS == tag) for tag in range(PARTS)]
    chances = np.where(units % PARTS == 3, 0.4, 0.02)

    def draw(random):
        drawn = random.random(len(units))
        return (drawn < chances).astype(float) - (drawn > 0.98)

    random = np.random.default_rng(0)
    found = [gathering_p(draw(random), units, tags) for _ in range(100)]
    right = np.mean([each[3] <= LEVEL for each in found])
    wrong = np.mean([min(each[:3] + each[4:]) <= LEVEL for each in found])
    assert right >= (0.35 if size == 1 else 0.9)
    assert wrong <= 0.05
