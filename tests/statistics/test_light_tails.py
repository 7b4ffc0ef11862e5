"""Losses per token: no allowance for lost cases, but one for a token that nobody saw break down."""

import numpy as np
import pytest

from harness.golden.reference_tokens import token_drop
from harness.statistics.clusters import Units
from harness.statistics.light_tails import of_light_tails
from harness.statistics.paired_graded import mean_drop

MARGIN = 0.1


def alone(moves):
    return Units(sums=tuple(moves), sizes=(1.0,) * len(moves))


def drop_of(moves, tokens, **settings):
    lone = token_drop([tokens] * len(moves)) if tokens else 0.0
    return mean_drop(alone(moves), 0.9, light_tails=True, lone=lone, rise=1.0, resamples=499, **settings)


@pytest.mark.parametrize(
    ("tokens", "high_unseen"), [(1, 0.7216), (4, 0.1804), (8, 0.0902), (40, 0.0180), (400, 0.0135)]
)
def test_a_worked_example_of_short_references(tokens, high_unseen):
    """40 cases that rise and fall by 0.05: t ends at 1.685 x 0.0506 / 40^0.5 = 0.0135.

    A share of 1 - 0.05^(1/40) = 0.0722 may lose a token of 10 nats unseen, which is 10 / T of a case's mean.
    """
    found = drop_of([0.05, -0.05] * 20, tokens)
    assert found.high == pytest.approx(0.0135, abs=1e-3)
    assert found.high_unseen == pytest.approx(high_unseen, abs=1e-3)


def test_long_references_are_compared_as_before():
    """20 cases: the interval is wider than the allowance, which is no part of it."""
    moves = np.random.default_rng(1).normal(0.0, 0.2, 20).tolist()
    assert drop_of(moves, 60).high_unseen == drop_of(moves, 0).high_unseen
    assert drop_of(moves, 5).high_unseen > drop_of(moves, 0).high_unseen


def test_a_fall_of_few_short_references_may_be_outweighed_by_gains_that_none_showed():
    """8 cases that fell by 0.3: with gains of 1 nat a share of 0.23 is balance, unseen with (1 / 1.3)^8 = 0.123."""
    moves = [0.29, 0.31] * 4
    assert drop_of(moves, 0).p_value < 0.01
    found = drop_of(moves, 1)
    assert found.p_value == pytest.approx((1 / 1.3) ** 8, rel=1e-6)
    assert found.low < 0
    # A token of 100 gains a tenth of a nat at most.
    assert drop_of(moves, 100).p_value < 0.01


def test_what_gained_can_lose_that_much_more():
    gained = drop_of([-0.5, -0.52] * 20, 10)
    assert gained.high_unseen == pytest.approx(-0.51 + 0.0722 * (1.0 + 0.51), abs=2e-3)


def test_the_limits_are_those_of_student_s_t():
    moves = [0.0, 0.1, -0.1, 0.2, -0.05, 0.03, 0.07, -0.12]
    low, high, p_value, skewed = of_light_tails(alone(moves), 0.9, (0.0, 0.0, 0.0), counted=True)
    mean, error = np.mean(moves), np.std(moves, ddof=1) / len(moves) ** 0.5
    assert (low, high) == pytest.approx((mean - 1.8946 * error, mean + 1.8946 * error), abs=1e-3)
    assert 0.1 < p_value < 0.9
    assert skewed <= high


@pytest.mark.simulation
@pytest.mark.parametrize("n", [20, 40, 100, 300])
@pytest.mark.parametrize("tokens", [1, 2, 4, 8, 16, 32, 64])
def test_a_token_that_few_cases_lose_passes_no_drop_of_the_margin(tokens, n):
    """A token breaks down in as many cases as make the margin; all others move by 0.05."""
    random, runs = np.random.default_rng(n + tokens), 300
    share, cost = MARGIN * tokens / 10, 10 / tokens
    moves = random.normal(0.0, 0.05, (runs, n)) + cost * (random.random((runs, n)) < share)
    passed = np.mean([drop_of(run.tolist(), tokens).high_unseen <= MARGIN for run in moves])
    assert passed <= 0.05 + 2 * (0.05 * 0.95 / runs) ** 0.5


@pytest.mark.simulation
def test_without_the_allowance_a_label_that_is_never_named_passes():
    """3 % of labels of one token lose 6 nats, a drop of 0.18: 40 cases show none of them in 30 % of samples."""
    random, runs = np.random.default_rng(5), 300
    moves = random.normal(0.0, 0.05, (runs, 40)) + 6 * (random.random((runs, 40)) < 0.03)
    before, now = (
        np.mean([drop_of(run.tolist(), tokens).high_unseen <= MARGIN for run in moves]) for tokens in (0, 1)
    )
    assert 0.2 < before < 0.4
    assert now == 0
