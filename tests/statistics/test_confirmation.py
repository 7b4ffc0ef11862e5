"""Confirming on fail, simulated: false alarms get rarer, real drops stay found."""

import numpy as np
import pytest

from harness.comparison.confirmation import LEVEL, confirm
from harness.comparison.metric_verdicts import judge
from harness.comparison.pairing import PASS_RATE, PairedMetric
from harness.comparison.regressed_cases import ResampledAnswers, regressions_of
from harness.statistics.paired_binary import Trials
from harness.types import GateVerdict
from tests.statistics.chance import regresses

RUNS, TIMES = 1500, 3


def simulated(random, before, now):
    """Whether one synthetic run regresses at the first look, and whether fresh answers confirm it.

    Most runs without a change don't regress by their counts alone, and are not judged further.

    Args:
        random: Where the answers come from.
        before: Each case's chance to pass on the baseline's side.
        now: The same of the candidate's.
    """
    keys = tuple(f"s/{place}" for place in range(len(before)))
    chances = dict(zip(keys, zip(before, now, strict=True), strict=True))
    passed_now, passed = random.random(len(now)) < now, random.random(len(before)) < before
    if not regresses(int((passed & ~passed_now).sum()), int((passed_now & ~passed).sum()), len(keys)):
        return False, False
    metric = PairedMetric(
        set_name="s",
        metric=PASS_RATE,
        kind="binary",
        keys=keys,
        candidate=tuple(passed_now.astype(float).tolist()),
        baseline=tuple(passed.astype(float).tolist()),
        clusters=tuple(range(len(keys))),
    )

    def resampled(asked):
        trials = {
            key: Trials(
                int(random.binomial(TIMES, chances[key][0])),
                TIMES,
                int(random.binomial(TIMES, chances[key][1])),
                TIMES,
            )
            for key in asked
        }
        return ResampledAnswers(trials=trials, times=TIMES, judge_requests=0, duration_s=0.0)

    rows, regressed = judge([metric], {("s", PASS_RATE): 0.05})
    first = rows[0].verdict is GateVerdict.REGRESS
    found = regressions_of(rows, regressed, {})
    rows, _, _ = confirm(rows, regressed, found, resampled([key for each in found for key in each.cases]))
    return first, rows[0].verdict is GateVerdict.REGRESS


def rates(before, now, seed):
    """How often the first look regresses, and how often both do."""
    random = np.random.default_rng(seed)
    return np.mean([simulated(random, before, now) for _ in range(RUNS)], axis=0)


def error(rate):
    """Three standard deviations."""
    return 3 * (rate * (1 - rate) / RUNS) ** 0.5


@pytest.mark.parametrize(
    ("passed_now", "p_value", "stands"),
    [(0, 1 / 40, True), (1, 1 / 10, True), (2, 1 / 4, False), (3, 1.0, False)],
)
def test_a_worked_example(passed_now, p_value, stands):
    """One lost case, three fresh answers a side, of which all of the baseline's pass: by hand.

    None of the candidate's has a chance of 1/20, one of 1/5 and two of 1/2, given how many passed in all; the
    mid-p is half of it. Three say nothing. Up to a fifth the regression stands.
    """
    alone = ResampledAnswers(
        trials={"s/0": Trials(3, 3, passed_now, 3)}, times=3, judge_requests=0, duration_s=0.0
    )
    metric = PairedMetric(
        set_name="s",
        metric=PASS_RATE,
        kind="binary",
        keys=("s/0",),
        candidate=(0.0,),
        baseline=(1.0,),
        clusters=(0,),
    )
    (row,), _ = judge([metric], {("s", PASS_RATE): 0.05}, alpha=0.5)
    assert row.verdict is GateVerdict.REGRESS
    (row,), _, (confirmation,) = confirm([row], [], regressions_of([row], [], {}), alone)
    assert confirmation.p_value == pytest.approx(p_value)
    assert confirmation.stands is stands
    assert row.verdict is (GateVerdict.REGRESS if stands else GateVerdict.INCONCLUSIVE)


@pytest.mark.simulation
@pytest.mark.parametrize("n", [50, 200])
@pytest.mark.parametrize("unstable", [0.2, 0.6])
def test_false_alarms_of_noisy_answers_become_rare(n, unstable):
    """Nothing changed, but a part of the cases passes by chance: at most 5 % times the second look's level."""
    chance = np.where(np.arange(n) < unstable * n, 0.6, 1.0)
    first, both = rates(chance, chance, n)
    assert first <= 0.05 + error(0.05)
    assert both <= 0.05 * LEVEL + error(0.05 * LEVEL)


@pytest.mark.simulation
@pytest.mark.parametrize("n", [50, 200])
def test_other_cases_got_better_as_often_as_worse(n):
    """The answers are sure and the cases were drawn: resampling can't help there, and the level holds."""
    random, found = np.random.default_rng(n), []
    for _ in range(RUNS):
        change = random.choice([-1, 0, 1], n, p=[0.05, 0.9, 0.05])
        found.append(simulated(random, (change <= 0).astype(float), (change >= 0).astype(float))[1])
    assert np.mean(found) <= 0.05 + error(0.05)


@pytest.mark.simulation
@pytest.mark.parametrize("n", [50, 200])
def test_real_drops_stay_found(n):
    """A seventh of the cases breaks for good beside noisy ones: hardly a finding is taken back."""
    before = np.where(np.arange(n) < 0.2 * n, 0.6, 1.0)
    now = np.where(np.arange(n) >= 0.85 * n, 0.0, before)
    first, both = rates(before, now, n)
    assert first >= 0.5
    assert both >= 0.98 * first


@pytest.mark.simulation
def test_drops_in_part_stay_found_mostly():
    """Stable cases that now pass in 60 %."""
    before = np.ones(100)
    now = np.where(np.arange(100) < 30, 0.6, 1.0)
    first, both = rates(before, now, 3)
    assert first >= 0.9
    assert both >= 0.95 * first
