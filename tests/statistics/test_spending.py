import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.statistics.spending import boundary_levels, even_looks, look_levels, spent

SHAPES = ["obrien-fleming", "pocock"]


def test_values_by_the_normal_table():
    """O'Brien and Fleming's shape at alpha .025: 2 - 2 Phi(2.2414 / sqrt(t)) at fifths of the information."""
    cumulative = [spent(each, 0.025, "obrien-fleming") for each in even_looks(5)]
    assert cumulative == pytest.approx([5.4e-7, 0.00039, 0.00381, 0.01221, 0.025], rel=0.02)


def test_pocock_at_half():
    """.05 ln(1 + (e - 1) / 2) = .05 x 0.62011."""
    assert spent(0.5, 0.05, "pocock") == pytest.approx(0.0310057, abs=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_ends(shape):
    assert spent(0.0, 0.05, shape) == 0
    assert spent(1.0, 0.05, shape) == spent(1.5, 0.05, shape) == 0.05


@given(st.integers(1, 40), st.floats(1e-4, 0.3), st.sampled_from(SHAPES))
def test_levels_add_up_to_alpha_and_none_is_negative(count, alpha, shape):
    levels = look_levels(even_looks(count), alpha, shape)
    assert len(levels) == count
    assert min(levels) >= 0
    assert math.fsum(levels) == pytest.approx(alpha)


def test_one_look_has_the_whole_level():
    assert look_levels([1.0], 0.05, "obrien-fleming") == (0.05,)


def test_early_looks_cost_less_in_the_shape_of_obrien_and_fleming():
    early = {shape: look_levels(even_looks(4), 0.05, shape)[0] for shape in SHAPES}
    assert early["obrien-fleming"] < 1e-3
    assert early["pocock"] > 0.01


@pytest.mark.parametrize("fractions", [[], [0.5, 0.5, 1.0], [0.0, 1.0], [0.5, 1.2], [0.8, 0.4]])
def test_looks_out_of_order_are_refused(fractions):
    with pytest.raises(ValueError, match="looks must increase"):
        look_levels(fractions, 0.05, "pocock")


def test_boundaries_are_the_published_ones():
    """Five even looks at a one-sided level of .025: as R's gsDesign has them (sfLDOF, sfLDPocock)."""
    published = {
        "obrien-fleming": [4.8769, 3.3569, 2.6803, 2.2898, 2.0310],
        "pocock": [2.4380, 2.4268, 2.4101, 2.3966, 2.3859],
    }
    for shape, expected in published.items():
        levels = boundary_levels(even_looks(5), 0.025, shape)
        assert [-NormalDist().inv_cdf(level) for level in levels] == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("fractions", [(0.5, 1.0), (0.1, 0.2, 0.9, 1.0), even_looks(10)])
def test_a_motion_crosses_the_boundaries_as_often_as_the_level(shape, fractions):
    random, runs = np.random.default_rng(3), 100_000
    steps = np.diff([0.0, *fractions])
    places = np.cumsum(random.normal(0, np.sqrt(steps), (runs, len(steps))), axis=1)
    levels = boundary_levels(tuple(fractions), 0.05, shape)
    bounds = [
        -NormalDist().inv_cdf(level) * share**0.5 for level, share in zip(levels, fractions, strict=True)
    ]
    crossed = (places >= bounds).any(axis=1).mean()
    assert crossed == pytest.approx(0.05, abs=4 * (0.05 * 0.95 / runs) ** 0.5)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_boundary_is_never_below_the_part_of_its_look(shape):
    levels = boundary_levels(even_looks(6), 0.05, shape)
    assert all(
        level >= part for level, part in zip(levels, look_levels(even_looks(6), 0.05, shape), strict=True)
    )
