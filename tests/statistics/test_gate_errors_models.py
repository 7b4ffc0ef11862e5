"""Several models against one baseline: a false alarm of any of them, and a false pass of each.

They share the baseline's answers, so their errors come together; each has the k-th part of the level for a
regression, and the whole one for its pass.
"""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.simulated_sets import PASS, REGRESS, paired
from harness.comparison.metric_verdicts import judge
from harness.types import GateVerdict
from harness.types.golden import ALPHA
from tests.statistics.chance import at_most

MARGIN = 0.05
NAMES = ("pass-rate", "contains", "f1")


def answers(random, n, drop=0.0):
    """Nine of ten cases are stable, and the others pass every other time; and a score that follows the verdict."""
    chance = np.clip(np.where(np.arange(n) % 10 == 0, 0.5, 0.97) - drop, 0, 1)
    passed = (random.random(n) < chance).astype(float)
    other = np.where(random.random(n) < 0.5, passed, random.random(n) < chance)
    return passed, other, np.clip(0.2 + 0.5 * passed + random.normal(0, 0.1, n), 0, 1)


def against(before, now):
    """A model's metrics against the baseline's."""
    rows = [paired(np.zeros(then.size), name=name) for then, name in zip(before, NAMES, strict=True)]
    return [
        replace(
            row,
            kind="graded" if row.metric == "f1" else "binary",
            baseline=tuple(then.tolist()),
            candidate=tuple(after.tolist()),
        )
        for row, then, after in zip(rows, before, now, strict=True)
    ]


def verdict_of(metrics, models, names=NAMES):
    """A model's verdict as one of several."""
    chosen = [each for each in metrics if each.metric in names]
    rows = judge(chosen, {("s", name): MARGIN for name in names}, regress_alpha=ALPHA / models)[0]
    words = {row.verdict for row in rows}
    return next(word for word in (REGRESS, GateVerdict.INCONCLUSIVE, PASS) if word in words)


def test_a_worked_example_of_three_models():
    """Six lost of 100 and none gained have 1/128 by mid-p: below 5 % / 3, above 5 % / 7. What passes, passes."""
    lost, same = paired(np.array([1.0] * 6 + [0.0] * 94)), paired(np.zeros(100))
    words = [verdict_of([lost], models, ("pass-rate",)) for models in (1, 3, 7)]
    assert words == [REGRESS, REGRESS, GateVerdict.INCONCLUSIVE]
    assert {verdict_of([same], models, ("pass-rate",)) for models in (1, 3, 7, 100)} == {PASS}


@pytest.mark.parametrize("models", [1, 3, 7])
def test_the_p_that_is_told_decides(models):
    """Six lost have 1/128, of 7 models 7/128; no p is above 1, and a whole set's and a gained one's are told so too."""
    lost, gained = (paired(np.array([sign] * 6 + [0.0] * 94)) for sign in (1.0, -1.0))
    (row,) = judge([lost], {("s", "pass-rate"): MARGIN}, regress_alpha=ALPHA / models)[0]
    assert row.p_value == pytest.approx(1 / 128)
    assert row.p_adjusted == pytest.approx(models / 128)
    assert (row.verdict is REGRESS) is (row.p_adjusted <= ALPHA)
    (row,) = judge([gained], {("s", "pass-rate"): MARGIN}, regress_alpha=ALPHA / models)[0]
    assert row.p_adjusted <= 1


@pytest.mark.usefixtures("verdicts_alone")
@pytest.mark.simulation
@pytest.mark.parametrize(("models", "names", "runs"), [(2, NAMES, 300), (5, NAMES[:2], 600)])
def test_equal_models_have_together_one_false_alarm_in_twenty(models, names, runs):
    """Three standard deviations allowed: 3.8 points of 300 runs, 2.7 of 600."""
    random, alarms = np.random.default_rng(models), 0
    for _ in range(runs):
        before = answers(random, 100)
        found = [verdict_of(against(before, answers(random, 100)), models, names) for _ in range(models)]
        alarms += REGRESS in found
    assert alarms / runs <= at_most(0.05, runs)


@pytest.mark.usefixtures("verdicts_alone")
@pytest.mark.simulation
def test_a_false_pass_is_no_matter_of_how_many_models_there_are():
    """A model that lost the margin beside equal ones; 800 runs, three standard deviations: 2.3 points.

    The level of a pass is not divided, so for the same answers each pass of one model is one of one of five.
    """
    random, runs, wrong = np.random.default_rng(17), 800, 0
    for _ in range(runs):
        before, worse, equal = answers(random, 200), answers(random, 200, MARGIN), answers(random, 200)
        found = [verdict_of(against(before, worse), models, NAMES[:2]) for models in (1, 5)]
        wrong += found[0] is PASS
        assert (found[0] is PASS) == (found[1] is PASS)
        same = [verdict_of(against(before, equal), models, NAMES[:2]) for models in (1, 5)]
        assert (same[0] is PASS) == (same[1] is PASS)
    assert wrong / runs <= at_most(0.05, runs)
