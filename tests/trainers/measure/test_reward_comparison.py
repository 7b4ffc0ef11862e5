"""Rewards before and after a training: the printed gain, its interval and its p-value are of one procedure."""

import io
from types import SimpleNamespace

import pytest
from rich.console import Console

from trainers.measure.reward_comparison import reward_comparison


def compared(before, after):
    shown = io.StringIO()
    run = SimpleNamespace(console=Console(file=shown, width=300))
    return reward_comparison(run, before, after), shown.getvalue()


def test_many_small_gains_are_a_gain():
    """Forty prompts gain 0.1 to 0.3: Student's t gives [0.181, 0.219]."""
    before = [0.2 + 0.01 * (n % 7) for n in range(40)]
    after = [was + 0.1 + 0.05 * (n % 5) for n, was in enumerate(before)]
    found, said = compared(before, after)
    assert found["n"] == 40
    assert found["gain"]["estimate"] == pytest.approx(0.2)
    assert found["gain"]["low"] == pytest.approx(0.181, abs=0.002)
    assert found["gain"]["high"] == pytest.approx(0.219, abs=0.002)
    assert found["p_no_better"] < 0.001
    assert "before, 0.429 [" in said
    assert "] after: +0.200 [+0.18" in said


def test_a_gain_of_the_mean_is_tested_and_not_of_the_signs():
    """Of 20 prompts 19 gain 0.02 and one loses 0.38: the mean has not changed, whatever most signs say."""
    before = [0.5] * 20
    after = [0.52] * 19 + [0.12]
    found, _ = compared(before, after)
    assert found["gain"]["estimate"] == pytest.approx(0.0)
    assert found["p_no_better"] > 0.3


def test_p_and_the_interval_agree():
    """The 90 % interval has no gain inside exactly where p is below 5 %."""
    for shift in (-0.02, 0.0, 0.01, 0.02, 0.05):
        before = [0.5 + 0.03 * (n % 4) for n in range(30)]
        after = [was + shift + 0.1 * (n % 3 - 1) for n, was in enumerate(before)]
        found, _ = compared(before, after)
        assert (found["gain"]["low"] > 0) == (found["p_no_better"] < 0.05), shift


@pytest.mark.parametrize("unit", [1e-10, 1e-6, 1e8])
def test_a_gain_is_the_same_in_any_unit(unit):
    """Of rewards of 1e-10 every gain counted as rounding."""
    before = [0.2 + 0.01 * (n % 7) for n in range(40)]
    after = [was + 0.1 + 0.05 * (n % 5) for n, was in enumerate(before)]
    of_one, _ = compared(before, after)
    found, said = compared([each * unit for each in before], [each * unit for each in after])
    assert found["p_no_better"] == of_one["p_no_better"]
    for figure in ("before", "after", "gain"):
        for end in ("estimate", "low", "high"):
            assert found[figure][end] / unit == pytest.approx(of_one[figure][end])
    assert f"] after: {0.2 * unit:+{'.3g' if unit < 1 else '.0f'}} [" in said


def test_rewards_that_did_not_move_show_nothing():
    found, said = compared([0.4] * 10, [0.4] * 10)
    assert found["gain"] == {"estimate": 0.0, "low": 0.0, "high": 0.0, "confidence": 0.9}
    assert found["p_no_better"] == 1.0
    assert "+0.000" in said
