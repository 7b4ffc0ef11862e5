"""A straight drift is told as one and a step as one, however many runs there are; a steady series has no note."""

import random

import pytest

from harness.studies.trend import trends_of_points
from tests.statistics.chance import at_most
from tests.studies.test_trend_constant_metrics import notes, run_of

LENGTHS = range(8, 21)


def notes_of(*series):
    """The note of each of several metrics."""
    names = [f"m{number}" for number in range(len(series))]
    rows = zip(*series, strict=True)
    found = notes(run_of(n, dict(zip(names, row, strict=True))) for n, row in enumerate(rows))
    return [found[name] for name in names]


@pytest.mark.parametrize("runs", LENGTHS)
def test_a_straight_drift_is_told_as_one(runs):
    """From ten runs on it was only told as a change of level."""
    assert notes_of([1 - 0.01 * n for n in range(runs)])[0].startswith("drifts down (p")
    assert notes_of([0.5 + 0.01 * n for n in range(runs)])[0].startswith("drifts up (p")


def test_a_drift_of_eleven_runs_in_a_worked_example():
    """Two of 11! orders are monotone, and Holm doubles that: 4 / 39916800. No level has changed, for the site either."""
    (trend,) = trends_of_points(run_of(n, {"pass-rate": 1 - 0.01 * n}) for n in range(11))
    assert trend.note == "drifts down (p=1e-07)"
    assert trend.p_change <= 0.05
    assert (trend.change, trend.levels, trend.drift) == (None, None, "down")


def test_a_step_of_eleven_runs_in_a_worked_example():
    """Its orders are steep too, but two levels leave nothing of it."""
    (trend,) = trends_of_points(run_of(n, {"pass-rate": 0.9 if n < 6 else 0.8}) for n in range(11))
    assert trend.note.startswith("changed with run r6: 0.90 before, 0.80 since (p=")
    assert trend.p_trend <= 0.05
    assert (trend.change, trend.drift) == (6, None)


@pytest.mark.simulation
def test_drifts_with_noise_are_told_as_drifts():
    """The noise is as large as one run's part of the drift."""
    random_ = random.Random(3)
    found = [
        notes_of([0.9 - 0.01 * n + random_.gauss(0, 0.01) for n in range(runs)])[0]
        for runs in LENGTHS
        for _ in range(40)
    ]
    assert sum(note.startswith("drifts down") for note in found) >= 0.95 * len(found)


@pytest.mark.simulation
def test_steps_with_noise_are_told_as_steps():
    """The noise is a fifth of the step, which is in the middle third of twelve to twenty runs."""
    random_ = random.Random(4)
    found = []
    for runs in range(12, 21):
        for _ in range(50):
            place = random_.randint(runs // 3, runs - runs // 3)
            noise = [random_.gauss(0, 0.02) for _ in range(runs)]
            (note,) = notes_of([0.9 - 0.1 * (n >= place) + each for n, each in enumerate(noise)])
            found.append(note.startswith("changed with run"))
    assert sum(found) >= 0.95 * len(found)


@pytest.mark.simulation
def test_steady_metrics_have_a_note_in_at_most_five_percent():
    """Of a history of two metrics none may have one: the level is that of both tests of all of them."""
    random_ = random.Random(5)
    histories = [
        [[0.9 + random_.gauss(0, 0.01) for _ in range(runs)] for _ in range(2)]
        for runs in LENGTHS
        for _ in range(50)
    ]
    noted = sum(any(notes_of(*each)) for each in histories)
    assert noted <= at_most(0.05, len(histories)) * len(histories)
